//! What a client has set of an API reaches the connectors whose schemas name it, and nothing else does.

use std::path::Path;

use atlas_tests::versions::{rename_over, version};
use atlas_tests::{Atlas, FROM, Faults, TO, api};

const CLIENT: u32 = 2151;
const RUN: [&str; 9] = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];

/// Sets this of the API `jueri`.
async fn set(atlas: &Atlas, json: &str) -> anyhow::Result<atlas_tests::Finished> {
    let file = atlas.folder().join("configuracoes.json");
    std::fs::write(&file, json)?;
    let file = file.display().to_string();
    atlas.run(&["client", "settings", "set", "2151", "--api", "jueri", "--lang", "en", "--json", &file]).await
}

fn put(folder: &Path, what: &str) -> anyhow::Result<()> {
    rename_over(&folder.join("pedido.wasm"), &version(what)?)
}

#[tokio::test]
async fn a_connector_gets_what_its_schema_names_of_what_is_set() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        let api = api(20, Faults::default()).await?;
        let folder = atlas.own_connectors()?;
        put(&folder, "version=1 setting=loja fails=settings")?;
        atlas.register(CLIENT, &api).await?;

        let lacking = atlas.run(&[&RUN[..], &["--lang", "en"]].concat()).await?.expect(2)?;
        assert!(
            lacking.stderr.contains("do not suit route pedido") && lacking.stderr.contains("loja"),
            "{}",
            lacking.stderr
        );
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps").await?, 0);

        for wrong in [r#"{"loja":0}"#, r#"{"loja":"três"}"#, r#"{"outra":1}"#] {
            let refused = set(&atlas, wrong).await?.expect(2)?;
            assert!(refused.stderr.contains("do not suit route pedido"), "{wrong}: {}", refused.stderr);
        }
        for none in ["[1]", "{", ""] {
            assert!(set(&atlas, none).await?.expect(2)?.stderr.contains("has no JSON object"), "{none}");
        }
        set(&atlas, r#"{"loja":3,"outra":1}"#).await?.expect(0)?;
        let shown = atlas.run(&["client", "settings", "show", "2151", "--api", "jueri"]).await?.expect(0)?;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown.stdout)?,
            serde_json::json!({ "loja": 3, "outra": 1 })
        );

        let told = atlas.run(&[&RUN[..], &["--lang", "en"]].concat()).await?.expect(5)?;
        assert!(told.stderr.contains(r#"its settings are {"loja":3}"#), "{}", told.stderr);
        // What is set later is for later scraps; and a connector that wants something else does not get what it did not ask for.
        set(&atlas, r#"{"loja":4}"#).await?.expect(0)?;
        let resumed = atlas.run(&["scrap", "resume", "1", "--lang", "en"]).await?.expect(5)?;
        assert!(resumed.stderr.contains(r#"its settings are {"loja":3}"#), "{}", resumed.stderr);
        put(&folder, "version=2 setting=filial")?;
        let other = atlas.run(&["scrap", "resume", "1", "--lang", "en"]).await?.expect(7)?;
        assert!(other.stderr.contains("filial"), "{}", other.stderr);
        put(&folder, "version=3")?;
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
    }
    Ok(())
}

//! What a client has set of an API reaches the connectors whose schemas name it, and nothing else
//! does.

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
            assert!(set(&atlas, none).await?.expect(2)?.stderr.contains("no JSON object"), "{none}");
        }
        set(&atlas, r#"{"loja":3,"outra":1}"#).await?.expect(0)?;
        let shown = atlas.run(&["client", "settings", "show", "2151", "--api", "jueri"]).await?.expect(0)?;
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown.stdout)?,
            serde_json::json!({ "loja": 3, "outra": 1 })
        );

        let told = atlas.run(&[&RUN[..], &["--lang", "en"]].concat()).await?.expect(5)?;
        assert!(told.stderr.contains(r#"its settings are {"loja":3}"#), "{}", told.stderr);
        // What is set later is for later scraps.
        set(&atlas, r#"{"loja":4}"#).await?.expect(0)?;
        let resumed = atlas.run(&["scrap", "resume", "1", "--lang", "en"]).await?.expect(5)?;
        assert!(resumed.stderr.contains(r#"its settings are {"loja":3}"#), "{}", resumed.stderr);
        // A version that wants something else is not for a scrap that has begun: that one keeps its
        // own.
        put(&folder, "version=2 setting=filial")?;
        let own = atlas.run(&["scrap", "resume", "1", "--lang", "en"]).await?.expect(5)?;
        assert!(own.stderr.contains(r#"its settings are {"loja":3}"#), "{}", own.stderr);
        put(&folder, "version=3")?;
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_secret_setting_is_nowhere_but_sealed_and_with_its_connector() -> anyhow::Result<()> {
    const SECRET: &str = "s3gr3do-da-loja";
    let clear = format!(r#"{{"senha":"{SECRET}","loja":3}}"#);
    for mut atlas in Atlas::on_both().await? {
        atlas.set("ATLAS_KEY", &"5a".repeat(32));
        let api = api(20, Faults::default()).await?;
        let folder = atlas.own_connectors()?;
        put(&folder, "version=1 secret=senha fails=settings")?;
        atlas.register(CLIENT, &api).await?;
        let sealed = "SELECT COUNT(*) FROM clientes_configuracoes WHERE configuracao LIKE 'atlas1:%'";
        let of_scraps = format!("SELECT COUNT(*) FROM scraps WHERE configuracao LIKE '%{SECRET}%'");

        // What does not suit is said without the value.
        let refused = set(&atlas, r#"{"senha":["outro-segredo"]}"#).await?.expect(2)?;
        assert!(refused.stderr.contains("/senha") && !refused.stderr.contains("outro-segredo"), "{}", refused.stderr);
        set(&atlas, &clear).await?.expect(0)?;
        assert_eq!(atlas.database.number(sealed).await?, 1);
        let show = ["client", "settings", "show", "2151", "--api", "jueri"];
        let shown = atlas.run(&show).await?.expect(0)?;
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown.stdout)?["senha"], "***");

        // The connector has it, and neither its reason nor its log tells it.
        let told = atlas.run(&[&RUN[..], &["--lang", "en", "-v"]].concat()).await?.expect(5)?;
        assert!(told.stderr.matches("***").count() >= 2, "{}", told.stderr);
        let log = std::fs::read_to_string(atlas.folder().join("erros_scraps.log"))?;
        assert!(!told.stderr.contains(SECRET) && !log.contains(SECRET), "{}", told.stderr);
        assert_eq!(atlas.database.number(&of_scraps).await?, 0);

        // Shown and set again, left out, or blank, it stays; null takes it away.
        for same in [r#"{"senha":"***","loja":3}"#, r#"{"loja":3}"#, r#"{"senha":" ","loja":3}"#] {
            set(&atlas, same).await?.expect(0)?;
            let shown = atlas.run(&show).await?.expect(0)?;
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown.stdout)?["senha"], "***", "{same}");
        }
        assert!(set(&atlas, r#"{"senha":null}"#).await?.expect(2)?.stderr.contains("senha"));

        // As an installation of before has them: in the clear, and copied.
        atlas.database.execute(&format!("UPDATE clientes_configuracoes SET configuracao = '{clear}'")).await?;
        atlas.database.execute(&format!("UPDATE scraps SET configuracao = '{clear}'")).await?;
        atlas.run(&["client", "list"]).await?.expect(0)?;
        assert_eq!(atlas.database.number(sealed).await?, 1);
        put(&folder, "version=2 secret=senha")?;
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
        assert_eq!(atlas.database.number(&of_scraps).await?, 0);

        // With another key it opens all the same.
        let other = "6b".repeat(32);
        atlas.set("ATLAS_NEW_KEY", &other);
        atlas.run(&["client", "rekey"]).await?.expect(0)?;
        atlas.set("ATLAS_KEY", &other);
        atlas.run(&show).await?.expect(0)?;
    }
    Ok(())
}

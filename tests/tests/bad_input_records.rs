//! Records that no table can hold stand among the rejected, with their bytes; none takes another
//! with it. Records that only look odd are kept as they are.

use atlas_tests::{Atlas, FROM, Faults, Malformed, Rota, SampleApi, TO, api, assert_said};
use serde_json::Value;

const CLIENT: u32 = 2151;
/// `{"a":"\xff\xfe"}`, which no JSON text can hold.
const NOT_UTF8: (&[u8], &str) = (b"{\"a\":\"\xff\xfe\"}", "eyJhIjoi//4ifQ==");
const LARGE: usize = 20 * 1024 * 1024;

/// What is rejected: after which record it stands, its bytes, and the code of the reason.
fn rejected() -> Vec<(u64, Vec<u8>, &'static str)> {
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        (0, text(r#"{"a":"\u0000"}"#), "nul_character"),
        (1, text("1e999999"), "number_out_of_range"),
        (2, text(r#"{"a":{"b":[-1e-999999]}}"#), "number_out_of_range"),
        (3, text(r#"{"a":"\ud83d"}"#), "lone_surrogate"),
        (4, text(r#"{"\udc00":1}"#), "lone_surrogate"),
        (5, text(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))), "too_deep"),
        (6, text(r#"{"a":1,"b":{"c":2,"\u0063":3}}"#), "duplicate_key"),
        (7, text(r#"{"a":tru}"#), "not_json"),
        (8, text(r#"{"a":01}"#), "not_json"),
        (9, NOT_UTF8.0.to_vec(), "not_utf8"),
        (10, text(""), "not_json"),
        (11, text("NaN"), "not_json"),
        // The last of its page.
        (39, text("{'a':1}"), "not_json"),
    ]
}

/// What only looks odd.
fn kept() -> Vec<(u64, &'static str)> {
    vec![
        (0, r#"{"n":1234567890123456789012345678901234567890}"#),
        (0, r#"{"n":-0.1234567890123456789012345678901234567890123456789}"#),
        (13, r#""""#),
        (14, "null"),
        (15, r#"{"a":"\ud83d\ude80","b":"\u0001","":[]}"#),
        (16, r#"{"n":1e300}"#),
    ]
}

/// A source of 40 orders with all of that among them.
async fn odd_source() -> anyhow::Result<SampleApi> {
    let kept = kept().into_iter().map(|(after, text)| Malformed::new(after, text));
    let rejected = rejected().into_iter().map(|(after, bytes, _)| Malformed::new(after, bytes));
    api(8, Faults { malformed: kept.chain(rejected).collect(), no_total: true, ..Faults::default() }).await
}

/// The lines of a command's JSON result.
async fn json_lines(atlas: &Atlas, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
    let finished = atlas.run(&[arguments, &["--output", "json"]].concat()).await?.expect(0)?;
    Ok(finished.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// Each rejected record stands there once, with the code of its reason and its bytes.
fn expect_exported(exported: &[Value]) -> anyhow::Result<()> {
    assert_eq!(exported.len(), rejected().len());
    for (_, bytes, code) in rejected() {
        let is_it = |row: &&Value| match std::str::from_utf8(&bytes) {
            Ok(text) => row["conteudo"] == text,
            Err(_) => row["conteudo_base64"] == NOT_UTF8.1 && row["conteudo"].is_null(),
        };
        let found: Vec<&Value> = exported.iter().filter(is_it).collect();
        assert_eq!(found.len(), 1, "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(found[0]["codigo"], code);
        assert_eq!(found[0]["cliente_id"], CLIENT);
        assert_eq!(found[0]["rota"], "pedido");
        assert!(found[0]["motivo"].as_str().is_some_and(|reason| !reason.is_empty()));
    }
    Ok(())
}

#[tokio::test]
async fn records_that_no_table_can_hold_are_rejected_with_their_bytes_and_all_others_kept() -> anyhow::Result<()> {
    let api = odd_source().await?;
    let mut good = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    good.extend(kept().iter().map(|(_, text)| (*text).to_owned()));
    let (good_count, bad_count) = (i64::try_from(good.len())?, i64::try_from(rejected().len())?);
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        for batch in ["1", "50"] {
            let run = atlas.run_pedido(CLIENT, &["--page-size", "20", "--batch", batch]).await?.expect(6)?;
            assert_eq!(run.text("status")?, "concluido_com_ressalva");
            assert_eq!(run.number("lidos")?, good_count + bad_count);
            assert_eq!(run.number("rejeitados")?, bad_count);
            assert_eq!(run.number("inseridos")? + run.number("duplicados")?, good_count);
            atlas.database.expect_exactly(CLIENT, "pedido", &good).await?;
            let scrap = run.number("scrap_id")?.to_string();
            expect_exported(&json_lines(&atlas, &["rejects", "export", "--scrap", &scrap]).await?)?;
            let listed = json_lines(&atlas, &["rejects", "list", "--scrap", &scrap]).await?;
            assert_eq!(listed.len(), rejected().len());
        }
        assert_eq!(json_lines(&atlas, &["rejects", "export"]).await?.len(), 2 * rejected().len());
        atlas.run(&["verify", "--client", "2151"]).await?.expect(0)?;
    }
    Ok(())
}

#[tokio::test]
async fn the_first_run_inserts_what_it_read_and_did_not_reject() -> anyhow::Result<()> {
    let api = odd_source().await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "7"]).await?.expect(6)?;
        assert_eq!(run.number("lidos")?, run.number("inseridos")? + run.number("rejeitados")?);
    }
    Ok(())
}

#[tokio::test]
async fn each_rejected_record_is_told_and_listed_with_its_reason() -> anyhow::Result<()> {
    let api = odd_source().await?;
    let mut said = String::new();
    for lang in atlas_tests::LANGUAGES {
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(6)?;
        said.push_str(&run.said(lang)?);
        let listed = atlas.run(&["rejects", "list", "--lang", lang]).await?.expect(0)?;
        said.push_str(&listed.stdout);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_record_that_is_too_large_is_rejected_with_all_of_its_bytes() -> anyhow::Result<()> {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(LARGE));
    let malformed = vec![Malformed::new(3, large.clone())];
    let api = api(2, Faults { malformed, no_total: true, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &[]).await?.expect(6)?;
        assert_eq!((run.number("lidos")?, run.number("inseridos")?, run.number("rejeitados")?), (11, 10, 1));
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
        let exported = json_lines(&atlas, &["rejects", "export"]).await?;
        assert_eq!(exported.len(), 1);
        assert_eq!(exported[0]["codigo"], "too_large");
        assert!(exported[0]["conteudo"] == large.as_str(), "its bytes are not those that were served");
        let listed = json_lines(&atlas, &["rejects", "list"]).await?;
        assert_eq!(listed[0]["bytes"], large.len());
    }
    Ok(())
}

/// A limit that was too low, and then is not: what it rejected comes into the table, each record
/// once, as it arrived.
#[tokio::test]
async fn what_a_limit_rejected_is_put_into_the_table_once_the_limit_is_raised() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let api = api(4, Faults::default()).await?;
        let settings = atlas.folder().join("atlas.toml");
        std::fs::write(&settings, "[limits]\nrecord_depth = 0\n")?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "5"]).await?.expect(6)?;
        assert_eq!((run.number("inseridos")?, run.number("rejeitados")?), (0, 20));
        let mut said = String::new();
        let still = atlas.run(&["rejects", "replay", "1", "--lang", "en"]).await?.expect(6)?;
        said.push_str(&format!("{}{}", still.stdout, still.stderr));
        std::fs::write(&settings, "")?;
        let one = atlas.run(&["rejects", "replay", "2", "--output", "json"]).await?.expect(0)?;
        assert_eq!((one.number("inseridos")?, one.number("rejeitados")?), (1, 0));
        let all = atlas.run(&["rejeitados", "reprocessar", "--scrap", "1", "--output", "json"]).await?.expect(0)?;
        assert_eq!((all.number("inseridos")?, all.number("duplicados")?), (19, 0));
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
        // Fetched again, they are known by the very same hashes.
        let again = atlas.run_pedido(CLIENT, &["--page-size", "5"]).await?.expect(0)?;
        assert_eq!((again.number("inseridos")?, again.number("duplicados")?), (0, 20));
        let before = atlas.run(&["rejects", "replay", "2", "--lang", "en"]).await?.expect(0)?;
        said.push_str(&format!("{}{}", before.stdout, before.stderr));
        let nothing = atlas.run(&["rejects", "replay", "--output", "json"]).await?.expect(0)?;
        assert_eq!(nothing.number("inseridos")?, 0);
        let unknown = atlas.run(&["rejects", "show", "99", "--lang", "en"]).await?.expect(2)?;
        said.push_str(&unknown.stderr);
        let shown = atlas.run(&["rejects", "show", "2"]).await?.expect(0)?.json()?;
        assert!(
            shown["reprocessado_em"].is_string()
                && shown["conteudo"].as_str().is_some_and(|text| text.starts_with('{'))
        );
        if !atlas.database.is_postgres() {
            assert_said!(said);
        }
    }
    Ok(())
}

/// A trigger of the users' own on both databases, which drops or refuses what has an even number.
async fn set_trigger(atlas: &Atlas, sqlite: &str, postgres: &str) -> anyhow::Result<()> {
    let sql = match atlas.database.is_postgres() {
        false => format!(
            "CREATE TRIGGER deles BEFORE INSERT ON dados_raw WHEN json_extract(NEW.payload, '$.id') % 2 = 0 \
             BEGIN SELECT {sqlite}; END"
        ),
        true => format!(
            "CREATE FUNCTION deles() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN IF (NEW.payload->>''id'')::bigint % 2 = 0 THEN {postgres}; END IF; RETURN NEW; END'; \
             CREATE TRIGGER deles BEFORE INSERT ON dados_raw FOR EACH ROW EXECUTE FUNCTION deles()"
        ),
    };
    atlas.database.execute(&sql).await
}

#[tokio::test]
async fn what_the_users_own_triggers_keep_out_is_told_and_kept() -> anyhow::Result<()> {
    let api = api(8, Faults::default()).await?;
    let ways = [
        // Dropped without a word, and refused with an error that names no data.
        ("RAISE(IGNORE)", "RETURN NULL", "not_kept"),
        ("json(''nenhum json'')", "RAISE EXCEPTION ''no'' USING ERRCODE = ''0A000''", "database"),
    ];
    for (sqlite, postgres, code) in ways {
        for atlas in Atlas::on_both().await? {
            atlas.register(CLIENT, &api).await?;
            set_trigger(&atlas, &sqlite.replace("''", "'"), postgres).await?;
            for batch in ["1", "100"] {
                let run = atlas.run_pedido(CLIENT, &["--page-size", "10", "--batch", batch]).await?.expect(6)?;
                assert_eq!(run.text("status")?, "concluido_com_ressalva", "{code}");
                assert_eq!((run.number("lidos")?, run.number("rejeitados")?), (40, 20), "{code}, batch {batch}");
                assert_eq!(run.number("inseridos")? + run.number("duplicados")?, 20);
            }
            let listed = json_lines(&atlas, &["rejects", "list", "--scrap", "1"]).await?;
            assert!(listed.len() == 20 && listed.iter().all(|row| row["codigo"] == code), "{listed:?}");
            let doctor = atlas.run(&["doctor", "--lang", "en"]).await?;
            assert!(doctor.stdout.contains("dados_raw has the trigger deles on INSERT"), "{}", doctor.stdout);
            // Nothing of it is lost.
            atlas
                .database
                .execute(match atlas.database.is_postgres() {
                    true => "DROP TRIGGER deles ON dados_raw",
                    false => "DROP TRIGGER deles",
                })
                .await?;
            let replayed = atlas.run(&["rejects", "replay", "--scrap", "1", "--output", "json"]).await?.expect(0)?;
            assert_eq!(replayed.number("inseridos")?, 20);
            atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_record_that_the_server_refuses_alone_is_rejected_although_it_calls_that_a_passing_fault()
-> anyhow::Result<()> {
    let api = api(8, Faults::default()).await?;
    // query_canceled and out_of_memory.
    for code in ["57014", "53200"] {
        let atlas = Atlas::on_postgres().await?;
        atlas.register(CLIENT, &api).await?;
        let trigger = format!(
            "CREATE FUNCTION deles() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN IF (NEW.payload->>''id'')::bigint % 20 = 0 THEN \
             RAISE EXCEPTION ''no'' USING ERRCODE = ''{code}''; END IF; RETURN NEW; END'; \
             CREATE TRIGGER deles BEFORE INSERT ON dados_raw FOR EACH ROW EXECUTE FUNCTION deles()"
        );
        atlas.database.execute(&trigger).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "10", "--batch", "100"]).await?.expect(6)?;
        let (read, rejected) = (run.number("lidos")?, run.number("rejeitados")?);
        assert_eq!((read, rejected, run.number("inseridos")?), (40, 2, 38), "{code}");
        atlas.database.execute("DROP TRIGGER deles ON dados_raw").await?;
        let replayed = atlas.run(&["rejects", "replay", "--output", "json"]).await?.expect(0)?;
        assert_eq!(replayed.number("inseridos")?, 2, "{code}");
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_existing_dados_raw_that_can_have_no_unique_index_is_named_by_every_command() -> anyhow::Result<()> {
    let columns = "id BIGSERIAL, cliente_id INTEGER, origem TEXT, payload JSONB, hash_conteudo TEXT, \
                   data_coleta TIMESTAMP DEFAULT now()";
    let kinds = [
        ("is partitioned", format!("CREATE TABLE dados_raw ({columns}) PARTITION BY LIST (cliente_id)")),
        ("is a view", format!("CREATE TABLE deles ({columns}); CREATE VIEW dados_raw AS SELECT * FROM deles")),
    ];
    for (kind, sql) in kinds {
        let atlas = Atlas::on_postgres().await?;
        atlas.database.execute(&sql).await?;
        for command in [&["db", "init"][..], &["doctor"], &["scrap", "list"]] {
            let said = atlas.run(&[command, &["--lang", "en"]].concat()).await?.expect(3)?;
            let said = format!("{}{}", said.stdout, said.stderr);
            assert!(said.contains(&format!("dados_raw {kind}")), "{command:?}: {said}");
            assert!(said.contains("in a database or schema of its own") && !said.contains("atlas db init"), "{said}");
        }
    }
    Ok(())
}

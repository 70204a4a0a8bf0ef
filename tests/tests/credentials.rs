//! Credentials: every scheme reaches the source, each secret stays where it belongs, and a token
//! that many wait for is renewed once.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use atlas_tests::{Atlas, FROM, FaultKind, Faults, Finished, LANGUAGES, Rota, SampleApi, Settings, TO, assert_said};
use sample_api::{OAuth, Opens};

const CLIENT: u32 = 2151;
/// The API that the test's connector belongs to.
const API: &str = "teste";
/// A token with every character that a source may escape.
const SECRET: &str = "s3gr/edo+do\"cliente=7%";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A source that wants its credential so, with 50 orders.
async fn source(opens: Opens, faults: Faults) -> anyhow::Result<SampleApi> {
    let token = SECRET.to_owned();
    SampleApi::start(Settings { per_day: 10, token, opens, faults, ..Settings::default() }).await
}

fn oauth(expires_in: Option<u64>) -> OAuth {
    OAuth {
        client_id: "aplicativo".to_owned(),
        client_secret: "segredo-do-aplicativo".to_owned(),
        refresh_token: "renova-0000-inicial".to_owned(),
        expires_in,
        latency_ms: 0,
    }
}

/// The parts of [`oauth`], as an operator types them.
fn oauth_parts(api: &SampleApi) -> String {
    format!(
        "client_id=aplicativo\nclient_secret=segredo-do-aplicativo\nrefresh_token=renova-0000-inicial\n\
         token_url={}/oauth/token\nscope=pedidos\n",
        api.origin()
    )
}

/// Gives an installation the test's connector alone, declaring this scheme.
fn declare(atlas: &mut Atlas, scheme: &str) -> anyhow::Result<()> {
    const MARK: &[u8] = b"atlas-test-scheme=";
    const LENGTH: usize = 96;
    let guests = std::env::var("ATLAS_TEST_GUESTS").context("ATLAS_TEST_GUESTS: cargo xtask test builds the guests")?;
    let mut component = std::fs::read(Path::new(&guests).join("esquemas.wasm"))?;
    let place = component.windows(MARK.len()).position(|window| window == MARK).context("no scheme to overwrite")?;
    let declared = format!("{:LENGTH$}", format!("atlas-test-scheme={scheme}"));
    anyhow::ensure!(declared.len() == LENGTH, "{scheme} is too long");
    component[place..place + LENGTH].copy_from_slice(declared.as_bytes());
    let folder = atlas.folder().join("conectores");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("esquemas.wasm"), component)?;
    atlas.set("ATLAS_CONNECTORS", &folder.display().to_string());
    Ok(())
}

/// Named parts at their places in the body, and the source that wants them there.
const IN_BODY: &str = "placeholders:key=body/app_key,id=body/app_id";

fn in_body() -> Opens {
    let members = [("app_key", SECRET), ("app_id", "id-7")];
    Opens::Body(members.map(|(name, value)| (name.to_owned(), value.to_owned())).into())
}

/// Requests with a body have to be granted.
fn grant_posts(atlas: &Atlas) -> anyhow::Result<()> {
    let grant = format!("[[grant]]\napi = \"{API}\"\nrequests = [\"POST /*/pedido\"]\n");
    Ok(std::fs::write(atlas.folder().join("atlas.toml"), grant)?)
}

/// Registers the client, and these parts for the test's API.
async fn register(atlas: &Atlas, api: &SampleApi, parts: &str) -> anyhow::Result<()> {
    let nobody = ["client", "add", "2151", "--token", "-", "--base-url", "https://erp.example/api"];
    atlas.run_with_input(&nobody, "padrao-de-outro-lugar").await?.expect(0)?;
    set(atlas, api, parts).await
}

async fn set(atlas: &Atlas, api: &SampleApi, parts: &str) -> anyhow::Result<()> {
    let url = api.base_url();
    let set = ["client", "credential", "set", "2151", "--api", API, "--base-url", &url, "--parts", "-"];
    atlas.run_with_input(&set, parts).await?.expect(0).map(drop)
}

async fn expect_all(atlas: &Atlas, api: &SampleApi) -> anyhow::Result<()> {
    atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await
}

#[tokio::test]
async fn every_scheme_reaches_the_source_and_its_records_the_table() -> anyhow::Result<()> {
    let headers = BTreeMap::from([("app-key".to_owned(), SECRET.to_owned()), ("app-id".to_owned(), "id-7".to_owned())]);
    let cases = [
        ("bearer", Opens::Bearer, format!("token={SECRET}")),
        ("header:X-Api-Key", Opens::Header("x-api-key".into()), format!("token={SECRET}")),
        ("query:chave", Opens::Query("chave".into()), format!("token={SECRET}")),
        ("basic", Opens::Basic("maria".into()), format!("username=maria\npassword={SECRET}")),
        ("placeholders:key=app-key,id=app-id", Opens::Headers(headers), format!("key={SECRET}\nid=id-7")),
        (IN_BODY, in_body(), format!("key={SECRET}\nid=id-7")),
    ];
    for (scheme, opens, parts) in cases {
        let api = source(opens, Faults::default()).await?;
        let mut atlas = Atlas::on_sqlite()?;
        grant_posts(&atlas)?;
        declare(&mut atlas, scheme)?;
        register(&atlas, &api, &parts).await?;
        atlas.run_pedido(CLIENT, &["--page-size", "10"]).await?.expect(0).context(scheme)?;
        expect_all(&atlas, &api).await?;
        let served = api.served();
        assert_eq!((served.authorization_wrong, served.authorization_missing), (0, 0), "{scheme}");
    }
    Ok(())
}

#[tokio::test]
async fn a_credential_without_what_the_scheme_needs_is_told_with_what_is_missing() -> anyhow::Result<()> {
    let api = source(Opens::Bearer, Faults::default()).await?;
    let mut said = String::new();
    for (scheme, parts) in [("basic", "token=x"), ("refresh", "client_id=a\nclient_secret=b"), ("query:k", "other=x")] {
        let mut atlas = Atlas::on_sqlite()?;
        declare(&mut atlas, scheme)?;
        register(&atlas, &api, parts).await?;
        for lang in LANGUAGES {
            said.push_str(&atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(4)?.said(lang)?);
        }
    }
    assert_eq!(api.served().requests, 0);
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn client_credentials_get_a_token_and_share_it_with_the_next_run() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        let api = source(Opens::OAuth(oauth(Some(3600))), Faults::default()).await?;
        declare(&mut atlas, "client-credentials")?;
        register(&atlas, &api, &oauth_parts(&api)).await?;
        for _ in 0..2 {
            atlas.run_pedido(CLIENT, &["--page-size", "10"]).await?.expect(0)?;
        }
        expect_all(&atlas, &api).await?;
        assert_eq!((api.tokens().issued, api.tokens().refused), (1, 0));
        assert_eq!(api.served().authorization_wrong, 0);
    }
    Ok(())
}

/// Eight pages at once in each of two processes, all without a token; then once more when the
/// source has forgotten it.
#[tokio::test]
async fn a_rotating_token_is_renewed_once_for_eight_pages_of_two_processes() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        let slow = OAuth { latency_ms: 300, ..oauth(None) };
        let faults = Faults { latency_ms: 20, ..Faults::default() };
        let api = source(Opens::OAuth(slow), faults).await?;
        declare(&mut atlas, "refresh")?;
        register(&atlas, &api, &oauth_parts(&api)).await?;
        let days = [("2025-10-20", "2025-10-24"), ("2025-10-25", "2025-10-29")];
        for renewals in 1..=2 {
            let start = |(from, to)| {
                let run = ["run", "--client", "2151", "--route", "pedido", "--from", from, "--to", to];
                atlas.start(&[run.as_slice(), &["--page-size", "5", "--concurrency", "8"]].concat())
            };
            let (first, second) = (start(days[0])?, start(days[1])?);
            // Both are read at once: one that is not read would stop, and perhaps with the lock in
            // its hands.
            let (first, second) = tokio::try_join!(first.finish(), second.finish())?;
            first.expect(0)?;
            second.expect(0)?;
            // An old refresh token that is used again would have been refused.
            assert_eq!((api.tokens().issued, api.tokens().refused), (renewals, 0));
            api.forget_access_token();
        }
        for (from, to) in days {
            let served = api.records(CLIENT, Rota::Pedido, from, to)?;
            assert!(!served.is_empty());
        }
        assert_eq!(atlas.database.rows().await?.len(), 100);
    }
    Ok(())
}

/// The token URL belongs to a source, and may be as slow as it likes.
#[tokio::test]
async fn a_slow_token_url_keeps_no_other_client_waiting() -> anyhow::Result<()> {
    const NEIGHBOUR: u32 = 2152;
    const SLOW: Duration = Duration::from_secs(12);
    for mut atlas in Atlas::on_both().await? {
        let api = |latency_ms| source(Opens::OAuth(OAuth { latency_ms, ..oauth(Some(3600)) }), Faults::default());
        let (slow, quick) = (api(u64::try_from(SLOW.as_millis())?).await?, api(0).await?);
        declare(&mut atlas, "refresh")?;
        register(&atlas, &slow, &oauth_parts(&slow)).await?;
        let add = ["client", "add", "2152", "--token", "-", "--base-url", "https://erp.example/api"];
        atlas.run_with_input(&add, "padrao").await?.expect(0)?;
        let url = quick.base_url();
        let set = ["client", "credential", "set", "2152", "--api", API, "--base-url", &url, "--parts", "-"];
        atlas.run_with_input(&set, &oauth_parts(&quick)).await?.expect(0)?;

        let waiting = atlas.start(&["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO])?;
        while slow.tokens().issued == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let begun = Instant::now();
        atlas.run_pedido(NEIGHBOUR, &["--page-size", "10"]).await?.expect(0)?;
        let took = begun.elapsed();
        assert!(took < SLOW / 2, "the neighbour waited: {took:?}");
        let served = quick.records(NEIGHBOUR, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(NEIGHBOUR, "pedido", &served).await?;
        waiting.finish().await?.expect(0)?;
        expect_all(&atlas, &slow).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed_and_its_page_repeated_once() -> anyhow::Result<()> {
    let api = source(Opens::OAuth(oauth(None)), Faults::default()).await?;
    let mut atlas = Atlas::on_sqlite()?;
    declare(&mut atlas, "refresh")?;
    register(&atlas, &api, &oauth_parts(&api)).await?;
    atlas.run_pedido(CLIENT, &["--page-size", "10"]).await?.expect(0)?;
    api.forget_access_token();
    let run = atlas.run_pedido(CLIENT, &["--page-size", "10", "--concurrency", "1"]).await?.expect(0)?;
    assert!(run.stderr.contains("o token de acesso"), "{}", run.stderr);
    let tokens = api.tokens();
    assert_eq!((tokens.issued, tokens.refused, api.served().authorization_wrong), (2, 0, 1));

    // A source that refuses every token is asked once more, and believed.
    api.set_faults(Faults { fail_page: Some(1), fail_with: FaultKind::Unauthorized, ..Faults::default() })?;
    let before = api.served().requests;
    let run = atlas.run_pedido(CLIENT, &["--page-size", "10"]).await?.expect(4)?;
    assert_eq!(run.text("status")?, "token_recusado");
    assert_eq!((api.served().requests - before, api.tokens().issued), (2, 3));
    Ok(())
}

#[tokio::test]
async fn a_grant_that_was_taken_back_stops_the_scrap_and_shows_no_token() -> anyhow::Result<()> {
    let faults = Faults { revoked: true, ..Faults::default() };
    let mut said = String::new();
    for lang in LANGUAGES {
        let api = source(Opens::OAuth(oauth(None)), faults.clone()).await?;
        let mut atlas = Atlas::on_sqlite()?;
        declare(&mut atlas, "refresh")?;
        register(&atlas, &api, &oauth_parts(&api)).await?;
        let run = atlas.run_pedido(CLIENT, &["--lang", lang, "-v"]).await?.expect(4)?;
        assert_eq!((run.text("status")?.as_str(), api.tokens().refused), ("token_recusado", 1));
        expect_no_secret(&atlas, &[&run], &["renova-0000-inicial", "segredo-do-aplicativo"], false)?;
        said.push_str(&run.said(lang)?);
        // Mended by the operator, it goes on.
        api.set_faults(Faults::default())?;
        set(&atlas, &api, &oauth_parts(&api)).await?;
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
        expect_all(&atlas, &api).await?;
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn credentials_are_listed_by_the_names_of_their_parts_and_removed() -> anyhow::Result<()> {
    let api = source(Opens::Bearer, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    register(&atlas, &api, r#"{"username": "maria", "password": "segredo-da-maria"}"#).await?;
    let shown = atlas.run(&["cliente", "credencial", "ver", "2151", "--output", "json"]).await?.expect(0)?;
    assert_eq!(shown.json()?["partes"], serde_json::json!(["password", "username"]));
    expect_no_secret(&atlas, &[&shown], &["segredo-da-maria"], false)?;

    let token = ["client", "credential", "set", "2151", "--api", API, "--token", "-"];
    atlas.run_with_input(&token, SECRET).await?.expect(0)?;
    let shown = atlas.run(&["client", "credential", "show", "2151", "--api", API, "--output", "json"]).await?;
    assert_eq!(shown.json()?["partes"], serde_json::json!(["token"]));
    atlas.run(&["client", "credential", "remove", "2151", "--api", API]).await?.expect(0)?;
    let shown = atlas.run(&["client", "credential", "show", "2151", "--output", "json"]).await?.expect(0)?;
    assert_eq!(shown.json()?["partes"], serde_json::json!([]));
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_a_credential_is_refused_without_being_shown() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    atlas
        .run_with_input(&["client", "add", "2151", "--token", "-", "--base-url", "https://h"], SECRET)
        .await?
        .expect(0)?;
    let base = ["client", "credential", "set", "2151", "--api", API];
    let at_url = [base.as_slice(), &["--base-url", "https://h", "--parts", "-"]].concat();
    let mut said = String::new();
    for lang in LANGUAGES {
        let lang_flag = ["--lang", lang];
        for input in [
            "{\"token\": 7}",
            "segredo-sem-nome",
            "Nome Ruim=segredo-x",
            "token=",
            "",
            "token_url=ftp://u:s@h\ntoken=x",
        ] {
            let run = atlas.run_with_input(&[at_url.as_slice(), &lang_flag].concat(), input).await?.expect(2)?;
            assert!(!run.stderr.contains("segredo-"), "{}", run.stderr);
            said.push_str(&run.said(lang)?);
        }
        let in_arguments = [base.as_slice(), &["--token", "segredo-x"], &lang_flag].concat();
        let run = atlas.run(&in_arguments).await?.expect(2)?;
        assert!(!run.stderr.contains("segredo-"), "{}", run.stderr);
        said.push_str(&run.said(lang)?);
        for command in [&["client", "add", "9", "--base-url", "https://h"][..], &["client", "set", "2151"]] {
            let run = atlas.run(&[command, &["--token", "segredo-x"], &lang_flag].concat()).await?.expect(2)?;
            assert!(!run.stderr.contains("segredo-"), "{}", run.stderr);
            said.push_str(&run.said(lang)?);
        }
        let nowhere = [base.as_slice(), &["--parts", "-"], &lang_flag].concat();
        said.push_str(&atlas.run_with_input(&nowhere, "token=x").await?.expect(2)?.said(lang)?);
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn sealed_secrets_open_with_their_key_alone_and_are_sealed_anew_with_another() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        let api = source(Opens::OAuth(oauth(Some(3600))), Faults::default()).await?;
        declare(&mut atlas, "refresh")?;
        // In the clear, from before there was a key; the first renewal seals it.
        register(&atlas, &api, &oauth_parts(&api)).await?;
        let in_clear = "SELECT COUNT(*) FROM clientes_credenciais WHERE partes LIKE '%segredo-do-aplicativo%'";
        assert_eq!(atlas.database.number(in_clear).await?, 1);
        atlas.set("ATLAS_KEY", KEY);
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
        let sealed =
            "SELECT COUNT(*) FROM clientes_credenciais WHERE partes LIKE 'atlas1:%' AND acesso LIKE 'atlas1:%'";
        assert_eq!((atlas.database.number(in_clear).await?, atlas.database.number(sealed).await?), (0, 1));

        let mut said = String::new();
        for (variable, value, code) in [("ATLAS_KEY", Some("curta"), 3), ("ATLAS_KEY", None, 3)] {
            match value {
                Some(value) => atlas.set(variable, value),
                None => atlas.unset(variable),
            }
            for lang in LANGUAGES {
                let run = atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(code)?;
                said.push_str(&run.said(lang)?);
            }
        }
        atlas.set("ATLAS_KEY", &"0f".repeat(32));
        for lang in LANGUAGES {
            said.push_str(&atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(3)?.said(lang)?);
        }
        if !atlas.database.is_postgres() {
            assert_said!(said);
        }

        // The new key seals what is still in the clear as well: the client's default token.
        atlas.set("ATLAS_KEY", KEY);
        let new_key = atlas.folder().join("nova.key");
        std::fs::write(&new_key, "0f".repeat(32) + "\n")?;
        atlas.run(&["client", "rekey"]).await?.expect(3)?;
        atlas.set("ATLAS_NEW_KEY_FILE", &new_key.display().to_string());
        atlas.run(&["client", "rekey"]).await?.expect(0)?;
        let tokens = "SELECT COUNT(*) FROM clientes_tokens WHERE token LIKE 'atlas1:%'";
        assert_eq!(atlas.database.number(tokens).await?, 1);
        atlas.run_pedido(CLIENT, &[]).await?.expect(3)?;
        atlas.unset("ATLAS_KEY");
        atlas.set("ATLAS_KEY_FILE", &new_key.display().to_string());
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    }
    Ok(())
}

/// Fails if a secret stands, in any form that is easily read back, in what the commands wrote or
/// left behind. `at_rest`: in the database too.
fn expect_no_secret(atlas: &Atlas, runs: &[&Finished], secrets: &[&str], at_rest: bool) -> anyhow::Result<()> {
    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for run in runs {
        places.push(("stdout".to_owned(), run.stdout.clone().into_bytes()));
        places.push(("stderr".to_owned(), run.stderr.clone().into_bytes()));
    }
    files(atlas.folder(), &mut places)?;
    for (name, bytes) in places {
        let is_database = name.contains("atlas.db");
        if is_database && !at_rest {
            continue;
        }
        for secret in secrets {
            for form in forms(secret) {
                let found = bytes.windows(form.len()).any(|window| window.eq_ignore_ascii_case(form.as_bytes()));
                anyhow::ensure!(!found, "{name} has {secret:?} as {form}");
            }
        }
    }
    Ok(())
}

/// The same for a database that is no file of the installation's: what its tables may have of an
/// answer.
async fn expect_no_secret_on_the_server(atlas: &Atlas) -> anyhow::Result<()> {
    let texts = [("dados_raw", "payload"), ("scraps", "motivo"), ("dados_rejeitados", "motivo")];
    for form in forms(SECRET) {
        let form: String = form.bytes().map(|byte| format!("{byte:02x}")).collect();
        let rows = |table: &str, bytes: &str| {
            format!("SELECT COUNT(*) FROM {table} WHERE position('\\x{form}'::bytea IN {bytes}) > 0")
        };
        let mut queries = vec![rows("dados_rejeitados", "conteudo")];
        queries.extend(texts.map(|(table, column)| rows(table, &format!("convert_to({column}::text, 'UTF8')"))));
        for query in queries {
            anyhow::ensure!(atlas.database.number(&query).await? == 0, "{query}");
        }
    }
    Ok(())
}

fn files(folder: &Path, places: &mut Vec<(String, Vec<u8>)>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, places)?;
        } else {
            places.push((path.display().to_string(), std::fs::read(&path)?));
        }
    }
    Ok(())
}

/// A secret as it is, as JSON and URLs write it, and the middle of it in Base64.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string().trim_matches('"').to_owned();
    let percent: String = secret.bytes().map(|b| format!("%{b:02x}")).collect();
    let some_percent: String = secret
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-._*".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02x}")
            }
        })
        .collect();
    let unicode: String = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let mut forms = vec![secret.to_owned(), json.replace('/', "\\/"), json, percent, some_percent, unicode];
    for skipped in 0..3 {
        let whole = (secret.len() - skipped) / 3 * 3;
        forms.push(base64(&secret.as_bytes()[skipped..skipped + whole]));
    }
    forms
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let groups = bytes.chunks_exact(3).map(|g| u32::from(g[0]) << 16 | u32::from(g[1]) << 8 | u32::from(g[2]));
    groups.flat_map(|bits| [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(bits >> shift & 63) as usize]))).collect()
}

/// Success, refusal, a source that echoes into records good and bad and into refusals, a connector
/// that logs all that it sees, as verbosely as there is: the secret is nowhere.
#[tokio::test]
async fn nothing_that_the_program_writes_has_the_secret_in_it() -> anyhow::Result<()> {
    let cases = [
        ("bearer", Opens::Bearer, format!("token={SECRET}")),
        ("header:x-api-key", Opens::Header("x-api-key".into()), format!("token={SECRET}")),
        ("query:chave", Opens::Query("chave".into()), format!("token={SECRET}")),
        ("basic", Opens::Basic("maria".into()), format!("username=maria\npassword={SECRET}")),
        ("placeholders:key=x-app-key", Opens::Header("x-app-key".into()), format!("key={SECRET}")),
        (IN_BODY, in_body(), format!("key={SECRET}\nid=id-7")),
    ];
    for (number, (scheme, opens, parts)) in cases.into_iter().enumerate() {
        let api = source(opens, Faults::default()).await?;
        let mut atlas = if number % 2 == 0 { Atlas::on_sqlite()? } else { Atlas::on_postgres().await? };
        grant_posts(&atlas)?;
        atlas.set("ATLAS_KEY", KEY);
        let cache = atlas.folder().join("cache").display().to_string();
        atlas.set("ATLAS_CACHE", &cache);
        declare(&mut atlas, scheme)?;
        register(&atlas, &api, &parts).await?;
        let mut runs = vec![atlas.run_pedido(CLIENT, &["-vv"]).await?.expect(0)?];
        api.set_faults(Faults { echo: true, ..Faults::default() })?;
        let echoed = atlas.run_pedido(CLIENT, &["-vv"]).await?.expect(6)?;
        assert!(echoed.stderr.contains("body: ") && echoed.stderr.contains("***"), "{scheme}: {}", echoed.stderr);
        assert_eq!(echoed.number("rejeitados")?, 1, "{scheme}");
        runs.push(echoed);
        let fail_with = FaultKind::Unauthorized;
        api.set_faults(Faults { echo: true, fail_page: Some(1), fail_with, ..Faults::default() })?;
        runs.push(atlas.run_pedido(CLIENT, &["-vv"]).await?.expect(4)?);
        for command in [
            ["rejects", "list"].as_slice(),
            &["rejects", "export"],
            &["client", "list"],
            &["client", "credential", "show", "2151"],
            &["scrap", "list", "--output", "json"],
            &["verify", "--client", "2151"],
            &["doctor"],
        ] {
            runs.push(atlas.run(command).await?);
        }
        let all: Vec<&Finished> = runs.iter().collect();
        expect_no_secret(&atlas, &all, &[SECRET], true).context(scheme)?;
        if atlas.database.is_postgres() {
            expect_no_secret_on_the_server(&atlas).await.context(scheme)?;
        }
        let rows = atlas.database.rows().await?;
        assert!(rows.iter().any(|row| row.payload.contains("\"eco\"") && row.payload.contains("***")), "{scheme}");
    }
    Ok(())
}

/// The same for tokens that the operator never saw.
#[tokio::test]
async fn access_tokens_and_rotated_refresh_tokens_are_secrets_too() -> anyhow::Result<()> {
    let api = source(Opens::OAuth(oauth(None)), Faults { echo: true, ..Faults::default() }).await?;
    let mut atlas = Atlas::on_sqlite()?;
    atlas.set("ATLAS_KEY", KEY);
    declare(&mut atlas, "refresh")?;
    register(&atlas, &api, &oauth_parts(&api)).await?;
    let mut runs = Vec::new();
    let mut secrets = vec!["renova-0000-inicial".to_owned(), "segredo-do-aplicativo".to_owned()];
    for _ in 0..2 {
        runs.push(atlas.run_pedido(CLIENT, &["-vv"]).await?.expect(6)?);
        let (access, refresh) = api.current_tokens();
        secrets.extend(access.into_iter().chain(refresh));
        api.forget_access_token();
    }
    assert_eq!(secrets.len(), 6);
    let all: Vec<&Finished> = runs.iter().collect();
    let secrets: Vec<&str> = secrets.iter().map(String::as_str).collect();
    expect_no_secret(&atlas, &all, &secrets, true)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_running_program_can_leave_no_core_file() -> anyhow::Result<()> {
    let api = source(Opens::Bearer, Faults { latency_ms: 3000, ..Faults::default() }).await?;
    let mut atlas = Atlas::on_sqlite()?;
    declare(&mut atlas, "bearer")?;
    register(&atlas, &api, &format!("token={SECRET}")).await?;
    let running = atlas.start(&["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", FROM])?;
    let id = running.child.id().context("it has ended")?;
    let mut found = Vec::new();
    for _ in 0..200 {
        let limits = std::fs::read_to_string(format!("/proc/{id}/limits"))?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        found = core.split_whitespace().map(str::to_owned).collect();
        if found.get(5).is_some_and(|hard| hard == "0") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(found, ["Max", "core", "file", "size", "0", "0", "bytes"]);
    running.signal("KILL").await?;
    Ok(())
}

#[tokio::test]
async fn a_connector_of_another_api_gets_neither_the_default_token_nor_its_address() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        let api = atlas_tests::api(10, Faults::default()).await?;
        atlas.register(CLIENT, &api).await?;
        let first = atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(0)?;
        assert!(first.stderr.contains("serve the API jueri from now on"), "{}", first.stderr);
        let again = atlas.run_pedido(CLIENT, &["--lang", "en"]).await?.expect(0)?;
        assert!(!again.stderr.contains("from now on"), "{}", again.stderr);

        // A connector of another API, on a host that knows no version of the route yet.
        atlas.set("ATLAS_STATE", &atlas.folder().join("outro-estado").display().to_string());
        declare(&mut atlas, "bearer")?;
        let before = api.served().requests;
        for (lang, said) in
            LANGUAGES.into_iter().zip(["não tem endereço para a API teste", "has no address for the API teste"])
        {
            let refused = atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(3)?;
            assert!(refused.stderr.contains(said), "{}", refused.stderr);
        }
        assert_eq!(api.served().requests, before);
        atlas.run(&["client", "bind", "2151", "--api", API]).await?.expect(0)?;
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
        assert!(api.served().requests > before);
    }
    Ok(())
}

#[tokio::test]
async fn a_scrap_that_sql_queued_binds_nothing_and_one_of_before_is_bound_by_the_connectors() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        atlas.set("ATLAS_RERUN_AFTER", "3600");
        let api = atlas_tests::api(10, Faults::default()).await?;
        atlas.register(CLIENT, &api).await?;
        let queue = format!(
            "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina) \
             VALUES ({CLIENT}, 'pedido', '{FROM}', '{TO}', 10)"
        );
        atlas.database.execute(&queue).await?;
        let refused = atlas.run(&["worker", "--until-empty", "--lang", "en"]).await?.expect(0)?;
        assert!(refused.stderr.contains("has no address for the API jueri"), "{}", refused.stderr);
        assert_eq!(api.served().requests, 0);

        // As the migration leaves a client of before: its routes, one of which has no connector
        // here.
        let of_before = format!(
            "INSERT INTO clientes_padrao (cliente_id, tipo, nome) VALUES ({CLIENT}, 'rota', 'pedido'), ({CLIENT}, 'rota', 'sumida')"
        );
        atlas.database.execute(&of_before).await?;
        atlas.database.execute("UPDATE scraps SET retomar_em = NULL, estado = 'pendente'").await?;
        let asked = atlas.run(&["worker", "--until-empty", "--lang", "en"]).await?.expect(0)?;
        let said = "Which API the route sumida of client 2151 belongs to is not known";
        assert!(asked.stderr.contains(said), "{}", asked.stderr);
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scraps WHERE estado = 'concluido'").await?, 1);
        let doctor = atlas.run(&["doctor", "--lang", "en"]).await?;
        assert!(format!("{}{}", doctor.stdout, doctor.stderr).contains(said), "{}", doctor.stdout);
    }
    Ok(())
}

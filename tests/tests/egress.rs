//! Where connectors may go: what is refused is refused before anything is sent, once, and told with
//! what to do.

use std::sync::{Arc, Mutex};

use atlas_tests::{Atlas, FROM, Faults, LANGUAGES, Rota, TO, TOKEN, api, assert_said, test_guests};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CLIENT: u32 = 2151;
const PEDE: [&str; 7] = ["run", "--client", "2151", "--route", "pede", "--output", "json"];

/// A source that tells the connector `pede` what to ask for, and remembers what it was asked.
struct Source {
    url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Source {
    async fn that_wants(requests: &[&str]) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/v1", listener.local_addr()?);
        let plan = serde_json::json!({ "requests": requests }).to_string();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let log = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read_exact(&mut byte).await.is_ok() {
                    head.push(byte[0]);
                }
                log.lock().expect("no task panics").push(String::from_utf8_lossy(&head).into_owned());
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{plan}", plan.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Ok(Self { url, seen })
    }

    /// The requests' first lines, but for the plan's.
    fn asked(&self) -> Vec<String> {
        let seen = self.seen.lock().expect("no task panics");
        let lines = seen.iter().filter_map(|head| head.lines().next()?.strip_suffix(" HTTP/1.1"));
        lines.filter(|line| *line != "GET /v1/plano").map(str::to_owned).collect()
    }
}

/// An installation with the connector `pede`, a client at this source, and these grants.
async fn ready(source: &Source, grants: &str) -> anyhow::Result<Atlas> {
    let mut atlas = Atlas::on_sqlite()?;
    atlas.set("ATLAS_CONNECTORS", &test_guests()?.display().to_string());
    std::fs::write(atlas.folder().join("atlas.toml"), grants)?;
    let add = ["client", "add", "2151", "--token", "-", "--base-url", &source.url];
    atlas.run_with_input(&add, TOKEN).await?.expect(0)?;
    Ok(atlas)
}

#[tokio::test]
async fn an_api_at_a_private_address_that_nobody_granted_is_refused_at_once() -> anyhow::Result<()> {
    let api = api(4, Faults::default()).await?;
    let mut said = String::new();
    for lang in LANGUAGES {
        for atlas in Atlas::on_both().await? {
            atlas.register(CLIENT, &api).await?;
            // As an operator leaves it who has granted nothing.
            atlas.database.execute("UPDATE clientes_apis SET rede_privada = FALSE").await?;
            let served = api.served().requests;
            let run = atlas.run_pedido(CLIENT, &["--lang", lang]).await?.expect(3)?;
            assert_eq!((run.text("status")?.as_str(), api.served().requests), ("falhou", served));
            if !atlas.database.is_postgres() {
                said.push_str(&run.said(lang)?);
            }

            atlas.run(&["client", "set", "2151", "--allow-private"]).await?.expect(0)?;
            atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
            atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
        }
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_grant_opens_private_addresses_for_its_api_and_its_client_alone() -> anyhow::Result<()> {
    let api = api(1, Faults::default()).await?;
    for (grant, code) in [
        ("api = \"jueri\"\nprivate = true", 0),
        ("api = \"jueri\"\nclient = 2151\nprivate = true", 0),
        ("api = \"jueri\"\nclient = 2152\nprivate = true", 3),
        ("api = \"bling\"\nprivate = true", 3),
        ("api = \"jueri\"", 3),
    ] {
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        atlas.database.execute("UPDATE clientes_apis SET rede_privada = FALSE").await?;
        std::fs::write(atlas.folder().join("atlas.toml"), format!("[[grant]]\n{grant}\n"))?;
        let run = atlas.run_pedido(CLIENT, &[]).await?;
        assert_eq!(run.code, code, "{grant}: {}", run.stderr);
    }
    Ok(())
}

#[tokio::test]
async fn what_a_base_url_on_the_command_line_grants_is_shown_in_the_list() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    for (client, url, more) in [
        ("1", "http://127.0.0.1:1/", ""),
        ("2", "http://localhost:1/", ""),
        ("3", "http://[::1]:1/", ""),
        ("4", "https://nowhere.invalid/", ""),
        ("5", "https://nowhere.invalid/", "--allow-private"),
        ("6", "https://8.8.8.8/", ""),
    ] {
        let mut add = vec!["client", "add", client, "--token", "-", "--base-url", url];
        add.extend((!more.is_empty()).then_some(more));
        atlas.run_with_input(&add, TOKEN).await?.expect(0)?;
    }
    let private = async || -> anyhow::Result<Vec<bool>> {
        let listed = atlas.run(&["client", "list", "--output", "json"]).await?.expect(0)?;
        let rows = listed.stdout.lines().map(serde_json::from_str::<serde_json::Value>);
        rows.map(|row| Ok(row?["rede_privada"] == true)).collect()
    };
    assert_eq!(private().await?, [true, true, true, false, true, false]);
    // A base URL is judged whenever it is set, and only then.
    atlas.run(&["client", "set", "1", "--base-url", "https://nowhere.invalid/"]).await?.expect(0)?;
    atlas.run(&["client", "set", "2", "--inactive"]).await?.expect(0)?;
    assert_eq!(private().await?, [false, true, true, false, true, false]);
    Ok(())
}

#[tokio::test]
async fn a_post_needs_the_connectors_word_and_the_operators() -> anyhow::Result<()> {
    let grant = "[[grant]]\napi = \"bling\"\nrequests = [\"POST /pedidos/*\", \"PUT /pedidos/*\"]\n";
    let mut said = String::new();
    for (request, granted, code) in [
        ("POST /pedidos/1", grant, 0),
        ("POST /pedidos/1", "", 7),
        ("POST /pedidos/1", "[[grant]]\napi = \"bling\"\nclient = 2152\nrequests = [\"POST /pedidos/*\"]\n", 7),
        ("POST /pedidos/1/itens", grant, 7),
        ("POST /pedidos/..%2fclientes", grant, 7),
        ("DELETE /pedidos/1", grant, 7),
        ("PUT /pedidos/1", grant, 7),
        ("GET /clientes", grant, 0),
    ] {
        let source = Source::that_wants(&[request]).await?;
        let atlas = ready(&source, granted).await?;
        let run = atlas.run(&PEDE).await?;
        // What comes before depends on which of two pages is faster.
        let end =
            run.said("pt-BR")?.lines().skip_while(|line| !line.starts_with("⚠️ ERRO")).collect::<Vec<_>>().join("\n");
        said.push_str(&format!("--- {request}: exit code {}\n{end}\n", run.code));
        let run = run.expect(code)?;
        if code == 7 {
            // Refused for good, though the connector calls it a passing fault.
            assert_eq!(run.text("status")?, "falhou");
        }
        let (method, path) = request.split_once(' ').unwrap_or_default();
        let expected = if code == 0 { vec![format!("{method} /v1{path}")] } else { Vec::new() };
        assert_eq!(source.asked(), expected, "{request}");
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn a_header_of_the_vendors_own_is_set_once_the_lines_that_the_refusal_prints_are_in_the_settings()
-> anyhow::Result<()> {
    let mut said = String::new();
    for (lang, request) in [("pt-BR", "GET /clientes tenantId"), ("en", "GET /clientes tenantId Accept X-Company")] {
        let source = Source::that_wants(&[request]).await?;
        let atlas = ready(&source, "").await?;
        let run = atlas.run(&[&PEDE[..], &["--lang", lang]].concat()).await?.expect(7)?;
        assert_eq!((run.text("status")?.as_str(), source.asked().len()), ("falhou", 0));
        let end = run.said(lang)?.lines().skip_while(|line| !line.starts_with("⚠️")).collect::<Vec<_>>().join("\n");
        said.push_str(&end);

        let printed = run.stderr.lines().map(str::trim).skip_while(|line| *line != "[[grant]]");
        let grant: Vec<&str> = printed.take_while(|line| !line.is_empty()).take(3).collect();
        std::fs::write(atlas.folder().join("atlas.toml"), grant.join("\n"))?;
        atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
        assert_eq!(source.asked(), ["GET /v1/clientes"]);
        let heads = source.seen.lock().expect("no task panics").concat();
        assert!(heads.contains("tenantid: 7"), "{heads}");
    }
    for line in [
        "O conector define um cabeçalho que não foi concedido para a API bling: \"tenantId\"",
        "The connector sets headers that were not granted for the API bling: \"tenantId\", \"X-Company\"",
    ] {
        assert!(said.contains(line), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_header_that_says_who_asks_cannot_be_granted() -> anyhow::Result<()> {
    let source = Source::that_wants(&["GET /clientes"]).await?;
    for lang in LANGUAGES {
        for header in ["X-Forwarded-For", "Remote_User", "X-HTTP-Verb", "não"] {
            let atlas = ready(&source, "").await?;
            let grant = format!("[[grant]]\napi = \"bling\"\nheaders = [\"{header}\"]\n");
            std::fs::write(atlas.folder().join("atlas.toml"), grant)?;
            let run = atlas.run(&[&PEDE[..], &["--lang", lang]].concat()).await?.expect(3)?;
            assert!(run.stderr.contains("grant.headers") && run.stderr.contains(header), "{}", run.stderr);
        }
    }
    assert!(source.asked().is_empty());
    Ok(())
}

#[tokio::test]
async fn a_connector_reaches_another_origin_only_where_it_is_granted_and_without_the_credential() -> anyhow::Result<()>
{
    let files = Source::that_wants(&[]).await?;
    let request = format!("GET {}/nota.xml", files.url);
    let source = Source::that_wants(&[&request]).await?;
    let atlas = ready(&source, "").await?;
    atlas.run(&PEDE).await?.expect(7)?;
    assert!(files.asked().is_empty());

    let origin = files.url.trim_end_matches("/v1");
    let grant = format!("[[grant]]\napi = \"bling\"\norigins = [\"{origin}\"]\n");
    std::fs::write(atlas.folder().join("atlas.toml"), &grant)?;
    // Its origin, but not yet its address.
    atlas.run(&["scrap", "resume", "1"]).await?.expect(3)?;
    assert!(files.asked().is_empty());

    std::fs::write(atlas.folder().join("atlas.toml"), format!("{grant}private = true\n"))?;
    atlas.run(&["scrap", "resume", "1"]).await?.expect(0)?;
    assert_eq!(files.asked(), ["GET /v1/nota.xml"]);
    let heads = |source: &Source| source.seen.lock().expect("no task panics").concat();
    assert!(heads(&source).contains(TOKEN) && !heads(&files).contains(TOKEN));
    Ok(())
}

#[tokio::test]
async fn a_grant_that_is_none_is_refused_before_anything_runs() -> anyhow::Result<()> {
    let mut said = String::new();
    for grant in [
        "client = 2151",
        "api = \"bling\"\norigins = [\"https://files.example/path\"]",
        "api = \"bling\"\norigins = [\"*\"]",
        "api = \"bling\"\nrequests = [\"POST pedidos*\"]",
        "api = \"bling\"\nrequests = [\"TRACE /\"]",
        "api = \"bling\"\nprivat = true",
    ] {
        let atlas = Atlas::on_sqlite()?;
        std::fs::write(atlas.folder().join("atlas.toml"), format!("[[grant]]\n{grant}\n"))?;
        said.push_str(&format!("--- {grant}\n{}", atlas.run_in_both_languages(&["client", "list"], 3).await?));
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn what_a_connector_declares_is_shown_before_anybody_grants_it() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let file = test_guests()?.join("pede.wasm").display().to_string();
    let shown = atlas.run(&["connector", "inspect", &file, "--lang", "en"]).await?.expect(0)?;
    assert!(shown.stdout.contains("requests that it needs: POST /pedidos/*, DELETE /pedidos/*"), "{}", shown.stdout);
    let shown = atlas.run(&["connector", "inspect", &file, "--output", "json"]).await?.expect(0)?;
    assert_eq!(shown.json()?["pedidos_http"], serde_json::json!(["POST /pedidos/*", "DELETE /pedidos/*"]));
    Ok(())
}

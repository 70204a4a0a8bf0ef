//! Who wants more than their share: memory, connections, time, or a credential.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Faults, TOKEN, api};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{Server, token};

const CLIENT: u32 = 2151;
/// Records of four megabytes each, and as many that were rejected.
const LARGE: u32 = 40;
/// What a server may have in memory beyond what it began with, whichever caller asks.
const MEMORY_MAX_KIB: u64 = 300 * 1024;

#[tokio::test]
async fn a_stored_token_goes_to_no_new_address_by_any_way_around() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let evil = json!({ "base_url": "https://evil.example/" });
        let path = format!("/clients/{CLIENT}");
        // The default one cannot be taken away on its own, by a form without the API's name.
        for fields in ["", "api="] {
            let answer = browser.post(&format!("/clientes/{CLIENT}/api/remover?{fields}"), fields).await?;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        }
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM clientes_apis").await?, 1);
        assert_eq!(program.send(Method::PATCH, &path, &evil).send().await?.status(), StatusCode::UNPROCESSABLE_ENTITY);
        // Nor is a token that was registered before base URLs were, sent to the first that somebody
        // names.
        atlas.database.execute("DELETE FROM clientes_apis").await?;
        assert_eq!(program.send(Method::PATCH, &path, &evil).send().await?.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let form = format!("base_url={}", "https%3A%2F%2Fevil.example%2F");
        let answer = browser.post(&format!("/clientes/{CLIENT}"), &form).await?;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM clientes_apis").await?, 0);
        // Who knows it may.
        let known = json!({ "base_url": "https://api.example/", "token": "outro" });
        assert_eq!(program.send(Method::PATCH, &path, &known).send().await?.status(), StatusCode::OK);
        // An address that only looks like another is none.
        for url in [
            "http:\\\\127.0.0.1:1\\@example.com/",
            "https:example.com",
            "https://example.com/\u{202e}",
            "https://exa\tmple.com/",
        ] {
            let answer = program.send(Method::PATCH, &path, &json!({ "base_url": url, "token": "t" })).send().await?;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{url}");
        }
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_new_token_leaves_the_operators_grant_where_it_is() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let browser = server.browser().await?;
    let page = browser.page(&format!("/clientes/{CLIENT}")).await?;
    let base_url =
        page.split_once("id=\"base_url\"").and_then(|(_, rest)| rest.split_once("value=\"")).context("a base URL")?;
    let base_url = base_url.1.split('"').next().unwrap_or_default();
    let form = format!("token={TOKEN}&base_url={}", base_url.replace(':', "%3A").replace('/', "%2F"));
    assert_eq!(browser.post(&format!("/clientes/{CLIENT}"), &form).await?.status(), StatusCode::SEE_OTHER);
    assert_eq!(atlas.database.number("SELECT COUNT(*) FROM clientes_apis WHERE rede_privada").await?, 1);
    let id = browser.create(CLIENT, json!({})).await?;
    browser.until(id, "concluido").await?;
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn large_records_are_read_a_few_at_a_time_however_many_are_asked_for() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let (text, bytes, of) = match atlas.database.is_postgres() {
            true => (
                "repeat(md5(CAST(n AS TEXT)), 125000)",
                "convert_to(repeat('x', 4000000), 'UTF8')",
                "generate_series(1, 40) n",
            ),
            false => (
                "hex(randomblob(2000000))",
                "CAST(hex(zeroblob(2000000)) AS BLOB)",
                "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 40) SELECT n FROM s) s",
            ),
        };
        let hash = if atlas.database.is_postgres() { "decode(md5(CAST(n AS TEXT)), 'hex')" } else { "CAST(n AS BLOB)" };
        let json_text = if atlas.database.is_postgres() {
            format!("CAST('{{\"a\":\"' || {text} || '\"}}' AS JSONB)")
        } else {
            format!("'{{\"a\":\"' || {text} || '\"}}'")
        };
        for fill in [
            format!(
                "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) SELECT {CLIENT}, 'grande', {json_text}, 'h' || n FROM {of}"
            ),
            format!(
                "INSERT INTO scraps (cliente_id, rota, tamanho_pagina, estado) VALUES ({CLIENT}, 'pedido', 10, 'concluido_com_ressalva')"
            ),
            format!(
                "INSERT INTO dados_rejeitados (scrap_id, cliente_id, origem, cursor_hash, posicao, conteudo_hash, codigo, motivo, conteudo) \
                 SELECT 1, {CLIENT}, 'grande', {hash}, n, {hash}, 'not_json', 'x', {bytes} FROM {of}"
            ),
        ] {
            atlas.database.execute(&fill).await.with_context(|| fill.clone())?;
        }
        let server = Server::start(&atlas, &[]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, false).await?);
        browser.page("/scraps").await?;
        let before = server.resident_kib()?;
        // Two who ask, and take nothing of it.
        let stuck =
            [program.get("/api/v1/records/export").await?, program.get("/api/v1/records/export?formato=csv").await?];
        let mut most = 0;
        let asked = async {
            browser.page("/dados/registros?caminho=%24.b").await?;
            let first = program.json("/rejects?limite=100").await?;
            let items = first["itens"].as_array().context("items")?.len();
            ensure!((1..10).contains(&items), "{items} at a time");
            let (mut seen, mut next) = (items, first["proximo"].as_str().map(str::to_owned));
            while let Some(cursor) = next {
                let part = program.json(&format!("/rejects?limite=100&cursor={cursor}")).await?;
                seen += part["itens"].as_array().context("items")?.len();
                next = part["proximo"].as_str().map(str::to_owned);
            }
            assert_eq!(seen, LARGE as usize);
            browser.page("/scraps/1/rejeitados").await?;
            anyhow::Ok(())
        };
        let watched = async {
            loop {
                most = most.max(server.resident_kib()?);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            #[allow(unreachable_code)]
            anyhow::Ok(())
        };
        tokio::select! { done = asked => done?, watched = watched => watched? }
        ensure!(most < before + MEMORY_MAX_KIB, "{before} KiB became {most} KiB");
        drop(stuck);
        let whole = program.page("/api/v1/records/export").await?;
        assert_eq!(whole.lines().count(), LARGE as usize);
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn an_export_is_broken_off_when_its_token_is_revoked() -> anyhow::Result<()> {
    let api = api(1, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let fill = format!(
        "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) SELECT {CLIENT}, 'pedido', \
         '{{\"a\":\"' || hex(zeroblob(500)) || '\"}}', 'h' || n FROM \
         (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 50000) SELECT n FROM s)"
    );
    atlas.database.execute(&fill).await?;
    let server = Server::start(&atlas, &[]).await?;
    let (id, secret) = token(&atlas, false).await?;
    let program = crate::client::Caller { bearer: Some(secret), ..server.stranger()? };
    let mut export = program.get("/api/v1/records/export").await?;
    let mut taken = export.chunk().await?.context("it begins")?.len();
    atlas.run(&["access", "token", "revoke", &id.to_string()]).await?.expect(0)?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    // Broken off, so that no reader takes it for the whole.
    let broken = loop {
        match export.chunk().await {
            Ok(Some(more)) => taken += more.len(),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    ensure!(broken, "it went on to its end: {taken} bytes");
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn who_reads_slowly_is_not_cut_off() -> anyhow::Result<()> {
    let api = api(1, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let fill = format!(
        "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) SELECT {CLIENT}, 'pedido', \
         '{{\"a\":\"' || hex(zeroblob(50000)) || '\"}}', 'h' || n FROM \
         (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 300) SELECT n FROM s)"
    );
    atlas.database.execute(&fill).await?;
    let server = Server::start(&atlas, &[]).await?;
    let (_, secret) = token(&atlas, false).await?;
    let mut stream = TcpStream::connect(server.address()).await?;
    let ask = format!(
        "GET /api/v1/records/export HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {secret}\r\n\r\n",
        server.address()
    );
    stream.write_all(ask.as_bytes()).await?;
    // 40 kB a second, for longer than a reader may take nothing at all.
    let (began, mut taken, mut chunk) = (Instant::now(), 0, vec![0; 4_000]);
    while began.elapsed() < Duration::from_secs(75) {
        let read = stream.read(&mut chunk).await?;
        ensure!(read > 0, "it was cut off after {:?} and {taken} bytes", began.elapsed());
        taken += read;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // And then all of it.
    let mut rest = 0;
    let mut chunk = vec![0; 1 << 20];
    while rest + taken < 30_000_000 {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut chunk)).await??;
        ensure!(read > 0, "it ended after {} bytes", rest + taken);
        rest += read;
    }
    drop(stream);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_grant_is_not_lent_to_a_token_url_that_somebody_names_over_the_net() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let base_url = "http://127.0.0.1:9/api/";
        let add = ["client", "credential", "set", "2151", "--api", "teste", "--base-url", base_url, "--parts", "-"];
        atlas
            .run_with_input(&add, "client_id=a\nclient_secret=b\ntoken_url=http://127.0.0.1:9/token\n")
            .await?
            .expect(0)?;
        let granted = "SELECT COUNT(*) FROM clientes_apis WHERE api = 'teste' AND rede_privada";
        assert_eq!(atlas.database.number(granted).await?, 1);
        let server = Server::start(&atlas, &[]).await?;
        let program = server.program(&atlas, true).await?;
        let put = |token_url: &str| {
            let parts = json!({ "client_id": "a", "client_secret": "c", "token_url": token_url });
            program.send(Method::PUT, "/clients/2151/apis/teste", &json!({ "partes": parts }))
        };
        assert!(put("http://127.0.0.1:9/other").send().await?.status().is_success());
        assert_eq!(atlas.database.number(granted).await?, 1);
        assert!(put("http://127.0.0.9:9/internal?delete=1").send().await?.status().is_success());
        assert_eq!(atlas.database.number(granted).await?, 0);
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_search_that_could_take_for_ever_is_refused_at_once() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let browser = server.browser().await?;
    let id = browser.create(CLIENT, json!({})).await?;
    browser.until(id, "concluido").await?;
    let began = Instant::now();
    for path in
        ["$..[?search(@, \"(\\w{0,200}){0,20}\")]", "$..a..b..c", "$[*,*,*,*,*,*]", "$[?count($..*)>0]", "$[?$[*]]"]
    {
        let encoded: String = path.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = browser.get(&format!("/dados/registros?caminho={encoded}")).await?;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{path}");
    }
    ensure!(began.elapsed() < Duration::from_secs(5));
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn connections_that_do_nothing_keep_nobody_out() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let browser = server.browser().await?;
    // HTTP/2, in which a client that answers pings could stay for ever, is not spoken.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let answer = server.raw(preface).await?;
    ensure!(answer.is_empty() || answer.starts_with("HTTP/1.1 400") || answer.starts_with("HTTP/1.1 505"), "{answer}");
    // One that says nothing after its first request.
    let mut silent = TcpStream::connect(server.address()).await?;
    silent.write_all(format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", server.address()).as_bytes()).await?;
    // One that asks without end, and takes nothing of what it is answered.
    let mut greedy = TcpStream::connect(server.address()).await?;
    let ask = format!("GET /api/v1/openapi.json HTTP/1.1\r\nhost: {}\r\n\r\n", server.address()).repeat(400);
    // The server stops reading before it has all of it.
    let _ = tokio::time::timeout(Duration::from_secs(2), greedy.write_all(ask.as_bytes())).await;
    // Half of all there is room for is as many as one address has.
    let mut idle = Vec::new();
    for _ in 0..340 {
        idle.push(TcpStream::connect(server.address()).await?);
    }
    // What is refused is let in by the system first, and closed at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut refused = 0;
    for stream in &mut idle {
        let closed = tokio::time::timeout(Duration::from_millis(5), stream.read(&mut [0])).await;
        refused += usize::from(closed.is_ok());
    }
    ensure!(refused >= 15, "{refused} were refused");
    // Those that ask nothing are closed after a while, and the others too.
    let began = Instant::now();
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(60), silent.read_to_end(&mut rest)).await.context("silent still")??;
    let mut chunk = vec![0; 64 * 1024];
    let mut last = Instant::now();
    tokio::time::sleep(Duration::from_secs(70).saturating_sub(began.elapsed())).await;
    // What was sent before is there to be read, and then its end.
    loop {
        match tokio::time::timeout(Duration::from_secs(20), greedy.read(&mut chunk)).await.context("it waits still")? {
            Ok(0) | Err(_) => break,
            Ok(_) => last = Instant::now(),
        }
    }
    ensure!(last.elapsed() < Duration::from_secs(20));
    browser.page("/scraps").await?;
    drop(idle);
    server.stop().await?;
    Ok(())
}

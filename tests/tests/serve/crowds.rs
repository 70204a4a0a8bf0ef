//! Bodies that do not end, connections that say nothing, listeners that do not read.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Faults, api};
use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Server;

const CLIENT: u32 = 2151;

#[tokio::test]
async fn a_body_that_is_too_large_or_too_slow_is_not_waited_for() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let large = vec![b' '; 3 * 1024 * 1024];
    for path in ["/api/v1/scraps", "/entrar", "/acessos/tokens", "/preferencias"] {
        let sent = program.ask(Method::POST, path).header("content-type", "application/json").body(large.clone());
        // It may be refused before all of it was sent.
        if let Ok(answer) = sent.send().await {
            assert!(answer.status().is_client_error(), "{path}: {}", answer.status());
        }
    }
    let keyed = program.ask(Method::POST, "/api/v1/scraps").header("content-type", "application/json");
    if let Ok(answer) = keyed.header("idempotency-key", "large").body(large).send().await {
        assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
    // Headers without an end.
    let mut endless = TcpStream::connect(server.address()).await?;
    endless.write_all(format!("GET / HTTP/1.1\r\nHost: {}\r\n", server.address()).as_bytes()).await?;
    let line = format!("X: {}\r\n", "y".repeat(10_000));
    let mut sent = 0;
    while sent < 10_000 && endless.write_all(line.as_bytes()).await.is_ok() {
        sent += 1;
    }
    ensure!(sent < 10_000, "it reads headers without an end");
    // A byte now and then, and never the last one: in the request's line, in its headers, in its
    // body.
    let host = server.address().to_owned();
    let began = [
        "GET /scr".to_owned(),
        format!("GET /scraps HTTP/1.1\r\nHost: {host}\r\nX-A: "),
        format!("POST /entrar HTTP/1.1\r\nHost: {host}\r\nContent-Length: 100000\r\n\r\nsenha="),
        format!("GET /healthz HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ];
    let mut slow = tokio::task::JoinSet::new();
    for begin in began {
        let mut stream = TcpStream::connect(server.address()).await?;
        stream.write_all(begin.as_bytes()).await?;
        slow.spawn(async move {
            let since = Instant::now();
            let (mut reading, mut writing) = stream.into_split();
            let dripping = begin.starts_with("POST") || !begin.ends_with("\r\n\r\n");
            let closed = async {
                let mut answer = Vec::new();
                let _ = reading.read_to_end(&mut answer).await;
            };
            let drip = async {
                loop {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    if dripping && writing.write_all(b"a").await.is_err() {
                        break;
                    }
                }
            };
            tokio::select! { () = closed => {}, () = drip => {} }
            (begin, since.elapsed())
        });
    }
    for (begin, took) in slow.join_all().await {
        ensure!(took < Duration::from_secs(40), "{begin:?} was waited for {took:?}");
    }
    program.page("/healthz").await?;
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn thousands_of_connections_hinder_no_scrap_and_are_gone_in_a_while() -> anyhow::Result<()> {
    let api = api(40, Faults { latency_ms: 20, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let program = server.program(&atlas, true).await?;
        // On a connection that it has already.
        let id = program.create(CLIENT, json!({ "pausado": true })).await?;
        let before = server.resident_kib()?;
        let mut idle = Vec::new();
        for n in 0..1_500 {
            let Ok(mut stream) = TcpStream::connect(server.address()).await else { continue };
            if n % 2 == 0 {
                let _ = stream.write_all(b"GET /scraps HTTP/1.1\r\nHost: ").await;
            }
            idle.push(stream);
        }
        atlas.run(&["scrap", "resume", &id.to_string(), "--queue"]).await?.expect(0)?;
        let began = Instant::now();
        loop {
            let state = atlas.database.text("SELECT estado FROM scraps").await?;
            if state == "concluido" {
                break;
            }
            ensure!(began.elapsed() < Duration::from_secs(60), "it is {state}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM scrap_cursores WHERE tentativas > 1").await?, 0);
        // Silent connections are closed, and another caller has room.
        loop {
            if server.stranger()?.get("/healthz").await.is_ok_and(|answer| answer.status() == StatusCode::OK) {
                break;
            }
            ensure!(began.elapsed() < Duration::from_secs(60), "nobody is let in any more");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let after = server.resident_kib()?;
        #[allow(clippy::disallowed_macros)] // worth knowing
        {
            eprintln!("{} connections; {before} KiB resident before, {after} KiB after", idle.len());
        }
        ensure!(after < before + 64 * 1024, "{before} KiB before, {after} KiB after");
        drop(idle);
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn who_listens_and_never_reads_costs_nothing_and_holds_nobody_up() -> anyhow::Result<()> {
    let api = api(40, Faults { latency_ms: 5, ..Faults::default() }).await?;
    let atlas = Atlas::on_sqlite()?;
    for client in 1..=8 {
        atlas.register(client, &api).await?;
    }
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let bearer = program.bearer.clone().context("a token")?;
    let first = program.create(1, json!({})).await?;
    program.until(first, "concluido").await?;
    let mut deaf = Vec::new();
    for _ in 0..60 {
        let mut stream = TcpStream::connect(server.address()).await?;
        let ask = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\n\r\n",
            server.address()
        );
        stream.write_all(ask.as_bytes()).await?;
        deaf.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let before = server.resident_kib()?;
    for round in 0..3 {
        let mut ids = Vec::new();
        for client in 1..=8 {
            ids.push(program.create(client, json!({})).await.with_context(|| format!("round {round}"))?);
        }
        for id in ids {
            program.until(id, "concluido").await?;
        }
    }
    let after = server.resident_kib()?;
    ensure!(after < before + 48 * 1024, "{before} KiB before, {after} KiB after");
    drop(deaf);
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn one_token_to_read_takes_neither_all_listeners_nor_all_seats() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let reader = server.program(&atlas, false).await?;
    let bearer = reader.bearer.clone().context("a token")?;
    let ask = |path: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {bearer}\r\n\r\n", server.address())
    };
    let status = async |stream: &mut TcpStream| -> anyhow::Result<String> {
        let mut head = vec![0; 1024];
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut head)).await.context("no answer")?;
        let head = String::from_utf8_lossy(&head[..read.unwrap_or_default()]).into_owned();
        Ok(head.split(' ').nth(1).unwrap_or("closed").to_owned())
    };
    let mut held = Vec::new();
    let mut answered = std::collections::BTreeMap::new();
    for n in 0..360 {
        let mut stream = TcpStream::connect(server.address()).await?;
        // The first hundred to listen, the others to stay.
        let path = if n < 100 { "/api/v1/events" } else { "/api/v1/scraps" };
        let _ = stream.write_all(ask(path).as_bytes()).await;
        *answered.entry((n < 100, status(&mut stream).await?)).or_insert(0) += 1;
        held.push(stream);
    }
    let count = |listens: bool, status: &str| answered.get(&(listens, status.to_owned())).copied().unwrap_or(0);
    assert_eq!((count(true, "200"), count(true, "429")), (64, 36), "{answered:?}");
    // One address has its seats, and no more; on those that are kept the answer says so.
    ensure!(count(false, "200") <= 200 && count(false, "503") >= 50, "{answered:?}");

    // From the very same address: whether the server lives, signing in, and what comes after.
    server.stranger()?.page("/healthz").await?;
    let operator = server.browser().await?;
    operator.page("/scraps").await?;
    let refused = server.stranger()?.get("/api/v1/scraps").await?;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let problem: serde_json::Value = serde_json::from_str(&refused.text().await?)?;
    assert_eq!(problem["type"], "urn:atlas:web-full");
    drop(held);
    server.stop().await?;
    Ok(())
}

//! How it starts, stops and dies, and what those who watch over it are told.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, FROM, Faults, Rota, TO, api, closed_port};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::client::{Caller, PATIENCE, Server, client, header};

const CLIENT: u32 = 2151;

#[tokio::test]
async fn who_is_told_to_stop_hands_back_what_runs_and_ends_at_once_whoever_listens() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 80, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &["--batch", "20", "--concurrency", "2"]).await?;
        let program = server.program(&atlas, true).await?;
        let mut listeners = Vec::new();
        for _ in 0..20 {
            listeners.push(program.get("/api/v1/events").await?);
        }
        // One who never reads what it asked for, and one who never finishes asking.
        let stuck = tokio::net::TcpStream::connect(server.address()).await?;
        let id = program.create(CLIENT, json!({ "tamanho_pagina": 5 })).await?;
        let began = Instant::now();
        while program.json(&format!("/scraps/{id}")).await?["paginas"].as_i64() < Some(3) {
            ensure!(began.elapsed() < Duration::from_secs(60), "it does not run");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        server.stop().await?;
        drop((listeners, stuck));
        let state =
            atlas.run(&["scrap", "show", &id.to_string(), "--output", "json"]).await?.expect(0)?.text("status")?;
        assert_eq!(state, "pendente");
        let (read, rows) = ("SELECT lidos FROM scraps", "SELECT COUNT(*) FROM dados_raw");
        assert_eq!(atlas.database.number(read).await?, atlas.database.number(rows).await?, "what was read is written");
        api.set_faults(Faults::default())?;
        let server = Server::start(&atlas, &[]).await?;
        let program = Caller { url: server.url.clone(), ..program };
        program.until(id, "concluido").await?;
        server.stop().await?;
        let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
        api.set_faults(Faults { latency_ms: 80, ..Faults::default() })?;
    }
    Ok(())
}

#[tokio::test]
async fn sessions_tokens_and_answers_outlive_a_server_that_is_killed() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 80, ..Faults::default() }).await?;
    for mut atlas in Atlas::on_both().await? {
        atlas.set("ATLAS_LEASE", "2");
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let (browser, program) = (server.browser().await?, server.program(&atlas, true).await?);
        let create = |caller: &Caller| {
            caller.send(reqwest::Method::POST, "/scraps", &crate::client::scrap(CLIENT)).header("idempotency-key", "k")
        };
        let said = create(&program).send().await?.text().await?;
        let id = serde_json::from_str::<Value>(&said)?["id"].as_i64().context("an id")?;
        program.until(id, "executando").await?;
        server.signal("KILL").await?;
        let (code, _) = server.end().await?;
        assert_eq!(code, -1);
        api.set_faults(Faults::default())?;
        let server = Server::start(&atlas, &[]).await?;
        let browser = Caller { url: server.url.clone(), ..browser };
        let program = Caller { url: server.url.clone(), ..program };
        assert!(browser.page("/scraps").await?.contains(&browser.form_token));
        let again = create(&program).send().await?;
        assert_eq!(header(&again, "idempotent-replayed"), "true");
        assert_eq!(again.text().await?, said);
        program.until(id, "concluido").await?;
        server.stop().await?;
        let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
        api.set_faults(Faults { latency_ms: 80, ..Faults::default() })?;
    }
    Ok(())
}

/// Has Prometheus' own tool look at metrics. It complains of what has no `HELP`, and of names that
/// are not as its conventions have them.
async fn expect_checked(metrics: &str) -> anyhow::Result<()> {
    let mut promtool = tokio::process::Command::new("promtool");
    let promtool =
        promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.kill_on_drop(true).spawn().context("start promtool (Debian: prometheus)")?;
    let mut stdin = promtool.stdin.take().context("standard input")?;
    stdin.write_all(metrics.as_bytes()).await?;
    drop(stdin);
    let said = promtool.wait_with_output().await?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success() && text.trim().is_empty(), "{text}\n{metrics}");
    Ok(())
}

/// Has Prometheus itself ask for metrics, and asks it what it got.
async fn expect_scraped(server: &Server) -> anyhow::Result<()> {
    let (folder, port) = (tempfile::tempdir()?, closed_port()?);
    let settings = format!(
        "global: {{ scrape_interval: 200ms }}\nscrape_configs: [{{ job_name: atlas, static_configs: [{{ targets: ['{}'] }}] }}]\n",
        server.address()
    );
    let file = folder.path().join("prometheus.yml");
    std::fs::write(&file, settings)?;
    let mut prometheus = tokio::process::Command::new("prometheus");
    prometheus.arg(format!("--config.file={}", file.display())).arg(format!("--web.listen-address=127.0.0.1:{port}"));
    prometheus.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    prometheus.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut prometheus = prometheus.spawn().context("start prometheus (Debian: prometheus)")?;
    let asker = client().build()?;
    let began = Instant::now();
    loop {
        ensure!(began.elapsed() < PATIENCE, "Prometheus has got no metrics");
        let asked = asker.get(format!("http://127.0.0.1:{port}/api/v1/query?query=atlas_pages_total")).send().await;
        if let Ok(answer) = asked {
            let got: Value = serde_json::from_str(&answer.text().await?).unwrap_or_default();
            if got["data"]["result"][0]["value"][1].as_str().is_some_and(|pages| pages != "0") {
                break;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    prometheus.kill().await?;
    Ok(())
}

#[tokio::test]
async fn metrics_are_prometheus_and_count_what_happened() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let server = Server::start(&atlas, &[]).await?;
        let program = server.program(&atlas, true).await?;
        let id = program.create(CLIENT, json!({})).await?;
        let scrap = program.until(id, "concluido").await?;
        let stranger = server.stranger()?;
        let open = stranger.ask(reqwest::Method::GET, "/metrics").header("accept", "application/openmetrics-text");
        let answer = open.send().await?;
        assert!(header(&answer, "content-type").starts_with("application/openmetrics-text; version=1.0.0"));
        assert!(answer.text().await?.ends_with("# EOF\n"));
        // Who asks for nothing, or for plain text, gets Prometheus' own format.
        let answer = stranger.get("/metrics").await?;
        assert!(header(&answer, "content-type").starts_with("text/plain; version=0.0.4"));
        let text = answer.text().await?;
        expect_checked(&text).await?;
        expect_scraped(&server).await?;
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let (name, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
            ensure!(name.starts_with("atlas_") && value.parse::<f64>().is_ok(), "{line}");
            ensure!(name.contains('{') == name.ends_with('}'), "{line}");
        }
        let value = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            found.with_context(|| format!("{name} is not among\n{text}"))?.parse::<f64>().context("a number")
        };
        let number = |name: &str| scrap[name].as_f64().context("a number");
        assert_eq!(value("atlas_pages_total")?, number("paginas")?);
        assert_eq!(value("atlas_records_total{outcome=\"inserted\"}")?, number("inseridos")?);
        assert_eq!(value("atlas_page_seconds_count")?, number("paginas")?);
        assert_eq!(value("atlas_scraps{state=\"concluido\"}")?, 1.0);
        assert_eq!(value("atlas_runs_total{state=\"concluido\"}")?, 1.0);
        // No client's name or number: only routes.
        ensure!(!text.contains("2151"), "{text}");
        assert_eq!(stranger.page("/healthz").await?, "ok\n");
        assert_eq!(stranger.page("/readyz").await?, "ready\n");
        if atlas.database.is_postgres() {
            atlas.database.execute("ALTER TABLE dados_raw RENAME TO outra").await?;
            assert_eq!(stranger.get("/readyz").await?.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(stranger.page("/healthz").await?, "ok\n");
            atlas.database.execute("ALTER TABLE outra RENAME TO dados_raw").await?;
        }
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_log_is_json_line_by_line_where_it_is_asked_for() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &["--log-format", "json", "-vv"]).await?;
    let program = server.program(&atlas, true).await?;
    let id = program.create(CLIENT, json!({})).await?;
    program.until(id, "concluido").await?;
    let (bearer, key) = (program.bearer.clone().context("a token")?, server.key().to_owned());
    let said = server.stop().await?;
    let lines: Vec<Value> =
        said.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(!lines.is_empty(), "no line of a log:\n{said}");
    for line in &lines {
        ensure!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
    }
    // Those who are let in are let in by what stands in no log.
    ensure!(!said.contains(&bearer) && !said.contains(&key), "{said}");
    Ok(())
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_to_be() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let server = Server::start(&atlas, &[]).await?;
    let finished = atlas.run(&["serve", "--listen", server.address(), "--lang", "en"]).await?;
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    finished.said("en")?;
    server.stop().await?;
    Ok(())
}

#[tokio::test]
async fn a_database_that_takes_no_writes_is_not_ready_until_it_does_again() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        atlas.set("ATLAS_LEASE", "2");
        atlas.run(&["db", "init"]).await?.expect(0)?;
        let server = Server::start(&atlas, &[]).await?;
        let stranger = server.stranger()?;
        let until = async |status: StatusCode| {
            let began = Instant::now();
            while stranger.get("/readyz").await?.status() != status {
                ensure!(began.elapsed() < Duration::from_secs(60), "not {status}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            anyhow::Ok(())
        };
        until(StatusCode::OK).await?;
        let (refuse, take) = match atlas.database.is_postgres() {
            true => (
                "CREATE FUNCTION cheio() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100''; END'; \
                 CREATE TRIGGER cheio BEFORE INSERT OR UPDATE ON atlas_hosts FOR EACH ROW EXECUTE FUNCTION cheio()",
                "DROP TRIGGER cheio ON atlas_hosts",
            ),
            false => (
                "CREATE TRIGGER cheio BEFORE UPDATE ON atlas_hosts BEGIN SELECT RAISE(ABORT, 'cheio'); END",
                "DROP TRIGGER cheio",
            ),
        };
        atlas.database.execute(refuse).await?;
        until(StatusCode::SERVICE_UNAVAILABLE).await?;
        atlas.database.execute(take).await?;
        until(StatusCode::OK).await?;
        server.stop().await?;
    }
    Ok(())
}

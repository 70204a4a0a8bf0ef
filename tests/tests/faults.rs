//! A source that fails: every page is tried again, and either everything is in the table or the
//! scrap says that it is not.

use std::process::Stdio;

use anyhow::ensure;
use atlas_tests::{Atlas, FROM, FaultKind, Faults, Rota, TO, api};

const CLIENT: u32 = 2151;

fn failing_first(kind: FaultKind) -> Faults {
    Faults {
        fail_first: 1,
        fail_with: kind,
        retry_after: Some("0.02".to_owned()),
        slow_chunk: 20_000,
        slow_pause_ms: 1,
        ..Faults::default()
    }
}

#[tokio::test]
async fn a_fault_at_every_page_costs_an_attempt_and_no_record() -> anyhow::Result<()> {
    let kinds = [
        FaultKind::Status429,
        FaultKind::Status500,
        FaultKind::Status503,
        FaultKind::Reset,
        FaultKind::Truncated,
        FaultKind::TruncatedJson,
        FaultKind::SlowBody,
        FaultKind::Html,
    ];
    for kind in kinds {
        let api = api(20, failing_first(kind)).await?;
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "25", "--batch", "20"]).await?.expect(0)?;
        assert_eq!(run.number("lidos")?, 100, "{kind:?}");
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
        if kind != FaultKind::SlowBody {
            assert!(run.stderr.contains("⚠️ Tentativa 1/5 falhou, aguardando "), "{kind:?}: {}", run.stderr);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_page_whose_attempts_run_out_leaves_the_scrap_interrupted_and_resumable() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let broken = Faults { fail_page: Some(3), fail_with: FaultKind::Status500, ..Faults::default() };
        let api = api(20, broken).await?;
        atlas.register(CLIENT, &api).await?;
        let run = atlas.run_pedido(CLIENT, &["--page-size", "10", "--retries", "3", "--concurrency", "1"]).await?;
        let run = run.expect(5)?;
        assert_eq!(run.text("status")?, "interrompido");
        assert_eq!(api.served().attempts_at(CLIENT, Rota::Pedido, 3), 3);
        assert_eq!(run.stderr.matches("/3 falhou, aguardando").count(), 2);

        api.set_faults(Faults::default())?;
        let id = run.number("scrap_id")?;
        let resumed = atlas.resume_until_done(id, 1).await?;
        assert_eq!(resumed.text("status")?, "concluido");
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
        assert_eq!(resumed.number("lidos")?, 100);
        assert_eq!(resumed.number("inseridos")? + resumed.number("reencontrados")?, 100);
    }
    Ok(())
}

#[tokio::test]
async fn random_faults_of_every_kind_lose_and_double_nothing() -> anyhow::Result<()> {
    let faults = Faults {
        random_rate: 0.4,
        random_kinds: vec![
            FaultKind::Status429,
            FaultKind::Status500,
            FaultKind::Reset,
            FaultKind::Truncated,
            FaultKind::TruncatedJson,
            FaultKind::Html,
        ],
        retry_after: Some("0.01".to_owned()),
        ..Faults::default()
    };
    let api = api(100, faults).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let more = ["--page-size", "10", "--retries", "20", "--concurrency", "8", "--batch", "7"];
        let run = atlas.run_pedido(CLIENT, &more).await?.expect(0)?;
        assert_eq!(run.number("inseridos")?, 500);
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    assert!(api.served().faults.len() >= 5, "the source did not fail in enough ways");
    Ok(())
}

#[tokio::test]
async fn the_wait_that_a_response_asks_for_is_kept() -> anyhow::Result<()> {
    let faults = Faults {
        fail_first: 1,
        fail_with: FaultKind::Status429,
        retry_after: Some("0.7".to_owned()),
        ..Faults::default()
    };
    let api = api(2, faults).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let began = std::time::Instant::now();
    let run = atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    assert!(began.elapsed().as_secs_f64() >= 0.7);
    assert!(run.stderr.contains("aguardando 0.7s..."), "{}", run.stderr);
    Ok(())
}

#[tokio::test]
async fn pages_in_flight_stay_within_the_concurrency_asked_for() -> anyhow::Result<()> {
    let api = api(40, Faults { latency_ms: 20, ..Faults::default() }).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    atlas.run_pedido(CLIENT, &["--page-size", "10", "--concurrency", "3", "--batch", "50"]).await?.expect(0)?;
    assert_eq!(api.served().max_concurrent, 3);
    Ok(())
}

/// A pipe without a reader: what is written to it fails.
fn nobody_reads() -> anyhow::Result<Stdio> {
    let (_reader, writer) = std::io::pipe()?;
    Ok(writer.into())
}

#[tokio::test]
async fn a_terminal_that_is_gone_takes_no_run_with_it() -> anyhow::Result<()> {
    // Every page fails once, so that there is something to say.
    let api = api(20, failing_first(FaultKind::Status500)).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "-vv"];
        let status = atlas.command(&run)?.stdout(nobody_reads()?).stderr(nobody_reads()?).status().await?;
        ensure!(status.code() == Some(0), "{status}");
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
        let state = atlas.run(&["scrap", "show", "1", "--output", "json"]).await?.expect(0)?.text("status")?;
        assert_eq!(state, "concluido");
    }
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_process_without_a_terminal_obeys_signals() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 40, ..Faults::default() }).await?;
    for command in [&["worker"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        atlas
            .run(&["scrap", "create", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO])
            .await?
            .expect(0)?;
        let mut started = atlas.command(command)?;
        let mut child = started.stdout(nobody_reads()?).stderr(nobody_reads()?).spawn()?;
        while atlas.database.number("SELECT COALESCE(MAX(paginas), 0) FROM scraps").await? == 0 {
            ensure!(child.try_wait()?.is_none(), "{command:?} has ended");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let id = child.id().ok_or_else(|| anyhow::anyhow!("it has ended"))?.to_string();
        std::process::Command::new("kill").args(["-s", "TERM", &id]).status()?;
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait()).await;
        ensure!(ended.is_ok_and(|status| status.is_ok_and(|status| status.success())), "{command:?} does not obey");
    }
    Ok(())
}

/// Five pages of one order each. It keeps each connection after its first answer, and closes it at
/// the next request, as a source does whose time for idle connections is over. There is no next
/// page where its address is blank.
async fn source_that_closes_what_it_kept() -> anyhow::Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = Vec::new();
                while !asked.ends_with(b"\r\n\r\n") {
                    let mut buffer = [0; 4096];
                    let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
                    asked.extend_from_slice(&buffer[..read]);
                }
                let asked = String::from_utf8_lossy(&asked).into_owned();
                let (_, after) = asked.split_once("page=").unwrap_or_default();
                let page: u32 = after.split(['&', ' ']).next().and_then(|page| page.parse().ok()).unwrap_or(1);
                let next = if page < 5 { "/next" } else { " " };
                let body =
                    format!(r#"{{"data":[{{"id":{page}}}],"current_page":{page},"next_page_url":"{next}","total":5}}"#);
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                if stream.write_all(format!("{head}{body}").as_bytes()).await.is_ok() {
                    let _ = stream.read(&mut [0; 4096]).await;
                }
            });
        }
    });
    Ok(url)
}

#[tokio::test]
async fn a_kept_connection_that_the_source_closed_costs_no_attempt() -> anyhow::Result<()> {
    let url = source_that_closes_what_it_kept().await?;
    for atlas in Atlas::on_both().await? {
        let add = ["client", "add", "2151", "--token", "-", "--base-url", &url];
        atlas.run_with_input(&add, atlas_tests::TOKEN).await?.expect(0)?;
        let run = atlas.run_pedido(CLIENT, &["--retries", "1", "--concurrency", "1"]).await?.expect(0)?;
        assert_eq!((run.number("lidos")?, run.number("inseridos")?), (5, 5));
    }
    Ok(())
}

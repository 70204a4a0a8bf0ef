//! Budgets of requests: a client's at an API, kept by all processes together, and seen by whoever
//! waits for them.

use std::time::{Duration, Instant};

use atlas_tests::{Atlas, FROM, FaultKind, Faults, LANGUAGES, Rota, TO, api, assert_said, hostile_connectors};

const CLIENT: u32 = 2151;

fn settings(atlas: &Atlas, budget: &str) -> anyhow::Result<()> {
    let text = format!("[[budget]]\napi = \"jueri\"\n{budget}\n");
    Ok(std::fs::write(atlas.folder().join("atlas.toml"), text)?)
}

/// The requests of the route, as the source saw them.
fn requests(api: &atlas_tests::SampleApi) -> u64 {
    api.served().route(CLIENT, Rota::Pedido).map_or(0, |route| route.requests)
}

#[tokio::test]
async fn two_runs_of_one_client_keep_one_rate() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let api = api(40, Faults::default()).await?;
        settings(&atlas, "per_second = 10")?;
        atlas.register(CLIENT, &api).await?;
        let begun = Instant::now();
        let run = |from, to| {
            let run = ["run", "--client", "2151", "--route", "pedido", "--from", from, "--to", to];
            atlas.start(&[&run[..], &["--page-size", "10", "--batch", "100"]].concat())
        };
        let (one, two) = (run("2025-10-20", "2025-10-21")?, run("2025-10-22", "2025-10-24")?);
        let (one, two) = tokio::try_join!(one.finish(), two.finish())?;
        one.expect(0)?;
        two.expect(0)?;
        let (took, requests) = (begun.elapsed().as_secs_f64(), requests(&api));
        assert!(requests >= 22, "{requests}");
        #[allow(clippy::cast_precision_loss)]
        let least = (requests - 1) as f64 / 10.0;
        assert!(took >= least * 0.95, "{requests} requests in {took} s");
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

/// A day's quota, and the day after: the scrap waits for it, and no worker does.
#[tokio::test]
async fn a_spent_day_suspends_the_scrap_and_a_worker_goes_on_with_it_the_day_after() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let api = api(20, Faults::default()).await?;
        settings(&atlas, "per_day = 4\ntimezone = \"America/Sao_Paulo\"")?;
        atlas.register(CLIENT, &api).await?;
        let run = ["--page-size", "10", "--concurrency", "1"];
        let stopped = atlas.run_pedido(CLIENT, &run).await?.expect(5)?;
        assert_eq!((stopped.text("status")?.as_str(), requests(&api)), ("suspenso", 4));
        assert!(stopped.stderr.contains("as 4 requisições do dia se esgotaram"), "{}", stopped.stderr);
        let shown = atlas.run(&["scrap", "show", "1", "--output", "json"]).await?.expect(0)?;
        let again = "SELECT COUNT(*) FROM scraps WHERE retomar_em IS NOT NULL";
        assert_eq!(atlas.database.number(again).await?, 1, "{}", shown.stdout);
        // No worker takes it today.
        atlas.run(&["worker", "--until-empty", "--concurrency", "1"]).await?.expect(0)?;
        assert_eq!(requests(&api), 4);
        // Three midnights.
        for _ in 0..3 {
            atlas.database.execute("UPDATE scraps SET retomar_em = '2020-01-01 00:00:00'").await?;
            atlas.database.execute("UPDATE atlas_orcamentos SET dia = dia - 1").await?;
            atlas.run(&["worker", "--until-empty", "--concurrency", "1"]).await?.expect(0)?;
        }
        let shown = atlas.run(&["scrap", "show", "1", "--output", "json"]).await?.expect(0)?;
        assert_eq!(shown.text("status")?, "concluido");
        // Ten pages, and the second look at the first.
        assert_eq!(requests(&api), 11);
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

/// The source refuses a page and asks for two seconds: no process asks for a page meanwhile.
#[tokio::test]
async fn a_source_that_asks_to_be_left_alone_is_and_that_is_said() -> anyhow::Result<()> {
    let mut said = String::new();
    for lang in LANGUAGES {
        let fail_with = FaultKind::Status429;
        let retry_after = Some("2".to_owned());
        let faults = Faults { fail_first: 1, fail_with, retry_after, latency_ms: 20, ..Faults::default() };
        let api = api(20, faults).await?;
        let atlas = Atlas::on_sqlite()?;
        atlas.register(CLIENT, &api).await?;
        let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--lang", lang];
        let running = atlas.start(&[&run[..], &["--page-size", "10", "--concurrency", "4"]].concat())?;
        while requests(&api) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (refused, other) = (requests(&api), ["run", "--client", "2151", "--route", "venda", "--from", FROM]);
        // Another route of the same API, in another process.
        let other = atlas.start(&[&other[..], &["--to", FROM, "--lang", lang]].concat())?;
        tokio::time::sleep(Duration::from_millis(1000)).await;
        assert_eq!(api.served().route(CLIENT, Rota::Venda).map_or(0, |route| route.requests), 0);
        assert_eq!(requests(&api), refused, "it was asked while it wanted to be left alone");
        running.finish().await?.expect(0)?;
        let other = other.finish().await?.expect(0)?;
        let line = other.stderr.lines().find(|line| line.contains('⏳')).unwrap_or_default();
        // Then how long, and until when.
        let line = line.split_once("): ").map_or(line, |(before, _)| before);
        said.push_str(&format!("{line})\n"));
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    assert_said!(said);
    Ok(())
}

#[tokio::test]
async fn no_more_pages_at_once_than_the_api_takes() -> anyhow::Result<()> {
    let atlas = Atlas::on_postgres().await?;
    let api = api(40, Faults { latency_ms: 100, ..Faults::default() }).await?;
    settings(&atlas, "concurrency = 2")?;
    atlas.register(CLIENT, &api).await?;
    let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--concurrency", "8"];
    let run = [&run[..], &["--page-size", "10", "--batch", "100"]].concat();
    let (one, two) = (atlas.start(&run)?, atlas.start(&run)?);
    let begun = Instant::now();
    let (one, two) = tokio::try_join!(one.finish(), two.finish())?;
    one.expect(0)?;
    two.expect(0)?;
    #[allow(clippy::cast_precision_loss)]
    let least = requests(&api) as f64 * 0.1 / 2.0;
    let took = begun.elapsed().as_secs_f64();
    assert!(took >= least * 0.95, "{} requests in {took} s", requests(&api));
    Ok(())
}

#[tokio::test]
async fn a_budget_that_cannot_be_is_refused() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let mut said = String::new();
    for budget in ["per_second = -1", "per_second = nan", "timezone = \"Sao Paulo\"", "per_hour = 3"] {
        settings(&atlas, budget)?;
        said.push_str(&atlas.run_in_both_languages(&["client", "list"], 3).await?);
    }
    assert_said!(said);
    Ok(())
}

/// Five requests in one page, half a second between two: the page's own time is one second.
#[tokio::test]
async fn what_a_page_waits_for_its_budget_is_no_time_of_its_own() -> anyhow::Result<()> {
    let mut atlas = Atlas::on_sqlite()?;
    let api = api(4, Faults { echo: true, ..Faults::default() }).await?;
    let asks_often = hostile_connectors()?.join("credential-fishing.wasm");
    std::fs::copy(asks_often, atlas.own_connectors()?.join("hostil.wasm"))?;
    settings(&atlas, "per_second = 2\n\n[limits]\npage_wall_ms = 1000")?;
    atlas.register(CLIENT, &api).await?;
    let begun = Instant::now();
    let ran = atlas.run(&["run", "--client", "2151", "--route", "hostil", "--retries", "1"]).await?;
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
    Ok(())
}

//! Processes that are killed, stopped and taken over: whatever happens between any two lines,
//! resuming loses nothing and doubles nothing.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atlas_tests::{Atlas, FROM, Faults, Rota, TO, api};

const CLIENT: u32 = 2151;

/// A small generator, seeded and printed, so that a failure can be run again: `ATLAS_TEST_SEED=…`.
struct Random(u64);

impl Random {
    fn seeded() -> anyhow::Result<Self> {
        let seed = match std::env::var("ATLAS_TEST_SEED") {
            Ok(text) => text.parse()?,
            Err(_) => u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos()) | 1,
        };
        #[allow(clippy::disallowed_macros)] // shown when the test fails
        {
            eprintln!("ATLAS_TEST_SEED={seed}");
        }
        Ok(Self(seed))
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

#[tokio::test]
async fn killed_at_random_moments_and_resumed_it_holds_every_order_once() -> anyhow::Result<()> {
    let mut random = Random::seeded()?;
    let api = api(200, Faults { latency_ms: 5, ..Faults::default() }).await?;
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    for batch in ["1", "30"] {
        for atlas in Atlas::on_both().await? {
            atlas.register(CLIENT, &api).await?;
            let create = ["scrap", "create", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
            let id = atlas.run(&[&create[..], &["--page-size", "20"]].concat()).await?.expect(0)?;
            let id = id.stdout.trim().to_owned();
            let resume = ["scrap", "resume", &id, "--batch", batch, "--output", "json"];
            let mut kills = 0;
            for _ in 0..8 {
                let running = atlas.start(&resume)?;
                tokio::time::sleep(Duration::from_millis(40 + random.below(250))).await;
                // It may have ended before its time.
                if running.signal("KILL").await.is_ok() {
                    kills += 1;
                }
                running.finish().await?;
            }
            assert!(kills > 0);
            let done = atlas.run(&resume).await?.expect(0)?;
            atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
            let sum = done.number("inseridos")? + done.number("reencontrados")? + done.number("duplicados")?;
            assert_eq!((done.number("lidos")?, sum), (1_000, 1_000));
            assert_eq!(done.text("status")?, "concluido");
        }
    }
    Ok(())
}

#[tokio::test]
async fn an_interrupt_drains_the_queue_checkpoints_and_exits_130() -> anyhow::Result<()> {
    let api = api(100, Faults { latency_ms: 150, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];
        let running = atlas.start(&[&run[..], &["--page-size", "20", "--output", "json"]].concat())?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        running.signal("INT").await?;
        let stopped = running.finish().await?.expect(130)?;
        assert_eq!(stopped.text("status")?, "pausado");
        let read = stopped.number("lidos")?;
        assert!(read > 0 && read < 500, "{read}");
        // Drained: what was read is in the table, and nothing else is.
        assert_eq!(atlas.database.number("SELECT COUNT(*) FROM dados_raw").await?, read);
        let done = atlas.resume_until_done(stopped.number("scrap_id")?, 1).await?;
        assert_eq!((done.number("inseridos")?, done.number("reencontrados")?), (500, 0));
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_second_interrupt_stops_at_once_and_loses_nothing_checkpointed() -> anyhow::Result<()> {
    let api = api(100, Faults { latency_ms: 150, ..Faults::default() }).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--page-size", "20"];
    let running = atlas.start(&run)?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.signal("INT").await?;
    // It may have drained and gone before the second comes.
    let _ = running.signal("INT").await;
    running.finish().await?.expect(130)?;
    let checkpointed = atlas.database.number("SELECT lidos FROM scraps").await?;
    assert!(atlas.database.number("SELECT COUNT(*) FROM dados_raw").await? >= checkpointed);
    let done = atlas.resume_until_done(1, 1).await?;
    assert_eq!(done.number("lidos")?, 500);
    atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    Ok(())
}

#[tokio::test]
async fn a_scrap_that_is_taken_over_leaves_its_first_host_with_nothing_to_write() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 80, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--page-size", "10"];
        let first = atlas.start(&run)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        let second = atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0)?;
        first.finish().await?.expect(130)?;
        assert_eq!(second.number("lidos")?, 300);
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_drops_every_connection_costs_time_and_nothing_else() -> anyhow::Result<()> {
    let api = api(300, Faults { latency_ms: 30, ..Faults::default() }).await?;
    for batch in ["1", "40"] {
        let atlas = Atlas::on_postgres().await?;
        atlas.register(CLIENT, &api).await?;
        let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--page-size", "10"];
        let running = atlas.start(&[&run[..], &["--batch", batch, "--output", "json"]].concat())?;
        let mut dropped = 0;
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(250)).await;
            let drop_all = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
                            WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'atlas'";
            // Not before there is a scrap: creating one is not repeated.
            if atlas.database.number("SELECT COUNT(*) FROM scraps").await? > 0 {
                dropped += atlas.database.number(drop_all).await?;
            }
        }
        let done = running.finish().await?.expect(0)?;
        assert!(dropped > 2, "{dropped} connections were dropped: not much of a test");
        assert_eq!(done.number("lidos")?, 1_500);
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_cancel_from_elsewhere_stops_the_run_and_can_be_resumed() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 150, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        atlas.register(CLIENT, &api).await?;
        let run = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO, "--page-size", "5"];
        let running = atlas.start(&run)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        atlas.run(&["scrap", "cancelar", "1"]).await?.expect(0)?;
        running.finish().await?.expect(130)?;
        let shown = atlas.run(&["scrap", "ver", "1", "--output", "json"]).await?.expect(0)?;
        assert_eq!(shown.text("status")?, "cancelado");
        atlas.resume_until_done(1, 1).await?;
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn several_scraps_run_side_by_side_in_one_process() -> anyhow::Result<()> {
    let api = api(30, Faults { latency_ms: 10, ..Faults::default() }).await?;
    for atlas in Atlas::on_both().await? {
        let mut ids = Vec::new();
        for client in [1_u32, 2, 3, 4] {
            atlas.register(client, &api).await?;
            let client = client.to_string();
            let create = ["scrap", "create", "--client", &client, "--route", "pedido", "--from", FROM, "--to", TO];
            ids.push(atlas.run(&create).await?.expect(0)?.stdout.trim().to_owned());
        }
        let mut arguments = vec!["scrap", "run", "--output", "json"];
        arguments.extend(ids.iter().map(String::as_str));
        let ran = atlas.run(&arguments).await?.expect(0)?;
        assert_eq!(ran.stdout.lines().count(), 4);
        for client in [1, 2, 3, 4] {
            let served = api.records(client, Rota::Pedido, FROM, TO)?;
            atlas.database.expect_exactly(client, "pedido", &served).await?;
        }
    }
    Ok(())
}

//! A source that hands out events until they are acknowledged: none is acknowledged that is not in
//! the table, whatever happens to the host, and each is acknowledged at least once.

use std::collections::BTreeSet;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, FaultKind, Faults, Moving, Rota, SampleApi, Settings, TOKEN};
use serde_json::Value;
use sqlx::{Connection, PgConnection, SqliteConnection};

const CLIENT: u32 = 2151;
const RUN: [&str; 9] = ["run", "--client", "2151", "--route", "evento", "--page-size", "10", "--output", "json"];
/// Far longer than an acknowledgment takes that nothing holds back.
const HELD_BACK: Duration = Duration::from_millis(1_500);
const PATIENCE: Duration = Duration::from_secs(60);
/// A lock of PostgreSQL that only this test takes.
const GATE: i64 = 7_310_458_822_641;

async fn events(waiting: u64, faults: Faults) -> anyhow::Result<SampleApi> {
    let settings = Settings { catalogue: waiting, faults, token: TOKEN.to_owned(), ..Settings::default() };
    SampleApi::start(settings).await
}

async fn ready(atlas: &Atlas, api: &SampleApi) -> anyhow::Result<()> {
    atlas.grant_acknowledgments()?;
    atlas.register(CLIENT, api).await
}

fn id(event: &str) -> anyhow::Result<u64> {
    serde_json::from_str::<Value>(event)?["id"].as_u64().with_context(|| format!("no id in {event}"))
}

/// Fails if an event is acknowledged that is not in the table, or whose page is not checkpointed.
/// Gives how many are acknowledged.
async fn expect_kept(atlas: &Atlas, api: &SampleApi) -> anyhow::Result<usize> {
    // In this order: what is acknowledged meanwhile does not count.
    let acknowledged = api.acknowledged(CLIENT);
    // A page's count enters the table in the transaction that checkpoints it. Its cursor's text
    // does not stay there: it is erased when the run ends.
    let read = "SELECT CAST(COALESCE(SUM(lidos), 0) AS BIGINT) FROM scrap_cursores WHERE estado <> 'pendente'";
    let most = usize::try_from(atlas.database.number(read).await?)?;
    let rows = atlas.database.rows().await?;
    let kept: BTreeSet<u64> = rows.iter().map(|row| id(&row.payload)).collect::<anyhow::Result<_>>()?;
    for event in &acknowledged {
        ensure!(kept.contains(&id(event)?), "acknowledged, and not in the table: {event}");
    }
    ensure!(
        acknowledged.len() <= most,
        "{} acknowledged, of at most {most} on pages that are done",
        acknowledged.len()
    );
    Ok(acknowledged.len())
}

/// Fails unless the table has each of these events once, and all of them are acknowledged.
async fn expect_all(atlas: &Atlas, api: &SampleApi, events: &[String]) -> anyhow::Result<()> {
    atlas.database.expect_exactly(CLIENT, "evento", events).await?;
    let acknowledged: BTreeSet<String> = api.acknowledged(CLIENT).into_iter().collect();
    ensure!(acknowledged == events.iter().cloned().collect(), "{} are acknowledged", acknowledged.len());
    Ok(())
}

#[tokio::test]
async fn every_event_is_kept_once_and_acknowledged_and_the_scrap_is_done() -> anyhow::Result<()> {
    // A source that was read to its end has stood still, even where there are no more sweeps to
    // find that out.
    for sweeps in ["0", "1"] {
        for atlas in Atlas::on_both().await? {
            let api = events(45, Faults::default()).await?;
            ready(&atlas, &api).await?;
            let run = atlas.run(&[&RUN[..], &["--sweeps", sweeps]].concat()).await?.expect(0)?;
            assert_eq!((run.text("status")?.as_str(), run.number("lidos")?), ("concluido", 45));
            assert!(!run.stderr.contains("🔁"), "{}", run.stderr);
            expect_all(&atlas, &api, &api.records(CLIENT, Rota::Evento, "", "")?).await?;
            assert_eq!(api.served().route(CLIENT, Rota::Evento).map(|route| route.acknowledgments), Some(5));
            atlas.run(&["verify", "--client", "2151"]).await?.expect(0)?;

            let again = atlas.run(&RUN).await?.expect(0)?;
            assert_eq!((again.text("status")?.as_str(), again.number("lidos")?), ("concluido", 0));
        }
    }
    Ok(())
}

#[tokio::test]
async fn events_that_come_while_others_are_read_are_read_and_acknowledged_too() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let moving = Moving { every: 2, at_end: 3, max_moves: Some(6), ..Moving::default() };
        let api = events(25, Faults { moving: Some(moving), ..Faults::default() }).await?;
        ready(&atlas, &api).await?;
        let run = atlas.run(&RUN).await?.expect(0)?;
        assert_eq!(run.text("status")?, "concluido");
        let acknowledged = api.acknowledged(CLIENT);
        assert!(acknowledged.len() > 25);
        expect_all(&atlas, &api, &acknowledged).await?;
    }
    Ok(())
}

#[tokio::test]
async fn without_a_grant_nothing_is_acknowledged_and_with_one_it_goes_on() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let api = events(25, Faults::default()).await?;
        atlas.register(CLIENT, &api).await?;
        let refused = atlas.run(&RUN).await?.expect(7)?;
        assert!(refused.stderr.contains("POST"), "{}", refused.stderr);
        // The page had been done by then.
        assert_eq!((atlas.database.rows().await?.len(), api.acknowledged(CLIENT).len()), (10, 0));
        atlas.grant_acknowledgments()?;
        atlas.resume_until_done(1, 1).await?;
        expect_all(&atlas, &api, &api.records(CLIENT, Rota::Evento, "", "")?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_source_that_hands_out_again_what_was_acknowledged_is_not_taken_for_read() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    let api = events(25, Faults { ignore_page: true, ..Faults::default() }).await?;
    ready(&atlas, &api).await?;
    let run = atlas.run(&[&RUN[..], &["--retries", "2", "--lang", "en"]].concat()).await?.expect(5)?;
    assert_eq!(run.text("status")?, "interrompido");
    assert!(run.stderr.contains("is handed out again"), "{}", run.stderr);
    // And when it has come to its senses:
    api.set_faults(Faults::default())?;
    assert_eq!(atlas.resume_until_done(1, 1).await?.text("status")?, "concluido");
    expect_all(&atlas, &api, &api.records(CLIENT, Rota::Evento, "", "")?).await
}

/// Holds the checkpoints back, and nothing else where that can be done.
enum Gate {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

impl Gate {
    async fn close(atlas: &Atlas) -> anyhow::Result<Self> {
        let url = atlas.database.url();
        if !atlas.database.is_postgres() {
            let mut connection = SqliteConnection::connect(url).await?;
            sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await?;
            return Ok(Self::Sqlite(connection));
        }
        let mut connection = PgConnection::connect(url).await?;
        let gate = format!(
            "SELECT pg_advisory_lock({GATE});
             CREATE FUNCTION wait_at_the_gate() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN PERFORM pg_advisory_xact_lock_shared({GATE}); RETURN NEW; END';
             CREATE TRIGGER gate BEFORE UPDATE ON scrap_cursores FOR EACH ROW WHEN (NEW.estado <> 'pendente')
                 EXECUTE FUNCTION wait_at_the_gate();"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(gate)).execute(&mut connection).await?;
        Ok(Self::Postgres(connection))
    }

    async fn open(self) -> anyhow::Result<()> {
        match self {
            Self::Postgres(connection) => connection.close().await?,
            Self::Sqlite(mut connection) => {
                sqlx::raw_sql("COMMIT").execute(&mut connection).await?;
                connection.close().await?;
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn nothing_is_acknowledged_before_its_page_is_checkpointed() -> anyhow::Result<()> {
    for atlas in Atlas::on_both().await? {
        let api = events(45, Faults { hold: true, ..Faults::default() }).await?;
        ready(&atlas, &api).await?;
        let mut running = atlas.start(&RUN)?;
        let began = Instant::now();
        let handed_out = || api.served().route(CLIENT, Rota::Evento).map_or(0, |route| route.whole_pages);
        // The scrap is claimed, and its first poll is under way.
        while api.served().requests == 0 {
            ensure!(began.elapsed() < PATIENCE && running.child.try_wait()?.is_none(), "it does not poll");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let gate = Gate::close(&atlas).await?;
        api.set_faults(Faults::default())?;
        while handed_out() == 0 || (atlas.database.is_postgres() && atlas.database.rows().await?.is_empty()) {
            ensure!(began.elapsed() < PATIENCE, "the events do not come to the table");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let closed = Instant::now();
        while closed.elapsed() < HELD_BACK {
            assert_eq!(api.acknowledged(CLIENT).len(), 0);
            // Nor is the next poll made, which would hand out the same events.
            assert_eq!(handed_out(), 1);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        gate.open().await?;
        let done = running.finish().await?.expect(0)?;
        assert_eq!((done.text("status")?.as_str(), done.number("lidos")?), ("concluido", 45));
        expect_all(&atlas, &api, &api.records(CLIENT, Rota::Evento, "", "")?).await?;
    }
    Ok(())
}

#[tokio::test]
async fn killed_at_random_moments_it_has_in_the_table_all_that_it_acknowledged() -> anyhow::Result<()> {
    let seed = u64::from(SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos());
    for atlas in Atlas::on_both().await? {
        // Answers get lost as well: those of acknowledgments that were taken among them.
        let kinds = vec![FaultKind::Reset, FaultKind::Truncated, FaultKind::Status503];
        let faults = Faults { latency_ms: 5, random_rate: 0.2, random_kinds: kinds, ..Faults::default() };
        let api = events(400, faults).await?;
        ready(&atlas, &api).await?;
        let create = ["scrap", "create", "--client", "2151", "--route", "evento", "--page-size", "10"];
        atlas.run(&create).await?.expect(0)?;
        let resume = ["scrap", "resume", "1", "--batch", "3", "--retries", "12", "--output", "json"];
        let (mut kills, mut looks) = (0, 0);
        for round in 0..8 {
            let mut running = atlas.start(&resume)?;
            let until = Duration::from_millis(250 + (seed + round * 97) % 350);
            let began = Instant::now();
            while began.elapsed() < until && running.child.try_wait()?.is_none() {
                expect_kept(&atlas, &api).await?;
                looks += 1;
            }
            kills += u64::from(running.signal("KILL").await.is_ok());
            running.finish().await?;
            expect_kept(&atlas, &api).await?;
        }
        let killed_at = expect_kept(&atlas, &api).await?;
        assert!(kills > 0 && looks > 0 && killed_at > 0, "{kills} kills, {looks} looks, {killed_at} acknowledged");
        let done = atlas.run(&resume).await?.expect(0)?;
        assert_eq!((done.text("status")?.as_str(), done.number("lidos")?), ("concluido", 400));
        expect_all(&atlas, &api, &api.records(CLIENT, Rota::Evento, "", "")?).await?;
        let acknowledgments = api.served().route(CLIENT, Rota::Evento).map_or(0, |route| route.acknowledgments);
        assert!(acknowledgments >= 40, "{acknowledgments}");
    }
    Ok(())
}

//! A database that is there and refuses: what it lacks for a while costs time, and nothing else.

use std::time::{Duration, Instant};

use anyhow::ensure;
use atlas_tests::{Atlas, FROM, Faults, Rota, TO, api};
use sqlx::{AssertSqlSafe, PgPool};

const CLIENT: u32 = 2151;
const RUN: [&str; 9] = ["run", "--client", "2151", "--route", "pedido", "--from", FROM, "--to", TO];

/// A failure, how it begins and how it is over. In either `{}` stands for the database.
struct Outage {
    name: &'static str,
    is_told: bool,
    begin: &'static str,
    end: &'static str,
}

/// SQLSTATEs are raised where the server would: in the insert.
const OUTAGES: [Outage; 5] = [
    Outage {
        name: "read-only, as after a failover",
        is_told: true,
        begin: "ALTER DATABASE {} SET default_transaction_read_only = on",
        end: "ALTER DATABASE {} RESET default_transaction_read_only",
    },
    Outage {
        name: "statement timeout",
        is_told: true,
        begin: "CREATE FUNCTION recusa() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN PERFORM pg_sleep(1); RETURN NEW; END'; \
                CREATE TRIGGER recusa BEFORE INSERT ON dados_raw FOR EACH STATEMENT EXECUTE FUNCTION recusa(); \
                ALTER DATABASE {} SET statement_timeout = '300ms'",
        end: "DROP TRIGGER recusa ON dados_raw; ALTER DATABASE {} RESET statement_timeout",
    },
    Outage {
        name: "disk full",
        is_told: true,
        begin: "CREATE FUNCTION recusa() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN RAISE EXCEPTION ''could not extend file'' USING ERRCODE = ''53100''; END'; \
                CREATE TRIGGER recusa BEFORE INSERT ON dados_raw FOR EACH STATEMENT EXECUTE FUNCTION recusa()",
        end: "DROP TRIGGER recusa ON dados_raw",
    },
    Outage {
        name: "too many connections",
        is_told: true,
        begin: "CREATE FUNCTION recusa() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN RAISE EXCEPTION ''sorry, too many clients already'' USING ERRCODE = ''53300''; END'; \
                CREATE TRIGGER recusa BEFORE INSERT ON dados_raw FOR EACH STATEMENT EXECUTE FUNCTION recusa()",
        end: "DROP TRIGGER recusa ON dados_raw",
    },
    Outage {
        name: "deadlocks, half of the time",
        is_told: false,
        begin: "CREATE FUNCTION recusa() RETURNS trigger LANGUAGE plpgsql AS \
                'BEGIN IF random() < 0.5 THEN RAISE EXCEPTION ''deadlock detected'' USING ERRCODE = ''40P01''; END IF; \
                RETURN NULL; END'; \
                CREATE TRIGGER recusa BEFORE UPDATE ON scraps FOR EACH STATEMENT EXECUTE FUNCTION recusa()",
        end: "DROP TRIGGER recusa ON scraps",
    },
];

/// Each statement by itself; then every connection of the program's is ended, so that what is set
/// counts for it.
async fn apply(pool: &PgPool, statements: &str) -> anyhow::Result<()> {
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(pool).await?;
    sqlx::raw_sql(AssertSqlSafe(statements.replace("{}", &name))).execute(pool).await?;
    let end = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'atlas'";
    sqlx::query(end).execute(pool).await?;
    Ok(())
}

#[tokio::test]
async fn what_the_database_lacks_for_a_while_costs_time_and_nothing_else() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 30, ..Faults::default() }).await?;
    for outage in OUTAGES {
        let atlas = Atlas::on_postgres().await?;
        atlas.register(CLIENT, &api).await?;
        let pool = atlas.database.postgres_pool().await?;
        let more = ["--page-size", "10", "--batch", "7", "--output", "json", "--lang", "en"];
        let mut running = atlas.start(&[&RUN[..], &more].concat())?;
        let began = Instant::now();
        while atlas.database.number("SELECT COALESCE(MAX(paginas), 0) FROM scraps").await? < 3 {
            ensure!(began.elapsed() < Duration::from_secs(60), "{}: it does not begin", outage.name);
        }
        apply(&pool, outage.begin).await?;
        // It says what it waits for, and goes on waiting. A deadlock is not said: the same
        // again will do.
        if outage.is_told {
            running.until_it_says("The database did not answer").await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            ensure!(running.child.try_wait()?.is_none(), "{}: it has ended", outage.name);
        }
        if !outage.is_told {
            running.child.wait().await?;
        }
        apply(&pool, outage.end).await?;
        pool.close().await;
        let done = running.finish().await?.expect(0)?;
        assert_eq!((done.text("status")?.as_str(), done.number("lidos")?), ("concluido", 300), "{}", outage.name);
        let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_database_that_lacks_it_for_too_long_leaves_a_scrap_that_can_be_resumed() -> anyhow::Result<()> {
    let api = api(60, Faults { latency_ms: 30, ..Faults::default() }).await?;
    let atlas = Atlas::on_postgres().await?;
    atlas.register(CLIENT, &api).await?;
    let pool = atlas.database.postgres_pool().await?;
    let running = atlas.start(&[&RUN[..], &["--page-size", "10", "--db-patience", "2"]].concat())?;
    while atlas.database.number("SELECT COALESCE(MAX(paginas), 0) FROM scraps").await? < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    apply(&pool, OUTAGES[2].begin).await?;
    running.finish().await?.expect(3)?;
    apply(&pool, OUTAGES[2].end).await?;
    pool.close().await;
    let done = atlas.run(&["scrap", "resume", "1", "--output", "json"]).await?.expect(0)?;
    assert_eq!(done.text("status")?, "concluido");
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    atlas.database.expect_exactly(CLIENT, "pedido", &served).await
}

//! What may take only so long. Each database ends a statement in its own way.

use std::time::Duration;

use anyhow::{Context as _, Result};
use atlas_store::STATEMENT_MAX;
use sqlx::postgres::PgPool;

use super::*;
use crate::brief::Brief;
use crate::postgres::dialect::BEGIN_BRIEFLY;

async fn postgres() -> Result<(Database, PgPool)> {
    let database = Database::postgres().await?;
    let StoreUrl::Postgres(options) = database.url() else { anyhow::bail!("not a PostgreSQL") };
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect_with(*options).await?;
    Ok((database, pool))
}

#[tokio::test]
async fn a_brief_transaction_has_our_limit_or_a_shorter_one_of_the_administrator() -> Result<()> {
    let (_database, pool) = postgres().await?;
    for (theirs, expected) in [("0", "20s"), ("1min", "20s"), ("300ms", "300ms")] {
        sqlx::query("SELECT set_config('statement_timeout', $1, FALSE)").bind(theirs).execute(&pool).await?;
        let mut brief = Brief::begin(&pool, BEGIN_BRIEFLY, "test").await?;
        let limit: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(&mut *brief).await?;
        assert_eq!(limit, expected, "{theirs}");
        brief.commit().await?;
        let after: String = sqlx::query_scalar("SHOW statement_timeout").fetch_one(&pool).await?;
        assert_eq!(after, theirs, "the connection is given back as it was");
    }
    pool.close().await;
    Ok(())
}

#[tokio::test]
async fn our_own_limit_is_told_from_the_administrators() -> Result<()> {
    let (_database, pool) = postgres().await?;
    for (ago, expected) in [(Duration::ZERO, Fault::Unavailable), (STATEMENT_MAX, Fault::TooSlow)] {
        let mut brief = Brief::begin(&pool, BEGIN_BRIEFLY, "test").await?;
        brief.begun_before(ago);
        sqlx::query("SET LOCAL statement_timeout = '50ms'").execute(&mut *brief).await?;
        let ended = sqlx::query("SELECT pg_sleep(60)").execute(&mut *brief).await.err().context("it slept")?;
        assert_eq!(brief.sort()(ended).fault, expected);
    }
    pool.close().await;
    Ok(())
}

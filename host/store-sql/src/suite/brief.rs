//! What may take only so long. Each database ends a statement in its own way.

use std::future::poll_fn;
use std::task::{Context, Poll};
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
async fn a_transaction_that_is_given_up_while_it_begins_takes_nothing_of_the_next_callers_along() -> Result<()> {
    let (database, others) = postgres().await?;
    let StoreUrl::Postgres(options) = database.url() else { anyhow::bail!("not a PostgreSQL") };
    let pool = crate::postgres::connect::pool(*options, 1);
    sqlx::query("CREATE TABLE kept (n BIGINT)").execute(&pool).await?;
    for looks in 1..12_i64 {
        // Given up after so many looks at it: before it is sent, on its way, or done.
        let mut begin = Box::pin(pool.begin());
        for _ in 0..looks {
            let look = |context: &mut Context<'_>| Poll::Ready(begin.as_mut().poll(context).is_ready());
            if poll_fn(look).await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(begin);
        sqlx::query("INSERT INTO kept VALUES ($1)").bind(looks).execute(&pool).await?;
        let kept: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM kept").fetch_one(&others).await?;
        assert_eq!(kept, looks, "what was written is there for others");
    }
    pool.close().await;
    others.close().await;
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

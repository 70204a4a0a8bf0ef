//! Budgets of requests.

use std::time::Duration;

use sqlx::SqlitePool;

use super::super::budgets::{ASKED_AGAIN, Account, RequestsAsked, Reserved, Standing, budget_statements, refused};
use super::super::error::{Fault, StoreError};

budget_statements! {
    now: "unixepoch('subsec')",
    day: "CAST((unixepoch('subsec') + $5) / 86400 AS INTEGER)",
    greatest: "MAX",
    bigint: "INTEGER",
    slots: "(WITH RECURSIVE numeros(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numeros WHERE n < $3) SELECT n FROM numeros)",
    lives: "h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')"
}

pub(super) async fn reserve(
    pool: &SqlitePool,
    account: Account<'_>,
    asked: RequestsAsked,
) -> Result<Reserved, StoreError> {
    let sort = || StoreError::sort("reserve requests");
    for _ in 0..ASKED_AGAIN {
        let granted: Option<f64> = sqlx::query_scalar(RESERVE)
            .bind(account.cliente_id)
            .bind(account.api)
            .bind(f64::from(asked.requests))
            .bind(asked.interval.as_secs_f64())
            .bind(f64::from(asked.day_offset))
            .bind(asked.per_day)
            .fetch_optional(pool)
            .await
            .map_err(sort())?;
        if let Some(next_in) = granted {
            return Ok(Reserved::Granted { next_in });
        }
        let standing: Standing =
            sqlx::query_as(FREE_AT).bind(account.cliente_id).bind(account.api).fetch_one(pool).await.map_err(sort())?;
        if let Some(refused) = refused(standing, asked) {
            return Ok(refused);
        }
    }
    Err(StoreError::new(Fault::Collision, "reserve requests", "others were quicker each time"))
}

pub(super) async fn hold_off(pool: &SqlitePool, account: Account<'_>, wait: Duration) -> Result<(), StoreError> {
    let held = sqlx::query(HOLD_OFF).bind(account.cliente_id).bind(account.api).bind(wait.as_secs_f64());
    held.execute(pool).await.map(drop).map_err(StoreError::sort("note how long a source is left alone"))
}

pub(super) async fn held_off(pool: &SqlitePool, account: Account<'_>) -> Result<Duration, StoreError> {
    let row: Option<Standing> = sqlx::query_as(FREE_AT)
        .bind(account.cliente_id)
        .bind(account.api)
        .fetch_optional(pool)
        .await
        .map_err(StoreError::sort("look how long a source is left alone"))?;
    let wait = row.map_or(0.0, |(now, free_at, ..)| free_at - now);
    Ok(Duration::try_from_secs_f64(wait).unwrap_or_default())
}

pub(super) async fn take_slot(
    pool: &SqlitePool,
    account: Account<'_>,
    slots: i64,
    host: &str,
) -> Result<Option<i64>, StoreError> {
    let taken = sqlx::query_scalar(TAKE_SLOT).bind(account.cliente_id).bind(account.api).bind(slots).bind(host);
    taken.fetch_optional(pool).await.map_err(StoreError::sort("take one of an API's slots"))
}

pub(super) async fn leave_slot(
    pool: &SqlitePool,
    account: Account<'_>,
    slot: i64,
    host: &str,
) -> Result<(), StoreError> {
    let left = sqlx::query(LEAVE_SLOT).bind(account.cliente_id).bind(account.api).bind(slot).bind(host);
    left.execute(pool).await.map(drop).map_err(StoreError::sort("give an API's slot back"))
}

const LEAVE_SLOTS_BUT: &str = "DELETE FROM atlas_vagas WHERE cliente_id = $1 AND api = $2 AND host = $3 \
     AND vaga NOT IN (SELECT value FROM json_each($4))";

pub(super) async fn leave_slots_but(
    pool: &SqlitePool,
    account: Account<'_>,
    held: &[i64],
    host: &str,
) -> Result<(), StoreError> {
    let held = serde_json::to_string(held).unwrap_or_else(|_| "[]".to_owned());
    let left = sqlx::query(LEAVE_SLOTS_BUT).bind(account.cliente_id).bind(account.api).bind(host).bind(held);
    left.execute(pool).await.map(drop).map_err(StoreError::sort("give an API's slots back"))
}

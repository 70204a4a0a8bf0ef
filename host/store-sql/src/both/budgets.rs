//! Budgets of requests, shared by all hosts: what a client may still ask of an API, and how many
//! pages at once.

use std::time::Duration;

use async_trait::async_trait;
use atlas_model::{Account, RequestsAsked, Reserved};
use atlas_store::{Budgets, Fault, StoreError};

use super::dialect::{BEGIN_BRIEFLY, SqlStore};
use crate::brief::Brief;

/// The seconds of a day.
const DAY: f64 = 86_400.0;

/// Attempts at a reservation that was refused for a reason which is gone when it is looked up.
const ASKED_AGAIN: u32 = 3;

/// A budget's row: the database's time, until when nothing is granted, the counted day, and its
/// requests.
type Standing = (f64, f64, i64, i64);

/// Why a reservation was refused; `None` if it would be granted by now.
fn refused((now, free_at, day, spent): Standing, asked: RequestsAsked) -> Option<Reserved> {
    if free_at > now {
        return Some(Reserved::HeldOff(Duration::try_from_secs_f64(free_at - now).unwrap_or_default()));
    }
    let local = now + f64::from(asked.day_offset);
    // Days since 1970. One that is ahead was counted in another time zone, or before clocks were
    // set back: it goes on.
    #[allow(clippy::cast_possible_truncation)]
    let is_today = day >= (local / DAY).floor() as i64;
    let is_spent = asked.per_day.is_some_and(|most| spent + i64::from(asked.requests) > most);
    let left = Duration::try_from_secs_f64(DAY - local.rem_euclid(DAY)).unwrap_or_default();
    (is_today && is_spent).then_some(Reserved::DaySpent(left))
}

/// `$1` client, `$2` API, `$3` requests, `$4` seconds between two, `$5` seconds ahead of UTC, `$6`
/// requests a day or null.
const RESERVE: &str = concat!(
    "INSERT INTO atlas_orcamentos AS o (cliente_id, api, proxima, dia, gastos) VALUES ($1, $2, ",
    clock!(),
    " + $3 * $4, ",
    day!(),
    ", CAST($3 AS ",
    bigint!(),
    ")) ON CONFLICT (cliente_id, api) DO UPDATE SET proxima = ",
    greatest!(),
    "(o.proxima, ",
    clock!(),
    ") + $3 * $4, dia = ",
    greatest!(),
    "(o.dia, excluded.dia), gastos = CASE WHEN o.dia >= excluded.dia THEN o.gastos ELSE 0 END + excluded.gastos \
         WHERE o.livre_em <= ",
    clock!(),
    " AND (CAST($6 AS ",
    bigint!(),
    ") IS NULL OR \
           CASE WHEN o.dia >= excluded.dia THEN o.gastos ELSE 0 END + excluded.gastos <= CAST($6 AS ",
    bigint!(),
    ")) \
         RETURNING proxima - ",
    clock!()
);

const FREE_AT: &str =
    concat!("SELECT ", clock!(), ", livre_em, dia, gastos FROM atlas_orcamentos WHERE cliente_id = $1 AND api = $2");

const HOLD_OFF: &str = concat!(
    "INSERT INTO atlas_orcamentos AS o (cliente_id, api, livre_em) VALUES ($1, $2, ",
    clock!(),
    " + $3) \
         ON CONFLICT (cliente_id, api) DO UPDATE SET livre_em = ",
    greatest!(),
    "(o.livre_em, excluded.livre_em)"
);

/// Takes the lowest free number, which is 1 or follows one that is taken: looked for
/// among the account's rows, so that it costs the same whatever `$3` is. Slots of a
/// host that is no longer seen are free.
const TAKE_SLOT: &str = concat!(
    "INSERT INTO atlas_vagas AS v (cliente_id, api, vaga, host) SELECT $1, $2, n, $4 FROM \
         (SELECT CAST(1 AS ",
    bigint!(),
    ") AS n UNION ALL SELECT vaga + 1 FROM atlas_vagas WHERE cliente_id = $1 AND api = $2) seguintes \
         WHERE n <= $3 AND NOT EXISTS \
         (SELECT 1 FROM atlas_vagas t JOIN atlas_hosts h ON h.id = t.host AND ",
    lives!(),
    " \
           WHERE t.cliente_id = $1 AND t.api = $2 AND t.vaga = n) ORDER BY n LIMIT 1 \
         ON CONFLICT (cliente_id, api, vaga) DO UPDATE SET host = excluded.host WHERE NOT EXISTS \
         (SELECT 1 FROM atlas_hosts h WHERE h.id = v.host AND ",
    lives!(),
    ") RETURNING vaga"
);

const LEAVE_SLOT: &str = "DELETE FROM atlas_vagas WHERE cliente_id = $1 AND api = $2 AND vaga = $3 AND host = $4";

/// `$4`: the numbers that the host still has, as JSON.
const LEAVE_SLOTS_BUT: &str =
    concat!("DELETE FROM atlas_vagas WHERE cliente_id = $1 AND api = $2 AND host = $3 AND ", not_held!());

#[async_trait]
impl Budgets for SqlStore {
    async fn reserve(&self, account: Account<'_>, asked: RequestsAsked) -> Result<Reserved, StoreError> {
        let doing = "reserve requests";
        for _ in 0..ASKED_AGAIN {
            let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, doing).await?;
            let granted: Option<f64> = sqlx::query_scalar(RESERVE)
                .bind(account.cliente_id)
                .bind(account.api)
                .bind(f64::from(asked.requests))
                .bind(asked.interval.as_secs_f64())
                .bind(f64::from(asked.day_offset))
                .bind(asked.per_day)
                .fetch_optional(&mut *tx)
                .await
                .map_err(tx.sort())?;
            if let Some(next_in) = granted {
                tx.commit().await?;
                return Ok(Reserved::Granted { next_in });
            }
            let standing: Standing = sqlx::query_as(FREE_AT)
                .bind(account.cliente_id)
                .bind(account.api)
                .fetch_one(&mut *tx)
                .await
                .map_err(tx.sort())?;
            tx.commit().await?;
            if let Some(refused) = refused(standing, asked) {
                return Ok(refused);
            }
        }
        Err(StoreError::new(Fault::Collision, doing, "others were quicker each time"))
    }

    async fn hold_off(&self, account: Account<'_>, wait: Duration) -> Result<(), StoreError> {
        let held = sqlx::query(HOLD_OFF).bind(account.cliente_id).bind(account.api).bind(wait.as_secs_f64());
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "note how long a source is left alone").await?;
        held.execute(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await
    }

    async fn held_off(&self, account: Account<'_>) -> Result<Duration, StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "look how long a source is left alone").await?;
        let row: Option<Standing> = sqlx::query_as(FREE_AT)
            .bind(account.cliente_id)
            .bind(account.api)
            .fetch_optional(&mut *tx)
            .await
            .map_err(tx.sort())?;
        tx.commit().await?;
        let wait = row.map_or(0.0, |(now, free_at, ..)| free_at - now);
        Ok(Duration::try_from_secs_f64(wait).unwrap_or_default())
    }

    async fn take_slot(&self, account: Account<'_>, slots: i64, host: &str) -> Result<Option<i64>, StoreError> {
        let taken = sqlx::query_scalar(TAKE_SLOT).bind(account.cliente_id).bind(account.api).bind(slots).bind(host);
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "take one of an API's slots").await?;
        let taken = taken.fetch_optional(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(taken)
    }

    async fn leave_slots_but(&self, account: Account<'_>, held: &[i64], host: &str) -> Result<(), StoreError> {
        let held = serde_json::Value::from(held).to_string();
        let left = sqlx::query(LEAVE_SLOTS_BUT).bind(account.cliente_id).bind(account.api).bind(host).bind(held);
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "give an API's slots back").await?;
        left.execute(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await
    }

    async fn leave_slot(&self, account: Account<'_>, slot: i64, host: &str) -> Result<(), StoreError> {
        let left = sqlx::query(LEAVE_SLOT).bind(account.cliente_id).bind(account.api).bind(slot).bind(host);
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "give an API's slot back").await?;
        left.execute(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await
    }
}

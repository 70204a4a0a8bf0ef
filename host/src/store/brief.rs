//! Transactions whose statements may take only so long: those of the queue, of schedules and of
//! budgets, which every client waits for, and the questions of people who look. One of them that
//! goes on for minutes keeps a core of the database, and in the end its disk, from everybody.
//!
//! Never for the schema, a proof (`atlas verify`), a new key, records or checkpoints: these take as
//! long as they take.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use sqlx::{Database, Pool, Transaction};

use super::error::{Fault, StoreError};

/// How long one statement of a brief transaction may take.
pub const STATEMENT_MAX: Duration = Duration::from_secs(20);

/// How such a transaction begins on PostgreSQL, in one round trip. A shorter `statement_timeout` of
/// the administrator's holds. A host that stops dead in the middle must not hold up the others for
/// as long as its connection seems to live.
pub(super) const BEGIN_BRIEFLY: &str = "BEGIN; SELECT \
     set_config('statement_timeout', CAST(CAST(EXTRACT(EPOCH FROM LEAST( \
       NULLIF(CAST(current_setting('statement_timeout') AS interval), interval '0'), interval '20 s')) * 1000 AS bigint) AS text), TRUE), \
     set_config('lock_timeout', '10s', TRUE), \
     set_config('idle_in_transaction_session_timeout', '15s', TRUE)";

/// A transaction whose statements may take [`STATEMENT_MAX`] each. Dropped, it rolls back.
pub(super) struct Brief<D: Database> {
    transaction: Transaction<'static, D>,
    began: Instant,
    doing: &'static str,
}

impl<D: Database> Brief<D> {
    /// Begins one with this statement. `doing` says what for, in the error of whatever fails.
    pub(super) async fn begin(
        pool: &Pool<D>,
        statement: &'static str,
        doing: &'static str,
    ) -> Result<Self, StoreError> {
        let transaction = pool.begin_with(statement).await.map_err(StoreError::sort(doing))?;
        Ok(Self { transaction, began: Instant::now(), doing })
    }

    /// Sorts an error of a statement of this transaction: one that was cancelled after
    /// [`STATEMENT_MAX`] was so by us, and sooner by the administrator, or by a timeout that the
    /// role has.
    pub(super) fn sort(&self) -> impl FnOnce(sqlx::Error) -> StoreError + use<D> {
        let (ours, doing) = (self.began.elapsed() >= STATEMENT_MAX, self.doing);
        move |error| {
            let cancelled = error.as_database_error().is_some_and(|e| e.code().as_deref() == Some(QUERY_CANCELED));
            let mut sorted = StoreError::sort(doing)(error);
            if cancelled && ours {
                sorted.fault = Fault::TooSlow;
            }
            sorted
        }
    }

    /// Makes it durable.
    pub(super) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(StoreError::sort(self.doing))
    }
}

/// query_canceled: by a timeout or by the administrator.
const QUERY_CANCELED: &str = "57014";

impl<D: Database> Deref for Brief<D> {
    type Target = D::Connection;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

impl<D: Database> DerefMut for Brief<D> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.transaction
    }
}

#[cfg(test)]
impl<D: Database> Brief<D> {
    /// As if it had begun so long ago.
    pub(super) fn begun_before(&mut self, ago: Duration) {
        self.began -= ago;
    }
}

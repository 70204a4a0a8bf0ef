//! Transactions with a time limit for each statement: those of the queue, of schedules and of
//! budgets, which every client waits for, and the queries of the page. A statement that goes on for
//! minutes takes a core of the database, and in the end its disk, from all clients.
//!
//! Never for the schema, a proof (`atlas verify`), a new key, records or checkpoints: these take as
//! long as they take.

use std::ops::{Deref, DerefMut};
#[cfg(test)]
use std::time::Duration;
use std::time::Instant;

use atlas_store::{Fault, STATEMENT_MAX, StoreError};
use sqlx::{Database, Pool, Transaction};

use crate::error::sorted;

/// A transaction whose statements may take [`STATEMENT_MAX`] each. Dropped, it rolls back.
pub(crate) struct Brief<D: Database> {
    transaction: Transaction<'static, D>,
    began: Instant,
    doing: &'static str,
}

impl<D: Database> Brief<D> {
    /// Begins one with this statement. `doing` says what for, in the error of whatever fails.
    pub(crate) async fn begin(
        pool: &Pool<D>,
        statement: &'static str,
        doing: &'static str,
    ) -> Result<Self, StoreError> {
        let transaction = pool.begin_with(statement).await.map_err(sorted(doing))?;
        Ok(Self { transaction, began: Instant::now(), doing })
    }

    /// Sorts an error of a statement of this transaction: one that was cancelled after
    /// [`STATEMENT_MAX`] was so by us, and sooner by the administrator, or by a timeout that the
    /// role has.
    pub(crate) fn sort(&self) -> impl FnOnce(sqlx::Error) -> StoreError + use<D> {
        let (ours, doing) = (self.began.elapsed() >= STATEMENT_MAX, self.doing);
        move |error| {
            let cancelled = error.as_database_error().is_some_and(|e| e.code().as_deref() == Some(QUERY_CANCELED));
            let mut sorted = sorted(doing)(error);
            if cancelled && ours {
                sorted.fault = Fault::TooSlow;
            }
            sorted
        }
    }

    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await.map_err(sorted(self.doing))
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
    /// Pretends that the transaction began so long ago.
    pub(crate) fn begun_before(&mut self, ago: Duration) {
        self.began -= ago;
    }
}

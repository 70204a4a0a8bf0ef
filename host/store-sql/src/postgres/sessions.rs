//! The connections of the hot path: records and checkpoints.
//!
//! Not sqlx's pool, which asks the server whether it is still there each time a connection is given
//! back: one more round trip, as much as a single-row commit takes. These are given back as they
//! are, and the one used last is used next, so that few backends do most of the work and have their
//! plans and caches warm.

use parking_lot::{Mutex, MutexGuard};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgSeverity};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connect;

/// read_only_sql_transaction: the server takes no writes, or none any more.
const READ_ONLY: &str = "25006";

/// At most so many connections, opened when they are needed.
pub(super) struct Sessions {
    options: PgConnectOptions,
    idle: Mutex<Vec<PgConnection>>,
    places: Semaphore,
}

/// A connection on loan. One that is dropped, by an error or because its task was, is closed; only
/// [`Session::settle`] gives it back.
pub(super) struct Session<'a> {
    pub(super) connection: PgConnection,
    sessions: &'a Sessions,
    _place: SemaphorePermit<'a>,
}

impl Sessions {
    pub(super) fn new(options: PgConnectOptions, max: usize) -> Self {
        Self { options, idle: Mutex::new(Vec::new()), places: Semaphore::new(max) }
    }

    /// A connection; waits while all are on loan.
    pub(super) async fn take(&self) -> Result<Session<'_>, sqlx::Error> {
        let place = self.places.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect::connect(&self.options).await?,
        };
        Ok(Session { connection, sessions: self, _place: place })
    }

    /// Closes all; from now on [`Sessions::take`] fails.
    pub(super) async fn close(&self) {
        self.places.close();
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // The server may be gone, and so then is the connection.
            let _ = connection.close().await;
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock()
    }
}

impl Session<'_> {
    /// Gives the connection back, unless the outcome says that it is of no more use; the outcome
    /// passes through.
    pub(super) fn settle<T>(self, outcome: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        match &outcome {
            Err(error) if !survives(error) => {
                // Whatever broke it has most likely broken the others too, and each would cost an
                // attempt to find out.
                self.sessions.idle().clear();
            }
            _ => self.sessions.idle().push(self.connection),
        }
        outcome
    }
}

/// Whether a connection is good for more after this error: the server refused a statement and said
/// so, and not because of what it is itself.
fn survives(error: &sqlx::Error) -> bool {
    let refused = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>());
    refused.is_some_and(|e| !matches!(e.severity(), PgSeverity::Fatal | PgSeverity::Panic) && e.code() != READ_ONLY)
}

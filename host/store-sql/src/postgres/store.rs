//! The store in a PostgreSQL database: its connections, and how they are shared out.

use async_trait::async_trait;
use atlas_model::{Concern, InitReport, SchemaStatus, StoreKey};
use atlas_store::{Settings, Store, StoreError};
use sqlx::Connection;
use sqlx::postgres::{PgConnectOptions, PgPool};

use super::sessions::Sessions;
use super::{concerns, connect, schema};
use crate::error::sorted;
use crate::seal::Sealer;

/// Default number of a process's connections to a server.
pub const CONNECTIONS: usize = 25;
/// Range of the setting for connections: fewer would not do for a run.
pub const CONNECTIONS_WITHIN: std::ops::RangeInclusive<usize> = 8..=200;

/// Writers for single-row commits: each COMMIT waits for a disk flush, and PostgreSQL shares one
/// flush among the connections that wait for it. Measured: 3,500 rows/s on one connection, 14,400
/// on 16.
const WRITERS_SMALL_BATCH: usize = 16;

/// Writers for batches of hundreds of rows, where the server's CPU is the limit and more
/// connections only add clashes.
const WRITERS_LARGE_BATCH: usize = 4;

/// From how many records on a batch is a large one.
const LARGE_BATCH: usize = 100;

/// Connections for everything that runs need beside writing: the frontier's reader, the lease's
/// watch, and the like.
const POOL_MAX: u32 = 6;

/// The same for a process with few connections in all.
const POOL_FEW: u32 = 4;

/// Connections for queries of the page: no run waits for one of these, however long it takes.
const LOOKS_MAX: u32 = 2;

/// How many connections of each kind a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shares {
    /// For records and checkpoints, all scraps of the process together.
    sessions: usize,
    pool: u32,
}

impl Shares {
    /// Of so many in all.
    fn of(connections: usize) -> Self {
        let pool = if connections < CONNECTIONS { POOL_FEW } else { POOL_MAX };
        let others = (pool + LOOKS_MAX) as usize;
        Self { sessions: connections.saturating_sub(others).clamp(2, WRITERS_SMALL_BATCH + 1), pool }
    }

    /// How many writers there is room for: one connection is the checkpoints'.
    fn writers(self) -> usize {
        self.sessions - 1
    }
}

/// The tables in a PostgreSQL database.
pub struct PostgresStore {
    pub(super) pool: PgPool,
    /// The same pool, by the name that reading connections have in `both/`: only SQLite has others.
    pub(super) readers: PgPool,
    /// For queries of the page.
    pub(super) looks: PgPool,
    pub(super) sessions: Sessions,
    shares: Shares,
    pub(super) sealer: Sealer,
}

impl PostgresStore {
    /// Connects once, so that a wrong address or password shows at once, and prepares the pool.
    ///
    /// It has at most so many connections, and at least 8.
    pub async fn open(
        options: &PgConnectOptions,
        key: Option<StoreKey>,
        connections: usize,
    ) -> Result<Self, StoreError> {
        let options = connect::options(options);
        let connecting = "connect to PostgreSQL";
        let probe = connect::connect(&options).await.map_err(sorted(connecting))?;
        probe.close().await.map_err(sorted(connecting))?;
        let shares = Shares::of(connections);
        let pool = connect::pool(options.clone(), shares.pool);
        let looks = connect::pool(options.clone(), LOOKS_MAX);
        let sessions = Sessions::new(options, shares.sessions);
        Ok(Self { readers: pool.clone(), pool, looks, sessions, shares, sealer: Sealer::new(key) })
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn writers(&self, batch: usize) -> usize {
        let most = if batch < LARGE_BATCH { WRITERS_SMALL_BATCH } else { WRITERS_LARGE_BATCH };
        most.min(self.shares.writers())
    }

    async fn close(&self) {
        self.sessions.close().await;
        self.pool.close().await;
        self.looks.close().await;
    }

    async fn init(&self) -> Result<InitReport, StoreError> {
        let report = schema::init(&self.pool).await?;
        self.seal_settings().await?;
        Ok(report)
    }

    async fn in_place(&self) -> Result<(), StoreError> {
        // A server has no file that could be replaced under it: each query sees the table itself.
        Ok(())
    }

    async fn schema(&self) -> Result<SchemaStatus, StoreError> {
        schema::status(&self.pool).await
    }

    async fn concerns(&self) -> Result<Vec<Concern>, StoreError> {
        concerns::find(&self.pool).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_no_more_connections_than_it_may() {
        for connections in 8..=100 {
            let shares = Shares::of(connections);
            let all = shares.sessions + (shares.pool + LOOKS_MAX) as usize;
            assert!(all <= connections && shares.writers() >= 1, "{connections}: {shares:?}");
        }
        assert_eq!(Shares::of(CONNECTIONS).writers(), WRITERS_SMALL_BATCH);
    }
}

//! Scraps: created, read, claimed and ended.

use async_trait::async_trait;
use atlas_model::{ConnectorStamp, Lease, NewScrap, RunEnd, Scrap};

use crate::StoreError;

/// Scraps. Every call is atomic.
#[async_trait]
pub trait Scraps: Send + Sync {
    /// Creates a scrap with its first page in the frontier, or one that is divided and its slices,
    /// and gives its id.
    async fn create_scrap(&self, scrap: &NewScrap) -> Result<i64, StoreError>;

    /// One scrap.
    async fn scrap(&self, id: i64) -> Result<Option<Scrap>, StoreError>;

    /// The slices of a scrap that are not done, in the order of their periods.
    async fn unfinished_slices(&self, whole: i64) -> Result<Vec<i64>, StoreError>;

    /// Takes a scrap for running, even from another host: raises its epoch, and marks it as run by
    /// this connector on this host.
    async fn claim(&self, id: i64, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError>;

    /// Takes a scrap for running that this host took from the queue. Fails with
    /// [`Fault::LeaseLost`](crate::Fault::LeaseLost) if another process has claimed it since.
    async fn claim_taken(&self, taken: &Lease, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError>;

    /// Ends a run. False if the lease is lost: nothing was written. Repeating it changes nothing.
    async fn finish(&self, lease: &Lease, end: &RunEnd<'_>) -> Result<bool, StoreError>;

    /// Cancels a scrap that has not ended, on whatever host it runs; false if it had.
    async fn cancel(&self, id: i64, reason: &str) -> Result<bool, StoreError>;

    /// The digests of the connectors that fetched for scraps that are not done, each once.
    async fn connectors_in_use(&self) -> Result<Vec<String>, StoreError>;
}

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

    /// Takes a scrap for running: raises its epoch, whoever held it, and marks it as running by
    /// this connector on this host.
    async fn claim(&self, id: i64, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError>;

    /// The same for a scrap that was taken from the queue, which somebody else may have meanwhile:
    /// [`Fault::LeaseLost`](crate::Fault::LeaseLost).
    async fn claim_taken(&self, taken: &Lease, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError>;

    /// Ends a run. False if the lease is lost: nothing was written. Repeating it changes nothing.
    async fn finish(&self, lease: &Lease, end: &RunEnd<'_>) -> Result<bool, StoreError>;

    /// Cancels a scrap that has not ended, whoever runs it; false if it had.
    async fn cancel(&self, id: i64, reason: &str) -> Result<bool, StoreError>;

    /// The digests of the connectors that fetched for scraps that are not done, each once.
    async fn connectors_in_use(&self) -> Result<Vec<String>, StoreError>;
}

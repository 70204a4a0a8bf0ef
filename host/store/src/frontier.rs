//! The frontier of a scrap: its cursors, and what its pages leave behind.

use async_trait::async_trait;
use atlas_model::{Checkpoint, CursorId, Lease, LedgerReceipt, PageFacts, PageKey, PendingCursor, SweepFacts};

use crate::StoreError;

/// The frontier. Every call is atomic.
#[async_trait]
pub trait Frontier: Send + Sync {
    /// The cursors of a sweep still to be fetched, in the order in which they became known, after
    /// `after`.
    async fn pending(
        &self,
        lease: &Lease,
        sweep: i32,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PendingCursor>, StoreError>;

    /// Whether the sweep knows this cursor.
    async fn knows(&self, lease: &Lease, page: PageKey) -> Result<bool, StoreError>;

    /// Whether `candidate` is one of the pages that led to `page`.
    async fn is_ancestor(&self, lease: &Lease, candidate: CursorId, page: PageKey) -> Result<bool, StoreError>;

    /// Marks pages as begun and checkpoints finished ones: each done page leaves the frontier, its
    /// next ones enter and its counts are added, all in one transaction. Repeating it changes
    /// nothing, so it may be repeated when the outcome of a COMMIT is unknown. Fails with
    /// [`Fault::LeaseLost`](crate::Fault::LeaseLost) when the scrap has a newer epoch.
    async fn ledger(&self, lease: &Lease, begun: &[PageKey], done: &[Checkpoint]) -> Result<LedgerReceipt, StoreError>;

    /// Opens the next sweep with the first page in its frontier. Repeating it changes nothing.
    async fn open_sweep(&self, lease: &Lease, sweep: i32) -> Result<(), StoreError>;

    /// The facts of a page, once it is done.
    async fn page_facts(&self, lease: &Lease, page: PageKey) -> Result<Option<PageFacts>, StoreError>;

    /// What a whole sweep added up to.
    async fn sweep_facts(&self, lease: &Lease, sweep: i32) -> Result<SweepFacts, StoreError>;
}

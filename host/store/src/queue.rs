//! The queue that workers take scraps from: the scraps themselves, and the processes that run them.
//!
//! A scrap belongs to the process that took it for as long as that process is seen, whatever it
//! does; after that, any host may take it. The table is protected by the epoch, not by this: a
//! process that was thought dead and comes back writes nothing.

use async_trait::async_trait;
use atlas_model::{ChangeOutcome, Host, Lease, Offer, Standing};

use crate::StoreError;

/// Taking scraps, and passing requests to the processes that run them. Every call is atomic.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Notes that a process is alive, whether it is known already or not.
    async fn beat(&self, host: &Host) -> Result<(), StoreError>;

    /// Takes a process off the list: any host may take its scraps at once.
    async fn leave(&self, host: &str) -> Result<(), StoreError>;

    /// Takes the next scrap, if there is one: of the client with the fewest running, among those of
    /// the one that has waited longest, and of its scraps the oldest. No other host gets it for as
    /// long as this process is seen, until the lease is finished.
    async fn take(&self, offer: &Offer<'_>) -> Result<Option<Lease>, StoreError>;

    /// The clients that have a scrap which this worker would be given if it had room, in the order
    /// in which [`Queue::take`] would give them, at most `WAITING_MAX`.
    async fn waiting(&self, offer: &Offer<'_>) -> Result<Vec<i32>, StoreError>;

    /// Scraps that are marked as running by a host that is not seen any more, the oldest first, at
    /// most `ORPHANS_MAX`.
    async fn orphans(&self) -> Result<Vec<i64>, StoreError>;

    /// Hosts that count as alive and that have scraps, running or kept for themselves: each with
    /// when it was seen last, as the database writes it, which changes with each sign of life. By
    /// their ids, at most `ORPHANS_MAX`.
    async fn holders(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// Whether the lease is still the scrap's newest, and what its holder is asked to do.
    async fn standing(&self, lease: &Lease) -> Result<Standing, StoreError>;

    /// Pauses a scrap, with this reason: at once if it is not running, else by asking its run.
    async fn pause(&self, id: i64, reason: &str) -> Result<ChangeOutcome, StoreError>;

    /// Puts a scrap that is not running back into the queue, to be taken at once; of a running one
    /// withdraws the request to pause it.
    async fn requeue(&self, id: i64) -> Result<ChangeOutcome, StoreError>;
}

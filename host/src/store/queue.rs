//! The queue that workers take scraps from: the scraps themselves, and the processes that run them.
//!
//! A scrap is somebody's as long as the process that took it is seen, whatever it does; after that, anybody's. What protects the
//! table is not this but the epoch: a process that was thought dead and comes back writes nothing.

use std::time::Duration;

use async_trait::async_trait;

use super::error::StoreError;
use super::types::Lease;

/// How many hosts may die one after the other with a scrap that brings no page meanwhile: perhaps it is what they die of.
pub const TAKE_OVERS_MAX: i32 = 12;

/// A process that runs scraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id: random, and its own.
    pub id: String,
    /// Its name, for people: the machine's, and the process's number.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// How long it counts as alive after it was seen, in whole seconds.
    pub lease: Duration,
}

/// What a worker can run, and may.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The process.
    pub host: &'a str,
    /// The routes that it serves.
    pub routes: &'a [String],
    /// The connectors that it has: a scrap that began with another one is not for it.
    pub connectors: &'a [String],
    /// The scraps that it runs: whatever else the table says that it runs, it does not.
    pub running: &'a [i64],
    /// How many scraps of one client may run at once, on all hosts together.
    pub per_client: i64,
    /// Whether scraps of hosts that are no longer seen may be taken. Whoever was not seen for a while itself does not know.
    pub may_take_over: bool,
    /// What to write down where a scrap is taken over no more, after [`TAKE_OVERS_MAX`] hosts.
    pub reason_to_give_up: &'a str,
}

/// Who holds a scrap, and what is asked of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The lease is the newest.
    Held,
    /// It is, and somebody wants the scrap paused.
    AskedToPause,
    /// Somebody else has the scrap now.
    Lost,
}

/// What became of somebody's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is done.
    Done,
    /// Whoever runs the scrap was asked, and does it.
    Passed,
    /// The scrap is in no state for it.
    Refused,
}

/// Scraps of dead hosts that are named at a time.
pub(super) const ORPHANS_MAX: i64 = 100;

/// Clients whose scraps wait that are named at a time.
pub(super) const WAITING_MAX: i64 = 100;

/// Taking scraps, and telling those who run them. Every call is atomic.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Notes that a process is alive, whether it is known already or not.
    async fn beat(&self, host: &Host) -> Result<(), StoreError>;

    /// Takes a process off the list: what it still holds is anybody's at once.
    async fn leave(&self, host: &str) -> Result<(), StoreError>;

    /// Takes the scrap that comes next, if there is one: of the client that has fewest running, among those the one that has waited
    /// longest, and of its scraps the oldest. Nobody else gets it for as long as the process is seen, until the lease is finished.
    async fn take(&self, offer: &Offer<'_>) -> Result<Option<Lease>, StoreError>;

    /// The clients that have a scrap which this worker would be given if it had room, in the order
    /// in which [`Queue::take`] would give them, at most `WAITING_MAX`.
    async fn waiting(&self, offer: &Offer<'_>) -> Result<Vec<i32>, StoreError>;

    /// Scraps that are marked as running by a host that is not seen any more, the oldest first, at most `ORPHANS_MAX`.
    async fn orphans(&self) -> Result<Vec<i64>, StoreError>;

    /// Hosts that count as alive and that have scraps, running or kept for themselves: each with
    /// when it was seen last, as the database writes it, which changes with each sign of life. By
    /// their ids, at most `ORPHANS_MAX`.
    async fn holders(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// Whether the lease is still the scrap's newest, and what is asked of whoever holds it.
    async fn standing(&self, lease: &Lease) -> Result<Standing, StoreError>;

    /// Pauses a scrap: one that nobody runs at once, else by asking. With the reason to keep.
    async fn pause(&self, id: i64, reason: &str) -> Result<Asked, StoreError>;

    /// Puts a scrap that nobody runs back into the queue, to be taken at once; takes back that it was to be paused.
    async fn requeue(&self, id: i64) -> Result<Asked, StoreError>;
}

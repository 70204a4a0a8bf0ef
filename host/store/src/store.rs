//! The whole interface to one database.

use async_trait::async_trait;
use atlas_model::{Concern, InitReport, SchemaStatus};

use crate::{
    Browse, Budgets, Clients, Cursors, Defaults, Doors, Frontier, History, Proof, Publications, Quarantine, Queue,
    Records, Schedules, Scraps, Settings, StoreError, Usages,
};

/// The tables. Every call is atomic; calls that take a [`Lease`](atlas_model::Lease) add nothing
/// once the scrap's epoch has moved on.
#[async_trait]
pub trait Store:
    Queue
    + Scraps
    + Frontier
    + Records
    + Proof
    + Budgets
    + Schedules
    + Publications
    + Quarantine
    + Doors
    + Browse
    + Settings
    + Clients
    + Defaults
    + Cursors
    + Usages
    + History
{
    /// How many writers gain from working at once, for batches of this size.
    fn writers(&self, batch: usize) -> usize;

    /// Closes every connection. Only for a tidy end: whatever was committed is safe without it.
    async fn close(&self);

    /// Whether the database is still where it was opened:
    /// [`Fault::Displaced`](crate::Fault::Displaced) if its file was deleted, replaced or written
    /// over since. Asked before a run counts as done, and while it goes on.
    async fn in_place(&self) -> Result<(), StoreError>;

    /// Creates what is missing and adopts what is there.
    async fn init(&self) -> Result<InitReport, StoreError>;

    /// What the database holds of our tables.
    async fn schema(&self) -> Result<SchemaStatus, StoreError>;

    /// What keeps records out of `dados_raw`, or may. Empty while there is no such table.
    async fn concerns(&self) -> Result<Vec<Concern>, StoreError>;
}

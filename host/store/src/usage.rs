//! Counters of the rows and bytes kept for each client: rejected records, cursors, rows. They
//! change in the transaction that adds the rows, in one row for each client, so that checking a
//! budget counts nothing.

use async_trait::async_trait;
use atlas_model::{ClientUsage, Kept};

use crate::StoreError;

/// The counters.
#[async_trait]
pub trait Usages: Send + Sync {
    /// What is kept for a client, as it is counted: never too little, and too much where rows were
    /// deleted by hand.
    async fn usage(&self, cliente_id: i32) -> Result<ClientUsage, StoreError>;

    /// Counts one kind anew, which reads every row of it that the client has, and gives all.
    async fn recount(&self, cliente_id: i32, kept: Kept) -> Result<ClientUsage, StoreError>;

    /// What is kept for every client, those with most rows first; at most `limit`.
    async fn usages(&self, limit: i64) -> Result<Vec<(i32, ClientUsage)>, StoreError>;
}

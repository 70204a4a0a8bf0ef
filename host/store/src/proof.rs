//! Queries that prove that no record is missing.

use async_trait::async_trait;
use atlas_model::{Counts, NewestRow, OddPage, OrigemTotal};

use crate::StoreError;

/// Counts and rows as they stand. Nothing here changes anything.
#[async_trait]
pub trait Proof: Send + Sync {
    /// Pages of a scrap, or of its slices, whose counts do not add up, or that declared another
    /// total than their sweep's first page, at most `limit`.
    async fn odd_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<OddPage>, StoreError>;

    /// What the checkpointed pages of a scrap, or of its slices, add up to.
    async fn pages_together(&self, scrap_id: i64) -> Result<Counts, StoreError>;

    /// Rows of a client in `dados_raw`, by origem.
    async fn totals(&self, cliente_id: i32) -> Result<Vec<OrigemTotal>, StoreError>;

    /// A client's newest rows in `dados_raw`.
    async fn newest(&self, cliente_id: i32, limit: i64) -> Result<Vec<NewestRow>, StoreError>;
}

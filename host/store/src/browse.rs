//! Queries of the page and the API: scraps, the pages of one, records. All are read a part at a
//! time, from a key on, so that the last part costs no more than the first.

use async_trait::async_trait;
use atlas_model::{HostRow, PageRow, RawRecord, RecordFilter, Scrap, ScrapFilter, ScrapSums, StepTotal};

use crate::StoreError;

/// Queries that change nothing.
#[async_trait]
pub trait Browse: Send + Sync {
    /// The newest scraps first, at most `limit`. Slices are not among them unless they are asked
    /// for, but what they make up.
    async fn scraps(&self, filter: &ScrapFilter, limit: i64) -> Result<Vec<Scrap>, StoreError>;

    /// How many scraps are in each state, slices not counted: by the state's name in the table.
    async fn scraps_by_state(&self) -> Result<Vec<(String, i64)>, StoreError>;

    /// Scraps, slices among them, that run, ended within the last few seconds, or have an id
    /// greater than `after`; at most `limit`.
    async fn watch_scraps(&self, after: i64, limit: i64) -> Result<Vec<Scrap>, StoreError>;

    /// The greatest id of a scrap; 0 if there is none.
    async fn newest_scrap(&self) -> Result<i64, StoreError>;

    /// The pages of a scrap in the order in which they became known, after `after`.
    async fn pages(&self, scrap_id: i64, after: i64, limit: i64) -> Result<Vec<PageRow>, StoreError>;

    /// The pages of a scrap that became known last, in that order.
    async fn newest_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<PageRow>, StoreError>;

    /// Records, the newest first, with an id smaller than `before`; of those whose payload is
    /// larger than `longest` characters only so many.
    async fn records(
        &self,
        filter: &RecordFilter,
        before: i64,
        limit: i64,
        longest: i64,
    ) -> Result<Vec<RawRecord>, StoreError>;

    /// Records, the oldest first, with an id greater than `after`, whole.
    async fn export(&self, filter: &RecordFilter, after: i64, limit: i64) -> Result<Vec<RawRecord>, StoreError>;

    /// Whole records before one, newest first: at most `limit`, and of those as many as
    /// [`export`](Self::export) gives.
    async fn read_back(&self, filter: &RecordFilter, before: i64, limit: i64) -> Result<Vec<RawRecord>, StoreError>;

    /// One record, whole.
    async fn record(&self, id: i64) -> Result<Option<RawRecord>, StoreError>;

    /// The processes that run scraps, those seen last first, at most `HOSTS_MAX`.
    async fn hosts(&self) -> Result<Vec<HostRow>, StoreError>;

    /// What a client's scraps came to together.
    async fn scrap_sums(&self, cliente_id: i32) -> Result<ScrapSums, StoreError>;

    /// A client's rows that were collected since a time (`2026-11-29 03:00:00`, UTC), by route and
    /// by steps of so many seconds, the last step first, at most `STEP_TOTALS_MAX`.
    async fn rows_by_step(&self, cliente_id: i32, since: &str, step: i64) -> Result<Vec<StepTotal>, StoreError>;
}

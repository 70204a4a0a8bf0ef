//! A scrap's history: the last lines of its log, and its pace, over its runs on all hosts. Bounded
//! for each scrap and for each client.

use async_trait::async_trait;
use atlas_model::{HistoryPlace, LogLine, PacePoint};

use crate::StoreError;

/// Keeping histories. Every call is atomic, and the same again changes nothing.
#[async_trait]
pub trait History: Send + Sync {
    /// Says where a scrap's history goes on, and forgets those of its client's scraps that are too
    /// many. None: no such scrap.
    async fn open_history(&self, scrap_id: i64) -> Result<Option<HistoryPlace>, StoreError>;

    /// Adds lines, each in the place of the one `LINES_KEPT` before it, and points, of which then
    /// only those stay whose place is a multiple of `every`.
    async fn add_history(
        &self,
        cliente_id: i32,
        scrap_id: i64,
        lines: &[LogLine],
        points: &[PacePoint],
        every: i64,
    ) -> Result<(), StoreError>;

    /// A scrap's lines and points, the oldest first.
    async fn history(&self, cliente_id: i32, scrap_id: i64) -> Result<(Vec<LogLine>, Vec<PacePoint>), StoreError>;
}

//! Erasing the texts of cursors: signed URLs, sessions and pieces of records may stand in them. A
//! page that is done is known by the hash of its cursor, and its text is needed by nothing any
//! more.

use async_trait::async_trait;

use crate::StoreError;

/// Erasing.
#[async_trait]
pub trait Cursors: Send + Sync {
    /// Erases the cursors of a scrap's pages that are done, here and beside what was rejected of
    /// them, a part in each transaction. Those of pages that are still to be fetched stay.
    /// Repeating it changes nothing.
    async fn erase_cursors(&self, scrap_id: i64) -> Result<(), StoreError>;
}

//! Records: written, rejected, and put into the table after all.

use async_trait::async_trait;
use atlas_model::{Lease, RecordRow, Rejected, RejectedRow};

use crate::StoreError;

/// Records. Every call is atomic.
#[async_trait]
pub trait Records: Send + Sync {
    /// Inserts records, all or none, and says of each whether it is new: `false` means that a row
    /// with its hash was there. The caller gives them sorted by hash.
    /// [`Fault::Collision`](crate::Fault::Collision): the same again will do.
    /// [`Fault::Poison`](crate::Fault::Poison): one of them cannot be stored;
    /// [`Fault::NotKept`](crate::Fault::NotKept): one of them is not there, and no error said so;
    /// with a single record, that one.
    async fn insert(&self, lease: &Lease, records: &[RecordRow<'_>]) -> Result<Vec<bool>, StoreError>;

    /// Runs the statement of [`insert`](Self::insert) with a harmless record, and rolls it back.
    /// The outcome tells whether an error was one record's fault or would meet every other record
    /// too.
    async fn try_insert(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Keeps records that the table cannot hold. Known ones are left as they are.
    async fn reject(&self, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError>;

    /// Rejected records after an id, oldest first, those of one scrap if asked: at most `limit`,
    /// and no more bytes than may be read at a time, unless a single one is larger. Empty at the
    /// end.
    async fn rejects(&self, scrap_id: Option<i64>, after: i64, limit: i64) -> Result<Vec<Rejected>, StoreError>;

    /// One rejected record.
    async fn rejected(&self, id: i64) -> Result<Option<Rejected>, StoreError>;

    /// Puts a rejected record into the table, and marks it as replayed: both or neither. Returns
    /// whether its row is new; `None` if it was replayed before.
    /// [`Fault::Poison`](crate::Fault::Poison) and [`Fault::NotKept`](crate::Fault::NotKept) if the
    /// table cannot hold it, or does not keep it.
    async fn replay(&self, rejected: &Rejected, record: &RecordRow<'_>) -> Result<Option<bool>, StoreError>;
}

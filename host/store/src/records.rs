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

    /// Tries the statement of [`insert`](Self::insert) with a record that nothing can be wrong
    /// with, and takes it back: whether an error was the record's fault or will meet every other
    /// record as well.
    async fn try_insert(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Keeps records that the table cannot hold. Known ones are left as they are.
    async fn reject(&self, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError>;

    /// Rejected records after an id, oldest first, those of one scrap if asked: at most `limit`,
    /// and no more than may be read at a time, but for one that is larger by itself. None: there
    /// are no more.
    async fn rejects(&self, scrap_id: Option<i64>, after: i64, limit: i64) -> Result<Vec<Rejected>, StoreError>;

    /// One rejected record.
    async fn rejected(&self, id: i64) -> Result<Option<Rejected>, StoreError>;

    /// Puts a rejected record into the table, and notes that it was: both or neither. Whether its
    /// row is new; `None`: it had been put there before. [`Fault::Poison`](crate::Fault::Poison)
    /// and [`Fault::NotKept`](crate::Fault::NotKept): the table cannot hold it, or does not.
    async fn replay(&self, rejected: &Rejected, record: &RecordRow<'_>) -> Result<Option<bool>, StoreError>;
}

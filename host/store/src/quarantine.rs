//! Versions of connectors that ended a host's process: held on all hosts, for all read it here.

use async_trait::async_trait;
use atlas_model::{CursorId, NewQuarantine, QuarantineRow};

use crate::StoreError;

/// Holding versions on all hosts. Every call is atomic.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Holds a version, and puts what its host ran back into the queue: the host is dead, and none
    /// of it counts as a failed run, since it is known what the host died of.
    async fn quarantine(&self, new: &NewQuarantine<'_>) -> Result<(), StoreError>;

    /// The versions that are held.
    async fn quarantined(&self) -> Result<Vec<QuarantineRow>, StoreError>;

    /// A cursor of a scrap by its identity. None: it is not known, or is that of the first page.
    async fn cursor(&self, scrap_id: i64, id: CursorId) -> Result<Option<String>, StoreError>;
}

//! Connectors that were published to all hosts: their very bytes, in the one place that all hosts
//! share.

use async_trait::async_trait;
use atlas_model::{NewPublication, Publication, PublishedFile};

use crate::StoreError;

/// Publishing. Every call is atomic.
#[async_trait]
pub trait Publications: Send + Sync {
    /// Publishes a connector as its route's newest, and gives its number. Forgets those that came
    /// long before it, and, if it is accepted, that it was held on all hosts.
    async fn publish(&self, publication: &NewPublication<'_>) -> Result<i64, StoreError>;

    /// All publications, the newest first.
    async fn publications(&self) -> Result<Vec<Publication>, StoreError>;

    /// The file of this digest, as it was published last.
    async fn published_file(&self, sha256: &str) -> Result<Option<PublishedFile>, StoreError>;
}

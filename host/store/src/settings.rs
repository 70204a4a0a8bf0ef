//! Settings of clients for their APIs. Some may be secrets, and only the connector knows which, so
//! all of them are sealed, like a token.

use async_trait::async_trait;
use atlas_model::Secret;

use crate::StoreError;

/// Settings. Every call is atomic.
#[async_trait]
pub trait Settings: Send + Sync {
    /// A client's settings for an API, a JSON object.
    async fn settings(&self, cliente_id: i32, api: &str) -> Result<Option<Secret>, StoreError>;

    /// Replaces or removes a client's settings for an API. Fails with
    /// [`Fault::Missing`](crate::Fault::Missing) if there is no such client.
    async fn set_settings(&self, cliente_id: i32, api: &str, settings: Option<&Secret>) -> Result<(), StoreError>;

    /// Seals what stands in the clear from before, where there is a key.
    async fn seal_settings(&self) -> Result<(), StoreError>;

    /// The settings of a route's scraps that have any, after an id, by id: at most `limit`.
    async fn scrap_settings(&self, route: &str, after: i64, limit: i64) -> Result<Vec<(i64, String)>, StoreError>;

    /// Replaces a scrap's settings, if they are still those that were read.
    async fn replace_scrap_settings(&self, id: i64, before: &str, now: &str) -> Result<(), StoreError>;
}

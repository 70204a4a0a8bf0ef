//! What clients have set of APIs. Secrets may stand among it, and only its connector says which:
//! all of it is sealed, like a token.

use async_trait::async_trait;
use atlas_model::Secret;

use crate::StoreError;

/// Settings. Every call is atomic.
#[async_trait]
pub trait Settings: Send + Sync {
    /// What a client has set of an API, a JSON object.
    async fn settings(&self, cliente_id: i32, api: &str) -> Result<Option<Secret>, StoreError>;

    /// Sets it, or takes it away. Fails with [`Fault::Missing`](crate::Fault::Missing) if there is
    /// no such client.
    async fn set_settings(&self, cliente_id: i32, api: &str, settings: Option<&Secret>) -> Result<(), StoreError>;

    /// Seals what stands in the clear from before, where there is a key.
    async fn seal_settings(&self) -> Result<(), StoreError>;

    /// The settings of a route's scraps that have any, after an id, by id: at most `limit`.
    async fn scrap_settings(&self, route: &str, after: i64, limit: i64) -> Result<Vec<(i64, String)>, StoreError>;

    /// Puts others in their place, if they still stand there.
    async fn replace_scrap_settings(&self, id: i64, before: &str, now: &str) -> Result<(), StoreError>;
}

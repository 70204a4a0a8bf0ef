//! Opens the store that a URL names.

use std::sync::Arc;

use atlas_model::StoreKey;
use atlas_store::{Store, StoreError};

use crate::postgres::{CONNECTIONS, PostgresStore};
use crate::sqlite::SqliteStore;
use crate::url::StoreUrl;

/// Opens the store that a URL names (`postgres://…`, `postgresql://…`, `sqlite:FILE`). Creates an
/// embedded database that is not there; touches no table. With a key, secrets are sealed when they
/// are written; without one they stand in the clear.
pub async fn open(url: &StoreUrl, key: Option<StoreKey>) -> Result<Arc<dyn Store>, StoreError> {
    open_with(url, key, CONNECTIONS).await
}

/// The same with at most so many connections to a server, within
/// [`CONNECTIONS_WITHIN`](crate::CONNECTIONS_WITHIN).
pub async fn open_with(
    url: &StoreUrl,
    key: Option<StoreKey>,
    connections: usize,
) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        StoreUrl::Postgres(options) => Ok(Arc::new(PostgresStore::open(options, key, connections).await?)),
        StoreUrl::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path, key).await?)),
    }
}

//! The tables in PostgreSQL and in SQLite: the only room that knows a database's driver.
//!
//! All SQL of the product stands in this folder and in `migrations/`. Errors are sorted by what the
//! caller can do about them ([`Fault`](atlas_store::Fault)).
//!
//! - `url`       which database, and where
//! - `postgres`, `sqlite`  the two, each with its `dialect` and what is its own
//! - `both/`     what is the same on both: modules that each of the two compiles with its dialect
//! - `brief`     transactions whose statements may take only so long
//! - `rows`, `values`  how rows become values of the model
//! - `slices`    what the slices of a divided scrap add up to
//! - `seal`      secrets at rest
//! - `tables`, `columns`  our tables, and columns that several statements name
//! - `migrations`  the files of `migrations/`, embedded
//! - `error`, `harmless`  what a database says, and whose fault it is
//! - `verify`    the two queries for people who look for themselves
//! - `suite`     the tests that both must pass

#![allow(clippy::duplicate_mod, reason = "the modules of both/ are compiled for each database")]

#[macro_use]
mod columns;

mod brief;
mod error;
mod harmless;
mod migrations;
mod postgres;
mod rows;
mod seal;
mod slices;
mod sqlite;
#[cfg(test)]
mod suite;
mod tables;
mod url;
mod values;
mod verify;

use std::sync::Arc;

use atlas_model::StoreKey;
use atlas_store::{Store, StoreError};

pub use self::migrations::{POSTGRES_SQL, SQLITE_SQL};
pub use self::postgres::PostgresStore;
pub use self::sqlite::SqliteStore;
pub use self::url::StoreUrl;
pub use self::verify::{VERIFY_NEWEST, VERIFY_TOTALS};

/// Default number of a process's connections to a server.
pub const CONNECTIONS: usize = 25;
/// Range of the setting for connections: fewer would not do for a run.
pub const CONNECTIONS_WITHIN: std::ops::RangeInclusive<usize> = 8..=200;

/// Opens the store that a URL names (`postgres://…`, `postgresql://…`, `sqlite:FILE`). Creates an
/// embedded database that is not there; touches no table. With a key, secrets are sealed when they
/// are written; without one they stand in the clear.
pub async fn open(url: &StoreUrl, key: Option<StoreKey>) -> Result<Arc<dyn Store>, StoreError> {
    open_with(url, key, CONNECTIONS).await
}

/// The same with at most so many connections to a server, within [`CONNECTIONS_WITHIN`].
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

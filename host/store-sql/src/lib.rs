//! The tables in PostgreSQL and in SQLite: the only room that knows a database's driver.
//!
//! All SQL of the product stands in this folder and in `migrations/`. Errors are sorted by what the
//! caller can do about them ([`Fault`](atlas_store::Fault)).
//!
//! - `open`      opens the store that a URL names
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
mod open;
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

pub use self::migrations::{POSTGRES_SQL, SQLITE_SQL};
pub use self::open::{open, open_with};
pub use self::postgres::{CONNECTIONS, CONNECTIONS_WITHIN, PostgresStore};
pub use self::sqlite::SqliteStore;
pub use self::url::StoreUrl;
pub use self::verify::{VERIFY_NEWEST, VERIFY_TOTALS};

//! SQLite, embedded: nothing to install. WAL, `synchronous=FULL`, foreign keys on, and one writer:
//! a database file takes one at a time, so more would only wait for each other. Readers have
//! connections of their own and never wait.
//!
//! The modules of `both/` are compiled here and for the other database, each time with the
//! `dialect` beside them.

#[macro_use]
pub(crate) mod dialect;

mod concerns;
mod insert;
mod ledger;
mod place;
mod pools;
mod schema;
mod statements;
mod store;

#[path = "../both/access.rs"]
mod access;
#[path = "../both/browse.rs"]
mod browse;
#[path = "../both/budgets.rs"]
mod budgets;
#[path = "../both/clients.rs"]
mod clients;
#[path = "../both/credentials.rs"]
mod credentials;
#[path = "../both/cursors.rs"]
pub(crate) mod cursors;
#[path = "../both/frontier.rs"]
mod frontier;
#[path = "../both/history.rs"]
mod history;
#[path = "../both/proof.rs"]
mod proof;
#[path = "../both/publications.rs"]
pub(crate) mod publications;
#[path = "../both/quarantine.rs"]
mod quarantine;
#[path = "../both/queue.rs"]
mod queue;
#[path = "../both/records.rs"]
mod records;
#[path = "../both/schedules.rs"]
mod schedules;
#[path = "../both/scraps.rs"]
mod scraps;
#[path = "../both/settings.rs"]
mod settings;
#[path = "../both/usage.rs"]
mod usage;

pub use self::store::SqliteStore;

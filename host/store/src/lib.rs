//! The interface to the database, one trait for each kind of row, and errors sorted by what can be
//! done about them.
//!
//! A store decides nothing about scraps: it does what the pipeline says, each call atomic. Which
//! database is behind it, nothing here knows: no SQL, and no driver.
//!
//! - [`Store`]   all of it: what the host holds as `Arc<dyn Store>`
//! - [`StoreError`], [`Fault`]  what can go wrong, by what to do about it
//! - [`Scraps`], [`Frontier`], [`Records`], [`Proof`], [`Cursors`] an extraction, from its creation
//!   to its proof
//! - [`Queue`], [`Schedules`], [`Budgets`]  when scraps run, where, and how fast
//! - [`Clients`], [`Defaults`], [`Settings`], [`CredentialLock`]  clients, and what is theirs
//! - [`Publications`], [`Quarantine`]  versions of connectors, for all hosts
//! - [`Doors`]   what opens the page and the API
//! - [`Browse`], [`History`], [`Usages`]  what people look at

mod access;
mod browse;
mod budgets;
mod clients;
mod credential_lock;
mod cursors;
mod error;
mod frontier;
mod history;
mod proof;
mod publications;
mod quarantine;
mod queue;
mod records;
mod schedules;
mod scraps;
mod settings;
mod store;
mod usage;

use std::time::Duration;

pub use self::access::Doors;
pub use self::browse::Browse;
pub use self::budgets::Budgets;
pub use self::clients::{Clients, Defaults};
pub use self::credential_lock::{CREDENTIAL_LEASE, CredentialLock};
pub use self::cursors::Cursors;
pub use self::error::{Fault, StoreError, Trait};
pub use self::frontier::Frontier;
pub use self::history::History;
pub use self::proof::Proof;
pub use self::publications::Publications;
pub use self::quarantine::Quarantine;
pub use self::queue::Queue;
pub use self::records::Records;
pub use self::schedules::Schedules;
pub use self::scraps::Scraps;
pub use self::settings::Settings;
pub use self::store::Store;
pub use self::usage::Usages;

/// Time limit of one statement of the queue, schedules or budgets, which all clients wait for, or
/// of a page's query, which a person waits for.
pub const STATEMENT_MAX: Duration = Duration::from_secs(20);

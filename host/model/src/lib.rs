//! The values that the rooms of the host hand to each other. Plain data: nothing here knows a
//! database, HTTP or WebAssembly, and no value of a secret can be printed.
//!
//! - [`mod@notice`]  messages before they have a language
//! - [`limits`]      every limit by its name
//! - `secret`, `store_key`  secrets, credentials of several parts, and the key that seals them
//! - `clients`       clients and their APIs
//! - `scraps`, `pages`, `records`  what is extracted, page by page
//! - `request`       requests as connectors make them
//! - `queue`, `schedules`, `budgets`  when a scrap runs, and how much it may ask for
//! - `publications`, `quarantine`  versions of connectors that concern all hosts
//! - `history`, `usage`, `browse`  what is kept about scraps and clients, and what people look at
//! - `access`        what opens the page and the API
//! - `schema`        what a database has of our tables

mod access;
mod browse;
mod budgets;
mod clients;
mod history;
pub mod limits;
pub mod notice;
mod pages;
mod publications;
mod quarantine;
mod queue;
mod records;
mod request;
mod schedules;
mod schema;
mod scraps;
mod secret;
mod store_key;
mod subject;
mod usage;

pub use self::access::*;
pub use self::browse::*;
pub use self::budgets::*;
pub use self::clients::*;
pub use self::history::*;
pub use self::limits::{Limits, OwnLimits};
pub use self::notice::Notice;
pub use self::pages::*;
pub use self::publications::*;
pub use self::quarantine::*;
pub use self::queue::*;
pub use self::records::*;
pub use self::request::*;
pub use self::schedules::*;
pub use self::schema::*;
pub use self::scraps::*;
pub use self::secret::*;
pub use self::store_key::*;
pub use self::subject::Subject;
pub use self::usage::*;

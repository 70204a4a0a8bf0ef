//! The run of a scrap: from its frontier to a page, from the page to its records, through the queue
//! to the writers, and back to the frontier with a checkpoint.
//!
//! The pipeline is handed a source of pages and a store, and knows nothing of what is behind
//! either. Its promise: a record that entered is, when its page is checkpointed, in the table or
//! among the rejected, and the counts say which.
//!
//! In the order in which data walks through:
//!
//! - `job`          what a run needs to know, and how it can end
//! - `page_source`  where pages come from
//! - `frontier`     the cursors still to be fetched, as much of them as memory should hold
//! - `coordinator` dispatches pages, decides when the run ends, and takes the second look at the
//!   source
//! - `second_look`  whether the source stood still while it was read
//! - `page`         one page's life, from its cursor to its checkpoint
//! - `retry`        how long to wait before a page is tried again
//! - `record`       records checked and hashed
//! - `seen`         whether a reading brought the same record twice
//! - `queue`        bounded, between pages and writers
//! - `writer`       from the queue into the table
//! - `patience`     when a call of the store is made again
//! - `ledger`       begin marks and checkpoints, grouped into few transactions
//! - `progress`     the events that observers of a run get

mod coordinator;
mod frontier;
mod job;
mod ledger;

mod page;
mod page_source;
mod patience;
mod progress;
mod queue;
mod record;
mod retry;
mod second_look;
mod seen;
mod writer;

pub use self::coordinator::{ClientBudget, client_budgets, run};
pub use self::job::{Differences, End, Job, Reservation, RunSettings};
pub use self::page_source::{FetchFailure, FetchedPage, Fetcher, Held, HeldVersion, PageSource};
pub use self::patience::patiently;
pub use self::progress::{Event, Observer};
pub use self::record::content_hash;
pub use self::retry::RetryPolicy;

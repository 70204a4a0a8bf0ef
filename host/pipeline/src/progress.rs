//! Events of a run, and the trait of its observers. Observers are called from the middle of the
//! pipeline: they must be quick, and must not block.

use std::time::Duration;

use atlas_model::Counts;

/// An event of a run.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A record entered the queue; its hash in hex.
    Queued(&'a str),
    /// A record is durable as a new row.
    Inserted,
    /// A batch of records is durable, or known to have been.
    Written {
        /// Records.
        records: usize,
        /// Bytes of their texts.
        bytes: usize,
        /// From the first try until the database had it.
        elapsed: Duration,
    },
    /// A page is checkpointed.
    Page {
        /// How many pages of the scrap are, with this one.
        number: i64,
        /// How many more are known.
        frontier: i64,
        /// What became of its records.
        counts: Counts,
        /// What the source declared on it.
        total_records: Option<i64>,
        /// From the first request to the checkpoint.
        elapsed: Duration,
    },
    /// An attempt at a page failed and will be repeated.
    Attempt {
        /// Which, from 1.
        attempt: u32,
        /// Of how many.
        of: u32,
        /// How long until the next.
        wait: Duration,
        /// What happened.
        reason: &'a str,
    },
    /// A page's data is not ready; the page is tried again. Counts as no failure.
    NotReady {
        /// Which of the tries at the page this was, from 1.
        tried: u32,
        /// Of how many.
        of: u32,
        /// How long until the next.
        wait: Duration,
        /// What the connector made of the answer.
        reason: &'a str,
    },
    /// A record was rejected.
    Rejected {
        /// Why, for programs.
        code: &'a str,
        /// Why, for people.
        reason: &'a str,
    },
    /// The frontier is empty: the first page is asked for again.
    SecondLook,
    /// The source moved: its pages are swept again.
    SweepAgain {
        /// The sweep that begins, from 1.
        sweep: i32,
    },
    /// A page waits for the client's budget at the API.
    Throttled {
        /// What is spent, or who asked for the wait.
        reason: &'a str,
        /// How long it waits.
        wait: Duration,
    },
    /// A connector logged a line.
    Logged {
        /// It, on one line.
        line: &'a str,
    },
    /// The database does not answer; writing waits and tries again.
    StoreWaiting {
        /// What it said.
        reason: &'a str,
        /// How long until the next attempt.
        wait: Duration,
    },
}

/// An observer of a run.
pub trait Observer: Send + Sync {
    /// Receives an event.
    fn on(&self, event: Event<'_>);
}

//! Live events: each listener receives all of them in order, or a notice that some are missing.
//!
//! Scraps may run on any host, so their events are made from the database, which is polled twice a
//! second (`watch`). What only this process knows (slow pages, waits, attempts) comes from its own
//! runs (`runs`).
//!
//! - `journal`  the events, kept for listeners that reconnect
//! - `runs`     what this process's runs say of themselves
//! - `watch`    scraps that change
//! - `listeners`  how many listen at once
//! - `stream`   the events as server-sent events

mod journal;
mod listeners;
mod runs;
mod stream;
mod watch;

use atlas_model::{Notice, Scrap};

pub(super) use self::journal::{EventId, Journal};
pub(super) use self::listeners::Listeners;
pub(super) use self::runs::Runs;
pub(super) use self::stream::{Wanted, stream};
pub(super) use self::watch::Watch;

/// An event for listeners.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// A scrap changed.
    Scrap(Box<Live>),
    /// A line of a scrap's log, or of the house's.
    Line {
        /// The scrap.
        scrap_id: Option<i64>,
        /// What to say.
        notice: Notice,
    },
    /// The database stopped answering, or answers again.
    Store {
        /// Whether it does.
        answers: bool,
    },
    /// Something happened to a connector.
    Connector {
        /// What to say.
        notice: Notice,
    },
}

/// A scrap as it stands, and how it goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Live {
    pub(super) scrap: Scrap,
    /// Records a second, over the last look.
    pub(super) rate: f64,
    /// Mean time of a page, from its request to its checkpoint, in milliseconds; none: run
    /// elsewhere, or none came.
    pub(super) page_ms: Option<f64>,
    /// How long it still takes at this rate, in seconds, where that can be known.
    pub(super) left_s: Option<f64>,
    /// Until when its requests wait (RFC 3339).
    pub(super) throttled_until: Option<String>,
    /// Attempts at pages that failed, in this run.
    pub(super) attempts: u64,
}

//! What happens while somebody looks: told to every listener, in order, completely or with a word
//! that something is missing.
//!
//! Scraps may be run by any host, so what is told of them is what the database has, looked at twice
//! a second (`watch`). What only this process knows, pages that are slow, waits, attempts, comes
//! from its own runs (`runs`).
//!
//! - `journal`  the events, kept for those who come back
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

/// Something that listeners are told.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// A scrap is as it was not before.
    Scrap(Box<Live>),
    /// A line of a scrap's log, or of the house's.
    Line {
        /// The scrap.
        scrap_id: Option<i64>,
        /// What to say.
        notice: Notice,
    },
    /// The database does not answer, or does again.
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

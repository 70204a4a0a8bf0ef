//! What happens, as listeners receive it.

use atlas_model::{Notice, Scrap};

/// An event for listeners.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// A scrap changed.
    Scrap(Box<Live>),
    /// A line of a scrap's log, or of this process.
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
pub(crate) struct Live {
    pub(crate) scrap: Scrap,
    /// Records a second, over the last look.
    pub(crate) rate: f64,
    /// Mean time of a page, from its request to its checkpoint, in milliseconds; none: run
    /// elsewhere, or none came.
    pub(crate) page_ms: Option<f64>,
    /// How long it still takes at this rate, in seconds, where that can be known.
    pub(crate) left_s: Option<f64>,
    /// Until when its requests wait (RFC 3339).
    pub(crate) throttled_until: Option<String>,
    /// Attempts at pages that failed, in this run.
    pub(crate) attempts: u64,
}

//! Usage counters of a route's pages: their number, outcomes and cost.

use atlas_pipeline::FetchFailure;
use atlas_sandbox::Spent;
use serde::{Deserialize, Serialize};

/// Totals over the attempts at a route's pages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Pages that were fetched.
    pub pages: u64,
    /// Attempts that ended in a trap, or at a limit.
    pub traps: u64,
    /// Requests that the host refused.
    pub refusals: u64,
    /// CPU time of guest code, in microseconds.
    pub cpu_us: u64,
    /// The most memory that one instance held, in bytes.
    pub peak_memory: u64,
}

/// How an attempt at a page ended, as far as it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// With the page.
    Page,
    /// In a trap, or at a limit.
    Stopped,
    /// Otherwise.
    Without,
}

impl Ended {
    /// How a call ended that gave this. One that the host ended was stopped, whatever it gave.
    pub(super) fn of<T>(page: &Result<T, FetchFailure>, ended_by_itself: bool) -> Self {
        match page {
            _ if !ended_by_itself => Self::Stopped,
            Ok(_) => Self::Page,
            Err(FetchFailure::Crashed(_) | FetchFailure::Limit { .. }) => Self::Stopped,
            Err(_) => Self::Without,
        }
    }
}

impl Usage {
    /// One attempt at a page.
    pub(super) fn of_attempt(ended: Ended, refusals: u32, spent: Spent) -> Self {
        Self {
            pages: (ended == Ended::Page).into(),
            traps: (ended == Ended::Stopped).into(),
            refusals: refusals.into(),
            cpu_us: u64::try_from(spent.cpu.as_micros()).unwrap_or(u64::MAX),
            peak_memory: spent.peak_memory as u64,
        }
    }

    /// Adds what another has counted.
    pub(super) fn add(&mut self, other: &Self) {
        self.pages += other.pages;
        self.traps += other.traps;
        self.refusals += other.refusals;
        self.cpu_us = self.cpu_us.saturating_add(other.cpu_us);
        self.peak_memory = self.peak_memory.max(other.peak_memory);
    }
}

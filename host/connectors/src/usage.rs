//! Usage counters of each route's pages: their number, outcomes and cost. Counted in this process
//! as pages end, and added now and then to the totals of all processes of the installation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atlas_pipeline::FetchFailure;
use serde::{Deserialize, Serialize};

use super::state::StateFolder;

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
    /// The outcome of a call that returned.
    pub(super) fn of<T>(fetched: &Result<T, FetchFailure>) -> Self {
        match fetched {
            Ok(_) => Self::Page,
            Err(FetchFailure::Crashed(_) | FetchFailure::Limit { .. }) => Self::Stopped,
            Err(_) => Self::Without,
        }
    }
}

impl Usage {
    /// One attempt at a page.
    pub(super) fn of_attempt(ended: Ended, refusals: u32, cpu: Duration, memory: usize) -> Self {
        Self {
            pages: (ended == Ended::Page).into(),
            traps: (ended == Ended::Stopped).into(),
            refusals: refusals.into(),
            cpu_us: u64::try_from(cpu.as_micros()).unwrap_or(u64::MAX),
            peak_memory: memory as u64,
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

/// What this process has counted and not written down yet, by route.
#[derive(Default)]
pub(super) struct UsageMeter {
    routes: Mutex<BTreeMap<String, Usage>>,
}

impl UsageMeter {
    pub(super) fn note(&self, route: &str, attempt: &Usage) {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        match routes.get_mut(route) {
            Some(usage) => usage.add(attempt),
            None => {
                routes.insert(route.to_owned(), *attempt);
            }
        }
    }

    /// Adds the counts to the files. Counts that cannot be written are kept for the next time. Call
    /// it where blocking is allowed.
    pub(super) fn write_down(&self, state: &StateFolder) {
        let counted = std::mem::take(&mut *self.routes.lock().unwrap_or_else(PoisonError::into_inner));
        for (route, usage) in counted {
            if let Err(error) = state.add_usage(&route, &usage) {
                tracing::warn!(rota = %route, %error, "what the connector used is not written down");
                self.note(&route, &usage);
            }
        }
    }
}

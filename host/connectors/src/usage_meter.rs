//! The counts of this process's pages, added now and then to the totals of all processes of the
//! installation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::state::StateFolder;
use super::usage::Usage;

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

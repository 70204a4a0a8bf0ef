//! Events of a folder of connectors, and the trait of its observers.

use std::path::PathBuf;
use std::sync::Arc;

use super::load::{Connector, LoadError};
use super::state::HoldReason;
use super::trial::Trial;

/// An event of a connector.
#[derive(Clone)]
pub enum RegistryEvent {
    /// A version serves from the next page on.
    TookOver {
        /// It.
        connector: Arc<Connector>,
        /// What its trial showed.
        trial: Trial,
    },
    /// A version waits for the operator's decision.
    Held {
        /// It.
        connector: Arc<Connector>,
        /// The version that goes on serving; `None` if it is no longer kept.
        present: Option<Arc<Connector>>,
        /// Why.
        reasons: Vec<HoldReason>,
    },
    /// A file was refused.
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        error: LoadError,
        /// The version that goes on serving, if the file served a route.
        present: Option<Arc<Connector>>,
    },
    /// An earlier version serves from the next page on, as the operator wanted.
    RolledBack {
        /// It.
        connector: Arc<Connector>,
    },
    /// A file is gone.
    Removed {
        /// The file.
        path: PathBuf,
        /// The version that goes on serving.
        connector: Arc<Connector>,
    },
}

impl RegistryEvent {
    /// Whether the route is served by another version than the one in the folder.
    pub(super) fn is_a_reservation(&self) -> bool {
        match self {
            Self::Refused { present, .. } => present.is_some(),
            Self::Held { .. } | Self::RolledBack { .. } => true,
            Self::TookOver { .. } | Self::Removed { .. } => false,
        }
    }
}

/// An observer of a folder of connectors.
pub trait RegistryObserver: Send + Sync {
    /// Receives an event. Must not block.
    fn on(&self, event: &RegistryEvent);
}

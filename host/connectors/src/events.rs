//! What happens to the connectors of a folder while somebody watches it.

use std::path::PathBuf;
use std::sync::Arc;

use super::load::{Connector, LoadError};
use super::state::HoldReason;
use super::trial::Trial;

/// Something happened to a connector.
#[derive(Clone)]
pub enum RegistryEvent {
    /// A version serves from the next page on.
    TookOver {
        /// It.
        connector: Arc<Connector>,
        /// What its trial showed.
        trial: Trial,
    },
    /// A version waits for the operator's word.
    Held {
        /// It.
        connector: Arc<Connector>,
        /// What goes on; none if it is kept no more.
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
        /// What goes on, if the file served a route.
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
        /// What goes on.
        connector: Arc<Connector>,
    },
}

impl RegistryEvent {
    /// Whether something else serves than what stands in the folder.
    pub(super) fn is_a_reservation(&self) -> bool {
        match self {
            Self::Refused { present, .. } => present.is_some(),
            Self::Held { .. } | Self::RolledBack { .. } => true,
            Self::TookOver { .. } | Self::Removed { .. } => false,
        }
    }
}

/// Whoever wants to know.
pub trait RegistryObserver: Send + Sync {
    /// Something happened. Must not block.
    fn on(&self, event: &RegistryEvent);
}

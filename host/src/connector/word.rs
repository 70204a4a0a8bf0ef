//! The operator's word on versions: to accept one that is held, and to go back to an earlier one. Written down where every
//! running process looks, so a command is enough.

use std::io;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::registry::RegistryFolders;
use super::state::{Held, KeptVersion, Rollback, StateFolder};

/// Why the operator's word could not be taken.
#[derive(Debug, Error)]
pub enum WordError {
    /// Nothing of the route waits.
    #[error("nothing of the route {route:?} is held")]
    NothingHeld {
        /// The route.
        route: String,
    },
    /// No such version is kept.
    #[error("no version {digest:?} of the route {route:?} is kept")]
    NoSuchVersion {
        /// The route.
        route: String,
        /// The digest asked for, or `-` for the one before.
        digest: String,
    },
    /// The files of the state could not be read or written.
    #[error("what is remembered of the route could not be changed: {0}")]
    State(#[from] io::Error),
}

/// Accepts the version of a route that is held. Reads and writes files.
pub fn accept(folders: &RegistryFolders, route: &str) -> Result<Held, WordError> {
    let state = StateFolder::open(folders.state.as_deref(), &folders.connectors);
    let held = state.update(route, |state| state.accept())?.flatten();
    held.ok_or_else(|| WordError::NothingHeld { route: route.to_owned() })
}

/// Has an earlier version of a route serve until its file changes: the one whose digest begins like this, else the one that
/// served before the present one. Reads and writes files.
pub fn roll_back(folders: &RegistryFolders, route: &str, digest: Option<&str>) -> Result<KeptVersion, WordError> {
    let state = StateFolder::open(folders.state.as_deref(), &folders.connectors);
    let file = folders.connectors.join(state.route(route).file);
    // A file that is gone changes as soon as one is there again.
    let over = match std::fs::read(file) {
        Ok(bytes) => Sha256::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect(),
        Err(_) => String::new(),
    };
    let earlier = state.update(route, |remembered| {
        let earlier = remembered.earlier(digest).filter(|version| state.kept(&version.sha256).is_some())?.clone();
        remembered.serving = Some(earlier.sha256.clone());
        remembered.rollback = Some(Rollback { to: earlier.sha256.clone(), over });
        Some(earlier)
    })?;
    earlier
        .flatten()
        .ok_or_else(|| WordError::NoSuchVersion { route: route.to_owned(), digest: digest.unwrap_or("-").to_owned() })
}

//! The operator's decisions on versions: to accept one that is held or refused, and to go back to
//! an earlier one. They are recorded in the state folder, which every running process watches, so a
//! command is enough.

use std::io;

use thiserror::Error;

use super::load;
use super::registry::RegistryFolders;
use super::state::{KeptVersion, Rollback, StateFolder, Waiting};

/// Why an operator's decision could not be carried out.
#[derive(Debug, Error)]
pub enum DecisionError {
    /// Nothing of the route waits.
    #[error("nothing of the route {route:?} is held")]
    NothingHeld {
        /// The route.
        route: String,
    },
    /// What waits is not what was meant.
    #[error("what waits of the route {route:?} is {waits}, not {digest:?}")]
    AnotherWaits {
        /// The route.
        route: String,
        /// Its version, for people.
        version: String,
        /// Its digest.
        waits: String,
        /// The digest asked for.
        digest: String,
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

/// Accepts the waiting version of a route, held or refused by its trial. With a digest, only the
/// one whose digest begins like it. Reads and writes files.
pub fn accept(folders: &RegistryFolders, route: &str, digest: Option<&str>) -> Result<Waiting, DecisionError> {
    let state = StateFolder::open(folders.state.as_deref(), &folders.connectors);
    let digest = digest.map(str::to_ascii_lowercase);
    let digest = digest.as_deref();
    let (waiting, accepted) = state.update(route, |state| (state.waiting(), state.accept(digest)))?.unwrap_or_default();
    let route = route.to_owned();
    match (accepted, waiting, digest) {
        (Some(accepted), _, _) => Ok(accepted),
        (None, Some(Waiting { sha256, version }), Some(digest)) => {
            Err(DecisionError::AnotherWaits { route, version, waits: sha256, digest: digest.to_owned() })
        }
        (None, _, _) => Err(DecisionError::NothingHeld { route }),
    }
}

/// Lets an earlier version of a route serve until its file changes: the one whose digest begins
/// like this, else the one that served before the present one. `component_bytes` is the most that
/// is read of the file. Reads and writes files.
pub fn roll_back(
    folders: &RegistryFolders,
    component_bytes: usize,
    route: &str,
    digest: Option<&str>,
) -> Result<KeptVersion, DecisionError> {
    let state = StateFolder::open(folders.state.as_deref(), &folders.connectors);
    let file = folders.connectors.join(state.route(route).file);
    // For a file that is missing or unreadable the digest is empty, so that any readable file ends
    // the rollback.
    let over = load::digest(&file, component_bytes).unwrap_or_default();
    let earlier = state.update(route, |remembered| {
        let earlier = remembered.earlier(digest).filter(|version| state.kept(&version.sha256).is_some())?.clone();
        remembered.serving = Some(earlier.sha256.clone());
        remembered.rollback = Some(Rollback { to: earlier.sha256.clone(), over });
        Some(earlier)
    })?;
    earlier.flatten().ok_or_else(|| DecisionError::NoSuchVersion {
        route: route.to_owned(),
        digest: digest.unwrap_or("-").to_owned(),
    })
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn kept(sha256: &str) -> KeptVersion {
        KeptVersion { sha256: sha256.to_owned(), ..KeptVersion::default() }
    }

    /// An installation with a route that was served by two versions, the newer one from
    /// `pedido.wasm`.
    fn installation(place: &Path) -> (RegistryFolders, StateFolder) {
        let [connectors, state] = ["connectors", "state"].map(|name| place.join(name));
        fs::create_dir(&connectors).unwrap();
        let folders = RegistryFolders { connectors, cache: None, state: Some(state) };
        let state = StateFolder::open(folders.state.as_deref(), &folders.connectors);
        let digests = ["bb", "aa"].map(|digit| digit.repeat(32));
        for digest in &digests {
            let versions = state.routes_folder().unwrap().with_file_name("versions");
            fs::write(versions.join(format!("{digest}.wasm")), "x").unwrap();
        }
        let changed = state.update("pedido", |route| {
            route.file = "pedido.wasm".to_owned();
            route.serving = Some(digests[0].clone());
            route.history = digests.iter().map(|digest| kept(digest)).collect();
        });
        changed.unwrap().unwrap();
        (folders, state)
    }

    #[test]
    fn a_rollback_waits_for_no_pipe_and_reads_no_device_and_nothing_past_the_limit() {
        let place = tempfile::tempdir().unwrap();
        let (folders, state) = installation(place.path());
        let file = folders.connectors.join("pedido.wasm");
        let puts: [fn(&Path); 5] = [
            |file| assert!(std::process::Command::new("mkfifo").arg(file).status().unwrap().success()),
            |file| std::os::unix::fs::symlink("/dev/zero", file).unwrap(),
            |file| fs::File::create(file).unwrap().set_len(1001).unwrap(),
            |file| fs::create_dir(file).unwrap(),
            |_| (),
        ];
        for put in puts {
            put(&file);
            let earlier = roll_back(&folders, 1000, "pedido", Some("aa")).unwrap();
            assert_eq!(earlier.sha256, "aa".repeat(32));
            assert_eq!(state.route("pedido").rollback.unwrap().over, "");
            if file.is_dir() { fs::remove_dir(&file).unwrap() } else { fs::remove_file(&file).unwrap_or_default() }
        }
        fs::write(&file, "abc").unwrap();
        roll_back(&folders, 1000, "pedido", Some("aa")).unwrap();
        assert!(state.route("pedido").rollback.unwrap().over.starts_with("ba7816bf"));
    }
}

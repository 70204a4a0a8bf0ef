//! Takes versions that were published to all hosts into the folder of connectors, where they are
//! loaded like its other files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use atlas_sandbox::private::write_aside;
use sha2::{Digest, Sha256};

use super::super::load::signature_file;
use super::Registry;

/// A version that was published.
pub struct Arrival {
    /// The publication's name, which differs even from another publication of the same version.
    pub publication: String,
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
    /// The component.
    pub component: Vec<u8>,
    /// Its signature's file.
    pub signature: Option<Vec<u8>>,
    /// Whether the operator accepted it for every host.
    pub accepted: bool,
}

impl Arrival {
    fn checked(&self) -> io::Result<()> {
        let digest: String = Sha256::digest(&self.component).iter().map(|byte| format!("{byte:02x}")).collect();
        if digest == self.sha256 {
            return Ok(());
        }
        let what = format!("its bytes have the digest {digest}, and not {}, as is said of it", self.sha256);
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }
}

impl Registry {
    /// Whether a publication was put into the folder before, even if the file was replaced since.
    pub async fn has_taken(&self, route: &str, publication: &str, sha256: &str) -> bool {
        let taken = self.with_state(route, |state, route| state.route(route).published).await.flatten();
        match taken {
            Some(taken) => taken == publication,
            // Without a state folder, the route's file itself has to tell.
            None => self.remembers_nothing() && self.has_in_its_file(route, sha256),
        }
    }

    /// Writes a version to the file of its route, as an operator would by copying it there.
    pub async fn put(&self, route: &str, arrival: Arrival) -> io::Result<()> {
        let is_name = route.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !is_name || route.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its route is no name that a file could have"));
        }
        let path = self.file_of(route).unwrap_or_else(|| self.folder.join(format!("{route}.wasm")));
        let stands_there = self.has_in_its_file(route, &arrival.sha256);
        let file = path.clone();
        let written = self.with_state(route, move |state, route| {
            arrival.checked()?;
            if arrival.accepted {
                state.update(route, |remembered| remembered.accept_beforehand(&arrival.sha256))?;
            }
            // Written before the component, which may be trusted by its signature alone.
            write_signature(&file, arrival.signature.as_deref())?;
            if !stands_there {
                write_aside(&file, &arrival.component)?;
            }
            // Recorded last: a process that dies before this repeats all of it.
            state.update(route, |remembered| remembered.published = Some(arrival.publication)).map(drop)
        });
        written.await.unwrap_or_else(|| Err(io::Error::other("the work on it was given up")))?;
        if !self.is_watched() {
            self.take_up(path).await;
        }
        Ok(())
    }

    /// Keeps a version that a scrap needs, without letting it serve. False if this host keeps no
    /// versions.
    pub async fn keep_version(&self, arrival: Arrival) -> io::Result<bool> {
        let kept = self.with_state("", move |state, _| {
            arrival.checked()?;
            state.keep_file(&arrival.sha256, &arrival.component, arrival.signature.as_deref())
        });
        kept.await.unwrap_or(Ok(false))
    }

    /// Whether versions are neither kept nor remembered.
    pub fn remembers_nothing(&self) -> bool {
        self.state.routes_folder().is_none()
    }

    /// Goes through a file before anything is watched.
    async fn take_up(&self, path: PathBuf) {
        let loaded = self.go_through(path).await;
        let event = self.settle(loaded).await;
        let worth_telling = event.filter(|event| event.is_a_reservation());
        self.live_mut().untold.extend(worth_telling);
    }

    fn has_in_its_file(&self, route: &str, sha256: &str) -> bool {
        let entry = self.file_of(route).and_then(|path| self.entry(&path));
        entry.is_some_and(|entry| entry.sha256.as_deref() == Some(sha256))
    }
}

/// The signature that came with a component, or none: an older one's would be wrong.
fn write_signature(component: &Path, signature: Option<&[u8]>) -> io::Result<()> {
    let path = signature_file(component);
    match signature {
        Some(text) => write_aside(&path, text),
        None => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

//! Loads a file as a connector that is ready to fetch pages, or returns why it is refused. The
//! checks, in the order in which they are made, the cheapest first:
//!
//! 1. `file`: a regular file within its size, read once, and its digest
//! 2. `trust`: the operator's pins and signatures, by the file's name
//! 3. the sandbox: a component, of a bounded number of parts; what it imports, and for which
//!    version of the contract it was made; which WebAssembly it uses; compiled, in a child process,
//!    and linked against that version
//! 4. what it says of itself: `describe`, in that child, under all limits and without HTTP; once
//!    for each digest
//! 5. `trust` once more, by the route that it claims: no file gets round a pin by another name

mod error;
mod file;
mod trust;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use atlas_model::Limits;
use atlas_pipeline::Fetcher;
use atlas_sandbox::{ComponentError, ComponentLoader, LinkedComponent, LoadedComponent, Source, inspect};
use bytes::Bytes;

pub use self::error::LoadError;
pub use self::file::ComponentFile;
pub(super) use self::file::Origin;
#[cfg(test)]
pub(super) use self::trust::verify;
pub use self::trust::{
    Pin, PinError, PublicKey, TrustError, TrustPolicy, public_key, signature_file, verify_signature,
};
use super::descriptor::Descriptor;

/// A connector that is ready to fetch pages.
pub struct Connector {
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// Its file.
    pub path: PathBuf,
    /// The file's bytes: the file itself may be another by now.
    pub(super) bytes: Bytes,
    /// The bytes of its signature's file, if it has one, to be kept together with the component.
    pub(super) signature: Option<Vec<u8>>,
    /// The facts of this version that go with each of its pages.
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) linked: LinkedComponent,
    /// The version of the contract that it was made for; none if it imports nothing of it.
    pub(super) made_for: Option<String>,
}

impl Connector {
    /// Whether it has a signature's file. The signature is verified only where the operator demands
    /// keys for its route; there, a connector with a bad one is never loaded.
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }
}

impl Connector {
    /// The file's bytes.
    pub fn component(&self) -> &[u8] {
        &self.bytes
    }

    /// Its signature's file.
    pub fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }
}

/// Loads files: what loads their components, the limits, and the operator's pins.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) components: ComponentLoader,
    limits: Limits,
    trust: Arc<TrustPolicy>,
}

impl Loader {
    pub(super) fn new(components: ComponentLoader, limits: &Limits, trust: Arc<TrustPolicy>) -> Self {
        Self { components, limits: *limits, trust }
    }

    /// Loads one file.
    pub(super) async fn load(&self, path: &Path, origin: Origin) -> Result<Connector, LoadError> {
        self.load_file(self.read(path, origin).await?).await
    }

    /// Reads a file.
    pub(super) async fn read(&self, path: &Path, origin: Origin) -> Result<ComponentFile, LoadError> {
        let (path, limit) = (path.to_owned(), self.limits.component_bytes);
        let read = self.components.blocking().run(move || file::read(&path, origin, limit)).await;
        read.map_err(|error| LoadError::Unreadable(error.to_string()))?
    }

    /// Makes a file that was read a connector. Dropping the future ends its compilation, and what
    /// has not begun yet of the rest.
    pub(super) async fn load_file(&self, file: ComponentFile) -> Result<Connector, LoadError> {
        let (version, file) = self.look_at(file).await?;
        let source = Source {
            sha256: &file.sha256,
            component: file.bytes.clone(),
            contract: version.clone(),
            name: file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let LoadedComponent { linked, descriptor } = self.components.load(&source).await?;
        let checked = self.components.blocking().run(move || Descriptor::check(descriptor)).await;
        let descriptor = checked.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        let file = self.check_claim(&descriptor.route, file).await?;
        let fetcher = Arc::new(Fetcher {
            sha256: file.sha256.clone(),
            key: descriptor.key.clone(),
            unhashed: descriptor.unhashed.clone(),
        });
        let ComponentFile { path, bytes, sha256, signature } = file;
        let signature = signature.ok().flatten();
        Ok(Connector { sha256, descriptor, path, bytes, signature, fetcher, linked, made_for: version })
    }

    /// The steps that look at a file's bytes: its pin by the file's name, and all that can be seen
    /// of it without compiling it.
    async fn look_at(&self, file: ComponentFile) -> Result<(Option<String>, ComponentFile), LoadError> {
        let (trust, components) = (Arc::clone(&self.trust), self.components.clone());
        let looked = self.components.blocking().run(move || {
            trust.check(&route_of_name(&file.path), &file)?;
            let inspected = components.inspect(&file.bytes)?;
            Ok((inspected.version, file))
        });
        looked.await.map_err(ComponentError::not_a_component)?
    }

    /// Checks a file against the pin of the route that it claims, unless that is its name's route,
    /// which was checked before.
    async fn check_claim(&self, route: &str, file: ComponentFile) -> Result<ComponentFile, LoadError> {
        if route == route_of_name(&file.path) {
            return Ok(file);
        }
        let (trust, route) = (Arc::clone(&self.trust), route.to_owned());
        let checked = self.components.blocking().run(move || {
            trust.check(&route, &file)?;
            Ok(file)
        });
        checked.await.map_err(ComponentError::not_a_component)?
    }
}

/// The route that a file's name promises.
fn route_of_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a component that the operator named, and looks at it without compiling it.
pub fn read_checked(path: &Path, limits: &Limits) -> Result<ComponentFile, LoadError> {
    let file = file::read(path, Origin::Named, limits.component_bytes)?;
    inspect(&file.bytes)?;
    Ok(file)
}

/// The digest of a file of the folder, if it is one that would be read at all: as [`Loader::read`]
/// has it.
pub(super) fn digest(path: &Path, limit: usize) -> Option<String> {
    file::read(path, Origin::Folder, limit).ok().map(|file| file.sha256)
}

/// Reads a small regular file that the operator named.
pub fn read_small(path: &Path, limit: usize) -> Result<Vec<u8>, LoadError> {
    file::read_bytes(path, Origin::Named, limit)
}

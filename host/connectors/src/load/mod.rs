//! Loads a file as a connector that is ready to fetch pages, or returns why it is refused. The
//! checks, in the order in which they are made, the cheapest first:
//!
//! 1. `file`: a regular file within its size, read once, and its digest
//! 2. `trust`: the operator's pins and signatures, by the file's name
//! 3. `anatomy`: a component, of a bounded number of parts
//! 4. `policy`: what it imports, and for which version of the contract it was made
//! 5. `proposals`: which WebAssembly it uses; compiled, in a child process, and linked against that
//!    version
//! 6. what it says of itself: `describe`, in that child, under all limits and without HTTP; once
//!    for each digest
//! 7. `trust` once more, by the route that it claims: no file gets round a pin by another name

mod anatomy;
mod error;
mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod policy;
mod trust;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

pub use self::error::LoadError;
pub use self::file::ComponentFile;
pub(super) use self::file::Origin;
pub use self::policy::{ImportFamily, Refused};
#[cfg(test)]
pub(super) use self::trust::verify;
pub use self::trust::{
    Pin, PinError, PublicKey, TrustError, TrustPolicy, public_key, signature_file, verify_signature,
};
use super::cache::ComponentCache;
use super::compile::{CompileError, Compiler, DescribeError, Source, Tools};
use super::contract::{self, ContractPre};
use super::descriptor::{Descriptor, DescriptorError};
use super::engine::ConnectorEngine;
use super::heavy::HeavyWork;
use super::said::Unsaid;
use atlas_model::Limits;
use atlas_pipeline::Fetcher;

/// A connector that is ready to fetch pages.
pub struct Connector {
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
    /// What it says of itself.
    pub descriptor: Descriptor,
    /// Its file.
    pub path: PathBuf,
    /// The file's bytes: the file itself may be another by now.
    pub(super) component: Bytes,
    /// The bytes of its signature's file, if it has one, to be kept together with the component.
    pub(super) signature: Option<Vec<u8>>,
    /// The facts of this version that go with each of its pages.
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) contract: ContractPre,
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
        &self.component
    }

    /// Its signature's file.
    pub fn signature(&self) -> Option<&[u8]> {
        self.signature.as_deref()
    }
}

/// Loads files: the engine, the limits and the policies that it takes.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) engine: Arc<ConnectorEngine>,
    pub(super) limits: Limits,
    pub(super) trust: Arc<TrustPolicy>,
    pub(super) cache: ComponentCache,
    pub(super) compiler: Compiler,
    /// What works on whole files.
    pub(super) heavy: HeavyWork,
}

impl Loader {
    /// Loads one file.
    pub(super) async fn load(&self, path: &Path, origin: Origin) -> Result<Connector, LoadError> {
        self.load_file(self.read(path, origin).await?).await
    }

    /// Reads a file.
    pub(super) async fn read(&self, path: &Path, origin: Origin) -> Result<ComponentFile, LoadError> {
        let (path, limit) = (path.to_owned(), self.limits.component_bytes);
        let read = self.heavy.run(move || file::read(&path, origin, limit)).await;
        read.map_err(|error| LoadError::Unreadable(error.to_string()))?
    }

    /// Makes a file that was read a connector. Dropping the future ends its compilation, and what
    /// has not begun yet of the rest.
    pub(super) async fn load_file(&self, file: ComponentFile) -> Result<Connector, LoadError> {
        let (version, file) = self.look_at(file).await?;
        let tools = Tools { engine: &self.engine, cache: &self.cache, heavy: &self.heavy };
        let source = Source {
            sha256: &file.sha256,
            component: file.bytes.clone(),
            contract: version.clone(),
            name: file.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        };
        let compiled = self.compiler.compile(&tools, &source).await.map_err(|error| match error {
            CompileError::Limit { name, value } => LoadError::CompileLimit { name, value },
            CompileError::TooSlow { seconds } => LoadError::CompileLimit { name: "compile_cpu_s", value: seconds },
            CompileError::TooLarge { limit } => LoadError::CodeTooLarge { limit },
            CompileError::Uses(proposals) => LoadError::ForbiddenProposals(proposals),
            CompileError::Failed(reason) => LoadError::not_a_component(reason),
            CompileError::Hindered(reason) => LoadError::NotCompiled(reason),
        })?;
        let contract = contract::link(self.engine.engine(), &compiled.component, &compiled.modules, version.as_deref())
            .map_err(|error| LoadError::DoesNotFit(format!("{error:#}")))?;
        let said = compiled.description(&self.limits, &tools, &source, &contract).await;
        let said = said.map_err(not_described)?;
        let checked = self.heavy.run(move || Descriptor::check(said)).await;
        let descriptor = checked.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        let file = self.check_claim(&descriptor.route, file).await?;
        let fetcher = Arc::new(Fetcher {
            sha256: file.sha256.clone(),
            key: descriptor.key.clone(),
            unhashed: descriptor.unhashed.clone(),
        });
        let ComponentFile { path, bytes, sha256, signature } = file;
        Ok(Connector {
            sha256,
            descriptor,
            path,
            component: bytes,
            signature: signature.ok().flatten(),
            fetcher,
            contract,
            made_for: version,
        })
    }

    /// The steps that look at a file's bytes: its pin by the file's name, and all that can be seen
    /// of it without compiling it.
    async fn look_at(&self, file: ComponentFile) -> Result<(Option<String>, ComponentFile), LoadError> {
        let (trust, largest_guest) = (Arc::clone(&self.trust), self.engine.largest_guest());
        let looked = self.heavy.run(move || {
            trust.check(&route_of_name(&file.path), &file)?;
            let seen = check(&file.bytes)?;
            if seen.largest_memory > largest_guest as u64 {
                return Err(LoadError::TooMuchMemory { bytes: seen.largest_memory, limit: largest_guest });
            }
            Ok((seen.version, file))
        });
        looked.await.map_err(LoadError::not_a_component)?
    }

    /// Checks a file against the pin of the route that it claims, unless that is its name's route,
    /// which was checked before.
    async fn check_claim(&self, route: &str, file: ComponentFile) -> Result<ComponentFile, LoadError> {
        if route == route_of_name(&file.path) {
            return Ok(file);
        }
        let (trust, route) = (Arc::clone(&self.trust), route.to_owned());
        let checked = self.heavy.run(move || {
            trust.check(&route, &file)?;
            Ok(file)
        });
        checked.await.map_err(LoadError::not_a_component)?
    }
}

fn not_described(error: DescribeError) -> LoadError {
    match error {
        DescribeError::Unsaid(Unsaid::Failed(reason)) => LoadError::DescribeFailed(reason),
        DescribeError::Unsaid(Unsaid::TooLong(bytes)) => DescriptorError::TooLong(bytes).into(),
        DescribeError::Ended(deadly) => LoadError::DescribeEnded { signal: deadly.name() },
        DescribeError::Hindered(reason) => LoadError::NotCompiled(reason),
    }
}

/// The route that a file's name promises.
fn route_of_name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads a component that the operator named, and looks at it without compiling it.
pub fn read_checked(path: &Path, limits: &Limits) -> Result<ComponentFile, LoadError> {
    let file = file::read(path, Origin::Named, limits.component_bytes)?;
    check(&file.bytes)?;
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

/// Facts of a component that is not compiled yet.
pub(super) struct Seen {
    /// The version of the contract that it was made for; none if it imports nothing of it.
    pub(super) version: Option<String>,
    /// Bytes that the largest of its memories begins with.
    pub(super) largest_memory: u64,
}

/// Looks at a component without compiling it: what it is made of, and what it imports.
pub(super) fn check(bytes: &[u8]) -> Result<Seen, LoadError> {
    anatomy::check_preamble(bytes)?;
    let anatomy = anatomy::look(bytes)?;
    let version = policy::check(&anatomy.imports, &contract::versions())?;
    Ok(Seen { version, largest_memory: anatomy.largest_memory })
}

//! From a file to a connector that is ready to fetch pages, or to the reason why it is none. The checks stand in the order in
//! which they are made, the cheapest first: size, digest, what kind of file it is, what it imports, whether it fits the
//! contract, and what it says of itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use thiserror::Error;
use wasmtime::component::{Component, HasSelf, Linker};

use super::bindings::{self, ConnectorPre};
use super::cache::ComponentCache;
use super::compile::{CompileError, Compiler};
use super::descriptor::{Descriptor, DescriptorError};
use super::engine::ConnectorEngine;
use super::guest::Guest;
use super::source::reason_of_trap;
use crate::limits::Limits;
use crate::pipeline::Fetcher;

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
    /// What its pages say of it.
    pub(super) fetcher: Arc<Fetcher>,
    pub(super) pre: ConnectorPre<Guest>,
}

/// Why a file is not a connector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
    /// It is too large.
    #[error("the file has {bytes} bytes, more than {limit} (limit component_bytes)")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: usize,
    },
    /// A core module where a component is wanted.
    #[error("this is a core module, not a component")]
    CoreModule,
    /// Neither.
    #[error("this is not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// Compiling it takes more than it may.
    #[error("compiling it took more than the limit {name} ({value})")]
    CompileLimit {
        /// The limit's name.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// It wants something that no connector may have.
    #[error("it imports {import}, which connectors cannot have")]
    ForbiddenImport {
        /// What it wants.
        import: String,
    },
    /// It was made for another version of the contract.
    #[error("it was made for atlas:connector@{found}; this host has {have}")]
    OtherVersion {
        /// Its version.
        found: String,
        /// Ours.
        have: &'static str,
    },
    /// It lacks an export, or one has another type.
    #[error("it does not fit the contract: {0}")]
    DoesNotFit(String),
    /// `describe` failed.
    #[error("`describe` failed: {0}")]
    DescribeFailed(String),
    /// What `describe` said cannot be used.
    #[error("its description was refused: {0}")]
    BadDescriptor(#[from] DescriptorError),
    /// Another file serves the same route.
    #[error("the route {route:?} is also claimed by {other}")]
    RouteTaken {
        /// The route.
        route: String,
        /// The other file's name.
        other: String,
    },
    /// It failed at a page that the version before it had fetched.
    #[error("it failed at a page that the present version had fetched: {0}")]
    FailedTrial(String),
}

/// What loading takes.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) engine: Arc<ConnectorEngine>,
    pub(super) limits: Limits,
    pub(super) cache: ComponentCache,
    pub(super) compiler: Compiler,
}

/// A component's file, as it was read.
pub(super) struct ComponentFile {
    path: PathBuf,
    /// SHA-256, lower-case hex.
    pub(super) sha256: String,
    bytes: Bytes,
}

impl Loader {
    /// Loads one file.
    pub(super) async fn load(&self, path: &Path) -> Result<Connector, LoadError> {
        self.load_file(self.read(path).await?).await
    }

    /// Reads a file.
    pub(super) async fn read(&self, path: &Path) -> Result<ComponentFile, LoadError> {
        let (path, limits) = (path.to_owned(), self.limits);
        let read = tokio::task::spawn_blocking(move || {
            let bytes = Bytes::from(read(&path, &limits)?);
            Ok(ComponentFile { path, sha256: hex(&Sha256::digest(&bytes)), bytes })
        });
        read.await.map_err(|e| LoadError::Unreadable(e.to_string()))?
    }

    /// Makes a file that was read a connector. Dropping the future ends its compilation.
    pub(super) async fn load_file(&self, file: ComponentFile) -> Result<Connector, LoadError> {
        let ComponentFile { path, sha256, bytes } = file;
        refuse_core_module(&bytes)?;
        let compiled = self.compiler.compile(&self.engine, &self.cache, &sha256, bytes.clone()).await;
        let component = compiled.map_err(|error| match error {
            CompileError::Limit { name, value } => LoadError::CompileLimit { name, value },
            CompileError::Failed(reason) => LoadError::NotAComponent(reason),
        })?;
        check_imports(&self.engine, &component)?;
        let mut linker = Linker::<Guest>::new(self.engine.engine());
        bindings::Connector::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)
            .map_err(|e| LoadError::DoesNotFit(format!("{e:#}")))?;
        let pre = linker
            .instantiate_pre(&component)
            .and_then(ConnectorPre::new)
            .map_err(|e| LoadError::DoesNotFit(format!("{e:#}")))?;
        let descriptor = describe(&self.engine, &self.limits, &path, &pre).await?;
        let fetcher = Arc::new(Fetcher {
            sha256: sha256.clone(),
            key: descriptor.key.clone(),
            unhashed: descriptor.unhashed.clone(),
        });
        Ok(Connector { sha256, descriptor, path, component: bytes, fetcher, pre })
    }
}

fn read(path: &Path, limits: &Limits) -> Result<Vec<u8>, LoadError> {
    let unreadable = |e: std::io::Error| LoadError::Unreadable(e.to_string());
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(LoadError::Unreadable("it is not a file".to_owned()));
    }
    if metadata.len() > limits.component_bytes as u64 {
        return Err(LoadError::TooLarge { bytes: metadata.len(), limit: limits.component_bytes });
    }
    std::fs::read(path).map_err(unreadable)
}

/// The preamble tells a core module from a component: version 1 against version 13, layer 1.
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>
fn refuse_core_module(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(LoadError::CoreModule),
        [0, b'a', b's', b'm', ..] => Ok(()),
        // Anything else wasmtime might take for the text format or for a precompiled copy.
        _ => Err(LoadError::NotAComponent("the file does not begin as WebAssembly does".to_owned())),
    }
}

/// The closed world: every import is ours, in a version that we have.
fn check_imports(engine: &ConnectorEngine, component: &Component) -> Result<(), LoadError> {
    let ty = component.component_type();
    for (name, _) in ty.imports(engine.engine()) {
        let Some(interface) = name.strip_prefix(bindings::PACKAGE) else {
            return Err(LoadError::ForbiddenImport { import: name.to_owned() });
        };
        let found = interface.split_once('@').map_or("?", |(_, version)| version);
        if found != bindings::VERSION {
            return Err(LoadError::OtherVersion { found: found.to_owned(), have: bindings::VERSION });
        }
    }
    Ok(())
}

/// Asks a connector what it is: under all limits, without HTTP.
async fn describe(
    engine: &ConnectorEngine,
    limits: &Limits,
    path: &Path,
    pre: &ConnectorPre<Guest>,
) -> Result<Descriptor, LoadError> {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let share = engine.share(None, &file);
    let place = share.place().await;
    let mut store = Guest::store(engine, limits, &share, &file, None);
    let (cpu, turnstile) = (store.data().cpu(), share.turnstile());
    let pre = pre.clone();
    let call = engine.run(async move {
        let _place = place;
        let call = async {
            let connector = pre.instantiate_async(&mut store).await?;
            connector.call_describe(&mut store, None).await
        };
        cpu.charge(turnstile, call).await
    });
    let wall = Duration::from_millis(limits.page_wall_ms);
    let said = tokio::time::timeout(wall, call)
        .await
        .map_err(|_| {
            LoadError::DescribeFailed(format!("it took longer than {} ms (limit page_wall_ms)", limits.page_wall_ms))
        })?
        .flatten()
        .map_err(|trap| LoadError::DescribeFailed(reason_of_trap(&trap)))?
        .map_err(LoadError::DescribeFailed)?;
    Ok(Descriptor::check(said)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

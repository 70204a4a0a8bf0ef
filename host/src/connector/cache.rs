//! Precompiled copies of components, so that a second start does not compile.
//!
//! What is loaded from here is native code, so only this installation may write here: the directory is private to the user,
//! and refused if anybody else could write to it. A copy is named by the component's digest and by all that decides whether
//! it fits this engine. It is written aside and renamed, for it is mapped into memory while it is used.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use wasmtime::Engine;
use wasmtime::component::Component;

/// The cache directory, or none: then every start compiles.
#[derive(Debug, Clone)]
pub(super) struct ComponentCache {
    directory: Option<PathBuf>,
}

impl ComponentCache {
    /// Opens the directory, creating it for this user alone. One that others may write to is not used, and said so.
    pub(super) fn open(directory: Option<&Path>) -> Self {
        let directory = directory.and_then(|path| match make_private(path) {
            Ok(()) => Some(path.to_owned()),
            Err(error) => {
                tracing::warn!(directory = %path.display(), %error, "precompiled connectors are not kept");
                None
            }
        });
        Self { directory }
    }

    /// The compiled component: the copy if there is one, else compiled now and kept. Takes tens of milliseconds to
    /// minutes when it compiles: call it where blocking is allowed.
    pub(super) fn compile(&self, engine: &Engine, sha256: &str, component: &[u8]) -> wasmtime::Result<Component> {
        let Some(directory) = &self.directory else {
            return Component::new(engine, component);
        };
        let path = directory.join(format!("{sha256}-{:016x}.cwasm", engine_hash(engine)));
        if path.is_file() {
            match load(engine, &path) {
                Ok(component) => return Ok(component),
                Err(error) => {
                    tracing::warn!(file = %path.display(), %error, "a precompiled connector is compiled again")
                }
            }
        }
        let compiled = Component::new(engine, component)?;
        if let Err(error) = write_aside(&path, &compiled.serialize()?) {
            tracing::warn!(file = %path.display(), %error, "a precompiled connector was not kept");
        }
        Ok(compiled)
    }
}

#[allow(unsafe_code)]
fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file is native code, and must be one that `Component::serialize` wrote. `open` made sure that the
    // directory belongs to this user and that nobody else can write to it; `compile` alone writes to it, under a name of
    // the digest and the engine, by renaming a whole file into place; nothing changes a file once it stands there.
    unsafe { Component::deserialize_file(engine, path) }
}

/// All that decides whether a compiled copy fits: wasmtime's version, the configuration, the processor's features.
fn engine_hash(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

fn write_aside(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let aside = path.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&aside, bytes)?;
    fs::rename(&aside, path)
}

#[cfg(unix)]
fn make_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let metadata = fs::symlink_metadata(path)?;
    let ours = fs::metadata("/proc/self").map_or(metadata.uid(), |own| own.uid());
    if !metadata.is_dir() || metadata.mode() & 0o022 != 0 || metadata.uid() != ours {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the directory must belong to this user, and nobody else may write to it (chmod 700)",
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(path: &Path) -> io::Result<()> {
    fs::create_dir_all(path)
}

//! Precompiled copies of components, so that a second start does not compile; and of those that
//! could not be compiled in the time that they may take, that this is so.
//!
//! The cache holds native code, so only this installation may write to it: the directory and each
//! file are private to the user, and are refused, each time, if another user could write to them. A
//! copy is named by the component's digest and by all that decides whether it fits this engine. It
//! is written aside and renamed, since it is mapped into memory while it is used.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::component::Component;
use wasmtime::{Engine, Module};

use super::private::{PrivateFile, make_private, open_private, write_aside};
use super::raw_descriptor::RawDescriptor;

/// Copies and notes that are kept, the newest: a folder of connectors with some versions of each,
/// and no end of them if a file is overwritten all day.
const COPIES_MAX: usize = 512;
/// What they may have in all: fifty of Python's, which are the largest.
const COPIES_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// The cache directory; without one, every start compiles.
#[derive(Debug, Clone)]
pub struct ComponentCache {
    directory: Option<PathBuf>,
}

impl ComponentCache {
    /// Opens the directory, creating it for this user alone. Logs a warning and goes without one if
    /// other users may write to it.
    pub fn open(directory: Option<&Path>) -> Self {
        let directory = directory.and_then(|path| match make_private(path) {
            Ok(()) => Some(path.to_owned()),
            Err(error) => {
                tracing::warn!(directory = %path.display(), %error, "precompiled connectors are not kept");
                None
            }
        });
        Self { directory }
    }

    /// The copy of a component, if there is one that fits. Reads a file: call it where blocking is
    /// allowed.
    pub(crate) fn find(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let copy = self.open_copy(engine, sha256, COMPILED)?;
        load(engine, &copy).inspect_err(|error| self.compiled_again(engine, sha256, COMPILED, error)).ok()
    }

    fn open_copy(&self, engine: &Engine, sha256: &str, kind: &str) -> Option<PrivateFile> {
        match open_private(self.directory.as_ref()?, &name(engine, sha256, kind)) {
            Ok(copy) => Some(copy),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                self.compiled_again(engine, sha256, kind, &error);
                None
            }
        }
    }

    fn compiled_again(&self, engine: &Engine, sha256: &str, kind: &str, error: &dyn Display) {
        if let Some(file) = self.named(engine, sha256, kind) {
            tracing::warn!(file = %file.display(), %error, "a precompiled connector is compiled again");
        }
    }

    /// The code of a core module, if there is a copy that fits. Reads a file: call it where
    /// blocking is allowed.
    pub(crate) fn find_module(&self, engine: &Engine, sha256: &str) -> Option<Module> {
        let copy = self.open_copy(engine, sha256, MODULE)?;
        load_module(engine, &copy).inspect_err(|error| self.compiled_again(engine, sha256, MODULE, error)).ok()
    }

    /// Seconds of CPU time that were not enough to compile a component. Reads a file: call it where
    /// blocking is allowed.
    pub(crate) fn too_slow(&self, engine: &Engine, sha256: &str) -> Option<u64> {
        let note = open_private(self.directory.as_ref()?, &name(engine, sha256, TOO_SLOW)).ok()?;
        fs::read_to_string(note.path).ok()?.parse().ok()
    }

    /// Notes that so many seconds were not enough. Writes a file: call it where blocking is
    /// allowed.
    pub(crate) fn note_too_slow(&self, engine: &Engine, sha256: &str, seconds: u64) {
        let Some(path) = self.named(engine, sha256, TOO_SLOW) else {
            return;
        };
        let noted = write_aside(&path, seconds.to_string().as_bytes()).and_then(|()| self.forget_the_oldest());
        if let Err(error) = noted {
            tracing::warn!(file = %path.display(), %error, "that a connector took too long to compile was not noted");
        }
    }

    /// The cached description of a component. Reads a file: call it where blocking is allowed.
    pub(crate) fn description(&self, engine: &Engine, sha256: &str) -> Option<RawDescriptor> {
        let note = open_private(self.directory.as_ref()?, &name(engine, sha256, DESCRIPTOR)).ok()?;
        // A description that is damaged, or in an earlier version's format, counts as missing:
        // `describe` is called again.
        serde_json::from_slice(&fs::read(note.path).ok()?).ok()
    }

    /// Caches a component's description. Writes a file: call it where blocking is allowed.
    pub(crate) fn note_description(&self, engine: &Engine, sha256: &str, raw: &RawDescriptor) {
        let Some(path) = self.named(engine, sha256, DESCRIPTOR) else {
            return;
        };
        let text = serde_json::to_vec(raw).map_err(io::Error::from);
        let noted = text.and_then(|text| write_aside(&path, &text)).and_then(|()| self.forget_the_oldest());
        if let Err(error) = noted {
            tracing::warn!(file = %path.display(), %error, "what a connector says of itself was not noted");
        }
    }

    /// Caches a component's compiled code, as the compiler returned it. Writes a file: call it
    /// where blocking is allowed.
    pub(crate) fn keep(&self, engine: &Engine, sha256: &str, compiled: &[u8]) {
        self.keep_as(engine, sha256, COMPILED, compiled);
    }

    /// Keeps the code of a core module, as [`Self::keep`] does.
    pub(crate) fn keep_module(&self, engine: &Engine, sha256: &str, compiled: &[u8]) {
        self.keep_as(engine, sha256, MODULE, compiled);
    }

    fn keep_as(&self, engine: &Engine, sha256: &str, kind: &str, compiled: &[u8]) {
        let Some(path) = self.named(engine, sha256, kind) else {
            return;
        };
        let kept = write_aside(&path, compiled).and_then(|()| self.forget_the_oldest());
        if let Err(error) = kept {
            tracing::warn!(file = %path.display(), %error, "a precompiled connector was not kept");
        }
    }

    fn named(&self, engine: &Engine, sha256: &str, kind: &str) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join(name(engine, sha256, kind)))
    }

    /// Removes the oldest files beyond the limits. A copy in use stays mapped; only its name goes.
    fn forget_the_oldest(&self) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let mut copies: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(directory)?
            .filter_map(|entry| {
                let entry = entry.ok().filter(|entry| is_ours(&entry.file_name()))?;
                let metadata = entry.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), entry.path()))
            })
            .collect();
        copies.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0_u64;
        for (number, (_, length, path)) in copies.iter().enumerate() {
            bytes = bytes.saturating_add(*length);
            if number >= COPIES_MAX || bytes > COPIES_BYTES_MAX {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// The kinds of cached files: code of a component, code of a core module, a component's
/// description, and a note that it took too long to compile.
const COMPILED: &str = "cwasm";
const MODULE: &str = "module";
const DESCRIPTOR: &str = "said";
const TOO_SLOW: &str = "slow";

/// Whether a file's name is one that this cache gives, to a finished file or one being written: the
/// operator may have chosen a folder with other files in it, which must not be removed.
fn is_ours(name: &OsStr) -> bool {
    let Some((sha256, rest)) = name.to_str().and_then(|name| name.split_once('-')) else { return false };
    let (hash, kind) = rest.split_once('.').unwrap_or((rest, ""));
    let is_hex = |text: &str, digits| text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hex(sha256, 64)
        && is_hex(hash, 16)
        && ([COMPILED, MODULE, DESCRIPTOR, TOO_SLOW].contains(&kind) || kind.ends_with(".tmp"))
}

fn name(engine: &Engine, sha256: &str, kind: &str) -> String {
    format!("{sha256}-{:016x}.{kind}", engine_hash(engine))
}

/// Code that was compiled just now. Takes milliseconds: call it where blocking is allowed.
#[allow(unsafe_code)]
pub(crate) fn take_over(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: this is native code, and must be what `Engine::precompile_component` gave.
    // `compile::Compiler` has it from this very program, started as a child, through a pipe that no
    // other process holds and that the child closes before any of its guest's code runs. The child
    // itself has it from its own call of the compiler; or from its parent, through such a pipe,
    // which has it from there or from `load`.
    unsafe { Component::deserialize(engine, compiled) }
}

/// The same for a core module.
#[allow(unsafe_code)]
pub(crate) fn take_over_module(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Module> {
    // SAFETY: as in `take_over`. The child that compiled it was given this module alone, and ran
    // nothing of it.
    unsafe { Module::deserialize(engine, compiled) }
}

#[allow(unsafe_code)]
fn load(engine: &Engine, copy: &PrivateFile) -> wasmtime::Result<Component> {
    // SAFETY: the file is native code, and must be one that wasmtime's compiler wrote.
    // `open_private` made sure that it and its directory belong to this user and that nobody else
    // can write to them; `keep` alone writes there, under a name of the digest and the engine, by
    // renaming a whole file into place; nothing changes a file once it stands there.
    unsafe { Component::deserialize_file(engine, &copy.path) }
}

#[allow(unsafe_code)]
fn load_module(engine: &Engine, copy: &PrivateFile) -> wasmtime::Result<Module> {
    // SAFETY: as in `load`.
    unsafe { Module::deserialize_file(engine, &copy.path) }
}

/// All that decides whether a compiled copy fits: wasmtime's version, the configuration, the
/// processor's features.
fn engine_hash(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    hasher.finish()
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::engine::ConnectorEngine;
    use super::*;
    use atlas_model::Limits;

    /// The smallest component.
    const NOTHING: &[u8] = b"\0asm\x0d\0\x01\0";
    const SHA256: &str = "00";

    #[tokio::test]
    async fn a_copy_is_found_again_by_digest_and_engine() {
        let folder = tempfile::tempdir().unwrap();
        let engine = ConnectorEngine::new(Limits::default().guest_memory, Limits::default().host_guests).unwrap();
        let cache = ComponentCache::open(Some(&folder.path().join("cache")));
        assert!(cache.find(engine.engine(), SHA256).is_none());
        cache.keep(engine.engine(), SHA256, &engine.engine().precompile_component(NOTHING).unwrap());
        assert!(cache.find(engine.engine(), SHA256).is_some());
        assert!(cache.find(engine.engine(), "01").is_none());
    }

    #[tokio::test]
    async fn a_copy_in_a_folder_that_others_may_write_to_is_not_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("cache");
        let engine = ConnectorEngine::new(Limits::default().guest_memory, Limits::default().host_guests).unwrap();
        let cache = ComponentCache::open(Some(&directory));
        cache.keep(engine.engine(), SHA256, &engine.engine().precompile_component(NOTHING).unwrap());
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(ComponentCache::open(Some(&directory)).find(engine.engine(), SHA256).is_none());
        // Nor by whoever opened it before it was so.
        assert!(cache.find(engine.engine(), SHA256).is_none());
    }

    #[tokio::test]
    async fn what_took_too_long_to_compile_is_known_by_its_digest_and_by_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let engine = ConnectorEngine::new(Limits::default().guest_memory, Limits::default().host_guests).unwrap();
        let cache = ComponentCache::open(Some(&folder.path().join("cache")));
        cache.note_too_slow(engine.engine(), SHA256, 60);
        assert_eq!(cache.too_slow(engine.engine(), SHA256), Some(60));
        assert_eq!(cache.too_slow(engine.engine(), "01"), None);
        assert!(cache.find(engine.engine(), SHA256).is_none());
    }

    #[tokio::test]
    async fn the_oldest_copies_are_forgotten_when_all_have_too_many_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("cache");
        let cache = ComponentCache::open(Some(&directory));
        // Half of what all may have, each, and no room on the disk.
        let path = |name: &str| directory.join(format!("{name:0>64}-{:016x}.cwasm", 0));
        let write = |path: PathBuf, age: u64| {
            let file = fs::File::create(path).unwrap();
            file.set_len(COPIES_BYTES_MAX / 2).unwrap();
            file.set_modified(SystemTime::now() - std::time::Duration::from_secs(age)).unwrap();
        };
        for (name, age) in [("a", 1), ("b", 2), ("c", 3)] {
            write(path(name), age);
        }
        // Somebody's own, beside them.
        write(directory.join("notas.txt"), 4);
        cache.forget_the_oldest().unwrap();
        assert_eq!(["a", "b", "c"].map(|name| path(name).exists()), [true, true, false]);
        assert!(directory.join("notas.txt").exists());
    }

    #[tokio::test]
    async fn a_damaged_copy_is_compiled_again() {
        let folder = tempfile::tempdir().unwrap();
        let engine = ConnectorEngine::new(Limits::default().guest_memory, Limits::default().host_guests).unwrap();
        let cache = ComponentCache::open(Some(&folder.path().join("cache")));
        let mut compiled = engine.engine().precompile_component(NOTHING).unwrap();
        compiled.truncate(compiled.len() / 2);
        cache.keep(engine.engine(), SHA256, &compiled);
        assert!(cache.find(engine.engine(), SHA256).is_none());
    }
}

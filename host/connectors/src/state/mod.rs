//! The recorded state of the routes of one folder of connectors: the version that served last,
//! those before it, those that the operator accepted or went back to, and those that wait for a
//! decision. Kept in files, so that a start, a command and every running process see the same.

mod route;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use atlas_sandbox::private::{make_private, write_aside};
use sha2::{Digest, Sha256};

pub use self::route::{Doubt, HISTORY, Held, HoldReason, KeptVersion, Lists, Refusal, Rollback, RouteState, Waiting};
use super::load::{Connector, signature_file};
use super::usage::Usage;

/// Age below which a version is not removed even if no scrap seems to need it: the scrap that it
/// was chosen for may not have recorded it in the database yet.
const SPARED: Duration = Duration::from_secs(60);

/// The state folder; without one, no state is recorded.
#[derive(Debug, Clone)]
pub(super) struct StateFolder {
    directory: Option<PathBuf>,
}

impl StateFolder {
    /// Opens the state of a folder of connectors, below `directory`. Logs a warning and goes
    /// without if other users may write there, since connectors are loaded from it.
    pub(super) fn open(directory: Option<&Path>, connectors: &Path) -> Self {
        let opened = directory.map(|directory| {
            let connectors = fs::canonicalize(connectors)?;
            let digest = Sha256::digest(connectors.as_os_str().as_encoded_bytes());
            let name: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
            make_private(directory)?;
            let own = directory.join(name);
            for folder in [&own, &own.join("routes"), &own.join("versions"), &own.join("usage")] {
                make_private(folder)?;
            }
            Ok::<_, io::Error>(own)
        });
        let directory = opened.and_then(|opened| match opened {
            Ok(own) => Some(own),
            Err(error) => {
                let directory = directory.map(Path::display).map(|d| d.to_string()).unwrap_or_default();
                tracing::warn!(directory, %error, "versions of connectors are not kept");
                None
            }
        });
        Self { directory }
    }

    /// The folder of the routes' files, for the watcher.
    pub(super) fn routes_folder(&self) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join("routes"))
    }

    /// Where processes note the calls that they have under way.
    pub(super) fn flights_folder(&self) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join("flights"))
    }

    /// The recorded state of a route; the default for a new one.
    pub(super) fn route(&self, route: &str) -> RouteState {
        let Some(path) = self.route_file(route) else { return RouteState::default() };
        let read = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return RouteState::default(),
            Err(error) => Err(error),
        };
        read.unwrap_or_else(|error| {
            tracing::warn!(file = %path.display(), %error, "what is remembered of a route cannot be read");
            RouteState::default()
        })
    }

    /// Every route of which something is remembered.
    pub(super) fn routes(&self) -> Vec<(String, RouteState)> {
        let Some(folder) = self.routes_folder() else { return Vec::new() };
        let files = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| entry.ok().map(|e| e.path()));
        let json = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
        let names = json.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
        names.map(|route| (route.clone(), self.route(&route))).collect()
    }

    /// Changes the state of a route, under a lock among all processes. Does nothing without a state
    /// folder. Reads and writes files: call it where blocking is allowed.
    pub(super) fn update<T>(&self, route: &str, change: impl FnOnce(&mut RouteState) -> T) -> io::Result<Option<T>> {
        let (Some(directory), Some(path)) = (&self.directory, self.route_file(route)) else {
            return Ok(None);
        };
        // Let go of when the file is closed, however this ends.
        let lock = File::create(directory.join("lock"))?;
        lock.lock()?;
        let before = self.route(route);
        let mut after = before.clone();
        let given = change(&mut after);
        if after != before {
            write_aside(&path, &serde_json::to_vec_pretty(&after)?)?;
        }
        Ok(Some(given))
    }

    /// Records that a file serves this route, so that no other route names it any more.
    pub(super) fn leave_others(&self, file: &str, route: &str) -> io::Result<()> {
        for (other, state) in self.routes() {
            if other != route && state.file == file {
                self.update(&other, |state| {
                    if state.file == file {
                        state.file.clear();
                    }
                })?;
            }
        }
        Ok(())
    }

    /// The recorded usage of a route's pages.
    pub(super) fn usage(&self, route: &str) -> Usage {
        let read = self.file("usage", route).and_then(|path| fs::read(path).ok());
        // A damaged file counts as empty: no decision depends on it.
        read.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Adds to a route's usage, under a lock among all processes. Reads and writes files: call it
    /// where blocking is allowed.
    pub(super) fn add_usage(&self, route: &str, more: &Usage) -> io::Result<()> {
        let (Some(directory), Some(path)) = (&self.directory, self.file("usage", route)) else {
            return Ok(());
        };
        let lock = File::create(directory.join("lock"))?;
        lock.lock()?;
        let mut usage = self.usage(route);
        usage.add(more);
        write_aside(&path, &serde_json::to_vec(&usage)?)
    }

    /// Keeps a version's file, and the signature that it has now: an operator may demand one later.
    pub(super) fn keep(&self, connector: &Connector) -> io::Result<()> {
        self.keep_file(&connector.sha256, connector.component(), connector.signature()).map(drop)
    }

    /// The same for bytes that have this digest. False: nothing is kept.
    pub(super) fn keep_file(&self, sha256: &str, component: &[u8], signature: Option<&[u8]>) -> io::Result<bool> {
        let Some(path) = self.version_file(sha256) else { return Ok(false) };
        let signed = signature_file(&path);
        match signature {
            Some(text) if !fs::read(&signed).is_ok_and(|kept| kept == text) => write_aside(&signed, text)?,
            _ => {}
        }
        if !path.exists() {
            write_aside(&path, component)?;
        }
        Ok(true)
    }

    /// Where a version is kept, if it is.
    pub(super) fn kept(&self, sha256: &str) -> Option<PathBuf> {
        self.version_file(sha256).filter(|path| path.is_file())
    }

    /// The digests of all versions that are kept.
    pub(super) fn all_kept(&self) -> Vec<String> {
        let entries = self.directory.as_ref().and_then(|directory| fs::read_dir(directory.join("versions")).ok());
        let digest = |entry: fs::DirEntry| Some(entry.file_name().to_str()?.strip_suffix(".wasm")?.to_owned());
        entries.into_iter().flatten().filter_map(|entry| digest(entry.ok()?)).collect()
    }

    /// Removes the versions that no route's history has and no scrap needs.
    pub(super) fn prune(&self, needed: &HashSet<String>) -> io::Result<()> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let routes = self.routes();
        let mut wanted: HashSet<&str> = needed.iter().map(String::as_str).collect();
        for (_, state) in &routes {
            wanted.extend(state.history.iter().map(|version| version.sha256.as_str()));
            wanted.extend(state.serving.as_deref());
        }
        for entry in fs::read_dir(directory.join("versions"))? {
            let entry = entry?;
            // A version and its signature are named by the same digest.
            let name = entry.file_name();
            let digest = name.to_str().and_then(|name| name.split('.').next());
            let is_wanted = digest.is_some_and(|digest| wanted.contains(digest));
            let age = SystemTime::now().duration_since(entry.metadata()?.modified()?).unwrap_or_default();
            if !is_wanted && age > SPARED {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    fn route_file(&self, route: &str) -> Option<PathBuf> {
        self.file("routes", route)
    }

    fn file(&self, folder: &str, route: &str) -> Option<PathBuf> {
        // A route's name is checked when its connector is loaded; a command may ask for any.
        let is_name = route.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        Some(self.directory.as_ref().filter(|_| is_name)?.join(folder).join(format!("{route}.json")))
    }

    fn version_file(&self, sha256: &str) -> Option<PathBuf> {
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|b| b.is_ascii_hexdigit());
        Some(self.directory.as_ref().filter(|_| is_digest)?.join("versions").join(format!("{sha256}.wasm")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_back_by_another_process_and_for_this_folder_alone() {
        let (place, folder, other) =
            (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = |connectors: &tempfile::TempDir| StateFolder::open(Some(&place.path().join("s")), connectors.path());
        open(&folder).update("pedido", |route| route.serving = Some("aa".to_owned())).unwrap();
        assert_eq!(open(&folder).route("pedido").serving.as_deref(), Some("aa"));
        assert_eq!(open(&folder).routes().len(), 1);
        assert_eq!(open(&other).route("pedido"), RouteState::default());
        assert_eq!(open(&folder).route("../pedido"), RouteState::default());
    }

    #[test]
    fn a_file_that_serves_another_route_is_remembered_for_that_one_alone() {
        let (place, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = StateFolder::open(Some(&place.path().join("s")), folder.path());
        for (route, file) in [("a", "a.wasm"), ("b", "a.wasm"), ("c", "c.wasm")] {
            state.update(route, |state| state.file = file.to_owned()).unwrap();
        }
        state.leave_others("a.wasm", "b").unwrap();
        assert_eq!(["a", "b", "c"].map(|route| state.route(route).file), ["", "a.wasm", "c.wasm"]);
    }

    #[test]
    fn what_two_processes_counted_adds_up() {
        let (place, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let open = || StateFolder::open(Some(&place.path().join("s")), folder.path());
        open().add_usage("pedido", &Usage { pages: 2, cpu_us: 10, peak_memory: 5, ..Usage::default() }).unwrap();
        open().add_usage("pedido", &Usage { pages: 1, traps: 1, peak_memory: 3, ..Usage::default() }).unwrap();
        let sum = Usage { pages: 3, traps: 1, refusals: 0, cpu_us: 10, peak_memory: 5 };
        assert_eq!(open().usage("pedido"), sum);
        assert_eq!(open().usage("venda"), Usage::default());
    }

    #[cfg(unix)]
    #[test]
    fn a_place_that_others_may_write_to_is_not_used() {
        use std::os::unix::fs::PermissionsExt;

        let (place, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let state = StateFolder::open(Some(place.path()), folder.path());
        assert_eq!(state.update("pedido", |_| ()).unwrap(), None);
    }

    #[test]
    fn versions_that_nobody_needs_are_removed_and_young_ones_spared() {
        let (place, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = StateFolder::open(Some(place.path()), folder.path());
        let digest = |n: u8| format!("{n:02x}").repeat(32);
        let file = |n: u8| state.version_file(&digest(n)).unwrap();
        for n in 0..4 {
            let age = if n == 3 { Duration::ZERO } else { SPARED * 2 };
            let written = File::create(file(n)).unwrap();
            written.set_modified(SystemTime::now() - age).unwrap();
        }
        state
            .update("pedido", |route| route.history.push(KeptVersion { sha256: digest(0), ..KeptVersion::default() }))
            .unwrap();
        state.prune(&HashSet::from([digest(1)])).unwrap();
        let left: Vec<bool> = (0..4).map(|n| file(n).exists()).collect();
        assert_eq!(left, [true, true, false, true]);
    }
}

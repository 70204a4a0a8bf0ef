//! Watches the folder of connectors and the state of its routes for changes, for as long as a
//! process runs.
//!
//! The system reports changes at once where it can; a poll every second finds those that it did not
//! report. A file is loaded once it and the signature beside it have been quiet for a moment, and
//! again from the beginning if either changed meanwhile: the newest file wins. A faulty file is
//! reported only once it has stood still, since half of a file is always faulty.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::events::{RegistryEvent, RegistryObserver};
use super::load::signature_file;
use super::registry::{Loaded, Quarantined, Registry, component_files, is_component};

/// The quiet after a change that may be one of many, and after one that ends them: a file closed,
/// or renamed into place.
const QUIET: Duration = Duration::from_millis(25);
const QUIET_AT_THE_END: Duration = Duration::from_millis(2);
/// How long a file stands still before it is reported as faulty or removed.
const STANDS_STILL: Duration = Duration::from_millis(500);
/// Pause between two polls, whatever the system reports: a command that changes the recorded state
/// counts on it.
const LOOK_AROUND: Duration = Duration::from_secs(1);
/// Pause between two removals of versions that no scrap needs.
const TIDY_UP: Duration = Duration::from_secs(60);
/// Length of the queue of the system's hints; more are dropped, and the next poll finds the
/// changes.
const HINTS: usize = 1024;

/// Queries of the database for versions: which unfinished scraps need, and which are held.
#[async_trait]
pub trait VersionsInUse: Send + Sync {
    /// The digests; `None` if the database cannot be queried now.
    async fn versions_in_use(&self) -> Option<HashSet<String>>;

    /// The versions that are held on all hosts; `None` if the database cannot be queried now.
    async fn quarantined(&self) -> Option<Vec<Quarantined>>;
}

/// A registry is watched for as long as this lives.
pub struct Watching {
    task: JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Registry {
    /// Starts watching for changes, which take effect from now on.
    pub fn watch(self: &Arc<Self>, observer: Arc<dyn RegistryObserver>, in_use: Arc<dyn VersionsInUse>) -> Watching {
        for event in self.begin_watching() {
            observer.on(&event);
        }
        let (hint, hints) = mpsc::channel(HINTS);
        let watch = Watch {
            registry: Arc::clone(self),
            observer,
            in_use,
            hint,
            hints,
            system: None,
            due: HashMap::new(),
            under_way: HashMap::new(),
            work: JoinSet::new(),
            stamps: HashMap::new(),
            remembered: HashMap::new(),
            later: HashMap::new(),
            asking: None,
            tidying: None,
            tidied: None,
        };
        Watching { task: tokio::spawn(watch.run()) }
    }
}

/// A hint of the system's file watcher.
enum Hint {
    /// A file of the folder changed; whether that was the end of it.
    File(PathBuf, bool),
    /// What is remembered of a route changed.
    Route(String),
}

/// The stamps of a file and of the signature beside it; `None` for one that is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamps {
    file: Option<Stamp>,
    signature: Option<Stamp>,
}

impl Stamps {
    fn of(path: &Path) -> Self {
        Self { file: stamp(path), signature: stamp(&signature_file(path)) }
    }
}

/// Metadata that changes with a file's content, so that it need not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    bytes: u64,
    identity: (u64, u64, i64, i64),
}

/// A report that waits until a file has stood still.
enum Later {
    Tell(RegistryEvent),
    Gone,
}

struct Watch {
    registry: Arc<Registry>,
    observer: Arc<dyn RegistryObserver>,
    in_use: Arc<dyn VersionsInUse>,
    hint: mpsc::Sender<Hint>,
    hints: mpsc::Receiver<Hint>,
    /// The system's own watcher, and the folder that it watches, should another come in its place.
    system: Option<(RecommendedWatcher, Option<Stamp>)>,
    /// Files that changed, and when they will have been quiet for long enough.
    due: HashMap<PathBuf, Instant>,
    /// Files that are being gone through.
    under_way: HashMap<PathBuf, AbortHandle>,
    work: JoinSet<(Loaded, Stamps)>,
    /// Files as they were when they were gone through last.
    stamps: HashMap<PathBuf, Stamps>,
    /// The routes' files, as they were when they were read last.
    remembered: HashMap<PathBuf, Option<Stamp>>,
    later: HashMap<PathBuf, (Instant, Later)>,
    asking: Option<JoinHandle<()>>,
    tidying: Option<JoinHandle<()>>,
    tidied: Option<Instant>,
}

impl Watch {
    async fn run(mut self) {
        let mut look_around = interval(LOOK_AROUND);
        look_around.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.due.values().chain(self.later.values().map(|(when, _)| when)).min().copied();
            tokio::select! {
                Some(hint) = self.hints.recv() => match hint {
                    Hint::File(path, at_the_end) => self.changed(path, at_the_end),
                    Hint::Route(route) => self.reconsider(&route).await,
                },
                Some(done) = self.work.join_next_with_id() => {
                    // An aborted task has no result.
                    if let Ok((id, (loaded, stamps))) = done {
                        let newest = self.under_way.get(&loaded.path).is_some_and(|task| task.id() == id);
                        if newest {
                            self.under_way.remove(&loaded.path);
                            self.settle(loaded, stamps).await;
                        }
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.catch_up().await,
                _ = look_around.tick() => {
                    self.look_around().await;
                    self.registry.write_usage().await;
                }
            }
        }
    }

    fn changed(&mut self, path: PathBuf, at_the_end: bool) {
        let now = Instant::now();
        if let Some((when, _)) = self.later.get_mut(&path) {
            *when = now + STANDS_STILL;
        }
        self.due.insert(path, now + if at_the_end { QUIET_AT_THE_END } else { QUIET });
    }

    /// Loads the files that have been quiet for long enough, and sends the reports that are due.
    async fn catch_up(&mut self) {
        let now = Instant::now();
        let quiet: Vec<PathBuf> = self.due.iter().filter(|(_, when)| **when <= now).map(|(p, _)| p.clone()).collect();
        for path in quiet {
            self.due.remove(&path);
            self.go_through(path);
        }
        let still: Vec<PathBuf> =
            self.later.iter().filter(|(_, (when, _))| *when <= now).map(|(p, _)| p.clone()).collect();
        for path in still {
            match self.later.remove(&path) {
                Some((_, Later::Tell(event))) => self.observer.on(&event),
                Some((_, Later::Gone)) => self.gone(&path).await,
                None => {}
            }
        }
    }

    /// Starts loading a file, and aborts an earlier load of it that is under way.
    fn go_through(&mut self, path: PathBuf) {
        if let Some(older) = self.under_way.remove(&path) {
            older.abort();
        }
        let stamps = Stamps::of(&path);
        self.stamps.insert(path.clone(), stamps.clone());
        if stamps.file.is_none() && fs::symlink_metadata(&path).is_err() {
            let when = Instant::now() + STANDS_STILL;
            self.later.entry(path).or_insert((when, Later::Gone));
            return;
        }
        if matches!(self.later.get(&path), Some((_, Later::Gone))) {
            self.later.remove(&path);
        }
        let (registry, its_path) = (Arc::clone(&self.registry), path.clone());
        let task = self.work.spawn(async move { (registry.go_through(its_path).await, stamps) });
        self.under_way.insert(path, task);
    }

    async fn settle(&mut self, loaded: Loaded, before: Stamps) {
        let path = loaded.path.clone();
        if Stamps::of(&path) != before {
            // It changed while it was read, or since: it is another file now.
            self.due.entry(path).or_insert_with(|| Instant::now() + QUIET);
            return;
        }
        let is_connector = loaded.connector.is_ok();
        let event = self.registry.settle(loaded).await;
        if is_connector {
            self.later.remove(&path);
        } else {
            self.go_back_from(&path).await;
        }
        match event {
            Some(event @ RegistryEvent::Refused { .. }) => {
                self.later.insert(path, (Instant::now() + STANDS_STILL, Later::Tell(event)));
            }
            Some(event) => {
                self.observer.on(&event);
                // It may have left another route behind.
                self.let_others_claim();
            }
            None => {}
        }
    }

    async fn gone(&mut self, path: &Path) {
        self.stamps.remove(path);
        if let Some(event) = self.registry.gone(path) {
            self.observer.on(&event);
        }
        self.go_back_from(path).await;
        self.let_others_claim();
    }

    /// Decides again about the routes of a file that is broken or gone: the operator may have
    /// rolled them back before this process noticed.
    async fn go_back_from(&mut self, path: &Path) {
        for route in self.registry.routes_from(path) {
            self.reconsider(&route).await;
        }
    }

    fn let_others_claim(&mut self) {
        for waiting in self.registry.waiting_for_a_route() {
            self.changed(waiting, true);
        }
    }

    async fn reconsider(&mut self, route: &str) {
        if let Some(event) = self.registry.reconsider(route).await {
            self.observer.on(&event);
        }
        for path in self.registry.refused_and_accepted(route).await {
            self.changed(path, true);
        }
    }

    /// Polls for changes that the system did not report.
    async fn look_around(&mut self) {
        self.watch_folders();
        let folder = &self.registry.folder;
        // A folder that cannot be read now may come back; until then, everything goes on.
        if let Ok(present) = component_files(folder) {
            let known = self.registry.entries().into_iter().map(|entry| entry.path);
            let all: HashSet<PathBuf> = present.into_iter().chain(known).collect();
            for path in all {
                if self.stamps.get(&path) != Some(&Stamps::of(&path)) {
                    self.changed(path, false);
                }
            }
        }
        for (route, path) in route_files(self.registry.state.routes_folder().as_deref()) {
            let now = stamp(&path);
            let before = self.remembered.insert(path, now.clone());
            if before.as_ref() != Some(&now) {
                self.reconsider(&route).await;
            }
        }
        for event in self.registry.take_untold() {
            self.observer.on(&event);
        }
        self.ask_what_is_held();
        self.tidy_up();
    }

    /// Has the system watch the folders, again if the connectors' is another one than before.
    fn watch_folders(&mut self) {
        let folder = self.registry.folder.clone();
        let now = stamp(&folder).map(|stamp| Stamp { modified: None, bytes: 0, ..stamp });
        if now.is_none() || self.system.as_ref().is_some_and(|(_, watched)| same_place(watched, &now)) {
            return;
        }
        match system_watcher(self.hint.clone(), &folder, self.registry.state.routes_folder()) {
            Ok(watcher) => self.system = Some((watcher, now)),
            Err(error) => {
                if self.system.is_none() {
                    tracing::debug!(%error, "the system does not tell of changes; looking around has to do");
                }
            }
        }
    }

    /// Updates the quarantine from the database, in the background. Its events are reported at the
    /// next poll.
    fn ask_what_is_held(&mut self) {
        if self.asking.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (in_use, registry) = (Arc::clone(&self.in_use), Arc::clone(&self.registry));
        self.asking = Some(tokio::spawn(async move {
            if let Some(held) = in_use.quarantined().await {
                let held_now = registry.quarantine(&held).await;
                registry.tell_later(held_now.into_iter().filter_map(|(_, event)| event));
            }
        }));
    }

    fn tidy_up(&mut self) {
        let is_due = self.tidied.is_none_or(|tidied| tidied.elapsed() >= TIDY_UP);
        if !is_due || self.tidying.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        self.tidied = Some(Instant::now());
        let (in_use, state) = (Arc::clone(&self.in_use), self.registry.state.clone());
        self.tidying = Some(tokio::spawn(async move {
            // If the database cannot be queried, no version is removed.
            let Some(needed) = in_use.versions_in_use().await else { return };
            let pruned = tokio::task::spawn_blocking(move || state.prune(&needed)).await;
            if let Ok(Err(error)) = pruned {
                tracing::warn!(%error, "versions that nobody needs were not removed");
            }
        }));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for task in self.asking.iter().chain(&self.tidying) {
            task.abort();
        }
    }
}

fn system_watcher(
    hint: mpsc::Sender<Hint>,
    folder: &Path,
    routes: Option<PathBuf>,
) -> notify::Result<RecommendedWatcher> {
    let own = folder.to_owned();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        let Some(at_the_end) = matters(&event.kind) else { return };
        for path in event.paths {
            let hinted = match (path.extension().and_then(|e| e.to_str()), path.file_name()) {
                // Named as the registry names it, whatever the system calls the folder.
                (Some("wasm"), Some(name)) if is_component(&path) => Hint::File(own.join(name), at_the_end),
                (Some("minisig"), _) => match signed_file(&path) {
                    Some(name) => Hint::File(own.join(name), at_the_end),
                    None => continue,
                },
                (Some("json"), _) => match path.file_stem().and_then(|stem| stem.to_str()) {
                    Some(route) => Hint::Route(route.to_owned()),
                    None => continue,
                },
                _ => continue,
            };
            // A hint that does not fit is dropped; the next poll finds the change.
            let _ = hint.try_send(hinted);
        }
    })?;
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    if let Some(routes) = routes {
        watcher.watch(&routes, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// The component's file that a signature's file belongs to.
fn signed_file(signature: &Path) -> Option<&OsStr> {
    let signed = Path::new(signature.file_stem()?);
    (is_component(signed) && signature_file(signed).file_name() == signature.file_name()).then_some(signed.as_os_str())
}

/// Whether an event says that a file may have other content now, and if so, whether it is the last
/// of its kind.
fn matters(kind: &EventKind) -> Option<bool> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(true),
        EventKind::Access(_) => None,
        EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => Some(true),
        _ => Some(false),
    }
}

#[cfg(unix)]
fn stamp(path: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;

    let metadata = fs::metadata(path).ok()?;
    let identity = (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec());
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), identity })
}

#[cfg(not(unix))]
fn stamp(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some(Stamp { modified: metadata.modified().ok(), bytes: metadata.len(), identity: (0, 0, 0, 0) })
}

fn same_place(one: &Option<Stamp>, other: &Option<Stamp>) -> bool {
    let place = |stamp: &Option<Stamp>| stamp.as_ref().map(|stamp| (stamp.identity.0, stamp.identity.1));
    place(one) == place(other)
}

fn route_files(folder: Option<&Path>) -> Vec<(String, PathBuf)> {
    let files = folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten();
    let paths = files.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    let json = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
    json.filter_map(|path| Some((path.file_stem()?.to_str()?.to_owned(), path))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_that_comes_or_changes_makes_its_file_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pedido.wasm");
        fs::write(&path, "x").unwrap();
        let mut seen = vec![Stamps::of(&path)];
        for signature in ["one", "another"] {
            fs::write(signature_file(&path), signature).unwrap();
            seen.push(Stamps::of(&path));
        }
        assert!(seen[0] != seen[1] && seen[1] != seen[2] && seen[0] != seen[2], "{seen:?}");
        assert_eq!(seen[2], Stamps::of(&path));
    }

    #[test]
    fn a_signatures_file_is_known_by_its_name() {
        let signed = |name: &str| signed_file(Path::new(name)).map(|name| name.to_string_lossy().into_owned());
        assert_eq!(signed("/x/pedido.wasm.minisig").as_deref(), Some("pedido.wasm"));
        assert_eq!(signed("/x/pedido.minisig"), None);
        assert_eq!(signed("/x/pedido.txt.minisig"), None);
    }
}

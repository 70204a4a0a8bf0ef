//! The folder of connectors: which file serves which route, now.
//!
//! A file that fails to load keeps its place in the list, with the reason, and the version that
//! served before it goes on. The serving version is replaced in one step; a page under way holds
//! the version that it began with. Of two files that claim one route, the one that served this
//! route before goes on; if neither did, both are refused, since which one is meant is not known.

mod arrival;
mod quarantine;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use atlas_model::Limits;
use atlas_sandbox::{ComponentCache, ComponentLoader, ConnectorEngine};
use futures_util::StreamExt;
use futures_util::stream;

pub use self::arrival::Arrival;
pub use self::quarantine::Quarantined;
use super::events::RegistryEvent;
use super::flight::FlightRecorder;
use super::lines::RecordedPage;
use super::load::{ComponentFile, Connector, LoadError, Loader, Origin, TrustPolicy};
use super::state::{HoldReason, KeptVersion, StateFolder};
use super::trial::{Skipped, Trial};
use super::usage::Usage;
use super::usage_meter::UsageMeter;

/// Memory for recorded pages, of all routes together.
const RECORDED_BYTES: usize = 64 * 1024 * 1024;

/// Files that are loaded side by side at a start: one that takes its time does not hold the others
/// up, and no more of them than these are in memory while they wait for a compiler.
const LOADED_AT_ONCE: usize = 4;

/// The folders of a registry.
#[derive(Debug, Clone)]
pub struct RegistryFolders {
    /// The connectors.
    pub connectors: PathBuf,
    /// Compiled copies; none: not kept.
    pub cache: Option<PathBuf>,
    /// Versions, and what is remembered of routes; none: not kept.
    pub state: Option<PathBuf>,
}

/// One file of the folder.
#[derive(Clone)]
pub struct RegistryEntry {
    /// The file.
    pub path: PathBuf,
    /// Its digest, if it could be read.
    pub sha256: Option<String>,
    /// The connector, or why the file was refused.
    pub loaded: Result<Arc<Connector>, LoadError>,
    /// Whether it serves.
    pub standing: Standing,
    /// The version that serves instead, if the file does not.
    pub instead: Option<Arc<Connector>>,
}

/// Whether a file serves its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It serves.
    Serves,
    /// It waits for the operator's decision.
    Held(Vec<HoldReason>),
    /// The operator went back to an earlier version.
    RolledBack,
    /// It was refused.
    Refused,
}

/// The connectors of one folder.
pub struct Registry {
    pub(super) loader: Loader,
    pub(super) folder: PathBuf,
    pub(super) state: StateFolder,
    pub(super) usage: UsageMeter,
    /// Records the calls under way.
    flights: Arc<FlightRecorder>,
    live: RwLock<Live>,
    watched: AtomicBool,
    /// Versions that ended a host's process, by their digests.
    quarantined: RwLock<BTreeMap<String, Quarantined>>,
    /// Held while the serving version of a route is decided: changes of files, the operator's
    /// decisions and quarantined versions arrive in several tasks.
    deciding: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Live {
    files: BTreeMap<PathBuf, RegistryEntry>,
    routes: BTreeMap<String, Serving>,
    /// Routes that this process fetches from. Only their serving versions are recorded in the
    /// state.
    used: HashSet<String>,
    /// Events of the start, or of quarantined versions, that no observer has received yet.
    untold: Vec<RegistryEvent>,
}

/// The version that serves a route.
struct Serving {
    connector: Arc<Connector>,
    /// The file that it came from; the folder's may be another version by now, or gone.
    file: PathBuf,
    /// The last good page, for the next version's trial.
    page: Option<Arc<RecordedPage>>,
}

/// A file that was gone through, up to the question whether it shall serve.
pub(super) struct Loaded {
    pub(super) path: PathBuf,
    pub(super) sha256: Option<String>,
    pub(super) connector: Result<Arc<Connector>, LoadError>,
    pub(super) trial: Trial,
}

impl Registry {
    /// Loads every `.wasm` file of a folder. A file that fails does not hinder the others.
    pub async fn load(
        engine: &Arc<ConnectorEngine>,
        limits: &Limits,
        trust: &Arc<TrustPolicy>,
        folders: &RegistryFolders,
    ) -> std::io::Result<Self> {
        let RegistryFolders { connectors: folder, cache, state } = folders.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let paths = component_files(&folder)?;
            let state = StateFolder::open(state.as_deref(), &folder);
            Ok::<_, std::io::Error>((paths, folder, ComponentCache::open(cache.as_deref()), state))
        });
        let (paths, folder, cache, state) = opened.await.map_err(std::io::Error::other)??;
        let loader = Loader::new(components(engine, limits, cache), limits, Arc::clone(trust));
        let usage = UsageMeter::default();
        let registry = Self {
            loader,
            folder,
            state,
            usage,
            flights: Arc::default(),
            live: RwLock::default(),
            watched: AtomicBool::new(false),
            quarantined: RwLock::default(),
            deciding: tokio::sync::Mutex::default(),
        };
        let loading = stream::iter(paths).map(|path| registry.go_through(path)).buffer_unordered(LOADED_AT_ONCE);
        let mut files: Vec<Loaded> = loading.collect().await;
        // Sorted by name, so that the order of loading does not decide which file gets a route.
        files.sort_by(|one, other| one.path.cmp(&other.path));
        registry.begin(files).await;
        Ok(registry)
    }

    /// Loads one file, wherever it is; `cache`: the folder of precompiled connectors.
    pub async fn inspect(
        engine: &Arc<ConnectorEngine>,
        limits: &Limits,
        trust: &Arc<TrustPolicy>,
        cache: Option<PathBuf>,
        path: &Path,
    ) -> Result<Connector, LoadError> {
        let opened = tokio::task::spawn_blocking(move || ComponentCache::open(cache.as_deref())).await;
        let cache = opened.map_err(|error| LoadError::Unreadable(error.to_string()))?;
        let loader = Loader::new(components(engine, limits, cache), limits, Arc::clone(trust));
        loader.load(path, Origin::Named).await
    }

    /// Every file of the folder, in the order of their names.
    pub fn entries(&self) -> Vec<RegistryEntry> {
        let mut entries: Vec<RegistryEntry> = self.live().files.values().cloned().collect();
        for entry in &mut entries {
            entry.instead.take_if(|instead| self.quarantined(&instead.sha256).is_some());
        }
        entries
    }

    /// The connector that serves a route now. A version that ended a process serves nothing.
    pub fn connector(&self, route: &str) -> Option<Arc<Connector>> {
        let serving = self.live().routes.get(route).map(|serving| Arc::clone(&serving.connector));
        serving.filter(|connector| self.quarantined(&connector.sha256).is_none())
    }

    /// The routes that are served, sorted.
    pub fn routes(&self) -> Vec<String> {
        let serving: Vec<(String, String)> = {
            let live = self.live();
            live.routes.iter().map(|(route, serving)| (route.clone(), serving.connector.sha256.clone())).collect()
        };
        let serves = |(_, sha256): &(String, String)| self.quarantined(sha256).is_none();
        serving.into_iter().filter(serves).map(|(route, _)| route).collect()
    }

    /// The connector that serves a route now, for fetching with it. From now on the route's serving
    /// version is recorded and kept.
    pub async fn use_connector(&self, route: &str) -> Option<Arc<Connector>> {
        let connector = self.connector(route)?;
        self.live_mut().used.insert(route.to_owned());
        self.write_down(route).await;
        Some(connector)
    }

    /// A version that served once, by its digest, unless it is held for having ended a process.
    pub async fn kept(&self, sha256: &str) -> Option<Arc<Connector>> {
        if self.quarantined(sha256).is_some() { None } else { self.load_kept(sha256).await }
    }

    async fn load_kept(&self, sha256: &str) -> Option<Arc<Connector>> {
        let live = self.live().routes.values().map(|s| Arc::clone(&s.connector)).find(|c| c.sha256 == sha256);
        if live.is_some() {
            return live;
        }
        let path = self.state.kept(sha256)?;
        match self.loader.load(&path, Origin::Folder).await {
            Ok(connector) if connector.sha256 == sha256 => Some(Arc::new(connector)),
            Ok(_) => {
                tracing::warn!(file = %path.display(), "a kept version is not what its name says");
                None
            }
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "a kept version could not be loaded");
                None
            }
        }
    }

    /// The digests of all versions that this installation has, serving or kept.
    pub async fn versions(&self) -> Vec<String> {
        let mut versions: Vec<String> = self.live().routes.values().map(|s| s.connector.sha256.clone()).collect();
        versions.extend(self.with_state("", |state, _| state.all_kept()).await.unwrap_or_default());
        versions
    }

    pub(super) fn engine(&self) -> &ConnectorEngine {
        self.loader.components.engine()
    }

    pub(super) fn flights(&self) -> &FlightRecorder {
        &self.flights
    }

    /// The recorded usage of a route's pages, over all processes of this installation.
    pub fn usage(&self, route: &str) -> Usage {
        self.state.usage(route)
    }

    /// The versions that served a route, the newest first.
    pub async fn history(self: &Arc<Self>, route: &str) -> Vec<KeptVersion> {
        let (registry, route) = (Arc::clone(self), route.to_owned());
        tokio::task::spawn_blocking(move || registry.state.route(&route).history).await.unwrap_or_default()
    }

    /// Writes down what this process has counted.
    pub async fn write_usage(self: &Arc<Self>) {
        let registry = Arc::clone(self);
        // What is not written now is written the next time.
        let _ = tokio::task::spawn_blocking(move || registry.usage.write_down(&registry.state)).await;
    }

    /// Whether changes are looked for, and so pages are worth recording.
    pub(super) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Starts watching for changes. Returns the events from before.
    pub(super) fn begin_watching(&self) -> Vec<RegistryEvent> {
        self.watched.store(true, Ordering::Relaxed);
        std::mem::take(&mut self.live_mut().untold)
    }

    /// Takes the events since the last call that neither a file nor an operator's decision caused.
    pub(super) fn take_untold(&self) -> Vec<RegistryEvent> {
        std::mem::take(&mut self.live_mut().untold)
    }

    /// Remembers a route's last good page, if there is room. One without records shows little: it
    /// replaces none that has any.
    pub(super) fn remember(&self, route: &str, page: RecordedPage) {
        let mut live = self.live_mut();
        let others: usize = live.routes.iter().filter(|(name, _)| *name != route).map(|(_, s)| s.page_bytes()).sum();
        let Some(serving) = live.routes.get_mut(route) else { return };
        let tells_less = page.records == 0 && serving.page.as_ref().is_some_and(|known| known.records > 0);
        if !tells_less && others + page.bytes <= RECORDED_BYTES {
            serving.page = Some(Arc::new(page));
        }
    }

    /// The page that a new version of a route is tried on.
    pub(super) fn last_page(&self, route: &str) -> Option<Arc<RecordedPage>> {
        self.live().routes.get(route)?.page.clone()
    }

    /// What is known of a file.
    pub(super) fn entry(&self, path: &Path) -> Option<RegistryEntry> {
        self.live().files.get(path).cloned()
    }

    /// Reads, loads and tries a file, unless its outcome is known already. Dropping the future
    /// cancels it.
    pub(super) async fn go_through(&self, path: PathBuf) -> Loaded {
        let skipped = Trial::Skipped(Skipped::NoPage);
        let file = match self.loader.read(&path, Origin::Folder).await {
            Ok(file) => file,
            Err(error) => return Loaded { path, sha256: None, connector: Err(error), trial: skipped },
        };
        let sha256 = Some(file.sha256.clone());
        if let Some(entry) = self.entry(&path).filter(|entry| is_decided(entry, &file)) {
            return Loaded { path, sha256, connector: entry.loaded, trial: skipped };
        }
        let connector = self.loader.load_file(file).await.map(Arc::new);
        let trial = match &connector {
            Ok(connector) if self.is_news(connector) => {
                let page = self.last_page(&connector.descriptor.route);
                super::trial::hold(self.engine(), &self.flights, connector, page).await
            }
            _ => skipped,
        };
        Loaded { path, sha256, connector, trial }
    }

    fn is_news(&self, connector: &Connector) -> bool {
        self.connector(&connector.descriptor.route).is_some_and(|serving| serving.sha256 != connector.sha256)
    }

    /// Files that were refused because another served their route.
    pub(super) fn waiting_for_a_route(&self) -> Vec<PathBuf> {
        let live = self.live();
        let waits = |entry: &&RegistryEntry| matches!(entry.loaded, Err(LoadError::RouteTaken { .. }));
        live.files.values().filter(waits).map(|entry| entry.path.clone()).collect()
    }

    /// Records the version that serves a route, if it is the one in its file, and keeps a copy.
    /// From then on no other route is served from that file.
    async fn write_down(&self, route: &str) {
        let (connector, file) = {
            let live = self.live();
            let Some(serving) = live.routes.get(route) else { return };
            let serves = |entry: &&RegistryEntry| {
                entry.standing == Standing::Serves && entry.sha256.as_ref() == Some(&serving.connector.sha256)
            };
            if live.files.get(&serving.file).filter(serves).is_none() {
                return;
            }
            (Arc::clone(&serving.connector), name_of(&serving.file))
        };
        let written = self.with_state(route, move |state, route| {
            state.keep(&connector)?;
            let taken_over = state.update(route, |state| state.take_over(&file, KeptVersion::of(&connector)))?;
            // A finding against it shows when the state is read next.
            if taken_over == Some(true) { state.leave_others(&file, route) } else { Ok(()) }
        });
        if let Some(Err(error)) = written.await {
            tracing::warn!(rota = route, %error, "what serves the route was not written down");
        }
    }

    /// Runs work on the state folder, where blocking is allowed.
    async fn with_state<T: Send + 'static>(
        &self,
        route: &str,
        work: impl FnOnce(&StateFolder, &str) -> T + Send + 'static,
    ) -> Option<T> {
        let (state, route) = (self.state.clone(), route.to_owned());
        tokio::task::spawn_blocking(move || work(&state, &route)).await.ok()
    }

    fn live(&self) -> RwLockReadGuard<'_, Live> {
        self.live.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn live_mut(&self) -> RwLockWriteGuard<'_, Live> {
        self.live.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What loads the components of files. The tests of this crate are another program, which a child
/// process would know no command of.
fn components(engine: &Arc<ConnectorEngine>, limits: &Limits, cache: ComponentCache) -> ComponentLoader {
    let load = if cfg!(test) { ComponentLoader::in_this_process } else { ComponentLoader::new };
    load(Arc::clone(engine), limits, cache)
}

/// Whether loading a file again would have the same outcome: its bytes and signature are the same,
/// and a refusal was because of its bytes.
fn is_decided(entry: &RegistryEntry, file: &ComponentFile) -> bool {
    entry.sha256.as_ref() == Some(&file.sha256)
        && match &entry.loaded {
            Ok(connector) => file.signature.as_ref().is_ok_and(|signature| *signature == connector.signature),
            Err(error) => error.is_of_the_bytes(),
        }
}

impl Live {
    /// Whether a file of the folder is known to claim another route than this.
    fn has_left(&self, file: &Path, route: &str) -> bool {
        match self.files.get(file).map(|entry| &entry.loaded) {
            Some(Ok(connector)) => connector.descriptor.route != route,
            Some(Err(LoadError::RouteTaken { route: claimed, .. })) => claimed != route,
            Some(Err(_)) | None => false,
        }
    }
}

impl Serving {
    fn page_bytes(&self) -> usize {
        self.page.as_ref().map_or(0, |page| page.bytes)
    }
}

/// The components of a folder, sorted.
pub(super) fn component_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = std::fs::read_dir(folder)?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| is_component(path))
        .collect::<Vec<_>>();
    paths.sort();
    Ok(paths)
}

/// Whether a file's name says that it is a component.
pub(super) fn is_component(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "wasm")
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

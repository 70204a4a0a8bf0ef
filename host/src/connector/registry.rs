//! The folder of connectors: which file serves which route, now.
//!
//! A file that fails to load keeps its place in the list, with the reason, and the version that served before it goes on. What
//! serves is replaced in one step; whoever fetches a page holds the version that it began with. Two files that claim one
//! route: the one that served goes on, and if neither did, both are refused, since nobody could say which was meant.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::cache::ComponentCache;
use super::compile::Compiler;
use super::engine::ConnectorEngine;
use super::events::RegistryEvent;
use super::exchange::RecordedPage;
use super::load::{Connector, LoadError, Loader, Origin, TrustPolicy};
use super::state::{Held, HoldReason, Refusal, RouteState, StateFolder};
use super::trial::{Skipped, Trial};
use super::usage::{Usage, UsageMeter};
use super::verdict::{Verdict, Version, judge};
use crate::limits::Limits;

/// Memory for recorded pages, of all routes together.
const RECORDED_BYTES: usize = 64 * 1024 * 1024;

/// Where a registry finds what it needs.
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
    /// The connector, or why it is none.
    pub loaded: Result<Arc<Connector>, LoadError>,
    /// Whether it serves.
    pub standing: Standing,
    /// What serves instead of it, if it does not serve itself.
    pub instead: Option<Arc<Connector>>,
}

/// Whether a file serves its route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Serves,
    /// It waits for the operator's word.
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
    live: RwLock<Live>,
    watched: AtomicBool,
}

#[derive(Default)]
struct Live {
    files: BTreeMap<PathBuf, RegistryEntry>,
    routes: BTreeMap<String, Serving>,
    /// Routes that this process fetches from: only of those it writes down what serves.
    used: HashSet<String>,
    /// What happened at the start, for whoever comes to watch.
    untold: Vec<RegistryEvent>,
}

/// What serves a route.
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
        let (trust, compiler) = (Arc::clone(trust), Compiler::new(limits));
        let loader = Loader { engine: Arc::clone(engine), limits: *limits, trust, cache, compiler };
        let usage = UsageMeter::default();
        let registry = Self { loader, folder, state, usage, live: RwLock::default(), watched: AtomicBool::new(false) };
        let mut files = Vec::with_capacity(paths.len());
        for path in paths {
            files.push(registry.go_through(path, None).await);
        }
        registry.begin(files).await;
        Ok(registry)
    }

    /// Loads one file, wherever it is.
    pub async fn inspect(
        engine: &Arc<ConnectorEngine>,
        limits: &Limits,
        trust: &Arc<TrustPolicy>,
        path: &Path,
    ) -> Result<Connector, LoadError> {
        let (trust, cache, compiler) = (Arc::clone(trust), ComponentCache::open(None), Compiler::new(limits));
        Loader { engine: Arc::clone(engine), limits: *limits, trust, cache, compiler }.load(path, Origin::Named).await
    }

    /// Every file of the folder, in the order of their names.
    pub fn entries(&self) -> Vec<RegistryEntry> {
        self.live().files.values().cloned().collect()
    }

    /// The connector that serves a route now.
    pub fn connector(&self, route: &str) -> Option<Arc<Connector>> {
        self.live().routes.get(route).map(|serving| Arc::clone(&serving.connector))
    }

    /// The routes that are served, sorted.
    pub fn routes(&self) -> Vec<String> {
        self.live().routes.keys().cloned().collect()
    }

    /// The connector that serves a route now, for fetching: what serves from now on is written down, and kept.
    pub async fn use_connector(&self, route: &str) -> Option<Arc<Connector>> {
        let connector = self.connector(route)?;
        self.live_mut().used.insert(route.to_owned());
        self.write_down(route).await;
        Some(connector)
    }

    /// A version that served once, by its digest.
    pub async fn kept(&self, sha256: &str) -> Option<Arc<Connector>> {
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

    pub(super) fn engine(&self) -> &ConnectorEngine {
        &self.loader.engine
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.loader.limits
    }

    /// What the pages of a route have used, in all processes of this installation, as far as they have written it down.
    pub fn usage(&self, route: &str) -> Usage {
        self.state.usage(route)
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

    /// Changes are looked for from now on. Gives what happened before.
    pub(super) fn begin_watching(&self) -> Vec<RegistryEvent> {
        self.watched.store(true, Ordering::Relaxed);
        std::mem::take(&mut self.live_mut().untold)
    }

    /// Remembers a route's last good page, if there is room. One without records shows little: it replaces none that has any.
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

    /// Reads, loads and tries a file. `known`: the digest that needs none of it. Dropping the future ends it all.
    pub(super) async fn go_through(&self, path: PathBuf, known: Option<&str>) -> Loaded {
        let skipped = Trial::Skipped(Skipped::NoPage);
        let file = match self.loader.read(&path, Origin::Folder).await {
            Ok(file) => file,
            Err(error) => return Loaded { path, sha256: None, connector: Err(error), trial: skipped },
        };
        let sha256 = Some(file.sha256.clone());
        if let Some(entry) = self.entry(&path).filter(|_| known == sha256.as_deref()) {
            return Loaded { path, sha256, connector: entry.loaded, trial: skipped };
        }
        let connector = self.loader.load_file(file).await.map(Arc::new);
        let trial = match &connector {
            Ok(connector) if self.is_news(connector) => {
                let page = self.last_page(&connector.descriptor.route);
                super::trial::hold(self.engine(), self.limits(), connector, page).await
            }
            _ => skipped,
        };
        Loaded { path, sha256, connector, trial }
    }

    fn is_news(&self, connector: &Connector) -> bool {
        self.connector(&connector.descriptor.route).is_some_and(|serving| serving.sha256 != connector.sha256)
    }

    /// Lets the files of a start find their places. Those that served last come first: they keep their routes.
    async fn begin(&self, mut files: Vec<Loaded>) {
        let remembered = self.remembered().await;
        let served = |file: &Loaded| remembered.iter().any(|(_, state)| state.file == name_of(&file.path));
        refuse_doubles(&mut files, &served);
        files.sort_by_key(|file| !served(file));
        for file in files {
            let event = self.settle(file).await;
            let worth_telling = event.filter(|event| event.is_a_reservation());
            self.live_mut().untold.extend(worth_telling);
        }
    }

    /// Decides what becomes of a file that was gone through. Gives what there is to tell, if anything changed.
    pub(super) async fn settle(&self, file: Loaded) -> Option<RegistryEvent> {
        let Loaded { path, sha256, connector, trial } = file;
        let connector = match connector {
            Ok(connector) => connector,
            Err(error) => return self.refuse(path, sha256, error).await,
        };
        let route = connector.descriptor.route.clone();
        if let Some(other) = self.claimed_by_another(&path, &route) {
            return self.refuse(path, sha256, LoadError::RouteTaken { route, other: name_of(&other) }).await;
        }
        let state = self.with_state(&route, |state, route| state.route(route)).await.unwrap_or_default();
        let present = self.present(&route, &state, &connector).await;
        match judge(&state, version(&connector), present.as_deref().map(version), &trial) {
            Verdict::Serve => self.take_over(path, connector, trial).await,
            Verdict::Hold(reasons) => self.hold(path, connector, present, reasons).await,
            Verdict::RollBack(to) => {
                let earlier = self.kept(&to).await.or(present);
                self.roll_back(path, connector, earlier)
            }
            Verdict::Refuse(reason) => {
                self.write_refusal(&connector, &reason).await;
                self.serve_instead(&route, &path, present);
                self.refuse(path, sha256, LoadError::FailedTrial(reason)).await
            }
        }
    }

    /// What is remembered of a route has changed: what serves it may have to.
    pub(super) async fn reconsider(&self, route: &str) -> Option<RegistryEvent> {
        let file = self.live().routes.get(route).map(|serving| serving.file.clone())?;
        let entry = self.entry(&file)?;
        let refused_trial = matches!(entry.loaded, Err(LoadError::FailedTrial(_)));
        let state = self.with_state(route, |state, route| state.route(route)).await?;
        match entry.loaded {
            Ok(connector) => {
                // The operator's word stands for a trial.
                let accepted = state.accepted.contains(&connector.sha256);
                let trial = if accepted { Trial::Same } else { Trial::Skipped(Skipped::NoPage) };
                let sha256 = entry.sha256;
                self.settle(Loaded { path: file, sha256, connector: Ok(connector), trial }).await
            }
            // The file is broken; the operator may go back from what serves in its place all the same.
            Err(_) if !refused_trial || state.rollback.is_some() => {
                let rollback = state.rollback.filter(|rollback| Some(&rollback.over) == entry.sha256.as_ref())?;
                let earlier = self.kept(&rollback.to).await?;
                let changed = self.connector(route).is_none_or(|serving| serving.sha256 != earlier.sha256);
                self.serve_instead(route, &file, Some(Arc::clone(&earlier)));
                changed.then(|| RegistryEvent::RolledBack { connector: earlier })
            }
            Err(_) => None,
        }
    }

    /// A file is gone. What served from it goes on; others may claim its route.
    pub(super) fn gone(&self, path: &Path) -> Option<RegistryEvent> {
        let mut live = self.live_mut();
        live.files.remove(path)?;
        let serving = live.routes.values().find(|serving| serving.file == path)?;
        Some(RegistryEvent::Removed { path: path.to_owned(), connector: Arc::clone(&serving.connector) })
    }

    /// Files that were refused because another served their route.
    pub(super) fn waiting_for_a_route(&self) -> Vec<PathBuf> {
        let live = self.live();
        let waits = |entry: &&RegistryEntry| matches!(entry.loaded, Err(LoadError::RouteTaken { .. }));
        live.files.values().filter(waits).map(|entry| entry.path.clone()).collect()
    }

    /// Another file that claims the route: the one that it is served from, if that is still there and has not changed its route;
    /// else any that waits for it. Of several that nobody has served from, none gets it before the others are gone: which one is
    /// meant is the operator's to say, and not a matter of which was read first.
    fn claimed_by_another(&self, path: &Path, route: &str) -> Option<PathBuf> {
        let live = self.live();
        if let Some(serving) = live.routes.get(route) {
            if serving.file == path {
                return None;
            }
            let entry = live.files.get(&serving.file);
            let left = |entry: &RegistryEntry| entry.loaded.as_ref().is_ok_and(|c| c.descriptor.route != route);
            if entry.is_some_and(|entry| !left(entry)) {
                return Some(serving.file.clone());
            }
        }
        let waits = |entry: &&RegistryEntry| matches!(&entry.loaded, Err(LoadError::RouteTaken { route: its, .. }) if its == route);
        live.files.values().filter(|entry| entry.path != path).find(waits).map(|entry| entry.path.clone())
    }

    /// What serves a route now, or served it last: what a new version is held against.
    async fn present(&self, route: &str, state: &RouteState, version: &Connector) -> Option<Arc<Connector>> {
        if let Some(serving) = self.connector(route) {
            return Some(serving);
        }
        let last = state.serving.as_deref().filter(|sha256| *sha256 != version.sha256)?;
        self.kept(last).await
    }

    async fn take_over(&self, path: PathBuf, connector: Arc<Connector>, trial: Trial) -> Option<RegistryEvent> {
        let route = connector.descriptor.route.clone();
        let before = self.connector(&route);
        self.enter(path.clone(), &connector, Standing::Serves, None);
        self.serve(&route, path, Arc::clone(&connector));
        if self.live().used.contains(&route) {
            self.write_down(&route).await;
        }
        let is_new = before.is_none_or(|before| before.sha256 != connector.sha256);
        is_new.then_some(RegistryEvent::TookOver { connector, trial })
    }

    async fn hold(
        &self,
        path: PathBuf,
        connector: Arc<Connector>,
        present: Option<Arc<Connector>>,
        reasons: Vec<HoldReason>,
    ) -> Option<RegistryEvent> {
        let route = connector.descriptor.route.clone();
        let standing = Standing::Held(reasons.clone());
        let is_new =
            self.entry(&path).is_none_or(|e| e.standing != standing || e.sha256.as_ref() != Some(&connector.sha256));
        self.enter(path.clone(), &connector, standing, present.clone());
        self.serve_instead(&route, &path, present.clone());
        let held = Held {
            sha256: connector.sha256.clone(),
            version: connector.descriptor.version.clone(),
            reasons: reasons.clone(),
        };
        let is_used = self.live().used.contains(&route);
        let serving = present.as_ref().filter(|_| is_used).map(|present| present.sha256.clone());
        self.with_state(&route, move |state, route| {
            state.update(route, |state| {
                state.held = Some(held);
                state.serving = serving.or(state.serving.take());
            })
        })
        .await;
        is_new.then_some(RegistryEvent::Held { connector, present, reasons })
    }

    fn roll_back(
        &self,
        path: PathBuf,
        connector: Arc<Connector>,
        earlier: Option<Arc<Connector>>,
    ) -> Option<RegistryEvent> {
        // Whatever was kept may have been lost: then the file that is there is better than nothing.
        let route = connector.descriptor.route.clone();
        let earlier = earlier.unwrap_or_else(|| Arc::clone(&connector));
        let changed = self.connector(&route).is_none_or(|serving| serving.sha256 != earlier.sha256);
        self.enter(path.clone(), &connector, Standing::RolledBack, Some(Arc::clone(&earlier)));
        self.serve(&route, path, Arc::clone(&earlier));
        changed.then_some(RegistryEvent::RolledBack { connector: earlier })
    }

    /// A file is no connector, or may not serve. What served from it goes on; after a start, what served from it last.
    async fn refuse(&self, path: PathBuf, sha256: Option<String>, error: LoadError) -> Option<RegistryEvent> {
        let is_new = self.entry(&path).is_none_or(|e| e.loaded.as_ref().err() != Some(&error) || e.sha256 != sha256);
        let mut instead = self.served_from(&path);
        if instead.is_none() && !matches!(error, LoadError::RouteTaken { .. }) {
            instead = self.served_last(&path).await;
            if let Some(connector) = &instead {
                let route = connector.descriptor.route.clone();
                self.serve(&route, path.clone(), Arc::clone(connector));
            }
        }
        let entry = RegistryEntry {
            path: path.clone(),
            sha256,
            loaded: Err(error.clone()),
            standing: Standing::Refused,
            instead: instead.clone(),
        };
        self.live_mut().files.insert(path.clone(), entry);
        is_new.then_some(RegistryEvent::Refused { path, error, present: instead })
    }

    fn served_from(&self, path: &Path) -> Option<Arc<Connector>> {
        let live = self.live();
        live.routes.values().find(|serving| serving.file == path).map(|serving| Arc::clone(&serving.connector))
    }

    async fn served_last(&self, path: &Path) -> Option<Arc<Connector>> {
        let file = name_of(path);
        let remembered = self.remembered().await;
        let (route, state) = remembered.into_iter().find(|(_, state)| state.file == file)?;
        let connector = self.kept(&state.rollback.map(|r| r.to).or(state.serving)?).await?;
        (connector.descriptor.route == route && self.connector(&route).is_none()).then_some(connector)
    }

    fn serve_instead(&self, route: &str, file: &Path, connector: Option<Arc<Connector>>) {
        if let Some(connector) = connector {
            self.serve(route, file.to_owned(), connector);
        }
    }

    fn enter(&self, path: PathBuf, connector: &Arc<Connector>, standing: Standing, instead: Option<Arc<Connector>>) {
        let sha256 = Some(connector.sha256.clone());
        let entry = RegistryEntry { path: path.clone(), sha256, loaded: Ok(Arc::clone(connector)), standing, instead };
        self.live_mut().files.insert(path, entry);
    }

    /// The one step in which a version replaces another.
    fn serve(&self, route: &str, file: PathBuf, connector: Arc<Connector>) {
        let mut live = self.live_mut();
        let page = live.routes.remove(route).and_then(|before| before.page);
        live.routes.insert(route.to_owned(), Serving { connector, file, page });
    }

    /// Writes down what serves a route, if it is what stands in its file, and keeps it.
    async fn write_down(&self, route: &str) {
        let (connector, file) = {
            let live = self.live();
            let Some(serving) = live.routes.get(route) else { return };
            let standing = live.files.get(&serving.file).map(|entry| &entry.standing);
            if standing != Some(&Standing::Serves) {
                return;
            }
            (Arc::clone(&serving.connector), name_of(&serving.file))
        };
        let written = self.with_state(route, move |state, route| {
            state.keep(&connector)?;
            state.update(route, |state| state.take_over(&file, &connector))
        });
        if let Some(Err(error)) = written.await {
            tracing::warn!(rota = route, %error, "what serves the route was not written down");
        }
    }

    async fn write_refusal(&self, connector: &Connector, reason: &str) {
        let refusal = Refusal { sha256: connector.sha256.clone(), reason: reason.to_owned() };
        self.with_state(&connector.descriptor.route, move |state, route| {
            state.update(route, |state| state.refused = Some(refusal))
        })
        .await;
    }

    async fn remembered(&self) -> Vec<(String, RouteState)> {
        self.with_state("", |state, _| state.routes()).await.unwrap_or_default()
    }

    /// Does something with what is remembered, where blocking is allowed.
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

fn version(connector: &Connector) -> Version<'_> {
    Version { sha256: &connector.sha256, descriptor: &connector.descriptor }
}

/// Files that claim one route, none of which is known to have served it.
fn refuse_doubles(files: &mut [Loaded], served: &dyn Fn(&Loaded) -> bool) {
    let mut files_by_route: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut has_served = HashSet::new();
    for file in files.iter() {
        if let Ok(connector) = &file.connector {
            let route = connector.descriptor.route.clone();
            if served(file) {
                has_served.insert(route.clone());
            }
            files_by_route.entry(route).or_default().push(file.path.clone());
        }
    }
    for file in files {
        let Ok(connector) = &file.connector else {
            continue;
        };
        let route = connector.descriptor.route.clone();
        let other = files_by_route[&route].iter().find(|path| **path != file.path);
        if let Some(other) = other.filter(|_| !has_served.contains(&route)) {
            file.connector = Err(LoadError::RouteTaken { route, other: name_of(other) });
        }
    }
}

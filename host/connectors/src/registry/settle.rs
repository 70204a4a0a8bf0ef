//! Decides about a loaded file: it serves its route, waits for the operator's decision, or is
//! refused; and which version serves instead. One decision at a time: `Registry::deciding` is held
//! meanwhile.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::events::RegistryEvent;
use super::super::load::{Connector, LoadError};
use super::super::state::{Doubt, Held, HoldReason, Lists, Refusal, RouteState};
use super::super::trial::{Skipped, Trial};
use super::super::verdict::{Present, Verdict, Version, judge};
use super::{Loaded, Registry, RegistryEntry, Serving, Standing, name_of};

impl Registry {
    /// Decides about the files of a start. Those that served the routes that they claim come first,
    /// so that they keep them.
    pub(super) async fn begin(&self, mut files: Vec<Loaded>) {
        let remembered = self.remembered().await;
        let served = |file: &Loaded| has_served(file, &remembered);
        refuse_doubles(&mut files, &served);
        files.sort_by_key(|file| !served(file));
        // What each claims is known before the first gets its route: a file that left one does not
        // keep others from it.
        for file in &files {
            self.enter_claim(file);
        }
        for file in files {
            let event = self.settle(file).await;
            let worth_telling = event.filter(|event| event.is_a_reservation());
            self.live_mut().untold.extend(worth_telling);
        }
    }

    /// Decides about a loaded file. Returns an event if anything changed.
    pub(crate) async fn settle(&self, file: Loaded) -> Option<RegistryEvent> {
        let _deciding = self.deciding.lock().await;
        self.decide(file).await
    }

    async fn decide(&self, file: Loaded) -> Option<RegistryEvent> {
        let Loaded { path, sha256, connector, trial } = file;
        let connector = match connector {
            Ok(connector) => connector,
            Err(error) => return self.refuse(path, sha256, error).await,
        };
        let route = connector.descriptor.route.clone();
        let state = self.with_state(&route, |state, route| state.route(route)).await.unwrap_or_default();
        let state = self.with_quarantine(state, &connector.sha256);
        if let Some(other) = self.claimed_by_another(&path, &route, &state) {
            return self.refuse(path, sha256, LoadError::RouteTaken { route, other: name_of(&other) }).await;
        }
        let present = self.present(&route, &state, &connector).await;
        let against = held_against(&state, &connector, present.as_deref());
        match judge(&state, version(&connector), against.as_ref(), &trial) {
            Verdict::Serve => self.take_over(path, connector, trial).await,
            Verdict::Hold(reasons) => {
                let instead = self.instead(&state, &connector, present).await;
                self.hold(path, connector, instead, reasons).await
            }
            Verdict::RollBack(to) => {
                // If that version is quarantined by now, the route is not served at all: the one
                // that the operator went back from must not return.
                let held = if self.quarantined(&to).is_some() { self.load_kept(&to).await } else { None };
                let earlier = held.or(self.kept(&to).await).or(present);
                self.roll_back(path, connector, earlier)
            }
            Verdict::Refuse(reason) => {
                let instead = self.instead(&state, &connector, present).await;
                let version = connector.descriptor.version.clone();
                let refusal = Refusal { sha256: connector.sha256.clone(), version, reason: reason.clone() };
                self.write_doubt(&route, Doubt::Refused(refusal), instead.as_ref()).await;
                self.serve_instead(&path, &connector, instead);
                self.refuse(path, sha256, LoadError::FailedTrial(reason)).await
            }
        }
    }

    /// Decides about a route again after its recorded state has changed.
    pub(crate) async fn reconsider(&self, route: &str) -> Option<RegistryEvent> {
        let _deciding = self.deciding.lock().await;
        let file = self.file_of(route)?;
        let entry = self.entry(&file);
        let state = self.with_state(route, |state, route| state.route(route)).await?;
        match entry {
            Some(RegistryEntry { loaded: Ok(connector), sha256, .. }) if connector.descriptor.route == route => {
                // An operator's acceptance replaces the trial.
                let accepted = state.accepted.contains(&connector.sha256);
                let trial = if accepted { Trial::Same } else { Trial::Skipped(Skipped::NoPage) };
                self.decide(Loaded { path: file, sha256, connector: Ok(connector), trial }).await
            }
            // The file is broken, gone, or another route's; the operator may go back from what
            // serves in its place all the same.
            entry => {
                let digest = entry.and_then(|entry| entry.sha256).unwrap_or_default();
                let rollback = state.rollback.filter(|rollback| rollback.over == digest)?;
                let earlier = self.kept(&rollback.to).await?;
                let changed = self.connector(route).is_none_or(|serving| serving.sha256 != earlier.sha256);
                self.serve(route, file, Arc::clone(&earlier));
                changed.then(|| RegistryEvent::RolledBack { connector: earlier })
            }
        }
    }

    /// The file that serves a route; if none does, one that would.
    pub(super) fn file_of(&self, route: &str) -> Option<PathBuf> {
        let live = self.live();
        let claims = |entry: &&RegistryEntry| entry.loaded.as_ref().is_ok_and(|c| c.descriptor.route == route);
        let serving = live.routes.get(route).map(|serving| serving.file.clone());
        serving.or_else(|| live.files.values().find(claims).map(|entry| entry.path.clone()))
    }

    /// Files that were refused by their trial, and that the operator accepted since: they are to be
    /// gone through again.
    pub(crate) async fn refused_and_accepted(&self, route: &str) -> Vec<PathBuf> {
        let state = self.with_state(route, |state, route| state.route(route)).await.unwrap_or_default();
        let is_accepted = |entry: &&RegistryEntry| {
            matches!(entry.loaded, Err(LoadError::FailedTrial(_)))
                && entry.sha256.as_ref().is_some_and(|sha256| state.accepted.contains(sha256))
        };
        self.live().files.values().filter(is_accepted).map(|entry| entry.path.clone()).collect()
    }

    /// The routes that are served from a file.
    pub(crate) fn routes_from(&self, path: &Path) -> Vec<String> {
        let live = self.live();
        live.routes.iter().filter(|(_, serving)| serving.file == path).map(|(route, _)| route.clone()).collect()
    }

    /// Removes a file from the list. The version that served from it goes on; other files may claim
    /// its route.
    pub(crate) fn gone(&self, path: &Path) -> Option<RegistryEvent> {
        let mut live = self.live_mut();
        live.files.remove(path)?;
        let serving = live.routes.values().find(|serving| serving.file == path)?;
        Some(RegistryEvent::Removed { path: path.to_owned(), connector: Arc::clone(&serving.connector) })
    }

    /// Another file with a claim to the route: the one that it is or was last served from, if that
    /// still exists and has not changed its route, even if it is broken at present; else any that
    /// waits for the route. Of several files that have never served it, none gets it before the
    /// others are gone: the operator has to say which is meant, not the order of reading.
    fn claimed_by_another(&self, path: &Path, route: &str, state: &RouteState) -> Option<PathBuf> {
        let live = self.live();
        if let Some(serving) = live.routes.get(route) {
            if serving.file == path {
                return None;
            }
            if live.files.contains_key(&serving.file) && !live.has_left(&serving.file, route) {
                return Some(serving.file.clone());
            }
        }
        let last = (!state.file.is_empty()).then(|| self.folder.join(&state.file));
        let stands = |last: &PathBuf| last != path && last.symlink_metadata().is_ok() && !live.has_left(last, route);
        if let Some(last) = last.filter(stands) {
            return Some(last);
        }
        let waits = |entry: &&RegistryEntry| matches!(&entry.loaded, Err(LoadError::RouteTaken { route: its, .. }) if its == route);
        live.files.values().filter(|entry| entry.path != path).find(waits).map(|entry| entry.path.clone())
    }

    /// The version that serves a route now, or served it last, other than `version`. Where
    /// `version` itself serves and is judged once more, this is what another process has recorded
    /// as serving.
    async fn present(&self, route: &str, state: &RouteState, version: &Connector) -> Option<Arc<Connector>> {
        let serving = self.connector(route).filter(|serving| serving.sha256 != version.sha256);
        if serving.is_some() {
            return serving;
        }
        let last = state.serving.as_deref().filter(|sha256| *sha256 != version.sha256)?;
        // A command that fetches nothing knows it only by the recorded state.
        if state.ended_a_process(last) { None } else { self.kept(last).await }
    }

    /// The version that serves instead of one that may not: the present one; or, if the refused one
    /// took over before anything was known against it, the one before it.
    async fn instead(
        &self,
        state: &RouteState,
        version: &Connector,
        present: Option<Arc<Connector>>,
    ) -> Option<Arc<Connector>> {
        if present.is_some() || state.serving.as_ref() != Some(&version.sha256) {
            return present;
        }
        let before = state.history.iter().find(|before| before.sha256 != version.sha256)?;
        if state.known_against(&before.sha256).is_some() { None } else { self.kept(&before.sha256).await }
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
        let standing = Standing::Held(reasons.clone());
        let is_new =
            self.entry(&path).is_none_or(|e| e.standing != standing || e.sha256.as_ref() != Some(&connector.sha256));
        self.enter(path.clone(), &connector, standing, present.clone());
        self.serve_instead(&path, &connector, present.clone());
        let (sha256, version) = (connector.sha256.clone(), connector.descriptor.version.clone());
        let held = Held { sha256, version, reasons: reasons.clone() };
        self.write_doubt(&connector.descriptor.route, Doubt::Held(held), present.as_ref()).await;
        is_new.then_some(RegistryEvent::Held { connector, present, reasons })
    }

    fn roll_back(
        &self,
        path: PathBuf,
        connector: Arc<Connector>,
        earlier: Option<Arc<Connector>>,
    ) -> Option<RegistryEvent> {
        // The kept version may have been lost; then the present file serves after all.
        let route = connector.descriptor.route.clone();
        let earlier = earlier.unwrap_or_else(|| Arc::clone(&connector));
        let changed = self.connector(&route).is_none_or(|serving| serving.sha256 != earlier.sha256);
        self.enter(path.clone(), &connector, Standing::RolledBack, Some(Arc::clone(&earlier)));
        self.serve(&route, path, Arc::clone(&earlier));
        changed.then_some(RegistryEvent::RolledBack { connector: earlier })
    }

    /// Refuses a file. The version that served from it goes on; after a start, the one that served
    /// from it last.
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

    /// The version that a file served before this start. Where several routes name the file, the
    /// one that it claimed last counts: it has left the others.
    async fn served_last(&self, path: &Path) -> Option<Arc<Connector>> {
        let file = name_of(path);
        let named = self.remembered().await.into_iter().filter(|(_, state)| state.file == file);
        let (route, state) = named.max_by_key(|(_, state)| state.history.first().map(|newest| newest.since.clone()))?;
        let may_serve = |sha256: &String| state.known_against(sha256).is_none();
        let serving = state.serving.as_ref().filter(|sha256| may_serve(sha256));
        let connector = self.kept(state.rollback.as_ref().map(|rollback| &rollback.to).or(serving)?).await?;
        (connector.descriptor.route == route && self.connector(&route).is_none()).then_some(connector)
    }

    /// Serves another version than the one in the file, which may not serve; nothing, if there is
    /// none and it did.
    fn serve_instead(&self, file: &Path, refused: &Connector, instead: Option<Arc<Connector>>) {
        let route = &refused.descriptor.route;
        match instead {
            Some(connector) => self.serve(route, file.to_owned(), connector),
            None => {
                let mut live = self.live_mut();
                if live.routes.get(route).is_some_and(|serving| serving.connector.sha256 == refused.sha256) {
                    live.routes.remove(route);
                }
            }
        }
    }

    /// Enters the route that a file claims, before the decision about it.
    fn enter_claim(&self, file: &Loaded) {
        let Loaded { path, sha256, connector, .. } = file;
        if matches!(connector, Ok(_) | Err(LoadError::RouteTaken { .. })) {
            let (sha256, loaded) = (sha256.clone(), connector.clone());
            let entry =
                RegistryEntry { path: path.clone(), sha256, loaded, standing: Standing::Refused, instead: None };
            self.live_mut().files.insert(path.clone(), entry);
        }
    }

    fn enter(&self, path: PathBuf, connector: &Arc<Connector>, standing: Standing, instead: Option<Arc<Connector>>) {
        let sha256 = Some(connector.sha256.clone());
        let entry = RegistryEntry { path: path.clone(), sha256, loaded: Ok(Arc::clone(connector)), standing, instead };
        self.live_mut().files.insert(path, entry);
    }

    /// Replaces the serving version of a route, in one step.
    fn serve(&self, route: &str, file: PathBuf, connector: Arc<Connector>) {
        let mut live = self.live_mut();
        let page = live.routes.remove(route).and_then(|before| before.page);
        live.routes.insert(route.to_owned(), Serving { connector, file, page });
    }

    /// Records a finding against a version, and, for routes that this process fetches from, the
    /// version that serves instead.
    async fn write_doubt(&self, route: &str, doubt: Doubt, instead: Option<&Arc<Connector>>) {
        let is_used = self.live().used.contains(route);
        let instead = instead.filter(|_| is_used).map(|instead| instead.sha256.clone());
        self.with_state(route, move |state, route| state.update(route, |state| state.doubt(doubt, instead))).await;
    }

    async fn remembered(&self) -> Vec<(String, RouteState)> {
        self.with_state("", |state, _| state.routes()).await.unwrap_or_default()
    }
}

/// The version that a new one is compared with: the present one, or, if that is no longer kept, its
/// recorded lists.
fn held_against(state: &RouteState, version: &Connector, present: Option<&Connector>) -> Option<Present> {
    if let Some(present) = present {
        return Some(Present { sha256: present.sha256.clone(), lists: Lists::of(&present.descriptor) });
    }
    let last = state.serving.as_ref().filter(|sha256| **sha256 != version.sha256)?;
    Some(Present { sha256: last.clone(), lists: state.lists_of(last) })
}

fn version(connector: &Connector) -> Version<'_> {
    Version { sha256: &connector.sha256, descriptor: &connector.descriptor }
}

/// Whether a file served the route that it claims now; for a broken file, which claims none,
/// whether it served any.
fn has_served(file: &Loaded, remembered: &[(String, RouteState)]) -> bool {
    let name = name_of(&file.path);
    let mut routes = remembered.iter().filter(|(_, state)| state.file == name).map(|(route, _)| route);
    match &file.connector {
        Ok(connector) => routes.any(|route| *route == connector.descriptor.route),
        Err(_) => routes.next().is_some(),
    }
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

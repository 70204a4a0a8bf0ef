//! Quarantined versions, which crashed a host's process: no host serves or runs them until the
//! operator accepts one. The list is in the database that the hosts share; this is the process's
//! copy of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError};

use atlas_model::{Limits, QuarantineRow};
use atlas_pipeline::HeldVersion;
use atlas_sandbox::{Line, PageFacts, ScrapFacts, Source};

use super::super::events::RegistryEvent;
use super::super::flight::{Crash, FlightOwner, crashes};
use super::super::lines::{RecordedPage, ReplayLine};
use super::super::load::Connector;
use super::super::state::{Doubt, Held, HoldReason, RouteState};
use super::Registry;

/// A version that is held on all hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
    /// Its route.
    pub route: String,
    /// Its own version, for people.
    pub version: String,
    /// The signal by which it ended a process.
    pub signal: String,
}

impl From<QuarantineRow> for Quarantined {
    fn from(row: QuarantineRow) -> Self {
        Self { sha256: row.sha256, route: row.rota, version: row.versao, signal: row.sinal }
    }
}

impl From<Quarantined> for HeldVersion {
    fn from(held: Quarantined) -> Self {
        let Quarantined { sha256, route, version, signal } = held;
        Self { route, version, sha256, signal }
    }
}

impl Quarantined {
    fn held(&self) -> Held {
        let reasons = vec![HoldReason::EndedProcess { signal: self.signal.clone() }];
        Held { sha256: self.sha256.clone(), version: self.version.clone(), reasons }
    }
}

impl Registry {
    /// Starts recording the calls of guests while they run, so that the next process knows which
    /// were under way if this one crashes. Does nothing without a state folder.
    pub async fn record_flights(&self, owner: FlightOwner) {
        let Some(folder) = self.state.flights_folder() else { return };
        let flights = Arc::clone(&self.flights);
        let opened = tokio::task::spawn_blocking(move || flights.open(&folder, &owner)).await;
        if let Err(error) = opened.unwrap_or_else(|panic| Err(io::Error::other(panic))) {
            tracing::warn!(%error, "calls of connectors are not noted");
        }
    }

    /// The calls that crashed processes of this database had under way.
    pub async fn crashes(&self, database: &str) -> io::Result<Vec<Crash>> {
        let (Some(folder), database) = (self.state.flights_folder(), database.to_owned()) else {
            return Ok(Vec::new());
        };
        tokio::task::spawn_blocking(move || crashes(&folder, &database)).await.map_err(io::Error::other)?
    }

    /// A version of the folder, a serving or a kept one, by its digest, quarantined or not.
    pub async fn version(&self, sha256: &str) -> Option<Arc<Connector>> {
        let mut loaded = self.entries().into_iter().filter_map(|entry| entry.loaded.ok());
        match loaded.find(|connector| connector.sha256 == sha256) {
            Some(connector) => Some(connector),
            // Among these is what serves and stands in no file any more.
            None => self.load_kept(sha256).await,
        }
    }

    /// Replaces the list of quarantined versions, except for those that the operator accepted here;
    /// other versions take their places at once. Returns the newly held ones, each with the event
    /// of its route, if there is one.
    pub async fn quarantine(&self, versions: &[Quarantined]) -> Vec<(Quarantined, Option<RegistryEvent>)> {
        let mut held = BTreeMap::new();
        for version in versions {
            let state = self.with_state(&version.route, |state, route| state.route(route)).await.unwrap_or_default();
            if !state.is_accepted(&version.sha256) {
                held.insert(version.sha256.clone(), version.clone());
            }
        }
        let changed: Vec<Quarantined> = {
            let mut known = self.quarantined.write().unwrap_or_else(PoisonError::into_inner);
            let is_new = |version: &&Quarantined| !known.contains_key(&version.sha256);
            let changed = held.values().filter(is_new).cloned().collect();
            *known = held;
            changed
        };
        let mut held_now = Vec::new();
        for version in changed {
            let route = version.route.clone();
            tracing::warn!(
                rota = %route, versao = %version.version, sha256 = %version.sha256, sinal = %version.signal,
                "a version of a connector ended a host's process: it is held on all hosts"
            );
            let doubt = Doubt::Held(version.held());
            self.with_state(&route, move |state, route| state.update(route, |state| state.doubt(doubt, None))).await;
            // Decided now: a worker may run out of scraps and end before the watcher's next poll.
            let event = self.reconsider(&route).await;
            held_now.push((version, event));
        }
        held_now
    }

    /// Leaves events to the watcher, which reports them at its next poll of the folder.
    pub fn tell_later(&self, events: impl IntoIterator<Item = RegistryEvent>) {
        self.live_mut().untold.extend(events.into_iter().filter(RegistryEvent::is_a_reservation));
    }

    /// What is known of a version that is held for having ended a process.
    pub fn quarantined(&self, sha256: &str) -> Option<Quarantined> {
        let known = self.quarantined.read().unwrap_or_else(PoisonError::into_inner);
        known.get(sha256).cloned()
    }

    /// The version that a route would be served by, if that is held for having ended a process.
    pub fn quarantined_of(&self, route: &str) -> Option<Quarantined> {
        let serving = self.live().routes.get(route).map(|serving| serving.connector.sha256.clone());
        self.quarantined(&serving?)
    }

    /// Whether the operator accepted a version on this host.
    pub async fn is_accepted(&self, connector: &Connector) -> bool {
        let (route, sha256) = (connector.descriptor.route.clone(), connector.sha256.clone());
        let accepted = self.with_state(&route, move |state, route| state.route(route).is_accepted(&sha256)).await;
        accepted.unwrap_or_default()
    }

    /// A route's state with this process's quarantine added, for hosts without a state folder.
    pub(super) fn with_quarantine(&self, mut state: RouteState, sha256: &str) -> RouteState {
        let known = self.quarantined.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = known.get(sha256).filter(|_| state.known_against(sha256).is_none()) {
            state.doubt(Doubt::Held(version.held()), None);
        }
        state
    }

    /// Repeats a call in a child process of its own; `line` makes its requests. Returns the signal
    /// by which it crashed that process, if it did, or an error if it could not be repeated.
    pub(crate) async fn call_alone(
        &self,
        connector: &Connector,
        limits: &Limits,
        facts: &ScrapFacts,
        cursor: Option<&str>,
        line: Arc<dyn Line>,
    ) -> Result<Option<&'static str>, String> {
        let source = Source {
            sha256: &connector.sha256,
            component: connector.bytes.clone(),
            contract: connector.made_for.clone(),
            name: connector.descriptor.route.clone(),
        };
        let facts = PageFacts {
            route: connector.descriptor.route.clone(),
            scrap: facts.clone(),
            now: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            cursor: cursor.map(str::to_owned),
        };
        self.loader.components.call_alone(limits, &source, facts, line).await
    }

    /// Repeats a call whose requests are refused, as those of a recorded page that has none.
    pub async fn call_alone_without_source(
        &self,
        connector: &Connector,
        limits: &Limits,
        facts: &ScrapFacts,
        cursor: Option<&str>,
    ) -> Result<Option<&'static str>, String> {
        let page = RecordedPage::empty(facts.clone(), *limits, String::new());
        let line = ReplayLine::new(Arc::new(page));
        self.call_alone(connector, limits, facts, cursor, Arc::new(line)).await
    }
}

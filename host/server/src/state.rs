//! The state that all request handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atlas_model::notice;
use atlas_service::zone::Zone;
use atlas_service::{Atlas, Failure, Finding, Health, Kind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::counting::Counting;
use super::events::{Journal, Listeners, Runs, Watch};
use super::metrics::Metrics;
use super::query::QueryNames;
use super::settings::{ContinueTrace, ServeSettings};
use super::texts::Texts;
use super::throttle::Throttle;

/// Searches through records at a time: each may read the whole table, and keep a core busy.
const SEARCHES_MAX: usize = 2;
/// How long a request waits for one of the [`SEARCHES_MAX`] turns.
const SEARCH_WAIT: Duration = Duration::from_secs(10);
/// Exports and large answers at a time: each has some megabytes of records in hand.
const READINGS_MAX: usize = 16;
/// How long `doctor` may take.
const EXAMINE_MAX: Duration = Duration::from_secs(5);

/// The state that all request handlers share.
pub(crate) struct AppState {
    pub(crate) atlas: Arc<Atlas>,
    pub(crate) texts: Arc<Texts>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) listeners: Listeners,
    pub(crate) runs: Arc<Runs>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) throttle: Throttle,
    pub(crate) counting: Counting,
    /// Searches through records that are under way.
    pub(crate) searches: Arc<Semaphore>,
    /// Exports and large answers that are under way.
    pub(crate) readings: Arc<Semaphore>,
    /// The time zone for callers that send none.
    pub(crate) zone: Zone,
    /// The query names of each operation of the API.
    pub(crate) query_names: QueryNames,
    /// Names under which browsers find the server.
    pub(crate) hosts: Vec<String>,
    /// The path in front of all others.
    pub(crate) prefix: Option<Arc<str>>,
    /// Whether there is a password: once there is one, there always is.
    pub(crate) has_password: AtomicBool,
    /// Whether browsers come over TLS, to here or to the proxy before it.
    pub(crate) is_tls: bool,
    pub(crate) behind_proxy: bool,
    pub(crate) continue_trace: ContinueTrace,
    pub(crate) stop: CancellationToken,
}

impl AppState {
    pub(crate) fn new(
        atlas: Arc<Atlas>,
        settings: &ServeSettings,
        prefix: Option<Arc<str>>,
        query_names: QueryNames,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let journal = Arc::new(Journal::new());
        let metrics = Arc::new(Metrics::new());
        let runs = Arc::new(Runs::new(Arc::clone(&journal), Arc::clone(&metrics), atlas.config().zone()));
        let watch = Watch::begin(Arc::clone(&atlas), Arc::clone(&journal), Arc::clone(&runs), stop.clone());
        Arc::new(Self {
            texts: Arc::new(Texts::new()),
            throttle: Throttle::default(),
            counting: Counting::new(),
            listeners: Listeners::default(),
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
            zone: atlas.config().zone(),
            query_names,
            hosts: settings.hosts.clone(),
            prefix,
            has_password: AtomicBool::new(false),
            is_tls: settings.tls.is_some() || settings.behind_proxy,
            behind_proxy: settings.behind_proxy,
            continue_trace: settings.continue_trace,
            atlas,
            journal,
            runs,
            watch,
            metrics,
            stop,
        })
    }

    /// Runs the checks of `doctor`, and reports `doctor-late` instead after [`EXAMINE_MAX`]: a
    /// locked database would keep them waiting.
    pub(crate) async fn findings(&self) -> Vec<Finding> {
        let late =
            || vec![Finding { health: Health::Bad, notice: notice!("doctor-late", seconds = EXAMINE_MAX.as_secs()) }];
        tokio::time::timeout(EXAMINE_MAX, self.atlas.examine()).await.unwrap_or_else(|_| late())
    }

    /// Whether no password has been set yet: then the next sign-in needs a link from the command
    /// line.
    pub(crate) async fn lacks_password(&self) -> bool {
        if self.has_password.load(Ordering::Relaxed) {
            return false;
        }
        // While the database does not answer, assume that a password is set.
        let has_password = self.atlas.has_password().await.unwrap_or(true);
        self.has_password.store(has_password, Ordering::Relaxed);
        !has_password
    }

    /// Acquires one of the [`SEARCHES_MAX`] turns, and fails after [`SEARCH_WAIT`].
    pub(crate) async fn search_turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let turn = tokio::time::timeout(SEARCH_WAIT, Arc::clone(&self.searches).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// Acquires a turn for a response that may have megabytes; fails at once where none is free.
    pub(crate) fn reading(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.readings).try_acquire_owned().map_err(|_| busy())
    }
}

/// The failure of a request that found no turn free.
pub(crate) fn busy() -> Failure {
    Failure::new("op-browse", notice!("web-busy"), Kind::Configuration)
}

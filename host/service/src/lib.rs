//! The operations of the product, which the command line, the page and the API call: register
//! clients, create scraps, run them, prove that nothing is missing. Every failure is a [`Failure`]:
//! a message for the operator, and an exit code.
//!
//! - `failure`, `kind`  errors of every crate, as failures for operators
//! - `messages`    messages for what other crates report
//! - `access`      who may come in, and what they may do
//! - `browse`      looking at pages and records
//! - `clients`     clients and where their APIs are
//! - `crashes`     what is found out about processes that crashed
//! - `defaults`    which APIs a client's default token and address serve
//! - `credentials`  credentials of single APIs, and the key that seals all secrets
//! - `connectors`  the folder of connectors, which needs no database
//! - `scraps`      creating, looking at, cancelling, pausing
//! - `runs`        running them
//! - `history`     what scraps said of themselves, and their pace
//! - `period`      periods, and the slices of a long one
//! - `presence`    this process among the hosts
//! - `preview`     what a scrap would ask for, and one page of it
//! - `published`   connectors that are published to all hosts
//! - `worker`      taking scraps from the queue
//! - `reload`      connectors that change while scraps run
//! - `settings`    what clients have set of APIs
//! - `signing`     signing connectors, and checking signatures
//! - `report`      what a run came to
//! - `doctor`      what is wrong with this installation

pub mod config;
pub mod i18n;
pub mod memory;
pub mod text_file;
pub mod zone;

mod access;
mod browse;
mod clients;
mod connectors;
mod crashes;
mod credentials;
mod defaults;
mod doctor;
mod failure;
mod history;
mod kind;
mod messages;
mod period;
mod presence;
mod preview;
mod proof;
mod published;
mod rejects;
mod reload;
mod report;
mod requests;
mod runs;
mod schedules;
mod scraps;
mod settings;
mod signing;
mod slots;
mod watched;
mod worker;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

pub use self::access::{Act, Principal, SESSION_S};
pub use self::browse::DayTotal;
pub use self::clients::{ClientChange, Said, check as check_client};
pub use self::connectors::Connectors;
pub use self::credentials::CredentialStatus;
pub use self::doctor::{Finding, Health};
pub use self::failure::Failure;
use self::history::Recorders;
pub use self::history::{Complaints, HistoryLine, HistoryPoint, Saying, paced};
pub use self::kind::{Exit, Kind};
pub use self::messages::Line;
pub use self::period::collected;
use self::presence::Presence;
pub use self::preview::{Preview, TriedPage};
pub use self::rejects::Replayed;
pub use self::reload::{event_failure, event_notices, hold_notice};
pub use self::report::RunReport;
pub use self::runs::{Announcement, RunFor, Taken};
pub use self::schedules::ScheduleRequest;
pub use self::scraps::{Created, PAGE_SIZE_MAX, ScrapRequest};
pub use self::signing::Signed;
pub use self::worker::WorkUntil;
use crate::config::Config;
/// What happens to the connectors that routes are served by, and what they are.
pub use atlas_connectors::{
    CHILD_COMMAND, Connector, Descriptor, Registry, RegistryEntry, RegistryEvent, RegistryObserver, Standing, Usage,
    mark_crashes, run_child,
};
/// Posts traces to a collector.
pub use atlas_http::CollectorClient;
/// How a connector says that its API is opened, and how fast it may be asked.
pub use atlas_http::{AuthScheme, Position, RateBudget, TokenGrant};
use atlas_http::{BodyBudget, Budgets, ClientError, HttpClient, TokenSessions};
/// Records as text, and places in them.
pub use atlas_json::{Pointer, laid_out};
use atlas_model::InitReport;
use atlas_model::Limits;
use atlas_model::notice;
/// What happens in a run.
pub use atlas_pipeline::{Event, Observer};
use atlas_store::Store;
use atlas_store_sql as store;
/// Where the tables are, the SQL that makes them, and the queries for people who look for
/// themselves.
pub use atlas_store_sql::{POSTGRES_SQL, SQLITE_SQL, StoreUrl, VERIFY_NEWEST, VERIFY_TOTALS};

/// An open installation: settings, store, connectors.
pub struct Atlas {
    config: Config,
    store: Arc<dyn Store>,
    connectors: Connectors,
    http: OnceCell<HttpClient>,
    /// Each client's share of the memory for bodies, over all of its scraps in this process.
    body_shares: Mutex<HashMap<i32, BodyBudget>>,
    tokens: TokenSessions,
    budgets: Budgets,
    presence: OnceCell<Presence>,
    crashes_settled: OnceCell<()>,
    recorders: Recorders,
    defaults_settled: OnceCell<()>,
    scraps_cleared: OnceCell<()>,
}

impl Atlas {
    /// Opens the store, without touching its tables. Fails where there is no embedded database.
    pub async fn connect(config: Config) -> Result<Self, Failure> {
        match config.store.missing_file() {
            Some(file) => Err(Failure::no_database(&file)),
            None => Self::connect_or_create(config).await,
        }
    }

    async fn connect_or_create(config: Config) -> Result<Self, Failure> {
        let store = store::open_with(&config.store, config.key.clone(), config.db_connections)
            .await
            .map_err(|error| Failure::connecting(&config.store, &error))?;
        Ok(Self {
            connectors: Connectors::new(&config),
            config,
            store,
            http: OnceCell::new(),
            body_shares: Mutex::default(),
            tokens: TokenSessions::default(),
            budgets: Budgets::default(),
            presence: OnceCell::new(),
            crashes_settled: OnceCell::new(),
            recorders: Recorders::default(),
            defaults_settled: OnceCell::new(),
            scraps_cleared: OnceCell::new(),
        })
    }

    /// Opens the store and sees to its tables: creates what is missing, adopts what is there. Fails
    /// where there is no embedded database.
    pub async fn open(config: Config) -> Result<(Self, InitReport), Failure> {
        Self::connect(config).await?.initialized().await
    }

    /// The same, and creates an embedded database that is not there: its file, if it was created.
    pub async fn open_or_create(config: Config) -> Result<(Self, InitReport, Option<PathBuf>), Failure> {
        let created = config.store.missing_file();
        let (atlas, report) = Self::connect_or_create(config).await?.initialized().await?;
        Ok((atlas, report, created))
    }

    async fn initialized(self) -> Result<(Self, InitReport), Failure> {
        match self.store.init().await {
            Ok(report) => Ok((self, report)),
            Err(error) => {
                let unfit = self.unfit_table().await;
                let failure = Failure::store("op-init", &error);
                Err(unfit.map_or(failure.clone(), |notice| Failure { notice, ..failure }))
            }
        }
    }

    /// Ends tidily: once tokens that are being renewed are stored.
    pub async fn close(&self) {
        self.tokens.settled().await;
        self.leave().await;
        self.store.close().await;
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The database. For callers outside this crate each query has a method of its own.
    pub(crate) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The connectors.
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// The HTTP client, as one client's pages may use it.
    async fn http(&self, cliente_id: i32, limits: &Limits) -> Result<HttpClient, Failure> {
        let house = self.config.limits();
        let client = self
            .http
            .get_or_try_init(|| async {
                let largest = house.body_bytes.max(house.call_bytes);
                let budget = BodyBudget::new(house.host_bodies, largest);
                HttpClient::new(house.into(), budget).map_err(|error| {
                    let notice = match &error {
                        ClientError::NoFiles(_) => notice!("error-no-files"),
                        ClientError::NoCertificates(reason) => notice!("error-http", reason = reason),
                    };
                    Failure::new("op-run", notice, Kind::Configuration).because(&error)
                })
            })
            .await?;
        let mut shares = self.body_shares.lock().unwrap_or_else(PoisonError::into_inner);
        let share = shares.entry(cliente_id).or_insert_with(|| client.budget().share()).clone();
        Ok(client.within(limits.into(), share))
    }
}

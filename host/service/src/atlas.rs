//! An open installation: what the operations of this crate are done to.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use atlas_http::{BodyBudget, Budgets, ClientError, HttpClient, TokenSessions};
use atlas_model::{InitReport, Limits, notice};
use atlas_store::Store;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::connectors::Connectors;
use super::failure::Failure;
use super::history::Recorders;
use super::kind::Kind;
use super::presence::Presence;
use crate::config::Config;

/// An open installation: settings, store, connectors.
pub struct Atlas {
    pub(super) config: Config,
    pub(super) store: Arc<dyn Store>,
    pub(super) connectors: Connectors,
    pub(super) http: OnceCell<HttpClient>,
    /// Each client's share of the memory for bodies, over all of its scraps in this process.
    pub(super) body_shares: Mutex<HashMap<i32, BodyBudget>>,
    pub(super) tokens: TokenSessions,
    pub(super) budgets: Budgets,
    pub(super) presence: OnceCell<Presence>,
    pub(super) crashes_settled: OnceCell<()>,
    pub(super) recorders: Recorders,
    pub(super) defaults_settled: OnceCell<()>,
    pub(super) scraps_cleared: OnceCell<()>,
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
        let store = atlas_store_sql::open_with(&config.store, config.key.clone(), config.db_connections)
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
    pub(super) fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The connectors.
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// The HTTP client, as one client's pages may use it.
    pub(super) async fn http(&self, cliente_id: i32, limits: &Limits) -> Result<HttpClient, Failure> {
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
        let mut shares = self.body_shares.lock();
        let share = shares.entry(cliente_id).or_insert_with(|| client.budget().share()).clone();
        Ok(client.within(limits.into(), share))
    }
}

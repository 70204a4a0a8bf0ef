//! What the product does, as the command line calls it, and as a web page and an API would: register clients, create scraps,
//! run them, prove that nothing is missing. Every failure is a [`Failure`]: what to tell the operator, and which exit code.
//!
//! - `failure`     errors of every room, as operators are told them
//! - `clients`     clients and where their APIs are
//! - `scraps`      creating, running, cancelling
//! - `report`      what a run came to
//! - `doctor`      what is wrong with this installation

mod clients;
mod doctor;
mod failure;
mod report;
mod scraps;

use std::sync::Arc;

use tokio::sync::OnceCell;

pub use self::clients::ClientChange;
pub use self::doctor::{Finding, Health};
pub use self::failure::{Exit, Failure};
pub use self::report::RunReport;
pub use self::scraps::{Announcement, ScrapRequest};
use crate::config::Config;
use crate::connector::{Connector, ConnectorEngine, Registry};
use crate::notice;
use crate::source::{BodyBudget, HttpClient, HttpLimits};
use crate::store::{self, InitReport, Store};

/// An open installation: settings, store, connectors.
pub struct Atlas {
    config: Config,
    store: Arc<dyn Store>,
    engine: OnceCell<Arc<ConnectorEngine>>,
    registry: OnceCell<Registry>,
    http: OnceCell<HttpClient>,
}

impl Atlas {
    /// Opens the store, without touching its tables.
    pub async fn connect(config: Config) -> Result<Self, Failure> {
        let store = store::open(&config.store).await.map_err(|error| Failure::connecting(&error))?;
        Ok(Self { config, store, engine: OnceCell::new(), registry: OnceCell::new(), http: OnceCell::new() })
    }

    /// Opens the store and sees to its tables: creates what is missing, adopts what is there.
    pub async fn open(config: Config) -> Result<(Self, InitReport), Failure> {
        let atlas = Self::connect(config).await?;
        let report = atlas.store.init().await.map_err(|error| Failure::store("op-init", &error))?;
        Ok((atlas, report))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The tables.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The connectors of the configured folder, loaded at the first call.
    pub async fn registry(&self) -> Result<&Registry, Failure> {
        self.registry
            .get_or_try_init(|| async {
                let engine = self.engine().await?;
                let folder = &self.config.connectors;
                Registry::load(engine, self.config.limits(), folder, self.config.cache.as_deref()).await.map_err(
                    |error| {
                        let notice = notice!("error-connectors-folder", folder = folder.display(), reason = error);
                        Failure::new("op-connector", notice, Exit::Connector).because(&error)
                    },
                )
            })
            .await
    }

    /// The connector of a route.
    pub async fn connector(&self, route: &str) -> Result<Arc<Connector>, Failure> {
        let registry = self.registry().await?;
        if let Some(connector) = registry.connector(route) {
            return Ok(connector);
        }
        let folder = self.config.connectors.display().to_string();
        // The file that bears the route's name is most likely the one that was meant.
        let meant = registry.entries().iter().find(|e| e.path.file_stem().is_some_and(|stem| stem == route));
        let notice = match meant.map(|entry| (&entry.path, &entry.loaded)) {
            Some((path, Err(error))) => return Err(Failure::load(path, error)),
            _ => notice!("error-route-unknown", route = route, folder = folder, routes = registry.routes().join(", ")),
        };
        Err(Failure::new("op-connector", notice, Exit::Connector))
    }

    /// The engine that connectors run on.
    pub async fn engine(&self) -> Result<&Arc<ConnectorEngine>, Failure> {
        self.engine
            .get_or_try_init(|| async {
                ConnectorEngine::new(self.config.limits()).map(Arc::new).map_err(|error| {
                    let notice = notice!("error-engine", reason = format!("{error:#}"));
                    Failure::new("op-connector", notice, Exit::Connector)
                })
            })
            .await
    }

    async fn http(&self) -> Result<HttpClient, Failure> {
        let limits = self.config.limits();
        let client = self
            .http
            .get_or_try_init(|| async {
                let budget = BodyBudget::new(limits.host_bodies, limits.body_bytes);
                let limits = HttpLimits {
                    requests_per_page: limits.requests_per_page,
                    body_bytes: limits.body_bytes,
                    page_bytes: limits.page_bytes,
                };
                HttpClient::new(limits, budget).map_err(|error| {
                    let notice = notice!("error-http", reason = error);
                    Failure::new("op-run", notice, Exit::Configuration).because(&error)
                })
            })
            .await?;
        Ok(client.clone())
    }
}

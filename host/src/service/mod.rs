//! What the product does, as the command line calls it, and as a web page and an API would: register clients, create scraps,
//! run them, prove that nothing is missing. Every failure is a [`Failure`]: what to tell the operator, and which exit code.
//!
//! - `failure`     errors of every room, as operators are told them
//! - `clients`     clients and where their APIs are
//! - `connectors`  the folder of connectors, which needs no database
//! - `scraps`      creating, running, cancelling
//! - `reload`      connectors that change while scraps run
//! - `report`      what a run came to
//! - `doctor`      what is wrong with this installation

mod clients;
mod connectors;
mod doctor;
mod failure;
mod reload;
mod report;
mod scraps;

use std::sync::Arc;

use tokio::sync::OnceCell;

pub use self::clients::ClientChange;
pub use self::connectors::Connectors;
pub use self::doctor::{Finding, Health};
pub use self::failure::{Exit, Failure};
pub use self::reload::{event_failure, event_notices, hold_notice};
pub use self::report::RunReport;
pub use self::scraps::{Announcement, ScrapRequest};
use crate::config::Config;
use crate::notice;
use crate::source::{BodyBudget, HttpClient, HttpLimits};
use crate::store::{self, InitReport, Store};

/// An open installation: settings, store, connectors.
pub struct Atlas {
    config: Config,
    store: Arc<dyn Store>,
    connectors: Connectors,
    http: OnceCell<HttpClient>,
}

impl Atlas {
    /// Opens the store, without touching its tables.
    pub async fn connect(config: Config) -> Result<Self, Failure> {
        let store = store::open(&config.store).await.map_err(|error| Failure::connecting(&config.store, &error))?;
        Ok(Self { connectors: Connectors::new(&config), config, store, http: OnceCell::new() })
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

    /// The connectors.
    pub fn connectors(&self) -> &Connectors {
        &self.connectors
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

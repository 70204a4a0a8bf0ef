//! The settings, checked: plain typed values.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use atlas_connectors::TrustPolicy;
use atlas_http::{Grant, RateBudget};
use atlas_model::{Limits, OwnLimits, Secret, StoreKey};
use atlas_pipeline::RunSettings;
use atlas_store_sql::StoreUrl;
use chrono::{Offset, TimeZone, Utc};

use super::file::OwnBudget;
use crate::zone::Zone;

/// The settings.
#[derive(Clone)]
pub struct Config {
    /// Where records go.
    pub store: StoreUrl,
    /// An `.env` or `atlas.db` of a parent folder, where this one has neither and the embedded
    /// database is meant only because nothing names another.
    pub elsewhere: Option<PathBuf>,
    /// The key that secrets are sealed with; none: they stand in the clear.
    pub key: Option<StoreKey>,
    /// The key that `atlas client rekey` seals them with.
    pub new_key: Option<StoreKey>,
    /// The folder of connectors.
    pub connectors: PathBuf,
    /// Where precompiled connectors are kept; none: nowhere.
    pub cache: Option<PathBuf>,
    /// Where versions of connectors are kept, and what is remembered of their routes; none:
    /// nowhere.
    pub state: Option<PathBuf>,
    /// What is demanded of connectors' files before they are loaded.
    pub trust: TrustPolicy,
    /// The password of the key that connectors are signed with (`ATLAS_SIGNING_PASSWORD`).
    pub signing_password: Option<Secret>,
    /// Connections to a database server, at most.
    pub db_connections: usize,
    /// The settings of runs.
    pub run: RunSettings,
    /// The settings of workers.
    pub worker: WorkerSettings,
    /// The time zone for all readers; `None` for each reader's own.
    pub timezone: Option<Zone>,
    pub(super) grants: Vec<Grant>,
    pub(super) budgets: Vec<OwnBudget>,
    pub(super) connector_limits: BTreeMap<String, OwnLimits>,
    pub(super) client_limits: BTreeMap<i32, OwnLimits>,
}

/// The settings of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Scraps that one process runs at once, at least 1.
    pub scraps: usize,
    /// Scraps of one client that run at once, on all hosts together, at least 1.
    pub per_client: i64,
    /// How long a process counts as alive after it was seen, in whole seconds.
    pub lease: Duration,
    /// The wait before a scrap whose source failed is taken again; it doubles with each time.
    pub rerun_after: Duration,
}

impl Config {
    /// The zone of times in logs and lines that no browser asked for: the configured one, else this
    /// machine's.
    pub fn zone(&self) -> Zone {
        self.timezone.unwrap_or_else(Zone::of_this_machine)
    }

    /// What connectors of an API may do for a client beyond reading below the base URL.
    pub fn grants(&self, cliente_id: i32, api: &str) -> impl Iterator<Item = &Grant> {
        let meant = move |grant: &&Grant| grant.client.is_none_or(|client| client == cliente_id);
        self.grants.iter().filter(move |grant| grant.api == api).filter(meant)
    }

    /// The budget of requests that the operator set for a client at an API, its zeros kept. Values
    /// set for the client come before those set for all clients of the API.
    pub fn budget(&self, cliente_id: i32, api: &str) -> RateBudget {
        let of_api = || self.budgets.iter().filter(|budget| budget.api == api);
        let own = of_api().filter(|budget| budget.client == Some(cliente_id));
        let all: Vec<&OwnBudget> = own.chain(of_api().filter(|budget| budget.client.is_none())).collect();
        let rate = all.iter().fold(RateBudget::default(), |rate, budget| rate.or(budget.rate));
        let timezone = all.iter().find_map(|budget| budget.timezone).unwrap_or(chrono_tz::UTC);
        let day_offset = timezone.offset_from_utc_datetime(&Utc::now().naive_utc()).fix().local_minus_utc();
        RateBudget { day_offset, ..rate }
    }

    /// The APIs that the operator set a budget or a grant for.
    pub fn apis(&self) -> impl Iterator<Item = &str> {
        let granted = self.grants.iter().map(|grant| grant.api.as_str());
        granted.chain(self.budgets.iter().map(|budget| budget.api.as_str()))
    }

    /// The limits of the house.
    pub fn limits(&self) -> &Limits {
        &self.run.limits
    }

    /// The limits of a route's pages for a client.
    pub fn limits_of(&self, rota: &str, cliente_id: i32) -> Limits {
        let none = OwnLimits::default();
        let (connector, client) = (self.connector_limits.get(rota), self.client_limits.get(&cliente_id));
        self.limits().with(connector.unwrap_or(&none), client.unwrap_or(&none))
    }

    /// The most memory that any guest may have: what the pool of instances has to have room for.
    pub fn largest_guest(&self) -> usize {
        let own = self.connector_limits.values().chain(self.client_limits.values());
        own.filter_map(|limits| limits.guest_memory).chain([self.limits().guest_memory]).max().unwrap_or_default()
    }
}

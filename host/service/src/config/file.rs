//! `atlas.toml`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use atlas_http::{Grant, RATE_MIN, RateBudget, RequestPattern};
use atlas_model::{Limits, OwnLimits};
use chrono_tz::Tz;
use serde::Deserialize;

use super::error::{ConfigError, bad};
use crate::text_file;

/// The settings of the file. A name that is not here is an error, since a misspelt setting must not
/// be ignored.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FileSettings {
    pub(super) database: Option<String>,
    pub(super) connectors: Option<PathBuf>,
    pub(super) cache: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) batch: Option<usize>,
    pub(super) retries: Option<u32>,
    pub(super) retry_base_ms: Option<u64>,
    pub(super) retry_cap_ms: Option<u64>,
    pub(super) concurrency: Option<usize>,
    pub(super) sweeps: Option<i32>,
    pub(super) db_patience_s: Option<u64>,
    pub(super) db_connections: Option<usize>,
    pub(super) worker: WorkerFile,
    pub(super) lang: Option<String>,
    pub(super) timezone: Option<String>,
    pub(super) limits: Limits,
    pub(super) grant: Vec<GrantSettings>,
    pub(super) budget: Vec<BudgetSettings>,
    /// `[connector.ROUTE]`
    pub(super) connector: BTreeMap<String, ConnectorSettings>,
    /// `[client.ID]`
    pub(super) client: BTreeMap<String, ClientSettings>,
}

/// `[worker]`
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct WorkerFile {
    pub(super) scraps: Option<usize>,
    pub(super) per_client: Option<i64>,
    pub(super) lease_s: Option<u64>,
    pub(super) rerun_after_s: Option<u64>,
}

/// One `[[grant]]`, as it is written.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GrantSettings {
    pub(super) api: String,
    #[serde(default)]
    pub(super) client: Option<i32>,
    #[serde(default)]
    pub(super) origins: Vec<String>,
    #[serde(default)]
    pub(super) requests: Vec<String>,
    #[serde(default)]
    pub(super) headers: Vec<String>,
    #[serde(default)]
    pub(super) private: bool,
}

/// One `[[budget]]`, as it is written.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetSettings {
    pub(super) api: String,
    #[serde(default)]
    pub(super) client: Option<i32>,
    #[serde(default)]
    pub(super) per_second: Option<f64>,
    #[serde(default)]
    pub(super) burst: Option<u32>,
    #[serde(default)]
    pub(super) per_day: Option<u64>,
    #[serde(default)]
    pub(super) concurrency: Option<u32>,
    #[serde(default)]
    pub(super) timezone: Option<String>,
}

/// A budget of requests that the operator set.
#[derive(Debug, Clone)]
pub(super) struct OwnBudget {
    pub(super) api: String,
    /// None: every client.
    pub(super) client: Option<i32>,
    pub(super) rate: RateBudget,
    /// Where its day begins.
    pub(super) timezone: Option<Tz>,
}

impl BudgetSettings {
    pub(super) fn check(&self) -> Result<OwnBudget, ConfigError> {
        let fits = |rate: f64| rate == 0.0 || rate.is_finite() && rate >= RATE_MIN;
        if let Some(rate) = self.per_second.filter(|rate| !fits(*rate)) {
            return Err(bad("budget.per_second", &rate.to_string(), "0, 0.01, 4; per_day = 100"));
        }
        let zone = |name: &String| name.parse().map_err(|_| bad("budget.timezone", name, "America/Sao_Paulo, UTC"));
        let Self { per_second, burst, per_day, concurrency, .. } = *self;
        let rate = RateBudget { per_second, burst, per_day, concurrency, day_offset: 0 };
        if let Some((name, value, most)) = rate.out_of_range() {
            return Err(bad(&format!("budget.{name}"), &value, &format!("0..{most}")));
        }
        Ok(OwnBudget {
            api: self.api.clone(),
            client: self.client,
            rate,
            timezone: self.timezone.as_ref().map(zone).transpose()?,
        })
    }
}

/// The text of an error about a header that no grant may name: one that identifies the caller, or
/// controls how the request travels or what it means.
const GRANTABLE: &str = "tenantId, X-Tenant (not X-User, X-Forwarded-For, X-HTTP-Method, Cookie, …)";

impl GrantSettings {
    pub(super) fn check(&self) -> Result<Grant, ConfigError> {
        let origin = |text: &String| {
            Grant::parse_origin(text).ok_or_else(|| bad("grant.origins", text, "https://HOST, https://HOST:PORT"))
        };
        let request = |text: &String| {
            RequestPattern::parse(text).map_err(|_| bad("grant.requests", text, "POST /PATH, POST /PATH/*"))
        };
        let header = |text: &String| Grant::parse_header(text).ok_or_else(|| bad("grant.headers", text, GRANTABLE));
        Ok(Grant {
            api: self.api.clone(),
            client: self.client,
            origins: self.origins.iter().map(origin).collect::<Result<_, _>>()?,
            requests: self.requests.iter().map(request).collect::<Result<_, _>>()?,
            headers: self.headers.iter().map(header).collect::<Result<_, _>>()?,
            private: self.private,
        })
    }
}

/// The settings of one route's connector.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ConnectorSettings {
    /// The one file that may serve the route.
    pub(super) sha256: Option<String>,
    /// The public keys; its file must have a signature by any of these.
    pub(super) keys: Option<Vec<String>>,
    pub(super) limits: OwnLimits,
}

/// The settings of one client.
#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ClientSettings {
    pub(super) limits: OwnLimits,
}

impl FileSettings {
    /// Reads the file; one that is not there says nothing.
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let file = || path.display().to_string();
        let read = text_file::read_if_there(path);
        match read.map_err(|error| ConfigError::BadText { file: file(), error })? {
            Some(text) => {
                toml::from_str(&text).map_err(|e| ConfigError::BadFile { file: file(), reason: told(&text, &e) })
            }
            None => Ok(Self::default()),
        }
    }
}

/// The reason of a parse error, with its line's number. Never quotes the line, which may hold a
/// password.
fn told(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {}", before.matches('\n').count() + 1, error.message()),
        None => error.message().to_owned(),
    }
}

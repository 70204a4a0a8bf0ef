//! The unchecked result of `describe`. It travels from the child that called it, and is cached
//! beside the compiled code. Each use validates it anew, as if the guest had just returned it.

use atlas_http::Method;
use serde::{Deserialize, Serialize};

use super::bindings::atlas::connector::types as wit;
use super::imports;

/// A description before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    pub(super) route: String,
    pub(super) api: String,
    pub(super) version: String,
    pub(super) cursor_format: u32,
    pub(super) takes_period: bool,
    pub(super) page_size: u32,
    pub(super) lag_seconds: u64,
    pub(super) auth: SaidAuth,
    pub(super) requests: Vec<SaidRequest>,
    pub(super) rate: Option<SaidRate>,
    pub(super) settings_schema: String,
    pub(super) key: Vec<String>,
    pub(super) changed_at: Option<String>,
    pub(super) unhashed: Vec<String>,
}

/// Where the API wants its credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SaidAuth {
    None,
    Bearer,
    Header(String),
    Query(String),
    Basic,
    OAuthClientCredentials,
    OAuthRefresh,
    Placeholders(Vec<SaidPlaceholder>),
}

/// A named part of a credential, and where it stands in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SaidPlaceholder {
    pub(super) name: String,
    pub(super) position: SaidPosition,
}

/// A place in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum SaidPosition {
    Header(String),
    Body(String),
}

/// A request that the connector makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SaidRequest {
    pub(super) method: Method,
    pub(super) path: String,
}

/// What the API allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SaidRate {
    /// The bits of a float: JSON cannot hold NaN, which has to arrive in order to be refused.
    pub(super) per_second: Option<u64>,
    pub(super) burst: Option<u32>,
    pub(super) per_day: Option<u64>,
    pub(super) concurrency: Option<u32>,
}

impl From<wit::Descriptor> for Said {
    fn from(said: wit::Descriptor) -> Self {
        let request =
            |request: wit::RequestPattern| SaidRequest { method: imports::method(request.method), path: request.path };
        let rate = |rate: wit::RateBudget| SaidRate {
            per_second: rate.per_second.map(f64::to_bits),
            burst: rate.burst,
            per_day: rate.per_day,
            concurrency: rate.concurrency,
        };
        Self {
            route: said.route,
            api: said.api,
            version: said.version,
            cursor_format: said.cursor_format,
            takes_period: said.takes_period,
            page_size: said.page_size,
            lag_seconds: said.lag_seconds,
            auth: said.auth.into(),
            requests: said.requests.into_iter().map(request).collect(),
            rate: said.rate.map(rate),
            settings_schema: said.settings_schema,
            key: said.key,
            changed_at: said.changed_at,
            unhashed: said.unhashed,
        }
    }
}

impl From<wit::AuthScheme> for SaidAuth {
    fn from(said: wit::AuthScheme) -> Self {
        let placeholder = |said: wit::Placeholder| SaidPlaceholder {
            name: said.name,
            position: match said.position {
                wit::PlaceholderPosition::Header(name) => SaidPosition::Header(name),
                wit::PlaceholderPosition::Body(at) => SaidPosition::Body(at),
            },
        };
        match said {
            wit::AuthScheme::None => Self::None,
            wit::AuthScheme::Bearer => Self::Bearer,
            wit::AuthScheme::Header(name) => Self::Header(name),
            wit::AuthScheme::Query(name) => Self::Query(name),
            wit::AuthScheme::Basic => Self::Basic,
            wit::AuthScheme::Oauth2ClientCredentials => Self::OAuthClientCredentials,
            wit::AuthScheme::Oauth2Refresh => Self::OAuthRefresh,
            wit::AuthScheme::Placeholders(all) => Self::Placeholders(all.into_iter().map(placeholder).collect()),
        }
    }
}

impl SaidRate {
    pub(super) fn per_second(&self) -> Option<f64> {
        self.per_second.map(f64::from_bits)
    }
}

/// The outcome of a call of `describe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Description {
    /// What the connector says of itself.
    pub(super) said: Result<Said, Unsaid>,
    /// What it logged meanwhile, within the limits of a log.
    pub(super) log: Vec<LogLine>,
}

/// Why there is no description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Unsaid {
    /// The call trapped, went past a limit, or answered with an error: in one line.
    Failed(String),
    /// It has more bytes of text than any description needs.
    TooLong(usize),
}

/// A line of a guest's log before it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LogLine {
    /// The level, as `tracing` names it.
    pub(super) level: String,
    /// The guest's text.
    pub(super) text: String,
}

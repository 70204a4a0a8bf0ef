//! The unchecked result of `describe`. It travels from the child that called it, and is cached
//! beside the compiled code. Each use validates it anew, as if the guest had just returned it.

use atlas_model::Method;
use serde::{Deserialize, Serialize};

use super::bindings::atlas::connector::types as wit;
use super::convert;
use super::log::LogLine;

/// A description before it is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawDescriptor {
    /// Its route.
    pub route: String,
    /// The API that it belongs to.
    pub api: String,
    /// Its own version, for people.
    pub version: String,
    /// The meaning of its cursors.
    pub cursor_format: u32,
    /// Whether a scrap needs a period.
    pub takes_period: bool,
    /// Records a page.
    pub page_size: u32,
    /// How long a new record may take to appear.
    pub lag_seconds: u64,
    /// Where the API expects its credential.
    pub auth: RawAuth,
    /// The requests that it makes, beside GET and HEAD below the base URL.
    pub requests: Vec<RawRequest>,
    /// What the API allows.
    pub rate: Option<RawRate>,
    /// The JSON Schema of its settings.
    pub settings_schema: String,
    /// What identifies a record.
    pub key: Vec<String>,
    /// Where a record says when it changed.
    pub changed_at: Option<String>,
    /// What the content hash leaves out.
    pub unhashed: Vec<String>,
}

/// All texts of a description together: twice what its longest, the schema, may have.
pub const TEXT_MAX: usize = 128 * 1024;

/// Bytes that an element of a list takes beside its text, in memory or as JSON.
const PLACE_BYTES: usize = 32;

impl RawDescriptor {
    /// The bytes of all texts and lists: an upper bound on the memory that it takes.
    pub fn text_bytes(&self) -> usize {
        let auth = match &self.auth {
            RawAuth::Header(name) | RawAuth::Query(name) => name.len(),
            RawAuth::Placeholders(all) => all.iter().map(RawPlaceholder::bytes).sum(),
            _ => 0,
        };
        let one = [&self.route, &self.api, &self.version, &self.settings_schema].map(String::len);
        let many = self.key.iter().chain(&self.unhashed).chain(&self.changed_at).map(|text| text.len() + PLACE_BYTES);
        let paths = self.requests.iter().map(|request| request.path.len() + PLACE_BYTES);
        auth + one.iter().sum::<usize>() + many.sum::<usize>() + paths.sum::<usize>()
    }
}

/// Where the API wants its credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RawAuth {
    /// It expects none.
    None,
    /// `Authorization: Bearer`.
    Bearer,
    /// In the header of this name.
    Header(String),
    /// In the parameter of this name.
    Query(String),
    /// `Authorization: Basic`.
    Basic,
    /// OAuth 2, client credentials.
    OAuthClientCredentials,
    /// OAuth 2, refresh token.
    OAuthRefresh,
    /// In several places.
    Placeholders(Vec<RawPlaceholder>),
}

/// A named part of a credential, and where it stands in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawPlaceholder {
    /// The name of the part.
    pub name: String,
    /// Where it stands.
    pub position: RawPosition,
}

impl RawPlaceholder {
    fn bytes(&self) -> usize {
        let position = match &self.position {
            RawPosition::Header(name) | RawPosition::Body(name) => name.len(),
        };
        self.name.len() + position + PLACE_BYTES
    }
}

/// A place in a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RawPosition {
    /// In the header of this name.
    Header(String),
    /// At this JSON pointer of the body.
    Body(String),
}

/// A request that the connector makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRequest {
    /// Its method.
    pub method: Method,
    /// Its path, with patterns.
    pub path: String,
}

/// What the API allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RawRate {
    /// The bits of a float: JSON cannot hold NaN, which has to arrive in order to be refused.
    pub per_second: Option<u64>,
    /// Requests at once.
    pub burst: Option<u32>,
    /// Requests in a day.
    pub per_day: Option<u64>,
    /// Requests side by side.
    pub concurrency: Option<u32>,
}

impl From<wit::Descriptor> for RawDescriptor {
    fn from(raw: wit::Descriptor) -> Self {
        let request =
            |request: wit::RequestPattern| RawRequest { method: convert::method(request.method), path: request.path };
        let rate = |rate: wit::RateBudget| RawRate {
            per_second: rate.per_second.map(f64::to_bits),
            burst: rate.burst,
            per_day: rate.per_day,
            concurrency: rate.concurrency,
        };
        Self {
            route: raw.route,
            api: raw.api,
            version: raw.version,
            cursor_format: raw.cursor_format,
            takes_period: raw.takes_period,
            page_size: raw.page_size,
            lag_seconds: raw.lag_seconds,
            auth: raw.auth.into(),
            requests: raw.requests.into_iter().map(request).collect(),
            rate: raw.rate.map(rate),
            settings_schema: raw.settings_schema,
            key: raw.key,
            changed_at: raw.changed_at,
            unhashed: raw.unhashed,
        }
    }
}

impl From<wit::AuthScheme> for RawAuth {
    fn from(raw: wit::AuthScheme) -> Self {
        let placeholder = |raw: wit::Placeholder| RawPlaceholder {
            name: raw.name,
            position: match raw.position {
                wit::PlaceholderPosition::Header(name) => RawPosition::Header(name),
                wit::PlaceholderPosition::Body(at) => RawPosition::Body(at),
            },
        };
        match raw {
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

impl RawRate {
    /// Requests in a second.
    pub fn per_second(&self) -> Option<f64> {
        self.per_second.map(f64::from_bits)
    }
}

/// The outcome of a call of `describe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Described {
    /// What the connector says of itself.
    pub(crate) descriptor: Result<RawDescriptor, NotDescribed>,
    /// What it logged meanwhile, within the limits of a log.
    pub(crate) log: Vec<LogLine>,
}

/// Why there is no description.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum NotDescribed {
    /// The call trapped, went past a limit, or answered with an error: in one line.
    Failed(String),
    /// It has more bytes of text than any description needs.
    TooLong(usize),
}

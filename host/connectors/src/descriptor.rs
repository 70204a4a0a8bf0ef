//! Validates a connector's description, which is as untrusted as all that a connector returns.

use atlas_http::{
    AuthScheme, BadPattern, Placeholder, Position, RATE_MIN, RateBudget, RequestPattern, SchemeError, TokenGrant,
};
use atlas_json::Pointer;
use atlas_model::notice::acts_on_a_terminal;
use serde_json::{Map, Value};
use thiserror::Error;

use super::said::{Said, SaidAuth, SaidPlaceholder, SaidPosition, SaidRate, SaidRequest};
use super::schema::{self, SettingsSchema};
use super::secret_settings::SecretSettings;

const NAME_MAX: usize = 64;
const PAGE_SIZE_MAX: u32 = 100_000;
/// A leap year: each run of a schedule asks for the days of a lag once more.
const LAG_MAX_S: u64 = 366 * 24 * 60 * 60;
const POINTERS_MAX: usize = 64;
const REQUESTS_MAX: usize = 64;
const POINTER_MAX: usize = 1024;
/// All texts of a description together: twice what its longest, the schema, may have.
pub(super) const TEXT_MAX: usize = 128 * 1024;

/// Bytes that an element of a list takes beside its text, in memory or as JSON.
const PLACE_BYTES: usize = 32;

/// A checked description of a connector.
#[derive(Debug, Clone, PartialEq)]
pub struct Descriptor {
    /// The route that it serves, and the `origem` of its rows.
    pub route: String,
    /// The API that it belongs to.
    pub api: String,
    /// Its own version, for people.
    pub version: String,
    /// The meaning of its cursors.
    pub cursor_format: u32,
    /// Whether a scrap needs a period.
    pub takes_period: bool,
    /// Records a page, unless the operator says otherwise.
    pub page_size: u32,
    /// How long a new record may take to appear in the source's answers.
    pub lag_seconds: u64,
    /// Where the API expects its credential.
    pub auth: AuthScheme,
    /// What the API allows, as the connector has it.
    pub rate: RateBudget,
    /// The requests that it makes, beside GET and HEAD below the base URL.
    pub requests: Vec<RequestPattern>,
    /// What identifies a record.
    pub key: Vec<Pointer>,
    /// What the content hash leaves out.
    pub unhashed: Vec<Pointer>,
    /// The JSON Schema of its settings.
    pub settings_schema: SettingsSchema,
}

/// What is wrong with a description.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DescriptorError {
    /// A name that cannot be one.
    #[error("{field} {value:?} must be 1 to 64 characters of a-z, 0-9, '-' and '_'")]
    BadName {
        /// Which.
        field: &'static str,
        /// What it said.
        value: String,
    },
    /// A version that is empty, too long or not printable.
    #[error("version {0:?} must be 1 to 64 printable characters")]
    BadVersion(String),
    /// A page size out of range.
    #[error("page-size {0} must be 1 to 100000")]
    BadPageSize(u32),
    /// Not a JSON pointer.
    #[error("{field} {pointer:?} is not a JSON pointer (RFC 6901)")]
    BadPointer {
        /// Which list it stands in.
        field: &'static str,
        /// What it said.
        pointer: String,
    },
    /// A text that would not be shown as what it is.
    #[error("{field} {text:?} has characters that a terminal would act on")]
    Unshowable {
        /// Which.
        field: &'static str,
        /// What it said.
        text: String,
    },
    /// Too many pointers.
    #[error("{0} has more than 64 pointers")]
    TooManyPointers(&'static str),
    /// Not a request pattern.
    #[error("requests: {0}")]
    BadRequest(#[from] BadPattern),
    /// Too many request patterns.
    #[error("requests has more than 64 patterns")]
    TooManyRequests,
    /// The hash would cover nothing that tells records apart.
    #[error("unhashed {0:?} leaves the root or a key out of the content hash")]
    HashesTooLittle(String),
    /// A pointer that is too long.
    #[error("{0} has a pointer of more than 1024 bytes")]
    LongPointer(&'static str),
    /// More text than a description needs.
    #[error("it has {0} bytes of text, more than 131072")]
    TooLong(usize),
    /// A rate with a number below its minimum.
    #[error("rate: per-second must be at least 0.01 (what is slower is a number per day), and the others at least 1")]
    BadRate,
    /// A rate beyond what a budget is kept for.
    #[error("rate: {name} {value} is more than {most}; leave it out where there is no limit")]
    RateTooHigh {
        /// Which number of it.
        name: String,
        /// What it said.
        value: String,
        /// The most that it may be.
        most: String,
    },
    /// A lag out of range.
    #[error("lag-seconds {0} is more than 31622400 (366 days)")]
    BadLag(u64),
    /// An auth scheme that no request can follow.
    #[error(transparent)]
    BadAuth(#[from] SchemeError),
    /// An invalid settings schema.
    #[error("settings-schema: {0}")]
    BadSchema(String),
}

impl Descriptor {
    /// Checks what `describe` returned, and compiles its schema: not on an async thread.
    pub(super) fn check(said: Said) -> Result<Self, DescriptorError> {
        let text = text_bytes(&said);
        if text > TEXT_MAX {
            return Err(DescriptorError::TooLong(text));
        }
        let key = pointers("key", &said.key)?;
        let unhashed = pointers("unhashed", &said.unhashed)?;
        if let Some(bad) = unhashed.iter().find(|u| u.is_root() || key.iter().any(|k| u.is_prefix_of(k))) {
            return Err(DescriptorError::HashesTooLittle(bad.as_str().to_owned()));
        }
        pointers("changed-at", said.changed_at.as_slice())?;
        let printable = |c: char| !acts_on_a_terminal(c);
        if said.version.is_empty() || said.version.len() > NAME_MAX || !said.version.chars().all(printable) {
            return Err(DescriptorError::BadVersion(said.version.chars().take(NAME_MAX).collect()));
        }
        if !(1..=PAGE_SIZE_MAX).contains(&said.page_size) {
            return Err(DescriptorError::BadPageSize(said.page_size));
        }
        if said.rate.as_ref().is_some_and(|rate| !is_sound(rate)) {
            return Err(DescriptorError::BadRate);
        }
        let rate = said.rate.as_ref().map(rate).unwrap_or_default();
        if let Some((name, value, most)) = rate.out_of_range() {
            return Err(DescriptorError::RateTooHigh { name: name.replace('_', "-"), value, most });
        }
        if said.lag_seconds > LAG_MAX_S {
            return Err(DescriptorError::BadLag(said.lag_seconds));
        }
        let settings_schema = schema::check(&said.settings_schema).map_err(DescriptorError::BadSchema)?;
        Ok(Self {
            route: name("route", said.route)?,
            api: name("api", said.api)?,
            version: said.version,
            cursor_format: said.cursor_format,
            takes_period: said.takes_period,
            page_size: said.page_size,
            lag_seconds: said.lag_seconds,
            auth: auth(said.auth)?,
            rate,
            requests: requests(&said.requests)?,
            key,
            unhashed,
            settings_schema,
        })
    }

    /// The part of an API's settings that this route's schema names; all of them where it names
    /// none.
    pub fn settings_of(&self, all: &Map<String, Value>) -> Map<String, Value> {
        let mut own = all.clone();
        if let Some(named) = self.settings_schema.value()["properties"].as_object() {
            own.retain(|name, _| named.contains_key(name));
        }
        own
    }

    /// Which of the settings are secrets.
    pub fn secret_settings(&self) -> SecretSettings {
        self.settings_schema.secrets()
    }

    /// Validates settings against the schema. The error says what has to be changed; it quotes no
    /// value where some settings are secrets.
    pub async fn accepts(&self, settings: &str) -> Result<(), String> {
        let (schema, settings) = (self.settings_schema.clone(), settings.to_owned());
        let held = tokio::task::spawn_blocking(move || schema.hold(&settings)).await;
        held.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }
}

fn name(field: &'static str, value: String) -> Result<String, DescriptorError> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if value.is_empty() || value.len() > NAME_MAX || !value.bytes().all(fits) {
        let value = value.chars().take(NAME_MAX).collect();
        return Err(DescriptorError::BadName { field, value });
    }
    Ok(value)
}

fn pointers(field: &'static str, texts: &[String]) -> Result<Vec<Pointer>, DescriptorError> {
    if texts.len() > POINTERS_MAX {
        return Err(DescriptorError::TooManyPointers(field));
    }
    if texts.iter().any(|text| text.len() > POINTER_MAX) {
        return Err(DescriptorError::LongPointer(field));
    }
    texts.iter().map(|text| pointer(field, text)).collect()
}

/// Parses a JSON pointer, and refuses one that could not be shown to the operator who has to accept
/// it.
fn pointer(field: &'static str, text: &str) -> Result<Pointer, DescriptorError> {
    let shown = || text.chars().take(NAME_MAX).collect();
    if text.chars().any(acts_on_a_terminal) {
        return Err(DescriptorError::Unshowable { field, text: shown() });
    }
    Pointer::parse(text).map_err(|_| DescriptorError::BadPointer { field, pointer: shown() })
}

fn requests(said: &[SaidRequest]) -> Result<Vec<RequestPattern>, DescriptorError> {
    if said.len() > REQUESTS_MAX {
        return Err(DescriptorError::TooManyRequests);
    }
    let pattern = |said: &SaidRequest| Ok(RequestPattern::new(said.method, &said.path)?);
    said.iter().map(pattern).collect()
}

/// The bytes of all texts and lists of a description: an upper bound on the memory that it takes.
pub(super) fn text_bytes(said: &Said) -> usize {
    let auth = match &said.auth {
        SaidAuth::Header(name) | SaidAuth::Query(name) => name.len(),
        SaidAuth::Placeholders(all) => all.iter().map(placeholder_bytes).sum(),
        _ => 0,
    };
    let one = [&said.route, &said.api, &said.version, &said.settings_schema].map(String::len);
    let many = said.key.iter().chain(&said.unhashed).chain(&said.changed_at).map(|text| text.len() + PLACE_BYTES);
    let paths = said.requests.iter().map(|request| request.path.len() + PLACE_BYTES);
    auth + one.iter().sum::<usize>() + many.sum::<usize>() + paths.sum::<usize>()
}

fn placeholder_bytes(placeholder: &SaidPlaceholder) -> usize {
    let position = match &placeholder.position {
        SaidPosition::Header(name) | SaidPosition::Body(name) => name.len(),
    };
    placeholder.name.len() + position + PLACE_BYTES
}

fn rate(said: &SaidRate) -> RateBudget {
    let SaidRate { burst, per_day, concurrency, .. } = *said;
    RateBudget { per_second: said.per_second(), burst, per_day, concurrency, day_offset: 0 }
}

fn is_sound(rate: &SaidRate) -> bool {
    let positive = rate.per_second().is_none_or(|rate| rate.is_finite() && rate >= RATE_MIN);
    positive && rate.burst != Some(0) && rate.per_day != Some(0) && rate.concurrency != Some(0)
}

fn auth(scheme: SaidAuth) -> Result<AuthScheme, DescriptorError> {
    let scheme = match scheme {
        SaidAuth::None => AuthScheme::None,
        SaidAuth::Bearer => AuthScheme::Bearer,
        SaidAuth::Header(name) => AuthScheme::Header(name),
        SaidAuth::Query(name) => AuthScheme::Query(name),
        SaidAuth::Basic => AuthScheme::Basic,
        SaidAuth::OAuthClientCredentials => AuthScheme::OAuth(TokenGrant::ClientCredentials),
        SaidAuth::OAuthRefresh => AuthScheme::OAuth(TokenGrant::Refresh),
        SaidAuth::Placeholders(all) => {
            AuthScheme::Placeholders(all.into_iter().map(placeholder).collect::<Result<_, _>>()?)
        }
    };
    Ok(scheme.check()?)
}

fn placeholder(said: SaidPlaceholder) -> Result<Placeholder, DescriptorError> {
    let position = match said.position {
        SaidPosition::Header(name) => Position::Header(name),
        SaidPosition::Body(at) => Position::Body(pointer("auth", &at)?),
    };
    Ok(Placeholder { name: said.name, position })
}

#[cfg(test)]
mod tests {
    use super::super::bindings::atlas::connector::{http, types as wit};
    use super::*;

    fn said() -> wit::Descriptor {
        wit::Descriptor {
            route: "pedido".into(),
            api: "jueri".into(),
            version: "0.1.0".into(),
            cursor_format: 1,
            takes_period: true,
            page_size: 100,
            lag_seconds: 0,
            auth: wit::AuthScheme::Bearer,
            requests: Vec::new(),
            rate: None,
            settings_schema: "{}".into(),
            key: vec!["/id".into()],
            changed_at: None,
            unhashed: Vec::new(),
        }
    }

    fn post(path: &str) -> wit::RequestPattern {
        wit::RequestPattern { method: http::Method::Post, path: path.to_owned() }
    }

    fn said_rate(per_second: f64) -> wit::RateBudget {
        wit::RateBudget { per_second: Some(per_second), burst: None, per_day: None, concurrency: None }
    }

    fn refusal(change: impl FnOnce(&mut wit::Descriptor)) -> String {
        let mut descriptor = said();
        change(&mut descriptor);
        Descriptor::check(descriptor.into()).err().map_or_else(|| "accepted".to_owned(), |e| e.to_string())
    }

    #[test]
    fn a_sound_description_is_accepted() {
        assert_eq!(refusal(|_| ()), "accepted");
    }

    #[test]
    fn what_would_not_be_shown_as_what_it_is_is_refused_and_shown_as_what_it_is() {
        for acting in ["\u{1b}[2J", "\n", "\u{7f}", "\u{9b}", "\u{202e}", "\u{2066}", "\u{200f}", "\u{2028}"] {
            let at = format!("/a{acting}b");
            let body = wit::PlaceholderPosition::Body(at.clone());
            let placeholder = wit::Placeholder { name: "app_key".into(), position: body };
            let refusals = [
                refusal(|d| d.version = format!("1{acting}")),
                refusal(|d| d.key = vec![at.clone()]),
                refusal(|d| d.unhashed = vec![at.clone()]),
                refusal(|d| d.changed_at = Some(at.clone())),
                refusal(|d| d.auth = wit::AuthScheme::Placeholders(vec![placeholder])),
            ];
            for refusal in refusals {
                assert!(refusal != "accepted" && !refusal.chars().any(acts_on_a_terminal), "{acting:?}: {refusal:?}");
            }
        }
        assert_eq!(refusal(|d| (d.version, d.key) = ("1.0 — versão".into(), vec!["/número/é".into()])), "accepted");
    }

    #[test]
    fn a_list_of_nothing_is_as_long_as_it_is() {
        for refusal in [
            refusal(|d| d.key = vec![String::new(); 100_000]),
            refusal(|d| d.unhashed = vec![String::new(); 100_000]),
            refusal(|d| d.requests = vec![post(""); 100_000]),
        ] {
            assert!(refusal.starts_with("it has 32000"), "{refusal}");
        }
    }

    #[test]
    fn whatever_nobody_should_build_on_is_refused() {
        let refusals = [
            refusal(|d| d.route = "../etc".into()),
            refusal(|d| d.api = String::new()),
            refusal(|d| d.version = "\u{1b}[2J".into()),
            refusal(|d| d.page_size = 0),
            refusal(|d| d.key = vec!["id".into()]),
            refusal(|d| d.unhashed = vec![String::new()]),
            refusal(|d| {
                d.key = vec!["/meta/id".into()];
                d.unhashed = vec!["/meta".into()];
            }),
            refusal(|d| d.settings_schema = "[]".into()),
            refusal(|d| d.unhashed = vec!["/x".into(); 65]),
            refusal(|d| d.requests = vec![post("/pedidos/../*")]),
            refusal(|d| d.requests = vec![post(&"x".repeat(10_000))]),
            refusal(|d| d.requests = vec![post("/pedidos/*"); 65]),
            refusal(|d| d.changed_at = Some(format!("/{}", "x".repeat(1024)))),
            refusal(|d| d.settings_schema = r#"{"$ref":"https://example.com/"}"#.into()),
            refusal(|d| d.auth = wit::AuthScheme::Header("x".repeat(200_000))),
            refusal(|d| d.rate = Some(said_rate(f64::NAN))),
            refusal(|d| d.rate = Some(said_rate(0.0))),
            refusal(|d| d.rate = Some(said_rate(1e300))),
            refusal(|d| d.rate = Some(wit::RateBudget { burst: Some(u32::MAX), ..said_rate(1.0) })),
            refusal(|d| d.rate = Some(wit::RateBudget { per_day: Some(u64::MAX), ..said_rate(1.0) })),
            refusal(|d| d.rate = Some(wit::RateBudget { concurrency: Some(u32::MAX), ..said_rate(1.0) })),
            refusal(|d| d.lag_seconds = u64::MAX),
            refusal(|d| d.auth = wit::AuthScheme::Header("Host".into())),
            refusal(|d| d.auth = wit::AuthScheme::Query(String::new())),
            refusal(|d| d.auth = wit::AuthScheme::Placeholders(Vec::new())),
        ];
        insta::assert_snapshot!(refusals.join("\n"));
    }
}

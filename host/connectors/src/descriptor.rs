//! Validates a connector's description, which is as untrusted as all that a connector returns.

use atlas_http::{
    AuthScheme, BadPattern, Placeholder, Position, RATE_MIN, RateBudget, RequestPattern, SchemeError, TokenGrant,
};
use atlas_json::Pointer;
use atlas_model::notice::acts_on_a_terminal;
use atlas_sandbox::{RawAuth, RawDescriptor, RawPlaceholder, RawPosition, RawRate, RawRequest, TEXT_MAX};
use serde_json::{Map, Value};
use thiserror::Error;

use super::schema::{self, SettingsSchema};
use super::secret_settings::SecretSettings;

const NAME_MAX: usize = 64;
const PAGE_SIZE_MAX: u32 = 100_000;
/// A leap year: each run of a schedule asks for the days of a lag once more.
const LAG_MAX_S: u64 = 366 * 24 * 60 * 60;
const POINTERS_MAX: usize = 64;
const REQUESTS_MAX: usize = 64;
const POINTER_MAX: usize = 1024;

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
    pub(super) fn check(raw: RawDescriptor) -> Result<Self, DescriptorError> {
        let text = raw.text_bytes();
        if text > TEXT_MAX {
            return Err(DescriptorError::TooLong(text));
        }
        let key = pointers("key", &raw.key)?;
        let unhashed = pointers("unhashed", &raw.unhashed)?;
        if let Some(bad) = unhashed.iter().find(|u| u.is_root() || key.iter().any(|k| u.is_prefix_of(k))) {
            return Err(DescriptorError::HashesTooLittle(bad.as_str().to_owned()));
        }
        pointers("changed-at", raw.changed_at.as_slice())?;
        let printable = |c: char| !acts_on_a_terminal(c);
        if raw.version.is_empty() || raw.version.len() > NAME_MAX || !raw.version.chars().all(printable) {
            return Err(DescriptorError::BadVersion(raw.version.chars().take(NAME_MAX).collect()));
        }
        if !(1..=PAGE_SIZE_MAX).contains(&raw.page_size) {
            return Err(DescriptorError::BadPageSize(raw.page_size));
        }
        if raw.rate.as_ref().is_some_and(|rate| !is_sound(rate)) {
            return Err(DescriptorError::BadRate);
        }
        let rate = raw.rate.as_ref().map(rate).unwrap_or_default();
        if let Some((name, value, most)) = rate.out_of_range() {
            return Err(DescriptorError::RateTooHigh { name: name.replace('_', "-"), value, most });
        }
        if raw.lag_seconds > LAG_MAX_S {
            return Err(DescriptorError::BadLag(raw.lag_seconds));
        }
        let settings_schema = schema::check(&raw.settings_schema).map_err(DescriptorError::BadSchema)?;
        Ok(Self {
            route: name("route", raw.route)?,
            api: name("api", raw.api)?,
            version: raw.version,
            cursor_format: raw.cursor_format,
            takes_period: raw.takes_period,
            page_size: raw.page_size,
            lag_seconds: raw.lag_seconds,
            auth: auth(raw.auth)?,
            rate,
            requests: requests(&raw.requests)?,
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

fn requests(raw: &[RawRequest]) -> Result<Vec<RequestPattern>, DescriptorError> {
    if raw.len() > REQUESTS_MAX {
        return Err(DescriptorError::TooManyRequests);
    }
    let pattern = |raw: &RawRequest| Ok(RequestPattern::new(raw.method, &raw.path)?);
    raw.iter().map(pattern).collect()
}

fn rate(raw: &RawRate) -> RateBudget {
    let RawRate { burst, per_day, concurrency, .. } = *raw;
    RateBudget { per_second: raw.per_second(), burst, per_day, concurrency, day_offset: 0 }
}

fn is_sound(rate: &RawRate) -> bool {
    let positive = rate.per_second().is_none_or(|rate| rate.is_finite() && rate >= RATE_MIN);
    positive && rate.burst != Some(0) && rate.per_day != Some(0) && rate.concurrency != Some(0)
}

fn auth(scheme: RawAuth) -> Result<AuthScheme, DescriptorError> {
    let scheme = match scheme {
        RawAuth::None => AuthScheme::None,
        RawAuth::Bearer => AuthScheme::Bearer,
        RawAuth::Header(name) => AuthScheme::Header(name),
        RawAuth::Query(name) => AuthScheme::Query(name),
        RawAuth::Basic => AuthScheme::Basic,
        RawAuth::OAuthClientCredentials => AuthScheme::OAuth(TokenGrant::ClientCredentials),
        RawAuth::OAuthRefresh => AuthScheme::OAuth(TokenGrant::Refresh),
        RawAuth::Placeholders(all) => {
            AuthScheme::Placeholders(all.into_iter().map(placeholder).collect::<Result<_, _>>()?)
        }
    };
    Ok(scheme.check()?)
}

fn placeholder(raw: RawPlaceholder) -> Result<Placeholder, DescriptorError> {
    let position = match raw.position {
        RawPosition::Header(name) => Position::Header(name),
        RawPosition::Body(at) => Position::Body(pointer("auth", &at)?),
    };
    Ok(Placeholder { name: raw.name, position })
}

#[cfg(test)]
mod tests {
    use atlas_model::Method;

    use super::*;

    fn raw() -> RawDescriptor {
        RawDescriptor {
            route: "pedido".into(),
            api: "jueri".into(),
            version: "0.1.0".into(),
            cursor_format: 1,
            takes_period: true,
            page_size: 100,
            lag_seconds: 0,
            auth: RawAuth::Bearer,
            requests: Vec::new(),
            rate: None,
            settings_schema: "{}".into(),
            key: vec!["/id".into()],
            changed_at: None,
            unhashed: Vec::new(),
        }
    }

    fn post(path: &str) -> RawRequest {
        RawRequest { method: Method::Post, path: path.to_owned() }
    }

    fn raw_rate(per_second: f64) -> RawRate {
        RawRate { per_second: Some(per_second.to_bits()), burst: None, per_day: None, concurrency: None }
    }

    fn refusal(change: impl FnOnce(&mut RawDescriptor)) -> String {
        let mut descriptor = raw();
        change(&mut descriptor);
        Descriptor::check(descriptor).err().map_or_else(|| "accepted".to_owned(), |e| e.to_string())
    }

    #[test]
    fn a_sound_description_is_accepted() {
        assert_eq!(refusal(|_| ()), "accepted");
    }

    #[test]
    fn what_would_not_be_shown_as_what_it_is_is_refused_and_shown_as_what_it_is() {
        for acting in ["\u{1b}[2J", "\n", "\u{7f}", "\u{9b}", "\u{202e}", "\u{2066}", "\u{200f}", "\u{2028}"] {
            let at = format!("/a{acting}b");
            let body = RawPosition::Body(at.clone());
            let placeholder = RawPlaceholder { name: "app_key".into(), position: body };
            let refusals = [
                refusal(|d| d.version = format!("1{acting}")),
                refusal(|d| d.key = vec![at.clone()]),
                refusal(|d| d.unhashed = vec![at.clone()]),
                refusal(|d| d.changed_at = Some(at.clone())),
                refusal(|d| d.auth = RawAuth::Placeholders(vec![placeholder])),
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
            refusal(|d| d.auth = RawAuth::Header("x".repeat(200_000))),
            refusal(|d| d.rate = Some(raw_rate(f64::NAN))),
            refusal(|d| d.rate = Some(raw_rate(0.0))),
            refusal(|d| d.rate = Some(raw_rate(1e300))),
            refusal(|d| d.rate = Some(RawRate { burst: Some(u32::MAX), ..raw_rate(1.0) })),
            refusal(|d| d.rate = Some(RawRate { per_day: Some(u64::MAX), ..raw_rate(1.0) })),
            refusal(|d| d.rate = Some(RawRate { concurrency: Some(u32::MAX), ..raw_rate(1.0) })),
            refusal(|d| d.lag_seconds = u64::MAX),
            refusal(|d| d.auth = RawAuth::Header("Host".into())),
            refusal(|d| d.auth = RawAuth::Query(String::new())),
            refusal(|d| d.auth = RawAuth::Placeholders(Vec::new())),
        ];
        insta::assert_snapshot!(refusals.join("\n"));
    }
}

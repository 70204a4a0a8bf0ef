//! What was asked: parameters and bodies, whose mistakes are problem details like any other.

use std::sync::Arc;

use atlas_model::notice;
use atlas_service::{Failure, Kind};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::problem::Failed;
use crate::state::AppState;

/// Entries of one answer: at most, and where the request does not say.
pub(super) const LIMIT_MAX: i64 = 1_000;
pub(super) const LIMIT: i64 = 100;

/// Some of the things that there are, and from where the next ones are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Listed)]
pub(super) struct ListPage<T: ToSchema> {
    /// These.
    pub(super) itens: Vec<T>,
    /// `cursor` of the next ones; none: these are the last.
    pub(super) proximo: Option<String>,
}

/// How many, within what one answer may have.
pub(super) fn limit(asked: Option<i64>) -> i64 {
    asked.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
}

/// Parses the `cursor` parameter; 400 if malformed.
pub(super) fn cursor(asked: Option<&str>) -> Result<Option<i64>, Failure> {
    asked.map(|text| text.parse().map_err(|_| bad(&format!("cursor: {text}")))).transpose()
}

fn bad(reason: &str) -> Failure {
    Failure::new("op-access", notice!("web-bad-request", reason = reason), Kind::Malformed)
}

/// Whether a text in this JSON has the character NUL: written otherwise than as an escape, it is no
/// JSON.
fn has_nul(json: &str) -> bool {
    let mut rest = json.as_bytes();
    while let Some(at) = memchr::memchr(b'\\', rest) {
        if rest[at..].starts_with(b"\\u0000") {
            return true;
        }
        // What is escaped may be a backslash.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// A body of JSON.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<AppState>> for Body<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, state: &Arc<AppState>) -> Result<Self, Failed> {
        let Json(text) = Json::<Box<RawValue>>::from_request(request, state).await.map_err(|error| unread(&error))?;
        // No database keeps it in a text.
        if has_nul(text.get()) {
            return Err(bad("NUL").into());
        }
        let Json(value) = Json::<T>::from_bytes(text.get().as_bytes()).map_err(|error| unread(&error))?;
        Ok(Self(value))
    }
}

/// The failure of a body that is not read. What was sent is not shown again: there may be a token
/// in it.
fn unread(error: &JsonRejection) -> Failure {
    let (notice, kind) = match error {
        JsonRejection::MissingJsonContentType(_) => (notice!("web-other-media"), Kind::OtherMedia),
        _ if error.status() == StatusCode::PAYLOAD_TOO_LARGE => (notice!("web-too-large"), Kind::TooLarge),
        JsonRejection::JsonDataError(_) => {
            let reason = "JSON: a member is missing or of another type";
            (notice!("web-bad-request", reason = reason), Kind::Usage)
        }
        _ => return bad("JSON"),
    };
    Failure::new("op-access", notice, kind)
}

/// Parameters of the query.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<AppState>> for Params<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Failed> {
        let read = Query::<T>::from_request_parts(parts, state).await;
        read.map(|Query(value)| Self(value)).map_err(|error| bad(&error.body_text()).into())
    }
}

/// Parameters of the path.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<AppState>> for At<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Failed> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(value)| Self(value)).map_err(|error| bad(&error.body_text()).into())
    }
}

/// There is something here, but nothing that this method does.
pub(super) async fn other_method() -> Failed {
    Failure::new("op-access", notice!("web-other-method"), Kind::OtherMethod).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_and_an_escaped_backslash_before_digits_is_none() {
        for json in [r#""\u0000""#, r#"{"a\u0000":1}"#, r#""\\\u0000""#, r#"["\n\u0000"]"#] {
            assert!(has_nul(json), "{json}");
        }
        for json in [r#""\\u0000""#, r#""u0000""#, r#""\u00001""#.replace("00001", "0001").as_str(), "", "\"\\"] {
            assert!(!has_nul(json), "{json}");
        }
    }
}

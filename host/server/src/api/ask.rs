//! What was asked: parameters and bodies, whose mistakes are problem details like any other.

use std::sync::Arc;

use atlas_model::notice;
use atlas_service::{Failure, Kind};
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Query, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::problem::Problem;
use crate::session::Caller;
use crate::{House, language};

/// Things of one answer, at most, and where nobody says.
pub(super) const LIMIT_MAX: i64 = 1_000;
pub(super) const LIMIT: i64 = 100;

/// Some of the things that there are, and from where the next ones are.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Listed<T: ToSchema> {
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
pub(super) fn cursor(caller: &Caller, asked: Option<&str>) -> Result<Option<i64>, Problem> {
    let parse = |text: &str| text.parse().map_err(|_| caller.problem(&bad(&format!("cursor: {text}"))));
    asked.map(parse).transpose()
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

impl<T: DeserializeOwned> FromRequest<Arc<House>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, house: &Arc<House>) -> Result<Self, Problem> {
        let lang = language(request.headers());
        let read = async {
            let Json(text) = Json::<Box<RawValue>>::from_request(request, house).await?;
            // No database keeps it in a text.
            if has_nul(text.get()) {
                return Ok(Err(bad("NUL")));
            }
            Json::<T>::from_bytes(text.get().as_bytes()).map(|Json(value)| Ok(value))
        };
        let read = match read.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(failure)) => return Err(Problem::of(&failure, house.texts.of(lang))),
            Err(error) => Err(error),
        };
        read.map(Self).map_err(|error: JsonRejection| {
            let (status, failure) = match &error {
                JsonRejection::MissingJsonContentType(_) => (
                    StatusCode::UNSUPPORTED_MEDIA_TYPE,
                    Failure::new("op-access", notice!("web-other-media"), Kind::OtherMedia),
                ),
                _ if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                    (StatusCode::PAYLOAD_TOO_LARGE, Failure::new("op-access", notice!("web-too-large"), Kind::TooLarge))
                }
                // What was sent is not shown again: there may be a token in it.
                JsonRejection::JsonDataError(_) => {
                    (StatusCode::UNPROCESSABLE_ENTITY, bad("JSON: a member is missing or of another type"))
                }
                _ => (StatusCode::BAD_REQUEST, bad("JSON")),
            };
            Problem { status: status.as_u16(), ..Problem::of(&failure, house.texts.of(lang)) }
        })
    }
}

/// Parameters of the query.
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<House>> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Problem> {
        let lang = language(&parts.headers);
        let read = Query::<T>::from_request_parts(parts, house).await;
        read.map(|Query(value)| Self(value))
            .map_err(|error: QueryRejection| Problem::of(&bad(&error.body_text()), house.texts.of(lang)))
    }
}

/// Parameters of the path.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<House>> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Problem> {
        let lang = language(&parts.headers);
        let read = Path::<T>::from_request_parts(parts, house).await;
        read.map(|Path(value)| Self(value))
            .map_err(|error: PathRejection| Problem::of(&bad(&error.body_text()), house.texts.of(lang)))
    }
}

/// There is something here, but nothing that this method does.
pub(super) async fn other_method(State(house): State<Arc<House>>, headers: HeaderMap) -> Response {
    let failure = Failure::new("op-access", notice!("web-other-method"), Kind::OtherMethod);
    Problem::of(&failure, house.texts.of(language(&headers))).into_response()
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

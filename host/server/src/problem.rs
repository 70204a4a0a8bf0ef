//! Failures as HTTP tells them: problem details (RFC 9457) for programs, with the very texts that
//! the command line prints.

use atlas_model::{Notice, notice};
use atlas_service::i18n::Catalogue;
use atlas_service::{Failure, Kind};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::request;

/// What went wrong (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What kind of problem it is: `urn:atlas:` and the name that does not change with language or
    /// version.
    #[serde(rename = "type")]
    kind: String,
    /// What was being done.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What failed, on what.
    detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    /// The id of the request, as its answer's `X-Request-Id` has it. An answer that is given again
    /// (`Idempotent-Replayed`) has the id of the request that it was first given to.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    fn of(failure: &Failure, texts: &Catalogue) -> Self {
        let (status, request_id) = (status(failure), request::id());
        if status.is_server_error() {
            let (problem, causes) = (&failure.notice.key, &failure.causes);
            tracing::info!(request_id, problem, ?causes, "a request failed");
        }
        Self {
            kind: format!("urn:atlas:{}", failure.notice.key),
            title: texts.text(&Notice::new(failure.operation)),
            status: status.as_u16(),
            detail: texts.text(&failure.notice),
            fix: texts.fix(&failure.notice),
            request_id,
        }
    }
}

/// A failure as an answer: without a body until [`told`] writes it in the caller's language.
#[derive(Clone)]
pub(super) struct Failed(pub(super) Failure);

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = status(&self.0).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the problem of an answer that [`Failed`]; others stay as they are.
pub(super) fn told(mut response: Response, texts: &Catalogue) -> Response {
    match response.extensions_mut().remove::<Failed>() {
        Some(Failed(failure)) => Problem::of(&failure, texts).into_response(),
        None => response,
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The HTTP status of a failure, by its kind.
pub(super) fn status(failure: &Failure) -> StatusCode {
    match failure.kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::NotSignedIn => StatusCode::UNAUTHORIZED,
        Kind::NotAllowed => StatusCode::FORBIDDEN,
        Kind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::OtherMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::OtherMethod => StatusCode::METHOD_NOT_ALLOWED,
        Kind::OtherHost => StatusCode::MISDIRECTED_REQUEST,
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::Configuration => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Source => StatusCode::BAD_GATEWAY,
        Kind::Usage | Kind::Credential | Kind::Reservations | Kind::Connector | Kind::Interrupted => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
    }
}

/// The failure of a request without a session or a token (401).
pub(super) fn not_signed_in() -> Failure {
    Failure::new("op-access", notice!("web-not-signed-in"), Kind::NotSignedIn)
}

/// The failure of a caller whose session or token does not permit the operation (403).
pub(super) fn not_allowed() -> Failure {
    Failure::new("op-access", notice!("web-not-allowed"), Kind::NotAllowed)
}

//! Failures as HTTP tells them: problem details (RFC 9457) for programs, with the very texts that the command line prints.

use atlas_model::{Notice, notice};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use atlas_service::i18n::Catalogue;
use atlas_service::{Exit, Failure};

/// What went wrong (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Problem {
    /// What kind of problem it is: `urn:atlas:` and the name that does not change with language or version.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// What was being done.
    pub(super) title: String,
    /// The HTTP status.
    pub(super) status: u16,
    /// What failed, on what.
    pub(super) detail: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fix: Option<String>,
}

impl Problem {
    pub(super) fn of(failure: &Failure, texts: &Catalogue) -> Self {
        Self {
            kind: format!("urn:atlas:{}", failure.notice.key),
            title: texts.text(&Notice::new(failure.operation)),
            status: status(failure).as_u16(),
            detail: texts.text(&failure.notice),
            fix: texts.fix(&failure.notice),
        }
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

/// The status of a failure: whose fault it is, and whether the same again would help.
pub(super) fn status(failure: &Failure) -> StatusCode {
    match failure.notice.key.as_str() {
        key if UNKNOWN.contains(&key) => StatusCode::NOT_FOUND,
        key if IN_THE_WAY.contains(&key) => StatusCode::CONFLICT,
        "web-not-signed-in" => StatusCode::UNAUTHORIZED,
        "web-not-allowed" | "web-foreign-page" | "web-form-expired" => StatusCode::FORBIDDEN,
        "web-throttled" | "web-too-many-listeners" => StatusCode::TOO_MANY_REQUESTS,
        "web-too-large" => StatusCode::PAYLOAD_TOO_LARGE,
        "web-other-media" => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "web-other-method" => StatusCode::METHOD_NOT_ALLOWED,
        "web-bad-request" | "web-query-unknown" | "web-query-none" | "web-query-twice" => StatusCode::BAD_REQUEST,
        _ => match failure.exit {
            Exit::Configuration => StatusCode::SERVICE_UNAVAILABLE,
            Exit::Source => StatusCode::BAD_GATEWAY,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        },
    }
}

/// What was asked for is not there.
const UNKNOWN: [&str; 9] = [
    "error-scrap-unknown",
    "error-client-unknown",
    "error-token-unknown",
    "error-schedule-unknown",
    "error-reject-unknown",
    "error-route-unknown",
    "web-record-unknown",
    "web-version-unknown",
    "web-page-unknown",
];

/// What was asked for is not possible as things stand.
const IN_THE_WAY: [&str; 11] = [
    "error-scrap-ended",
    "error-scrap-ended-with-reservations",
    "error-scrap-not-to-pause",
    "error-scrap-not-to-queue",
    "error-client-exists",
    "error-client-in-use",
    "error-nothing-held",
    "error-another-waits",
    "error-no-base-url",
    "error-api-not-served",
    "web-request-underway",
];

/// Nobody is signed in.
pub(super) fn not_signed_in() -> Failure {
    Failure::new("op-access", notice!("web-not-signed-in"), Exit::Credential)
}

/// Who is signed in may not do this.
pub(super) fn not_allowed() -> Failure {
    Failure::new("op-access", notice!("web-not-allowed"), Exit::Credential)
}

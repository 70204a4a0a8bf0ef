//! The same request twice, done once: a program that does not know whether its POST arrived sends
//! it again under the same key (`Idempotency-Key`, draft-ietf-httpapi-idempotency-key-header), and
//! gets the first one's answer.
//!
//! The key is written down before the request is carried out, so a crash in between leaves a
//! request of unknown outcome: it is answered with 409, and not carried out again.

use std::sync::Arc;

use atlas_model::{Earlier, notice};
use atlas_service::{Act, Atlas, Failure, Kind};
use axum::body::{Body, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::guard::BODY_MAX;
use crate::problem::{Failed, told};
use crate::request::carried;
use crate::session::Caller;
use crate::state::AppState;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Characters of a key.
const KEY_MAX: usize = 255;
/// Bytes of an answer that is kept: larger than any that a POST gets.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

pub(super) async fn once(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Result<Response, Failed> {
    let Some(key) = request.headers().get(KEY).filter(|_| request.method() == Method::POST) else {
        return Ok(next.run(request).await);
    };
    let key = key.to_str().unwrap_or_default().to_owned();
    let (mut parts, body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &state).await?;
    let refused = |notice, kind| Failed(Failure::new("op-access", notice, kind));
    // Who may change nothing is refused, and leaves nothing behind.
    if !caller.principal.may(Act::Operate) {
        return Ok(next.run(Request::from_parts(parts, body)).await);
    }
    if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return Err(refused(notice!("web-idempotency-key", max = KEY_MAX), Kind::Malformed));
    }
    let body = to_bytes(body, BODY_MAX).await.map_err(|_| refused(notice!("web-too-large"), Kind::TooLarge))?;
    let asked = Sha256::new().chain_update(parts.uri.to_string().as_bytes()).chain_update([0]).chain_update(&body);
    let asked = URL_SAFE_NO_PAD.encode(asked.finalize());
    let request = Request::from_parts(parts, Body::from(body));
    // In a task of its own once the key is written down: the caller may disconnect before it is
    // done, and comes back for its outcome.
    let done = tokio::spawn(carried(async move {
        let (atlas, access) = (&state.atlas, caller.principal.access);
        Ok(match atlas.begin_request(access, &key, &asked).await? {
            Earlier::None => {
                let response = told(next.run(request).await, caller.texts());
                Outcome::Now(answered(atlas, access, &key, response).await)
            }
            earlier => Outcome::Before(earlier),
        })
    }));
    let underway = || refused(notice!("web-request-underway"), Kind::Conflict);
    let done: Result<Outcome, Failure> = done.await.map_err(|_| underway())?;
    match done? {
        Outcome::Now(Some(response)) => Ok(response),
        Outcome::Before(Earlier::Different) => Err(refused(notice!("web-request-different"), Kind::Usage)),
        Outcome::Before(Earlier::Answered(status, body)) => {
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            let mut response = answer(status.unwrap_or(StatusCode::OK), body.into());
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Outcome::Before(Earlier::Underway | Earlier::None) | Outcome::Now(None) => Err(underway()),
    }
}

/// What became of a request with a key.
enum Outcome {
    /// It was carried out; none: its answer is larger than any that is kept.
    Now(Option<Response>),
    /// The key was used before.
    Before(Earlier),
}

/// Writes an answer down; none: it is larger than any.
async fn answered(atlas: &Atlas, access: i64, key: &str, response: Response) -> Option<Response> {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, ANSWER_MAX).await.ok()?;
    // What failed on our side may go better the next time.
    let text = String::from_utf8_lossy(&body);
    let kept = (!head.status.is_server_error()).then_some((i32::from(head.status.as_u16()), text.as_ref()));
    if let Err(failure) = atlas.end_request(access, key, kept).await {
        tracing::warn!(causes = ?failure.causes, "the answer to a request was not written down");
    }
    Some(Response::from_parts(head, Body::from(body)))
}

fn answer(status: StatusCode, body: Body) -> Response {
    let problem = status.is_client_error();
    let kind = if problem { "application/problem+json" } else { "application/json" };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

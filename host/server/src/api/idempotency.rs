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

use crate::session::Caller;
use crate::{BODY_MAX, House, request};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
/// Characters of a key.
const KEY_MAX: usize = 255;
/// Bytes of an answer that is kept: larger than any that a POST gets.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

pub(super) async fn once(State(house): State<Arc<House>>, request: Request, next: Next) -> Response {
    let Some(key) = request.headers().get(KEY).filter(|_| request.method() == Method::POST) else {
        return next.run(request).await;
    };
    let key = key.to_str().unwrap_or_default().to_owned();
    let (mut parts, body) = request.into_parts();
    let caller = match Caller::from_request_parts(&mut parts, &house).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let refuse = |notice, kind| caller.problem(&Failure::new("op-access", notice, kind)).into_response();
    // Who may change nothing is refused, and leaves nothing behind.
    if !caller.principal.may(Act::Operate) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    if key.is_empty() || key.len() > KEY_MAX || !key.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return refuse(notice!("web-idempotency-key", max = KEY_MAX), Kind::Malformed);
    }
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return refuse(notice!("web-too-large"), Kind::TooLarge);
    };
    let asked = Sha256::new().chain_update(parts.uri.to_string().as_bytes()).chain_update([0]).chain_update(&body);
    let asked = URL_SAFE_NO_PAD.encode(asked.finalize());
    let request = Request::from_parts(parts, Body::from(body));
    let (atlas, access) = (Arc::clone(&house.atlas), caller.principal.access);
    // In a task of its own once the key is written down: the caller may disconnect before it is
    // done, and comes back for its outcome.
    let done = tokio::spawn(request::carried(async move {
        match atlas.begin_request(access, &key, &asked).await {
            Ok(Earlier::None) => Ok(answered(&atlas, access, &key, next.run(request).await).await),
            earlier => Err(earlier),
        }
    }));
    match done.await {
        Ok(Ok(Some(response))) => response,
        Ok(Err(Err(error))) => caller.problem(&error).into_response(),
        Ok(Err(Ok(Earlier::Different))) => refuse(notice!("web-request-different"), Kind::Usage),
        Ok(Err(Ok(Earlier::Answered(status, body)))) => {
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            let mut response = answer(status.unwrap_or(StatusCode::OK), body.into());
            response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
            response
        }
        Ok(Err(Ok(Earlier::Underway | Earlier::None))) | Ok(Ok(None)) | Err(_) => {
            refuse(notice!("web-request-underway"), Kind::Conflict)
        }
    }
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

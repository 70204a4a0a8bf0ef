//! What a request is known by: its id, which the answer, its problems, the log and its span carry.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt;
use tracing::{Instrument, field};

use super::state::AppState;

/// The header with a request's id.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a caller gives.
const ID_MAX: usize = 64;
/// Random bytes of an id that is made here: enough that no two are the same.
const ID_BYTES: usize = 12;

tokio::task_local! {
    /// The id of the request that this task answers.
    static ID: Arc<str>;
}

/// The id of the request that is being answered; `None` outside of one.
pub(super) fn id() -> Option<String> {
    ID.try_with(|id| id.to_string()).ok()
}

/// Carries the present request's id and span into a task of its own.
pub(super) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let id = ID.try_with(Arc::clone).ok();
    let work = async move {
        match id {
            Some(id) => ID.scope(id, work).await,
            None => work.await,
        }
    };
    work.in_current_span()
}

/// Middleware that gives each request its id and its span. A caller's own id is taken if it is
/// short and plain, since it stands in log lines and in answers.
pub(super) async fn identified(State(state): State<Arc<AppState>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id: Arc<str> = given(request.headers()).unwrap_or_else(made).into();
    let method = known(request.method());
    // What was asked for may hold a key or a search: only the route is told.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map(MatchedPath::as_str);
    let status = field::Empty;
    let span = tracing::info_span!("request", otel.kind = "server", request_id = &*id, method, route, status);
    if !span.is_disabled() {
        (state.continue_trace)(&span, request.headers());
    }
    let answering = ID.scope(Arc::clone(&id), next.run(request));
    let mut response = answering.instrument(span.clone()).await;
    let status = response.status().as_u16();
    span.record("status", status);
    let ms = began.elapsed().as_secs_f64() * 1000.0;
    tracing::debug!(parent: &span, request_id = &*id, method, route, status, ms, "request");
    // A caller's id is plain, and so is one that was made here.
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// The id that the caller gave, unless it is longer than [`ID_MAX`], or has other characters than
/// ASCII letters, digits and `.`, `_`, `-`.
fn given(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(HEADER)?.to_str().ok()?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (!id.is_empty() && id.len() <= ID_MAX && id.bytes().all(is_plain)).then(|| id.to_owned())
}

fn made() -> String {
    URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; ID_BYTES]>())
}

/// The method, if HTTP defines it: a caller may send any word in its place.
fn known(method: &Method) -> &'static str {
    let all = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    all.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_as(id: &[u8]) -> Option<String> {
        given(&HeaderMap::from_iter([(HEADER, HeaderValue::from_bytes(id).unwrap())]))
    }

    #[test]
    fn an_id_of_the_callers_is_taken_if_it_is_short_and_plain() {
        for plain in ["a", "7f3c-01.B_z", &"x".repeat(64)] {
            assert_eq!(given_as(plain.as_bytes()).as_deref(), Some(plain));
        }
        for other in ["", "a b", "a\tb", "a\"b", "a/b", "a=b", "a;b", "{}", "\u{e9}", &"x".repeat(65)] {
            assert_eq!(given_as(other.as_bytes()), None, "{other}");
        }
        assert_eq!(given_as(b"\xff"), None);
        assert_eq!(given(&HeaderMap::new()), None);
    }

    #[test]
    fn an_id_that_is_made_would_be_taken() {
        let (one, other) = (made(), made());
        assert_eq!(given_as(one.as_bytes()).as_ref(), Some(&one));
        assert_ne!(one, other);
    }

    #[tokio::test]
    async fn a_task_of_its_own_knows_the_request_that_it_was_begun_for() {
        assert_eq!(id(), None);
        let of_task = ID.scope("a".into(), async { tokio::spawn(carried(async { id() })).await });
        assert_eq!(of_task.await.unwrap().as_deref(), Some("a"));
        assert_eq!(tokio::spawn(carried(async { id() })).await.unwrap(), None);
    }
}

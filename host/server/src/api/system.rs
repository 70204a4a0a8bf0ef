//! Events and health.

use std::sync::Arc;

use atlas_model::notice;
use atlas_service::{Failure, Health, Kind};
use axum::Json;
use axum::http::{HeaderMap, HeaderName};
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Params;
use crate::events::{EventId, Wanted, stream};
use crate::problem::{Failed, Problem};
use crate::session::{LET_IN_STILL, Looking};
use crate::state::AppState;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Which events.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those of this scrap and its slices.
    #[serde(alias = "scrap_id")]
    scrap: Option<i64>,
    /// Those after this one; the header `Last-Event-ID` says the same, and comes first.
    since: Option<String>,
}

/// What happens, as server-sent events: `scrap` (a scrap as it stands and how it goes), `line` (of
/// a scrap's log), `connector`, `store` (whether the database answers, when that changes), and
/// `reset`: events were missed that are not known any more, so what was known has to be asked for
/// again.
#[utoipa::path(get, path = "/events", tag = "events", params(Which), responses(
    (status = OK, description = "Events", content_type = "text/event-stream", body = String),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn events(
    Looking(caller): Looking,
    headers: HeaderMap,
    Params(which): Params<Which>,
) -> Result<Response, Failed> {
    let last = headers.get(LAST_EVENT_ID).map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned());
    // One that is none is one of which nothing is known: whoever names it is told that events may
    // be missing.
    let unknown = EventId { process: 0, number: u64::MAX };
    let seen = last.or(which.since).map(|id| EventId::parse(&id).unwrap_or(unknown));
    let wanted = Wanted { seen, scrap: which.scrap, lang: caller.lang };
    let state = &caller.state;
    let too_many = || Failure::new("op-access", notice!("web-too-many-listeners"), Kind::Throttled);
    let place = state.listeners.admit(caller.principal.access).ok_or_else(too_many)?;
    let events = stream(Arc::clone(&state.journal), Arc::clone(&state.texts), wanted, state.stop.clone());
    let events = events.take_until(shut_out(Arc::clone(state), caller.principal.access));
    let events = events.map(move |event| {
        let _held = &place;
        event
    });
    // nginx would keep them until it has a buffer full (`proxy_buffering`).
    let unbuffered = [(HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((unbuffered, Sse::new(events).keep_alive(KeepAlive::default())).into_response())
}

/// Ends when what let a listener in is taken away, or expires.
async fn shut_out(state: Arc<AppState>, access: i64) {
    loop {
        tokio::time::sleep(LET_IN_STILL).await;
        // A database that does not answer shuts no listener out.
        if matches!(state.atlas.is_let_in(access).await, Ok(false)) {
            return;
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FindingView {
    /// `ok`, `warning` or `bad`.
    saude: &'static str,
    texto: String,
    /// How to mend it.
    conserto: Option<String>,
}

/// What `atlas doctor` says.
#[utoipa::path(get, path = "/health", tag = "health", responses(
    (status = OK, body = Vec<FindingView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn health(Looking(caller): Looking) -> Result<Json<Vec<FindingView>>, Failed> {
    let findings = caller.state.findings().await;
    let view = |finding: &atlas_service::Finding| FindingView {
        saude: match finding.health {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Bad => "bad",
        },
        texto: caller.texts().text(&finding.notice),
        conserto: caller.texts().fix(&finding.notice),
    };
    Ok(Json(findings.iter().map(view).collect()))
}

//! What monitoring asks without signing in: whether scraps can be run, and metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::metrics::Format;
use super::state::AppState;

/// How soon the database has to answer for scraps to be run.
const READY_WITHIN: Duration = Duration::from_secs(5);

/// Whether scraps can be run: the database answers, has its tables, and takes writes.
pub(super) async fn ready(State(state): State<Arc<AppState>>) -> Response {
    let schema = tokio::time::timeout(READY_WITHIN, state.atlas.schema()).await;
    match schema {
        Ok(Ok(schema)) if schema.is_ready() && state.atlas.writes() && !state.stop.is_cancelled() => {
            "ready\n".into_response()
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

/// Answers `/metrics`. Prometheus scrapes it without signing in, so it has numbers alone, and no
/// names but those of routes.
pub(super) async fn metrics(State(state): State<Arc<AppState>>, headers: HeaderMap) -> Response {
    let scraps = state.atlas.scraps_by_state().await.unwrap_or_default();
    let routes = match state.atlas.connectors().registry().await {
        Ok(registry) => registry.routes().into_iter().map(|route| (route.clone(), registry.usage(&route))).collect(),
        Err(_) => Vec::new(),
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = Format::accepted(accept);
    let kind = [(header::CONTENT_TYPE, format.kind()), (header::VARY, "accept")];
    (kind, state.metrics.encode(format, &scraps, &routes)).into_response()
}

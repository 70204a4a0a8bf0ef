//! Which address is answered by what.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::guard::{self, BODY_MAX};
use super::state::AppState;
use super::{api, page, prefix, probes, request};

/// All routes of the server.
pub(super) fn router(state: Arc<AppState>) -> Router {
    let prefix = state.prefix.clone();
    let routes = Router::new()
        .merge(page::router(Arc::clone(&state)))
        .nest(api::PLACE, api::router(Arc::clone(&state), page::docs(Arc::clone(&state))))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
        .fallback(page::unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), guard::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), request::identified))
        .with_state(state);
    let routes = match prefix {
        Some(prefix) => {
            // Around all routes, so that the address is changed before it is looked for.
            Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(prefix, prefix::within))
        }
        None => routes,
    };
    // Exports are compressed as they stream; events and what is small are not (the layer's own
    // defaults). As fast as may be: the cores are for scraps.
    routes.layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
}

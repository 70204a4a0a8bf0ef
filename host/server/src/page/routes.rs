//! Which address has which page.

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::reader::Reader;
use super::render::{lone_failure, no_page, render};
use super::{
    accesses, api_docs, assets, client_apis, clients, connectors, data, entry, health, schedules, scrap, scraps,
};
use crate::problem::Failed;
use crate::state::AppState;

/// All pages.
pub(crate) fn router(state: Arc<AppState>) -> Router<Arc<AppState>> {
    Router::new()
        .route("/", get(async || Redirect::to("/scraps")))
        .merge(assets::router())
        .merge(entry::router())
        .merge(scraps::router())
        .merge(scrap::router())
        .merge(clients::router())
        .merge(client_apis::router())
        .merge(connectors::router())
        .merge(data::router())
        .merge(schedules::router())
        .merge(health::router())
        .merge(accesses::router())
        .layer(from_fn_with_state(state, render))
        .method_not_allowed_fallback(form_page)
}

/// The page that shows the API's document, below the API's own address.
pub(crate) fn docs(state: Arc<AppState>) -> Router<Arc<AppState>> {
    Router::new().route("/docs", get(api_docs::show)).layer(from_fn_with_state(state, render))
}

/// Answers an address that has no page (404).
pub(crate) async fn unknown(
    State(state): State<Arc<AppState>>,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
) -> Response {
    let failure = no_page(uri.path());
    if uri.path().starts_with("/api/") {
        return Failed(failure).into_response();
    }
    lone_failure(&Reader::of(&state, &headers), &failure)
}

/// Redirects a GET of a form's target to the page with the form. After a form was sent, its target
/// stands in the browser's address bar, and a reload would find no page there.
async fn form_page(method: Method, OriginalUri(uri): OriginalUri) -> Response {
    if !matches!(method, Method::GET | Method::HEAD) {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let mut names = uri.path().split('/').skip(1);
    let (room, what) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
    let page = match room {
        "scraps" | "clientes" | "conectores" if !what.is_empty() => format!("/{room}/{what}"),
        "agenda" | "acessos" => format!("/{room}"),
        _ => "/scraps".to_owned(),
    };
    Redirect::to(&page).into_response()
}

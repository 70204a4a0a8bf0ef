//! The page: HTML rendered on the server, in the visitor's language, without a build step.
//! Everything works without a script; with it, changes show as they happen.
//!
//! - `visit`      who looks, in which language; what was typed
//! - `queries`    which query names each page takes
//! - `layout`     the frame around every page
//! - `remedy`     what to do about a failure, and where
//! - `format`     numbers and times as the reader writes them
//! - `assets`     style and script
//! - `entry`      signing in and out, language and colours
//! - `scraps`     all scraps, and a new one
//! - `scrap`      one scrap
//! - `clients`    clients and their credentials
//! - `connectors` connectors
//! - `data`       records
//! - `schedules`  schedules
//! - `health`     what is wrong, if anything
//! - `api_docs`   the API's document, to try
//! - `accesses`   the password, and programs' tokens

mod accesses;
mod api_docs;
mod assets;
mod clients;
mod connectors;
mod data;
mod entry;
mod format;
mod health;
mod layout;
mod queries;
mod remedy;
mod schedules;
mod scrap;
mod scraps;
mod visit;

use std::sync::Arc;

use atlas_model::notice;
use atlas_service::{Failure, Kind};
use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

pub(super) use self::api_docs::api_docs;
use super::House;
use super::problem::Problem;

pub(super) fn router() -> Router<Arc<House>> {
    Router::new()
        .route("/", get(async || Redirect::to("/scraps")))
        .merge(assets::router())
        .merge(entry::router())
        .merge(scraps::router())
        .merge(scrap::router())
        .merge(clients::router())
        .merge(connectors::router())
        .merge(data::router())
        .merge(schedules::router())
        .merge(health::router())
        .merge(accesses::router())
        .method_not_allowed_fallback(form_page)
}

/// Answers an address that has no page (404).
pub(super) async fn unknown(
    State(house): State<Arc<House>>,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
) -> Response {
    no_page(&house, &headers, &uri)
}

fn no_page(house: &House, headers: &HeaderMap, uri: &Uri) -> Response {
    let failure = Failure::new("op-access", notice!("web-page-unknown", path = uri.path()), Kind::NotFound);
    let texts = house.texts.of(super::language(headers));
    if uri.path().starts_with("/api/") {
        return Problem::of(&failure, texts).into_response();
    }
    layout::lone_failure(texts, visit::theme(headers), &failure)
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

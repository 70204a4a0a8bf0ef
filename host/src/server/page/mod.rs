//! The page: rendered here, in the reader's language, without a build step. Everything works without a script; with it, what changes
//! is shown while one looks.
//!
//! - `visit`      who looks, in which language; what was typed
//! - `layout`     the frame around every page
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
mod schedules;
mod scrap;
mod scraps;
mod visit;

use std::sync::Arc;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

pub(super) use self::api_docs::api_docs;
use super::House;
use super::problem::Problem;
use crate::notice;
use crate::service::{Exit, Failure};

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
}

/// Whatever there is no page for.
pub(super) async fn unknown(
    State(house): State<Arc<House>>,
    headers: HeaderMap,
    OriginalUri(uri): OriginalUri,
) -> Response {
    let failure = Failure::new("op-access", notice!("web-page-unknown", path = uri.path()), Exit::Usage);
    let lang = super::language(&headers);
    if uri.path().starts_with("/api/") {
        return Problem::of(&failure, house.texts.of(lang)).into_response();
    }
    layout::lone_failure(house.texts.of(lang), visit::theme(&headers), &failure)
}

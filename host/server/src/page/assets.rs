//! Style and script: part of the program, under addresses that change with their content, so that
//! browsers keep them.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::state::AppState;

const CSS: &str = include_str!("../assets/atlas.css");
const JS: &str = include_str!("../assets/atlas.js");
const SVG: &str = include_str!("../assets/atlas.svg");

/// The style's address.
pub(super) static STYLE: LazyLock<String> = LazyLock::new(|| format!("/assets/atlas.css?{}", version(CSS)));
/// The script's address.
pub(super) static SCRIPT: LazyLock<String> = LazyLock::new(|| format!("/assets/atlas.js?{}", version(JS)));

fn version(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(text.as_bytes())).chars().take(12).collect()
}

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Response {
    let (text, kind, kept) = match name.as_str() {
        "atlas.css" => (CSS, "text/css; charset=utf-8", "public, max-age=31536000, immutable"),
        "atlas.js" => (JS, "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        "atlas.svg" => (SVG, "image/svg+xml", "public, max-age=86400"),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)], text).into_response()
}

//! The API, `/api/v1`: what the page and the command line do, for programs. Its document (OpenAPI 3.1) is made from the code, at
//! `/api/v1/openapi.json`; a page to try it is at `/api/v1/docs`.
//!
//! - `ask`         what was asked: parameters, bodies, refusals as problem details
//! - `idempotency` the same request twice, done once
//! - `scraps`      scraps, their pages, their rejected records
//! - `clients`     clients and their credentials
//! - `connectors`  connectors
//! - `schedules`   schedules
//! - `records`     records
//! - `house`       events, health, the document

mod ask;
mod clients;
mod connectors;
mod house;
mod idempotency;
mod records;
mod schedules;
mod scraps;

use std::sync::{Arc, LazyLock};

use axum::{Router, middleware};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::House;

/// What the document says of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Atlas Data Flow",
        description = "Pulls records out of business APIs and keeps every one of them. Programs send a token (`Authorization: Bearer atlas_…`); \
             every POST takes an `Idempotency-Key`. Failures are problem details (RFC 9457)."
    ),
    servers((url = "/api/v1")),
    modifiers(&Security)
)]
struct Document;

struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};

        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().security_schemes.insert("token".to_owned(), bearer.into());
        document.security = Some(vec![SecurityRequirement::new("token", Vec::<String>::new())]);
    }
}

fn routes() -> OpenApiRouter<Arc<House>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(scraps::list, scraps::create))
        .routes(routes!(scraps::preview))
        .routes(routes!(scraps::try_page))
        .routes(routes!(scraps::show))
        .routes(routes!(scraps::run))
        .routes(routes!(scraps::pause))
        .routes(routes!(scraps::cancel))
        .routes(routes!(scraps::pages))
        .routes(routes!(scraps::plot))
        .routes(routes!(scraps::log))
        .routes(routes!(scraps::rejects))
        .routes(routes!(scraps::replay))
        .routes(routes!(clients::list, clients::add))
        .routes(routes!(clients::change, clients::remove))
        .routes(routes!(clients::set_api, clients::remove_api))
        .routes(routes!(clients::settings, clients::set_settings))
        .routes(routes!(connectors::list))
        .routes(routes!(connectors::accept))
        .routes(routes!(connectors::roll_back))
        .routes(routes!(schedules::list, schedules::add))
        .routes(routes!(schedules::change, schedules::remove))
        .routes(routes!(schedules::run))
        .routes(routes!(records::totals))
        .routes(routes!(records::list))
        .routes(routes!(records::show))
        .routes(routes!(records::export_all))
        .routes(routes!(house::events))
        .routes(routes!(house::health))
}

/// The document, as JSON.
pub(super) static OPENAPI: LazyLock<String> = LazyLock::new(|| {
    let (_, document) = routes().split_for_parts();
    document.to_pretty_json().unwrap_or_default()
});

pub(super) fn router(house: Arc<House>) -> Router<Arc<House>> {
    let (router, _) = routes().split_for_parts();
    router
        .layer(middleware::from_fn_with_state(house, idempotency::once))
        .merge(house::documents())
        .fallback(super::page::unknown)
        .method_not_allowed_fallback(ask::other_method)
}

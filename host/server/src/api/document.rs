//! The operations of the API, and the document that is made of them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::{Header, PathItem, RefOr};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{clients, connectors, extract, idempotency, records, schedules, scraps, system};
use crate::query::QueryNames;
use crate::state::AppState;

/// Where it is.
pub(crate) const PLACE: &str = "/api/v1";

/// What the document says of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Atlas Data Flow",
        description = "Pulls records out of business APIs and keeps every one of them. Programs send a token (`Authorization: Bearer atlas_…`); \
             every POST takes an `Idempotency-Key`. Failures are problem details (RFC 9457). Each answer has an \
             `X-Request-Id`: the caller's own, if it sent one of at most 64 letters, digits, `.`, `_` and `-`."
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

fn routes() -> OpenApiRouter<Arc<AppState>> {
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
        .routes(routes!(clients::bind))
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
        .routes(routes!(system::events))
        .routes(routes!(system::health))
}

/// The document, as JSON.
pub(crate) static OPENAPI: LazyLock<String> = LazyLock::new(|| {
    let (_, mut document) = routes().split_for_parts();
    describe(&mut document);
    document.to_pretty_json().unwrap_or_default()
});

/// The header of all answers, as the document describes it.
fn request_id() -> Header {
    let mut header = Header::new(Object::with_type(Type::String));
    header.description = Some("The request's id, which the server's log has too.".to_owned());
    header
}

/// Gives every operation a name of its own, and every answer a description, which OpenAPI demands
/// (3.1, sections 4.8.10 and 4.8.17): a success is what its operation is for.
fn describe(document: &mut utoipa::openapi::OpenApi) {
    for item in document.paths.paths.values_mut() {
        let PathItem { get, put, post, delete, patch, .. } = item;
        for operation in [get, put, post, delete, patch].into_iter().flatten() {
            let room = operation.tags.iter().flatten().next();
            if let (Some(room), Some(name)) = (room, &operation.operation_id) {
                operation.operation_id = Some(format!("{room}_{name}"));
            }
            let purpose = operation.summary.clone().unwrap_or_default();
            for (status, response) in &mut operation.responses.responses {
                let RefOr::T(response) = response else { continue };
                response.headers.insert("X-Request-Id".to_owned(), request_id().into());
                if response.description.is_empty() {
                    response.description = match status.as_bytes().first() {
                        Some(b'4') => "Refused: the problem says why, and what to do about it.".to_owned(),
                        Some(b'5') => "Failed for now: the problem says why, and what to do about it.".to_owned(),
                        _ => purpose.clone(),
                    };
                }
            }
        }
    }
}

/// The query names of each operation, as the document says.
pub(crate) fn query_names() -> QueryNames {
    let document: Value = serde_json::from_str(&OPENAPI).unwrap_or_default();
    let names = |operation: &Value| {
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let of_query = parameters.filter(|parameter| parameter["in"] == "query");
        of_query.filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
    };
    let mut all = HashMap::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in operations.as_object().into_iter().flatten() {
            if let Ok(method) = method.to_uppercase().parse() {
                all.insert((method, format!("{PLACE}{path}")), names(operation));
            }
        }
    }
    QueryNames(all)
}

/// The routes of the API, and of `docs`, which show its document.
pub(crate) fn router(state: Arc<AppState>, docs: Router<Arc<AppState>>) -> Router<Arc<AppState>> {
    let (router, _) = routes().split_for_parts();
    router
        .layer(middleware::from_fn_with_state(state, idempotency::once))
        .route("/openapi.json", get(document))
        .merge(docs)
        .method_not_allowed_fallback(extract::other_method)
}

async fn document(State(state): State<Arc<AppState>>) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    let place = |prefix: &str| format!("\"url\": \"{prefix}{PLACE}\"");
    match &state.prefix {
        Some(prefix) => (kind, OPENAPI.replacen(&place(""), &place(prefix), 1)).into_response(),
        None => (kind, OPENAPI.as_str()).into_response(),
    }
}

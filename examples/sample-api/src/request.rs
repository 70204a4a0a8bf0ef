//! What a request asks for, read as strictly as the real API does: a wrong parameter is an error, never a default.

use axum::{
    extract::Query,
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::{
    Rota, Settings,
    listing::{ListKey, Period},
};

/// A request, with its body.
pub(crate) type Request = axum::http::Request<bytes::Bytes>;

/// Where the API begins.
pub(crate) const BASE: &str = "/sis/api/v1";
/// Marks a request that was already redirected once.
pub(crate) const REDIRECTED: &str = "redirected=1";

/// The client and the route that a path names; no route where it names one that does not exist.
pub(crate) fn parse_path(path: &str) -> Option<(u32, Option<Rota>)> {
    let (cliente, rota) = path.strip_prefix(BASE)?.strip_prefix('/')?.split_once('/')?;
    Some((cliente.parse().ok()?, rota.parse().ok()))
}

/// The page that is asked for.
pub(crate) struct Wanted {
    pub(crate) list: ListKey,
    pub(crate) page: u64,
    pub(crate) per_page: u64,
}

impl Wanted {
    pub(crate) fn parse(settings: &Settings, cliente: u32, rota: Rota, uri: &Uri) -> Result<Self, Refusal> {
        let Query(query) =
            Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|e| Refusal::invalid("query", &e.to_string()))?;
        let get = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let number = |name: &str, default: u64| match get(name).map(str::parse::<u32>) {
            None => Ok(default),
            Some(Ok(number)) if number >= 1 => Ok(u64::from(number)),
            Some(_) => Err(Refusal::invalid(name, "must be a whole number from 1 on")),
        };
        let period = if rota.takes_period() {
            let day = |name: &str| get(name).ok_or_else(|| Refusal::invalid(name, "is required"));
            let period = Period::parse(day("data_inicial")?, day("data_final")?)
                .map_err(|e| Refusal::invalid("data_inicial", &e.to_string()))?;
            Some(period)
        } else {
            None
        };
        Ok(Self {
            list: ListKey { cliente, rota, period },
            page: number("page", 1)?,
            per_page: number("per_page", settings.default_per_page)?.min(settings.max_per_page),
        })
    }
}

/// This request's own URL, absolute.
pub(crate) fn absolute(uri: &Uri, headers: &HeaderMap, fallback: &str) -> String {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(|it| it.as_str()))
        .unwrap_or(fallback);
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("http://{host}{}{query}", uri.path())
}

/// The URL of another page, every other parameter left as it was written.
pub(crate) fn with_page(url: &str, page: u64) -> String {
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let mut query: Vec<_> =
        query.split('&').filter(|one| !one.is_empty() && !one.starts_with("page=") && *one != REDIRECTED).collect();
    let page = format!("page={page}");
    query.push(&page);
    format!("{path}?{}", query.join("&"))
}

/// An answer that is an error, with a JSON body as the real API's framework words it.
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    body: serde_json::Value,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, message: &str) -> Self {
        Self { status, body: serde_json::json!({ "message": message }) }
    }

    fn invalid(field: &str, what: &str) -> Self {
        let body = serde_json::json!({
            "message": "The given data was invalid.",
            "errors": { field: [format!("{field}: {what}")] },
        });
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body)).into_response()
    }
}

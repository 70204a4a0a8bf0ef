//! What a request asks for, read as strictly as the real API does: a wrong parameter is an error,
//! never a default.

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

/// What a path names of a client's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The records of a route.
    Records(Rota),
    /// Where events are acknowledged.
    Acknowledgments,
}

/// The client that a path names, and what of it; nothing where there is no such thing.
pub(crate) fn parse_path(path: &str) -> Option<(u32, Option<Place>)> {
    let (cliente, place) = path.strip_prefix(BASE)?.strip_prefix('/')?.split_once('/')?;
    let place =
        if place == "evento/ack" { Some(Place::Acknowledgments) } else { place.parse().ok().map(Place::Records) };
    Some((cliente.parse().ok()?, place))
}

/// The lot that a request acknowledges: `{"lote": "0123456789abcdef"}`.
pub(crate) fn lot(body: &[u8]) -> Result<u64, Refusal> {
    let lot = serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|body| {
        let lot = body.get("lote")?.as_str()?;
        u64::from_str_radix(lot, 16).ok()
    });
    lot.ok_or_else(|| Refusal::invalid("lote", "must be one that was handed out"))
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
        // A poll has no page: it is counted by what it is handed.
        let (page, size) = if rota == Rota::Evento { (1, "limite") } else { (number("page", 1)?, "per_page") };
        Ok(Self {
            list: ListKey { cliente, rota, period },
            page,
            per_page: number(size, settings.default_per_page)?.min(settings.max_per_page),
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

//! One request, from its path to its answer, in the order in which the real API looks at it: token,
//! route, parameters, page. What the faults ask for is done where a real source would go wrong.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::{ConnectInfo, State},
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use crate::{
    FaultKind, Faults, Redirect, Rota,
    app::App,
    conn::Connection,
    delivery::{Delivery, UnderWay},
    echo,
    listing::ListKey,
    log::{Authorization, WholePage},
    page::{self, Envelope, Page},
    request::{self, Place, REDIRECTED, Refusal, Request, Wanted},
};

/// How often a request that is held looks whether it still is.
const HELD_FOR: Duration = Duration::from_millis(10);
/// The longest body of a request.
const BODY_MAX: usize = 64 * 1024;
const HTML: &str = "<!DOCTYPE html><html><body><h1>Em manutenção</h1></body></html>";

/// Answers every request that is not to the server's own controls.
pub(crate) async fn handle(
    State(app): State<Arc<App>>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: axum::extract::Request,
) -> Response {
    let (head, body) = request.into_parts();
    // One that is too long counts as none: no request of the API's is.
    let request = Request::from_parts(head, axum::body::to_bytes(body, BODY_MAX).await.unwrap_or_default());
    let path = request::parse_path(request.uri().path());
    let authorization = app.authorization(path.map(|(cliente, _)| cliente), &request);
    app.log.begin(request.uri().to_string(), authorization);
    let under_way = UnderWay::new(app.clone());
    let faults = app.faults();
    if faults.latency_ms > 0 {
        tokio::time::sleep(Duration::from_millis(faults.latency_ms)).await;
    }
    while app.faults().hold {
        tokio::time::sleep(HELD_FOR).await;
    }
    let place = path.and_then(|(cliente, place)| Some((cliente, place?)));
    let acknowledges = place.is_some_and(|(_, place)| place == Place::Acknowledgments);
    let method = if acknowledges { Method::POST } else { app.settings.opens.method() };
    let response = match place {
        _ if authorization != Authorization::Right => unauthorized(faults.echo.then_some(&request)),
        _ if request.method() != method => {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed.").into_response()
        }
        Some((cliente, place)) => {
            let answer = match place {
                Place::Records(rota) => page(&app, &faults, cliente, rota, &request, under_way),
                Place::Acknowledgments => acknowledgment(&app, &faults, cliente, &request, under_way),
            };
            match answer {
                Ok(Some(response)) => response,
                Ok(None) => {
                    connection.reset();
                    // Nobody will read it; that the server tries to write it is what ends the
                    // connection.
                    return StatusCode::INTERNAL_SERVER_ERROR.into_response();
                }
                Err(refusal) => refusal.into_response(),
            }
        }
        None => Refusal::new(StatusCode::NOT_FOUND, "Not found.").into_response(),
    };
    app.log.status(response.status().as_u16());
    response
}

/// A refusal; with the request's credential in it where the source echoes.
fn unauthorized(echoed: Option<&Request>) -> Response {
    let message = echoed.map(|request| format!("Unauthenticated: {}", echo::forms(request).join(" ")));
    let message = message.as_deref().unwrap_or("Unauthenticated.");
    let mut response = Refusal::new(StatusCode::UNAUTHORIZED, message).into_response();
    let scheme = HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
    response
}

/// A request for a page with the right token. None: the connection is to be reset.
fn page(
    app: &Arc<App>,
    faults: &Faults,
    cliente: u32,
    rota: Rota,
    request: &Request,
    under_way: UnderWay,
) -> Result<Option<Response>, Refusal> {
    let mut wanted = Wanted::parse(&app.settings, cliente, rota, request.uri())?;
    let url = request::absolute(request.uri(), request.headers(), &app.address.to_string());
    if let Some(to) = redirect(faults, &url) {
        return Ok(Some((StatusCode::FOUND, [(header::LOCATION, to)]).into_response()));
    }
    let handed_out = (rota == Rota::Evento)
        .then(|| app.listings.hand_out(&app.settings, &wanted.list, wanted.per_page, faults.ignore_page));
    if let Some(handed_out) = &handed_out {
        wanted.page = handed_out.first + 1;
    }
    let fault = app.attempt(faults, wanted.list, wanted.page);
    if fault == Some(FaultKind::Reset) {
        return Ok(None);
    }
    if let Some(response) = failure(faults, fault, request) {
        return Ok(Some(response));
    }
    let (records, close, prerendered) = match handed_out {
        Some(events) if !faults.empty => {
            let page = Page::render(&app.settings, &wanted.list, &events.numbers, events.first);
            (page.into(), page::close_lot(events.lot), false)
        }
        Some(_) => (Page::render(&app.settings, &wanted.list, &[], 0).into(), page::close_lot(None), false),
        None => {
            let (records, total, prerendered) = content(app, faults, &wanted);
            (records, envelope(faults, &wanted, total, &url).close(), prerendered)
        }
    };
    let mut pieces = vec![records.open(&faults.malformed, faults.charset), close];
    if faults.echo {
        pieces.insert(1, echo::elements(request));
    }
    let mut under_way = under_way;
    if fault == Some(FaultKind::TruncatedJson) {
        // Inside the records where there are any, so that a lenient parser does not take the page
        // for a short one.
        let open = &mut pieces[0];
        open.truncate((open.len() * 2 / 3).max(1));
        pieces.truncate(1);
    } else {
        under_way = under_way.serving(WholePage {
            list: wanted.list,
            malformed: records.extras(&faults.malformed).cloned().collect(),
            page: records,
            prerendered,
        });
    }
    Ok(Some(respond(faults, fault, pieces, request, under_way)))
}

/// An acknowledgment with the right token. None: the connection is to be reset.
///
/// Where the answer gets lost, what it asks for is done all the same: that is what a client must be
/// able to ask for again.
fn acknowledgment(
    app: &Arc<App>,
    faults: &Faults,
    cliente: u32,
    request: &Request,
    under_way: UnderWay,
) -> Result<Option<Response>, Refusal> {
    let list = ListKey { cliente, rota: Rota::Evento, period: None };
    let lot = request::lot(request.body())?;
    let fault = app.attempt(faults, list, lot);
    if let Some(response) = failure(faults, fault, request) {
        return Ok(Some(response));
    }
    let events = app
        .listings
        .acknowledge(&app.settings, &list, lot)
        .ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "No such lot was handed out."))?;
    app.log.acknowledgment(list);
    if fault == Some(FaultKind::Reset) {
        return Ok(None);
    }
    let mut body = format!("{{\"confirmados\":{events}}}");
    if fault == Some(FaultKind::TruncatedJson) {
        body.truncate(body.len() / 2);
    }
    Ok(Some(respond(faults, fault, vec![body.into()], request, under_way)))
}

/// The answer of an attempt that fails by its status, or by being no JSON at all.
fn failure(faults: &Faults, fault: Option<FaultKind>, request: &Request) -> Option<Response> {
    match fault? {
        FaultKind::Status429 => Some(later(faults, StatusCode::TOO_MANY_REQUESTS)),
        FaultKind::Status503 => Some(later(faults, StatusCode::SERVICE_UNAVAILABLE)),
        FaultKind::Status500 => Some(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "Server Error").into_response()),
        FaultKind::Unauthorized => Some(unauthorized(faults.echo.then_some(request))),
        FaultKind::Html => Some(axum::response::Html(HTML).into_response()),
        FaultKind::Reset | FaultKind::Truncated | FaultKind::TruncatedJson | FaultKind::SlowBody => None,
    }
}

/// Where the request is sent instead, if it is.
fn redirect(faults: &Faults, url: &str) -> Option<String> {
    match faults.redirect.as_ref()? {
        Redirect::Other(to) => Some(to.clone()),
        Redirect::SameOrigin if url.contains(REDIRECTED) => None,
        Redirect::SameOrigin => {
            let joint = if url.contains('?') { '&' } else { '?' };
            Some(format!("{url}{joint}{REDIRECTED}"))
        }
    }
}

fn later(faults: &Faults, status: StatusCode) -> Response {
    let mut response = Refusal::new(status, "Too Many Attempts.").into_response();
    if let Some(text) = &faults.retry_after
        && let Ok(value) = HeaderValue::from_str(text)
    {
        response.headers_mut().insert(header::RETRY_AFTER, value);
    }
    response
}

/// The records that stand on the page, and the total, as the faults have them.
fn content(app: &App, faults: &Faults, wanted: &Wanted) -> (Arc<Page>, u64, bool) {
    if faults.empty {
        return (Page::render(&app.settings, &wanted.list, &[], 0).into(), 0, false);
    }
    let page = match faults.repeat_from {
        _ if faults.ignore_page => 1,
        Some(last) => wanted.page.min(last),
        None => wanted.page,
    };
    app.page(wanted.list, page, wanted.per_page)
}

fn envelope(faults: &Faults, wanted: &Wanted, total: u64, url: &str) -> Envelope {
    let mut last_page = total.div_ceil(wanted.per_page).max(1);
    if faults.repeat_from.is_some_and(|from| wanted.page >= from) {
        last_page = last_page.max(wanted.page + 1);
    }
    Envelope {
        current_page: wanted.page,
        last_page,
        next_page_url: (wanted.page < last_page).then(|| request::with_page(url, wanted.page + 1)),
        total: (!faults.no_total).then(|| i128::from(total) + i128::from(faults.total_lies.unwrap_or(0))),
    }
}

/// The answer with the page's body, encoded, and delivered as the fault says.
fn respond(
    faults: &Faults,
    fault: Option<FaultKind>,
    mut pieces: Vec<Bytes>,
    request: &Request,
    under_way: UnderWay,
) -> Response {
    let accepted = request.headers().get(header::ACCEPT_ENCODING).and_then(|it| it.to_str().ok());
    let encoding = faults.encoding.filter(|it| it.accepted_by(accepted.unwrap_or_default()));
    let encoded = encoding.and_then(|encoding| Some((encoding, encoding.encode(&pieces.concat()).ok()?)));
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    if let Some((encoding, body)) = encoded {
        pieces = vec![body.into()];
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    let kind = faults.charset.map_or("application/json", |charset| charset.content_type());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut delivery = Delivery::whole(pieces);
    // Set by hand, since the stream below does not know its length; with it the answer is not sent
    // in HTTP chunks.
    headers.insert(header::CONTENT_LENGTH, delivery.len().into());
    match fault {
        Some(FaultKind::Truncated) => delivery = delivery.broken_off(),
        Some(FaultKind::SlowBody) => {
            delivery = delivery.dribbled(faults.slow_chunk, Duration::from_millis(faults.slow_pause_ms));
        }
        _ => {}
    }
    *response.body_mut() = delivery.into_body(under_way);
    response
}

//! Middleware that every request passes: checks its `Host` and `Origin`, and sets the security
//! headers of the response.
//!
//! - *Host*. Another site's page whose name is made to resolve to this address (DNS rebinding)
//!   sends its own name, and is refused. An address cannot be rebound, so addresses and `localhost`
//!   are accepted; other names have to be given by the operator (`--host`).
//! - *Origin*. A request that changes something is taken from our own pages alone, where the caller
//!   is a browser: browsers send `Origin` with every such request (Fetch standard, "append a
//!   request `Origin` header"), and `Sec-Fetch-Site` where it is another site's.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use atlas_model::notice;
use atlas_service::{Failure, Kind};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

use super::connections::SeatKind;
use super::preferences::language;
use super::problem::{Failed, told};
use super::session::{Kept, session};
use super::state::AppState;

/// The `Content-Security-Policy` of all responses: only our own scripts, styles and images, nothing
/// inline, no framing by other sites, and forms that are sent here alone.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    // With `no-referrer`, browsers would send `Origin: null` with our own forms.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Bytes of a request's body: forms and JSON are small. Connectors are uploaded by other means.
pub(super) const BODY_MAX: usize = 1024 * 1024;
/// How long a request's body may take to come: forms and JSON are small.
const BODY_TIMEOUT: Duration = Duration::from_secs(20);

/// Browsers keep to HTTPS for half a year.
const STRICT_TRANSPORT_SECURITY: HeaderValue = HeaderValue::from_static("max-age=15552000");

pub(super) async fn guard(State(state): State<Arc<AppState>>, mut request: Request, next: Next) -> Response {
    let kept = Kept::default();
    request.extensions_mut().insert(kept.clone());
    let is_kept = request.extensions().get::<SeatKind>() == Some(&SeatKind::Kept);
    let checked = match check(&state, &request) {
        Ok(()) if is_kept => is_kept_for(&state, request.uri().path(), request.headers(), request.extensions()).await,
        checked => checked,
    };
    let texts = state.texts.of(language(request.headers()));
    let response = match checked {
        Ok(()) => next.run(in_time(request)).await,
        Err(failure) => Failed(failure).into_response(),
    };
    let mut response = told(response, texts);
    let headers = response.headers_mut();
    // A visitor who signs out, or in, has been told already.
    if let Some(cookie) = kept.cookie() {
        headers.entry(header::SET_COOKIE).or_insert_with(|| cookie.clone());
    }
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if state.is_tls {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT_SECURITY);
    }
    if is_kept {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Puts [`BODY_TIMEOUT`] on a request's body, which fails where it is not complete by then: a
/// client that sends a byte now and then would hold its connection for ever.
fn in_time(request: Request) -> Request {
    let deadline = Instant::now() + BODY_TIMEOUT;
    request.map(|body| {
        let parts = stream::unfold(body.into_data_stream(), move |mut body| async move {
            match timeout_at(deadline, body.next()).await {
                Ok(part) => part.map(|part| (part, body)),
                Err(late) => Some((Err(axum::Error::new(late)), body)),
            }
        });
        Body::from_stream(parts)
    })
}

/// Accepts a request on a reserved connection, which is for probes, sign-in, assets and browsers
/// that are signed in. Programs and event listeners are refused, and come back when an ordinary
/// connection is free.
async fn is_kept_for(
    state: &AppState,
    path: &str,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<(), Failure> {
    let is_listener = path == "/api/v1/events";
    if ["/healthz", "/readyz", "/entrar"].contains(&path) || path.starts_with("/assets/") {
        return Ok(());
    }
    if !is_listener && session(state, headers, extensions).await?.is_some() {
        return Ok(());
    }
    Err(Failure::new("op-access", notice!("web-full"), Kind::Configuration))
}

fn check(state: &AppState, request: &Request) -> Result<(), Failure> {
    // HTTP/2 has the name in the request's URI. Where it is said more than once, each has to be
    // ours.
    let from_uri = request.uri().authority().map(|authority| authority.as_str().to_owned());
    let said = request.headers().get_all(header::HOST).iter().map(|host| String::from_utf8_lossy(host.as_bytes()));
    let mut hosts: Vec<String> = from_uri.into_iter().chain(said.map(Cow::into_owned)).collect();
    if let Some(other) = hosts.iter().find(|host| !is_ours(host, &state.hosts)) {
        return Err(Failure::new("op-access", notice!("web-other-host", host = other), Kind::OtherHost));
    }
    if hosts.is_empty() {
        return Err(Failure::new("op-access", notice!("web-other-host", host = "-"), Kind::OtherHost));
    }
    let host = hosts.swap_remove(0);
    // No name has it, and no database keeps it in a text.
    if request.uri().path_and_query().is_some_and(|asked| asked.as_str().contains("%00")) {
        return Err(Failure::new("op-access", notice!("web-bad-request", reason = "%00"), Kind::Malformed));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if !reads && !comes_from_us(request.headers(), &host, state.is_tls) {
        return Err(Failure::new("op-access", notice!("web-foreign-page"), Kind::NotAllowed));
    }
    Ok(())
}

/// Whether a request's host is this server: an address, `localhost`, or a name that the operator
/// gave it.
fn is_ours(host: &str, names: &[String]) -> bool {
    let name = without_port(host);
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    address.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Whether a changing request comes from a page of ours, or from a program that is no browser.
fn comes_from_us(headers: &HeaderMap, host: &str, is_tls: bool) -> bool {
    let site = text(headers, &HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    match text(headers, &header::ORIGIN) {
        None => true,
        Some(origin) => {
            let ours = |by: &str| by == "https" || by == "http" && !is_tls;
            origin.split_once("://").is_some_and(|(by, of)| ours(by) && of.eq_ignore_ascii_case(host))
        }
    }
}

/// A header's value as text. One that is not ASCII becomes `?`, which counts as present and matches
/// no value of ours.
fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_localhost_are_ours_and_other_names_only_if_they_were_named() {
        let named = ["atlas.example".to_owned()];
        for host in
            ["127.0.0.1:8321", "127.0.0.1", "[::1]:8321", "localhost:1", "LOCALHOST", "10.0.0.7", "atlas.example:443"]
        {
            assert!(is_ours(host, &named), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8321",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "atlas.example.evil",
            ":80",
            "[::1",
        ] {
            assert!(!is_ours(host, &named), "{host}");
        }
    }

    #[test]
    fn only_our_own_pages_and_programs_change_anything() {
        let headers = |pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            pairs.collect::<HeaderMap>()
        };
        let host = "localhost:8321";
        assert!(comes_from_us(&headers(&[]), host, false));
        assert!(comes_from_us(&headers(&[("origin", "http://localhost:8321")]), host, false));
        assert!(comes_from_us(&headers(&[("origin", "https://localhost:8321")]), host, true));
        assert!(!comes_from_us(&headers(&[("origin", "http://localhost:8321")]), host, true));
        assert!(comes_from_us(
            &headers(&[("origin", "http://localhost:8321"), ("sec-fetch-site", "same-origin")]),
            host,
            false
        ));
        for origin in [
            "null",
            "http://localhost:8322",
            "http://evil.example",
            "http://localhost:8321.evil.example",
            "",
            "localhost:8321",
        ] {
            assert!(!comes_from_us(&headers(&[("origin", origin)]), host, false), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!comes_from_us(
                &headers(&[("origin", "http://localhost:8321"), ("sec-fetch-site", site)]),
                host,
                false
            ));
        }
    }
}

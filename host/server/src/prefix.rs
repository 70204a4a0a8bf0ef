//! A path in front of all others, for a server that shares its name with others behind one proxy
//! (`--path-prefix /atlas`).
//!
//! Routes and pages know nothing of it: what comes in is taken off, and what goes out is put on,
//! here alone. A proxy may pass the prefix on or take it off itself; both arrive at the same pages,
//! and so do probes that ask without it.

use std::sync::Arc;

use atlas_model::notice;
use atlas_service::Failure;
use axum::body::{Body, to_bytes};
use axum::extract::{OriginalUri, Request, State};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::Url;

/// Attributes of our pages that hold an address. What a source or a reader wrote has no quotation
/// mark that is not escaped, so none of these stands in it.
const ADDRESSES: [&str; 5] = [" href=\"", " action=\"", " src=\"", " data-underway=\"", " data-continua=\""];

/// The prefix that was typed, with one slash before it and none after; nothing where it is the
/// root.
pub(super) fn parse(typed: &str) -> Result<Option<Arc<str>>, Failure> {
    let inner = typed.trim().trim_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    let is_segment = |name: &str| !name.is_empty() && !matches!(name, "." | "..") && name.chars().all(is_plain);
    match inner {
        "" => Ok(None),
        _ if inner.split('/').all(is_segment) => Ok(Some(format!("/{inner}").into())),
        _ => Err(Failure::usage(notice!("error-path-prefix", value = typed))),
    }
}

/// Takes the prefix off what is asked, and puts it on what is answered.
pub(super) async fn within(State(prefix): State<Arc<str>>, mut request: Request, next: Next) -> Response {
    if let Some(uri) = without(request.uri(), &prefix) {
        request.extensions_mut().insert(OriginalUri(uri.clone()));
        *request.uri_mut() = uri;
    }
    come_from(request.headers_mut(), &prefix);
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    if let Some(to) = headers.get(header::LOCATION).and_then(|to| to.to_str().ok()).filter(|to| to.starts_with('/'))
        && let Ok(to) = HeaderValue::from_str(&format!("{prefix}{to}"))
    {
        headers.insert(header::LOCATION, to);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("text/html") {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // Our pages are whole in memory already: nothing that streams is HTML.
    let Ok(page) = to_bytes(body, usize::MAX).await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(lead(&String::from_utf8_lossy(&page), &prefix)))
}

/// The address without the prefix; `None` where it does not begin with it.
fn without(uri: &Uri, prefix: &str) -> Option<Uri> {
    let rest = stripped(uri.path(), prefix)?;
    let asked = uri.query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(asked.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

fn stripped<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        rest => rest.starts_with('/').then_some(rest),
    }
}

/// Removes the prefix from the `Referer`, by which a form returns to its page.
fn come_from(headers: &mut HeaderMap, prefix: &str) {
    let from = headers.get(header::REFERER).and_then(|from| from.to_str().ok()?.parse::<Url>().ok());
    let Some(mut from) = from else { return };
    let Some(rest) = stripped(from.path(), prefix).map(str::to_owned) else { return };
    from.set_path(&rest);
    if let Ok(from) = HeaderValue::from_str(from.as_str()) {
        headers.insert(header::REFERER, from);
    }
}

/// A page whose addresses lead to below the prefix.
fn lead(page: &str, prefix: &str) -> String {
    ADDRESSES.iter().fold(page.to_owned(), |page, attribute| {
        page.replace(&format!("{attribute}/"), &format!("{attribute}{prefix}/"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_has_one_slash_before_it_and_none_after_however_it_is_typed() {
        for typed in ["/atlas", "atlas", "/atlas/", " atlas "] {
            assert_eq!(parse(typed).unwrap().as_deref(), Some("/atlas"), "{typed}");
        }
        assert_eq!(parse("/erp/atlas-2").unwrap().as_deref(), Some("/erp/atlas-2"));
        for none in ["", "/", " "] {
            assert_eq!(parse(none).unwrap(), None);
        }
        for bad in ["/a b", "/a?b", "/a//b", "/../a", "https://a/b", "/a\"", "/ã", "/%41"] {
            assert_eq!(parse(bad).unwrap_err().notice.key, "error-path-prefix", "{bad}");
        }
    }

    #[test]
    fn only_the_prefix_itself_is_taken_off() {
        let path = |asked: &str| without(&asked.parse().unwrap(), "/atlas").map(|uri| uri.to_string());
        assert_eq!(path("/atlas/scraps?cliente=7").as_deref(), Some("/scraps?cliente=7"));
        assert_eq!(path("/atlas").as_deref(), Some("/"));
        assert_eq!(path("/atlas?x=1").as_deref(), Some("/?x=1"));
        for other in ["/atlases/scraps", "/scraps", "/", "/scraps/atlas"] {
            assert_eq!(path(other), None, "{other}");
        }
    }

    #[test]
    fn addresses_lead_below_the_prefix_and_nothing_else_changes() {
        let page = r#"<a href="/scraps">/scraps</a><a href="https://a/b"><input value="/dados"><code> href=&quot;/x</code><form action="/sair">"#;
        let led = r#"<a href="/a/scraps">/scraps</a><a href="https://a/b"><input value="/dados"><code> href=&quot;/x</code><form action="/a/sair">"#;
        assert_eq!(lead(page, "/a"), led);
    }
}

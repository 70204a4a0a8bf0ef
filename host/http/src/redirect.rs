//! Makes the next request of a redirect (RFC 9110, section 15.4). Redirects are followed here and
//! not by the HTTP library, so that each is checked against the grants, like the first request.

use atlas_model::Method;
use bytes::Bytes;
use http::header::HeaderMap;
use url::Url;

use super::headers;
use super::message::SendError;

/// A request as a redirect repeats it elsewhere, without the credential, which is added to each
/// request separately.
#[derive(Debug, Clone)]
pub(super) struct Hop {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
}

/// The next request, if the answer asks for one.
pub(super) fn follow(hop: &Hop, status: u16, location: Option<&str>) -> Result<Option<Hop>, SendError> {
    let Some(location) = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)) else {
        return Ok(None);
    };
    let mut url =
        hop.url.join(location).map_err(|e| SendError::RedirectDenied(format!("a redirect to no URL: {e}")))?;
    url.set_fragment(None);
    // Refused before its origin is asked for: url 2.5.8 overflows the stack, which aborts the
    // process, on thousands of `blob:` before a URL (RUSTSEC-2026-0592).
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SendError::RedirectDenied("a redirect to neither http nor https".to_owned()));
    }
    if hop.url.scheme() == "https" && url.scheme() != "https" {
        return Err(SendError::RedirectDenied(format!(
            "a redirect from https to {}",
            url.origin().ascii_serialization()
        )));
    }
    let mut next = Hop { url, ..hop.clone() };
    let becomes_get = match (status, hop.method) {
        (_, Method::Get | Method::Head) => false,
        (303, _) | (301 | 302, Method::Post) => true,
        _ => false,
    };
    if becomes_get {
        next.method = Method::Get;
        next.body = None;
        headers::drop_content(&mut next.headers);
    }
    if next.url.origin() != hop.url.origin() {
        headers::keep_harmless(&mut next.headers);
    }
    Ok(Some(next))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn hop(method: Method, url: &str) -> Hop {
        let named = |name: &str| (name.to_owned(), "v".to_owned());
        let granted = [HeaderName::from_static("x-tenant")];
        let headers = headers::of_connector(&["content-type", "x-tenant", "accept"].map(named), &granted);
        Hop {
            method,
            url: Url::parse(url).unwrap_or_else(|e| panic!("{e}")),
            headers: headers.unwrap_or_else(|e| panic!("{e}")),
            body: Some(Bytes::from_static(b"{}")),
        }
    }

    fn next(method: Method, status: u16, location: &str) -> String {
        match follow(&hop(method, "https://erp.example/a/b?x=1"), status, Some(location)) {
            Ok(Some(next)) => {
                let mut names: Vec<_> = next.headers.keys().map(ToString::to_string).collect();
                names.sort_unstable();
                format!("{} {} body={} {}", next.method.name(), next.url, next.body.is_some(), names.join(","))
            }
            Ok(None) => "no redirect".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn method_and_body_go_along_as_the_standard_says() {
        let mut table = Vec::new();
        for status in [300, 301, 302, 303, 304, 305, 307, 308] {
            for method in Method::ALL {
                table.push(format!("{status} {}: {}", method.name(), next(method, status, "/c")));
            }
        }
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn a_location_of_blobs_within_blobs_is_refused_and_overflows_no_stack() {
        // As long as an answer's headers may be, about.
        let location = format!("{}https://erp.example/", "blob:".repeat(13_000));
        for base in ["https://erp.example/", "http://erp.example/"] {
            let followed = follow(&hop(Method::Get, base), 302, Some(&location));
            assert!(matches!(followed, Err(SendError::RedirectDenied(_))), "{base}");
        }
    }

    #[test]
    fn a_location_is_taken_as_the_url_standard_takes_it() {
        let locations = [
            "c",
            "/c",
            "?y",
            "#f",
            "//other.example/c",
            "https://other.example",
            "http://erp.example/c",
            "\\\\other.example",
            "https:c",
            "javascript:x",
            "file:///etc/passwd",
            "https://u:p@erp.example/",
            "http://",
            " /c\t",
            "",
        ];
        let table: Vec<_> = locations.iter().map(|l| format!("{l:?}: {}", next(Method::Get, 302, l))).collect();
        insta::assert_snapshot!(table.join("\n"));
    }
}

//! From a connector's target to a URL, within the origin that the operator granted. A connector cannot choose where it goes.

use url::{Origin, Url};

use super::client::SendError;
use super::credentials::Endpoint;

/// Reads a base URL as operators type it: http or https, a host, no credential in it, no query. Its path is made to end in
/// a slash, so that targets are appended to it.
pub fn parse_base_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !fits {
        return None;
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

/// A refused base URL as messages may show it: without what may be a secret, a credential before the host or a parameter.
pub fn shown_base_url(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (plain, cut) = text.split_at(end);
    let (scheme, rest) = plain.split_once("://").unwrap_or(("", plain));
    let (hidden, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    let hidden = if hidden.is_empty() { "" } else { "…@" };
    format!("{scheme}{hidden}{rest}{}", if cut.is_empty() { "" } else { "…" })
}

/// Scheme, host and port, as RFC 6454 compares them.
pub(super) fn origin_of(url: &Url) -> Origin {
    url.origin()
}

/// The URL that a target and a query mean at an endpoint.
pub(super) fn resolve(endpoint: &Endpoint, target: &str, query: &[(String, String)]) -> Result<Url, SendError> {
    let invalid = |why: &str| SendError::InvalidRequest(format!("target {}: {why}", cut(target)));
    if target.chars().any(|c| c.is_control() || c == '\\') {
        return Err(invalid("control characters and backslashes are refused"));
    }
    let mut url = if target.contains("://") || target.starts_with("//") {
        let url = endpoint.base.join(target).map_err(|e| invalid(&e.to_string()))?;
        if !endpoint.grants(&url) {
            return Err(SendError::Denied(format!(
                "{} is not at the granted origin {}",
                cut(target),
                origin_of(&endpoint.base).ascii_serialization()
            )));
        }
        url
    } else {
        let path = target.split(['?', '#']).next().unwrap_or_default();
        if path.split('/').any(is_dot_dot) {
            return Err(invalid("`..` is refused"));
        }
        // Appended, not joined: `2151:x` must not be taken for a scheme, nor `/x` for the origin's root.
        let appended = format!("{}{}", endpoint.base, target.trim_start_matches('/'));
        Url::parse(&appended).map_err(|e| invalid(&e.to_string()))?
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SendError::Denied("a URL that carries a credential is refused".to_owned()));
    }
    if !endpoint.grants(&url) {
        return Err(SendError::Denied(format!("{} leads away from the granted origin", cut(target))));
    }
    url.set_fragment(None);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// `..` in any of the spellings that the URL standard takes for it.
fn is_dot_dot(segment: &str) -> bool {
    matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "..")
}

/// A target as messages show it.
fn cut(target: &str) -> String {
    const SHOWN: usize = 200;
    match target.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &target[..end]),
        None => format!("{target:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::credentials::{AuthScheme, Secret};
    use super::*;
    use crate::store::Access;

    fn endpoint() -> Endpoint {
        let access = Access {
            active: true,
            token: Secret::new("t".into()),
            default_base_url: Some("https://erp.example:8443/sis/api/v1".into()),
            api: None,
        };
        Endpoint::resolve(access, "jueri", &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"))
    }

    fn url(target: &str) -> Result<String, SendError> {
        resolve(&endpoint(), target, &[]).map(String::from)
    }

    #[test]
    fn a_path_is_appended_to_the_base_with_or_without_a_slash() {
        for target in ["2151/pedido", "/2151/pedido"] {
            assert_eq!(url(target).ok().as_deref(), Some("https://erp.example:8443/sis/api/v1/2151/pedido"));
        }
    }

    #[test]
    fn the_query_is_encoded_and_joins_the_targets_own() {
        let query = [("página".to_owned(), "a b&c".to_owned())];
        let url = resolve(&endpoint(), "x?y=1", &query).map(String::from);
        assert_eq!(url.ok().as_deref(), Some("https://erp.example:8443/sis/api/v1/x?y=1&p%C3%A1gina=a+b%26c"));
    }

    #[test]
    fn an_absolute_url_is_taken_at_the_granted_origin_only() {
        assert!(url("https://erp.example:8443/other?page=2").is_ok());
        for elsewhere in
            ["https://evil.example/x", "http://erp.example:8443/", "//evil.example/x", "https://erp.example/"]
        {
            assert!(matches!(url(elsewhere), Err(SendError::Denied(_))), "{elsewhere}");
        }
        assert!(url("https://u:p@erp.example:8443/x").is_err());
    }

    #[test]
    fn a_target_cannot_climb_out_of_the_base() {
        for target in ["../admin", "a/../../b", "a/%2e%2E/b", "/..", "a\\..\\b", "x\r\nHost: evil"] {
            assert!(matches!(url(target), Err(SendError::InvalidRequest(_))), "{target}");
        }
        assert_eq!(url("@evil.example/x").ok().as_deref(), Some("https://erp.example:8443/sis/api/v1/@evil.example/x"));
    }

    #[test]
    fn a_refused_base_url_is_shown_without_its_secrets() {
        assert_eq!(shown_base_url("https://user:senha@h/a?api_key=senha"), "https://…@h/a…");
        assert_eq!(shown_base_url("user:senha@h#senha"), "…@h…");
        assert_eq!(shown_base_url("ftp://h/a"), "ftp://h/a");
    }

    #[test]
    fn a_base_url_is_http_with_a_host_and_nothing_secret() {
        assert_eq!(parse_base_url(" http://h/a ").map(String::from).as_deref(), Some("http://h/a/"));
        for bad in ["ftp://h", "h/a", "http://u:p@h", "http://h?x=1", "", "file:///x"] {
            assert!(parse_base_url(bad).is_none(), "{bad}");
        }
    }
}

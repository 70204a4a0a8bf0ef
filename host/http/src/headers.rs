//! Filters headers between a connector and a source. A connector's headers say what it asks for;
//! none may set the identity of the caller, the route of the request or the use of the connection.
//! Headers of an answer that carry a credential are withheld.

use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    USER_AGENT,
};

use super::message::SendError;
use super::zstd;

/// Headers of one request; more than any API asks for.
const HEADERS_MAX: usize = 64;
/// Bytes of one name.
const NAME_MAX: usize = 128;
/// Their names and values together. Servers take 8 KiB as a rule.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Names and values of an answer's headers together. HTTP/1 is also held to hyper's 100 headers.
pub(super) const ANSWER_HEADERS_BYTES_MAX: usize = 64 * 1024;

/// Headers that a connector may set without a grant, beside `Accept-*` and `If-*`. All others are
/// particular to a server, and only the operator knows what it obeys.
const FREE: [&str; 5] = ["accept", "content-type", "idempotency-key", "prefer", "user-agent"];
const FREE_PREFIXES: [&str; 2] = ["accept-", "if-"];

/// Headers of framing, encoding and ranges, which only the host sets, also because redaction finds
/// no credential in an answer that comes in another form (RFC 9110, 9111, 9112).
const FRAMING: [&str; 28] = [
    "accept-charset",
    "accept-encoding",
    "age",
    "alt-used",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-transfer-encoding",
    "cookie",
    "cookie2",
    "date",
    "early-data",
    "expect",
    "http2-settings",
    "if-range",
    "keep-alive",
    "max-forwards",
    "priority",
    "range",
    "request-range",
    "te",
    "trailer",
    "trailers",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-range",
];

/// Words of names by which servers and the proxies before them take a request for another one's, or
/// for another request: the peer's address, the host, the path, the method.
const ROUTING_WORDS: [&str; 38] = [
    "addr",
    "address",
    "cert",
    "certificate",
    "cf",
    "destination",
    "forward",
    "fwd",
    "host",
    "hostname",
    "https",
    "ip",
    "ips",
    "ipv4",
    "ipv6",
    "method",
    "orig",
    "origin",
    "original",
    "originating",
    "override",
    "path",
    "proto",
    "protocol",
    "proxy",
    "redirect",
    "referer",
    "referrer",
    "remote",
    "rewrite",
    "scheme",
    "sec",
    "ssl",
    "tls",
    "uri",
    "url",
    "verb",
    "via",
];
/// Parts of such names, however their words are separated or run together.
const ROUTING_PARTS: [&str; 33] = [
    "accesscontrol",
    "akamai",
    "amzn",
    "appengine",
    "arrclient",
    "azureclient",
    "azurefdid",
    "azuresocket",
    "cfconnecting",
    "clientcert",
    "clientdn",
    "clientip",
    "clientverify",
    "connectingip",
    "destinationurl",
    "envoy",
    "fastly",
    "forwarde",
    "forwardfor",
    "hostname",
    "httpmethod",
    "httpverb",
    "methodoverride",
    "proxy",
    "realip",
    "remoteaddr",
    "remoteuser",
    "scriptname",
    "servername",
    "sourceip",
    "sslclient",
    "trueclient",
    "tunneled",
];

/// Words of names by which servers take a request for a certain user's or program's.
const IDENTITY_WORDS: [&str; 46] = [
    "acting",
    "actor",
    "admin",
    "anonymous",
    "assertion",
    "auth",
    "bearer",
    "behalf",
    "caller",
    "consumer",
    "delegate",
    "delegated",
    "email",
    "eppn",
    "from",
    "groups",
    "hmac",
    "ident",
    "identity",
    "internal",
    "iv",
    "jwt",
    "login",
    "mellon",
    "oidc",
    "passwd",
    "password",
    "permissions",
    "pomerium",
    "pwd",
    "requester",
    "role",
    "roles",
    "saml",
    "secret",
    "senha",
    "session",
    "signature",
    "sm",
    "subject",
    "sudo",
    "tailscale",
    "uid",
    "user",
    "username",
    "usuario",
];
/// Parts of such names.
const IDENTITY_PARTS: [&str; 35] = [
    "accesskey",
    "accesstoken",
    "actas",
    "apikey",
    "appkey",
    "authenticat",
    "authentik",
    "authori",
    "authtoken",
    "authuser",
    "cookie",
    "credential",
    "googiap",
    "idtoken",
    "impersonat",
    "msclient",
    "mstoken",
    "onbehalf",
    "principal",
    "privatekey",
    "privatetoken",
    "rapidapi",
    "runas",
    "secretkey",
    "sessionid",
    "shibboleth",
    "siteminder",
    "smuser",
    "subscriptionkey",
    "useremail",
    "userid",
    "userinfo",
    "username",
    "webauth",
    "xtoken",
];
/// Parts of the names of tokens that do not identify the caller: tokens against forgery, and
/// cursors of lists.
const OTHER_TOKENS: [&str; 7] = ["continuation", "csrf", "cursor", "next", "page", "sync", "xsrf"];

/// Headers of an answer that a connector never sees, since they carry a credential: one that the
/// source sets, or the one that was sent and came back. Challenges are among them: the host
/// authenticates, not the connector, and some quote the credential that they refuse.
pub(super) const WITHHELD_HEADERS: [&str; 15] = [
    "api-key",
    "authentication-info",
    "authorization",
    "cookie",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "x-access-token",
    "x-api-key",
    "x-auth-token",
    "x-refresh-token",
    "x-session-token",
];

/// The connector's headers that a redirect to another origin keeps: those that describe the wanted
/// answer, and none that could be meant for the first origin alone.
const ANYWHERE: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];

/// Takes the headers that a connector never sees out of an answer's.
pub(super) fn readable(mut headers: HeaderMap) -> HeaderMap {
    for withheld in WITHHELD_HEADERS {
        headers.remove(withheld);
    }
    headers
}

/// The connector's headers, checked. Beside the free ones it sets those that the operator granted.
pub(super) fn of_connector(headers: &[(String, String)], granted: &[HeaderName]) -> Result<HeaderMap, SendError> {
    if headers.len() > HEADERS_MAX {
        return Err(SendError::InvalidRequest(format!("more than {HEADERS_MAX} headers")));
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEADERS_BYTES_MAX {
        return Err(SendError::InvalidRequest(format!("headers of more than {HEADERS_BYTES_MAX} bytes")));
    }
    let mut map = HeaderMap::with_capacity(headers.len());
    let mut ungranted = Vec::new();
    let mut repeated = None;
    for (name, value) in headers {
        let invalid = |what: &str| SendError::InvalidRequest(format!("header {name:?}: {what}"));
        let key: HeaderName = name.parse().map_err(|_| invalid("not a header name"))?;
        if name.len() > NAME_MAX {
            return Err(SendError::InvalidRequest(format!("a header's name of more than {NAME_MAX} bytes")));
        }
        if is_hosts(key.as_str()) {
            return Err(invalid("set by the host alone"));
        }
        // What is not ASCII has no meaning there (RFC 9110, section 5.5), and to some servers that
        // of a line break.
        let value = Some(value).filter(|value| value.is_ascii()).and_then(|value| HeaderValue::from_str(value).ok());
        let value = value.ok_or_else(|| invalid("not a header value"))?;
        if !is_free(key.as_str()) && !granted.contains(&key) && !ungranted.contains(name) {
            ungranted.push(name.clone());
        }
        let is_list = is_list(key.as_str());
        if map.append(key, value) && !is_list {
            repeated.get_or_insert(name);
        }
    }
    match (ungranted.is_empty(), repeated) {
        (false, _) => Err(SendError::HeadersNotGranted(ungranted)),
        (true, Some(name)) => Err(SendError::InvalidRequest(format!("header {name:?}: set more than once"))),
        (true, None) => Ok(map),
    }
}

/// Whether a header is a list, of which each line is a part. Of any other that stands there twice
/// each server takes one, and not all the same (RFC 9110, section 5.3).
fn is_list(name: &str) -> bool {
    matches!(name, "accept" | "prefer" | "if-match" | "if-none-match") || name.starts_with("accept-")
}

/// A header that the operator names in a grant, unless it is one that no connector sets.
pub(super) fn grantable(name: &str) -> Option<HeaderName> {
    name.parse().ok().filter(|name: &HeaderName| !is_hosts(name.as_str()))
}

/// Fails unless an answer is whole and in an encoding that was asked for and can be read: redaction
/// finds no credential in any other (RFC 9110, sections 8.4 and 15.3.7; RFC 9112, section 6.1).
pub(super) fn check_form(status: u16, headers: &HeaderMap) -> Result<(), SendError> {
    let other = |name: HeaderName, known: &str| {
        let values = headers.get_all(name).into_iter().map(|value| value.to_str().unwrap_or("?"));
        let mut codings = values.flat_map(|value| value.split(',')).map(str::trim);
        codings
            .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(known))
            .map(|c| c.chars().take(40).collect())
    };
    let content = other(CONTENT_ENCODING, "identity").filter(|_| own_coding(headers).is_none());
    let coding: Option<String> = content.or_else(|| other(TRANSFER_ENCODING, "chunked"));
    match coding {
        Some(coding) => Err(SendError::Unreadable(format!("it is encoded as {coding:?}"))),
        None if status == 206 => Err(SendError::Unreadable("a part of it came, which nobody asked for".to_owned())),
        None => Ok(()),
    }
}

/// An encoding of bodies that is decoded here. The HTTP library decodes the others, and takes the
/// header away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// RFC 8878
    Zstd,
    /// gzip under its old name (RFC 9110, 8.4.1.3), or in other letters than the library knows.
    Gzip,
}

/// The encoding of a body that is in this one and in nothing else besides.
pub(super) fn own_coding(headers: &HeaderMap) -> Option<Coding> {
    let mut values = headers.get_all(CONTENT_ENCODING).into_iter();
    let only = values.next().and_then(|value| value.to_str().ok()).filter(|_| values.next().is_none())?;
    match only.trim().to_ascii_lowercase().as_str() {
        zstd::NAME => Some(Coding::Zstd),
        "gzip" | "x-gzip" => Some(Coding::Gzip),
        _ => None,
    }
}

/// Whether a header needs no grant. The name is in lower case.
fn is_free(name: &str) -> bool {
    FREE.contains(&name) || FREE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Whether no connector may set a header, whatever was granted.
fn is_hosts(name: &str) -> bool {
    !FREE.contains(&name) && (leads_astray(name) || has(name, &IDENTITY_WORDS, &IDENTITY_PARTS) || is_token(name))
}

/// Whether a name has a word that ends in `token`, and is not among [`OTHER_TOKENS`]: such a header
/// identifies the caller.
fn is_token(name: &str) -> bool {
    let dashed = dashed(name);
    let has_one = dashed.split('-').any(|word| word.ends_with("token") || word.ends_with("tokens"));
    has_one && !OTHER_TOKENS.iter().any(|other| dashed.contains(other))
}

/// Whether a header says how the message travels, where it comes from or goes, or which method or
/// path is really meant. A credential may stand in none of these either.
pub(super) fn leads_astray(name: &str) -> bool {
    FRAMING.contains(&dashed(name).as_str()) || has(name, &ROUTING_WORDS, &ROUTING_PARTS)
}

/// Whether a name has one of these words, or one of these parts once nothing separates its words.
fn has(name: &str, words: &[&str], parts: &[&str]) -> bool {
    let dashed = dashed(name);
    let together = dashed.replace('-', "");
    dashed.split('-').any(|word| words.contains(&word)) || parts.iter().any(|part| together.contains(part))
}

/// A name in one spelling. Servers behind CGI make `_` of `-`, and some of all that is neither
/// letter nor digit.
fn dashed(name: &str) -> String {
    name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

/// Removes all headers but those that may go to any origin ([`ANYWHERE`]).
pub(super) fn keep_harmless(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| !ANYWHERE.contains(name)).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Takes away what describes a body (RFC 9110, section 15.4).
pub(super) fn drop_content(headers: &mut HeaderMap) {
    let names: Vec<HeaderName> = headers.keys().filter(|name| name.as_str().starts_with("content-")).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// Refuses an answer whose headers are too large to be kept.
pub(super) fn check_answer(headers: &HeaderMap) -> Result<(), SendError> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > ANSWER_HEADERS_BYTES_MAX {
        return Err(SendError::HeadTooLarge(ANSWER_HEADERS_BYTES_MAX));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> Result<HeaderMap, SendError> {
        of_connector(&[(name.to_owned(), value.to_owned())], &[])
    }

    /// Names that servers obey about who asks, for whom, from where, and what is really meant.
    const OBEYED: &str = include_str!("headers/obeyed.txt");

    #[test]
    fn what_an_api_asks_for_passes() {
        for name in [
            "Accept",
            "Accept-Language",
            "Content-Type",
            "If-Modified-Since",
            "If-None-Match",
            "Prefer",
            "User-Agent",
            "Idempotency-Key",
        ] {
            assert!(of(name, "x").is_ok(), "{name}");
        }
    }

    #[test]
    fn a_vendors_own_header_needs_a_grant() {
        for name in [
            "tenantId",
            "X-Tenant",
            "Company-Id",
            "X-Api-Version",
            "x-csrf-token",
            "Cache-Control",
            "empresa",
            "Page-Token",
        ] {
            assert_eq!(of(name, "x"), Err(SendError::HeadersNotGranted(vec![name.to_owned()])), "{name}");
            let granted = grantable(name).unwrap_or_else(|| panic!("{name} cannot be granted"));
            assert!(of_connector(&[(name.to_owned(), "x".to_owned())], &[granted]).is_ok(), "{name}");
        }
        let asked = ["tenantId", "accept", "X-Api-Version", "tenantId"].map(|name| (name.to_owned(), "x".to_owned()));
        let missing = ["tenantId", "X-Api-Version"].map(str::to_owned).to_vec();
        assert_eq!(of_connector(&asked, &[]), Err(SendError::HeadersNotGranted(missing)));
    }

    #[test]
    fn a_header_that_is_no_list_is_set_once() {
        let twice = |names: [&str; 2]| {
            let headers = names.map(|name| (name.to_owned(), "x".to_owned()));
            of_connector(&headers, &[HeaderName::from_static("tenantid")])
        };
        for names in [["content-type", "Content-Type"], ["tenantId", "TENANTID"], ["user-agent", "User-Agent"]] {
            assert!(twice(names).is_err_and(|e| e.to_string().contains("set more than once")), "{names:?}");
        }
        assert_eq!(twice(["accept", "Accept"]).map(|headers| headers.len()), Ok(2));
    }

    #[test]
    fn a_connector_sets_neither_who_asks_nor_how_the_message_travels() {
        for name in OBEYED.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let spelt = [name.to_owned(), name.to_uppercase(), name.replace('-', "_"), name.replace('-', ".")];
            for name in spelt {
                assert!(of(&name, "x").is_err_and(|e| e.to_string().contains("set by the host alone")), "{name}");
                assert_eq!(grantable(&name), None, "{name}");
            }
        }
    }

    #[test]
    fn a_body_in_one_known_encoding_is_decoded_whatever_its_name_looks_like() {
        let coded = |names: &[&str]| {
            let mut map = HeaderMap::new();
            for name in names {
                map.append(CONTENT_ENCODING, name.parse().unwrap_or_else(|e| panic!("{name}: {e}")));
            }
            own_coding(&map)
        };
        assert_eq!(coded(&["x-gzip"]), Some(Coding::Gzip));
        assert_eq!(coded(&[" GZIP "]), Some(Coding::Gzip));
        assert_eq!(coded(&["ZSTD"]), Some(Coding::Zstd));
        for unknown in [&["x-gzip, x-gzip"][..], &["x-gzip", "x-gzip"], &["compress"], &[]] {
            assert_eq!(coded(unknown), None, "{unknown:?}");
        }
    }

    #[test]
    fn no_line_break_and_no_other_control_character_passes() {
        for value in ["a\r\nHost: evil", "a\nb", "a\rb", "a\0b", "a\u{7f}", "a\u{85}b", "a\u{2028}b"] {
            assert!(matches!(of("prefer", value), Err(SendError::InvalidRequest(_))), "{value:?}");
        }
        for name in ["", " ", "a b", "a:", ":authority", "a\r\nb", "a\0", "ação", "host ", "\thost"] {
            assert!(matches!(of(name, "x"), Err(SendError::InvalidRequest(_))), "{name:?}");
        }
    }

    #[test]
    fn the_number_and_the_size_of_headers_have_an_end() {
        let header = |n: usize| (format!("accept-{n}"), "v".to_owned());
        assert!(of_connector(&(0..HEADERS_MAX).map(header).collect::<Vec<_>>(), &[]).is_ok());
        assert!(of_connector(&(0..=HEADERS_MAX).map(header).collect::<Vec<_>>(), &[]).is_err());
        assert!(of("accept", &"v".repeat(HEADERS_BYTES_MAX)).is_err());
    }

    #[test]
    fn only_what_kind_of_answer_is_wanted_goes_to_another_origin() {
        let headers = [("accept", "a"), ("x-tenant", "7"), ("prefer", "p"), ("content-type", "t")];
        let owned: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let granted = [HeaderName::from_static("x-tenant")];
        let mut map = of_connector(&owned, &granted).unwrap_or_else(|e| panic!("{e}"));
        keep_harmless(&mut map);
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "content-type"]);
        drop_content(&mut map);
        assert_eq!(map.len(), 1);
    }
}

//! Which headers pass between a connector and a source. A connector's headers say what it asks for; they decide neither who asks
//! nor where the request goes, nor how the connection is used. An answer's headers do not carry a credential back.

use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING,
    USER_AGENT,
};

use super::message::SendError;
use super::zstd;

/// Headers of one request; more than any API asks for.
const HEADERS_MAX: usize = 64;
/// Their names and values together. Servers take 8 KiB as a rule.
const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Names and values of an answer's headers together. HTTP/1 is also held to hyper's 100 headers.
pub(super) const ANSWER_HEADERS_BYTES_MAX: usize = 64 * 1024;

/// What a connector may not set: who asks, for which host, how long the message is and how it travels; whose request it says to
/// be; which method or path the server should take it for, past the one that was granted; and what would have the answer come in a
/// form, or in pieces, in which nobody finds a credential in it.
const HOST_HEADERS: [&str; 40] = [
    "accept-charset",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "host",
    "http2-settings",
    "if-range",
    "keep-alive",
    "range",
    "request-range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "alt-used",
    "client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-host",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-remote-user",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-rewrite-url",
    "x-script-name",
];
/// Whole families of them.
const HOST_PREFIXES: [&str; 2] = ["proxy-", "x-forwarded"];

/// Headers that a connector never sees. They carry a credential: one that the source sets, or the one that was sent and came
/// back. Challenges are among them, since they are for whoever authenticates, which a connector does not, and some quote the
/// credential that they refuse.
const WITHHELD_HEADERS: [&str; 15] = [
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

/// What of a connector's headers goes along to another origin than it asked at: what kind of answer is wanted, and nothing
/// that could be meant for the first one alone.
const ANYWHERE: [HeaderName; 4] = [ACCEPT, ACCEPT_LANGUAGE, CONTENT_TYPE, USER_AGENT];

/// Whether a connector never sees this header. The name is in lower case.
pub(super) fn is_withheld(name: &str) -> bool {
    WITHHELD_HEADERS.contains(&name)
}

/// The connector's headers, checked.
pub(super) fn of_connector(headers: &[(String, String)]) -> Result<HeaderMap, SendError> {
    if headers.len() > HEADERS_MAX {
        return Err(SendError::InvalidRequest(format!("more than {HEADERS_MAX} headers")));
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > HEADERS_BYTES_MAX {
        return Err(SendError::InvalidRequest(format!("headers of more than {HEADERS_BYTES_MAX} bytes")));
    }
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let invalid = |what: &str| SendError::InvalidRequest(format!("header {name:?}: {what}"));
        let key: HeaderName = name.parse().map_err(|_| invalid("not a header name"))?;
        if is_hosts(key.as_str()) {
            return Err(invalid("set by the host alone"));
        }
        // What is not ASCII has no meaning there (RFC 9110, section 5.5), and to some servers that of a line break.
        let value = Some(value).filter(|value| value.is_ascii()).and_then(|value| HeaderValue::from_str(value).ok());
        let value = value.ok_or_else(|| invalid("not a header value"))?;
        map.append(key, value);
    }
    Ok(map)
}

/// Whether an answer is whole, and in no form but those that were asked for and read: nobody could look for a credential in
/// another (RFC 9110, sections 8.4 and 15.3.7; RFC 9112, section 6.1).
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

/// An encoding of bodies that is decoded here. The HTTP library decodes the others, and takes the header away.
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

/// Whether a header is the host's to set. Servers behind CGI make `_` of `-`, and some of all that is neither letter nor digit.
pub(super) fn is_hosts(name: &str) -> bool {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    HOST_HEADERS.contains(&name.as_str()) || HOST_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Leaves what may be told to any origin.
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
        of_connector(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn what_an_api_asks_for_passes() {
        for name in
            ["Accept", "Content-Type", "X-Tenant", "If-Modified-Since", "Prefer", "User-Agent", "Idempotency-Key"]
        {
            assert!(of(name, "x").is_ok(), "{name}");
        }
    }

    #[test]
    fn a_connector_sets_neither_who_asks_nor_how_the_message_travels() {
        let more = [
            "HOST",
            "Proxy-Authorization",
            "PROXY-Connection",
            "X-Forwarded-For",
            "x-forwarded-host",
            "X_Forwarded_For",
            "x~forwarded!for",
            "Content_Length",
            "Transfer.Encoding",
        ];
        for name in HOST_HEADERS.into_iter().chain(more) {
            assert!(of(name, "x").is_err_and(|e| e.to_string().contains("set by the host alone")), "{name}");
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
            assert!(of("x-note", value).is_err(), "{value:?}");
        }
        for name in ["", " ", "a b", "a:", ":authority", "a\r\nb", "a\0", "ação", "host ", "\thost"] {
            assert!(of(name, "x").is_err(), "{name:?}");
        }
    }

    #[test]
    fn the_number_and_the_size_of_headers_have_an_end() {
        let header = |n: usize| (format!("x-{n}"), "v".to_owned());
        assert!(of_connector(&(0..HEADERS_MAX).map(header).collect::<Vec<_>>()).is_ok());
        assert!(of_connector(&(0..=HEADERS_MAX).map(header).collect::<Vec<_>>()).is_err());
        assert!(of("x", &"v".repeat(HEADERS_BYTES_MAX)).is_err());
    }

    #[test]
    fn only_what_kind_of_answer_is_wanted_goes_to_another_origin() {
        let headers = [("accept", "a"), ("x-tenant", "7"), ("x-api-key", "k"), ("content-type", "t"), ("referer", "r")];
        let owned: Vec<_> = headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut map = of_connector(&owned).unwrap_or_else(|e| panic!("{e}"));
        keep_harmless(&mut map);
        let mut names: Vec<_> = map.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "content-type"]);
        drop_content(&mut map);
        assert_eq!(map.len(), 1);
    }
}

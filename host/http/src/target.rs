//! From a connector's target to a URL. A connector cannot choose where it goes: a path stays below
//! the base URL, however the dots and slashes in it are spelt, and an absolute URL is at an origin
//! that the operator granted. Servers differ in what they decode, and how often, so what any of
//! them could take for `..` is refused.

use atlas_model::notice::acts_on_a_terminal;
use percent_encoding::percent_decode;
use url::Url;

use super::egress::Egress;
use super::message::SendError;

/// The longest URL. Servers take 8 KiB as a rule.
const URL_MAX: usize = 16 * 1024;
/// How often a segment is decoded. Four levels of encoding have no use but to get past a check.
const DECODED_MAX: usize = 4;

/// Reads a base URL as operators type it: http or https, a host, no credential in it, no query. Its
/// path is made to end in a slash, so that targets are appended to it.
pub fn parse_base_url(text: &str) -> Option<Url> {
    let mut url = parse_http_url(text).filter(|url| url.query().is_none())?;
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Some(url)
}

/// Characters of a base URL.
const BASE_URL_MAX: usize = 2_048;

/// Reads an http or https URL with a host, without a credential in it.
pub(super) fn parse_http_url(text: &str) -> Option<Url> {
    // What a browser's parser would mend, a person would read otherwise:
    // `http://127.0.0.1\@example.com/` leads to the former.
    let text = text.trim();
    let is_plain = text.len() <= BASE_URL_MAX && !text.contains('\\') && text.contains("://");
    if !is_plain || text.chars().any(|c| c.is_whitespace() || acts_on_a_terminal(c)) {
        return None;
    }
    let url = Url::parse(text).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none()
        // An empty label is in no name; without the dots behind it, `10.0.0.1..` would be an
        // address.
        && !url.host_str().is_some_and(|host| host.contains(".."));
    fits.then_some(url)
}

/// A refused base URL as messages may show it: without what may be a secret, a credential before
/// the host or a parameter.
pub fn shown_base_url(text: &str) -> String {
    let end = text.find(['?', '#']).unwrap_or(text.len());
    let (plain, cut) = text.split_at(end);
    let (scheme, rest) = plain.split_once("://").unwrap_or(("", plain));
    let (hidden, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    let hidden = if hidden.is_empty() { "" } else { "…@" };
    format!("{scheme}{hidden}{rest}{}", if cut.is_empty() { "" } else { "…" })
}

/// The URL that a target and a query mean at the base URL. Whether it is granted is the egress
/// policy's to say.
pub(super) fn resolve(egress: &Egress, target: &str, query: &[(String, String)]) -> Result<Url, SendError> {
    let invalid = |why: &str| SendError::InvalidRequest(format!("target {}: {why}", cut(target)));
    let length = target.len() + query.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if length > URL_MAX {
        return Err(invalid(&format!("with its query it is longer than {URL_MAX} bytes")));
    }
    // The URL standard would drop some of them, and what is left would be another target.
    if target.chars().any(|c| c.is_control() || c == '\\') || target.trim() != target {
        return Err(invalid("control characters, backslashes and spaces around it are refused"));
    }
    let path = target.split(['?', '#']).next().unwrap_or_default();
    if path.split('/').any(climbs) {
        return Err(invalid("`..` is refused, and what could be taken for it or for a control character"));
    }
    let base = egress.base();
    let mut url = if is_absolute(target) {
        let url = base.join(target).map_err(|e| invalid(&e.to_string()))?;
        if !egress.covers_origin(&url) {
            return Err(SendError::Denied(format!(
                "{} is not at the granted origin {}",
                cut(target),
                base.origin().ascii_serialization()
            )));
        }
        url
    } else {
        // Appended, not joined: `2151:x` must not be taken for a scheme, nor `/x` for the origin's
        // root.
        let appended = format!("{base}{}", target.trim_start_matches('/'));
        let url = Url::parse(&appended).map_err(|e| invalid(&e.to_string()))?;
        if url.origin() != base.origin() || !url.path().starts_with(base.path()) {
            return Err(SendError::Denied(format!("{} leads away from the base URL", cut(target))));
        }
        url
    };
    url.set_fragment(None);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// Whether a target names an origin of its own: `scheme://…` or `//…`.
fn is_absolute(target: &str) -> bool {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
    };
    target.starts_with("//") || target.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme))
}

/// Whether any server could take a segment of a path for `..`, for more than one segment with `..`
/// among them, or for a line break or a NUL: decoded as often as it may be, without parameters
/// behind a semicolon.
pub(super) fn climbs(segment: &str) -> bool {
    let Some(plain) = decoded(segment) else { return true };
    let is_up = |part: &[u8]| part.split(|b| *b == b';').next() == Some(b"..");
    plain.split(|b| matches!(b, b'/' | b'\\')).any(is_up) || plain.iter().any(u8::is_ascii_control)
}

/// Whether any server could read a segment of a path as several segments, or as none.
pub(super) fn is_no_segment(segment: &str) -> bool {
    let vanishes = |plain: &[u8]| matches!(plain.split(|b| *b == b';').next(), None | Some(b"" | b"."));
    climbs(segment) || decoded(segment).is_none_or(|p| vanishes(&p) || p.iter().any(|b| b"/\\?#".contains(b)))
}

/// Decodes a segment until nothing is left to decode, and folds it. `None` if that takes too many
/// rounds, or yields bytes that only some servers take for a character.
fn decoded(segment: &str) -> Option<Vec<u8>> {
    let mut plain = folded(segment.as_bytes())?;
    for _ in 0..=DECODED_MAX {
        if has_code_points(&plain) {
            return None;
        }
        let next = folded(&percent_decode(&plain).collect::<Vec<u8>>())?;
        if next == plain {
            return Some(plain);
        }
        plain = next;
    }
    None
}

/// Folds a segment like servers that normalise paths (Unicode's NFKC, or the best fit of a Windows
/// code page). `None` for overlong UTF-8.
fn folded(plain: &[u8]) -> Option<Vec<u8>> {
    if is_overlong(plain) {
        return None;
    }
    let mut folded = String::with_capacity(plain.len());
    for c in String::from_utf8_lossy(plain).chars() {
        match c {
            '．' | '․' | '﹒' => folded.push('.'),
            '‥' => folded.push_str(".."),
            '…' => folded.push_str("..."),
            '／' | '∕' | '⁄' => folded.push('/'),
            '＼' | '∖' | '﹨' => folded.push('\\'),
            '；' | '﹔' => folded.push(';'),
            '？' | '﹖' => folded.push('?'),
            '＃' | '﹟' => folded.push('#'),
            '％' | '﹪' => folded.push('%'),
            c => folded.push(c),
        }
    }
    Some(folded.into_bytes())
}

/// Whether a character stands here in more bytes than it takes, which is no UTF-8: a dot as `c0
/// ae`, `e0 80 ae` and so on, up to the six bytes that UTF-8 once had.
fn is_overlong(bytes: &[u8]) -> bool {
    let begins_one = |pair: &[u8]| {
        matches!(pair, [0xe0, 0x80..=0x9f] | [0xf0, 0x80..=0x8f] | [0xf8, 0x80..=0x87] | [0xfc, 0x80..=0x83])
    };
    bytes.iter().any(|b| matches!(b, 0xc0 | 0xc1)) || bytes.windows(2).any(begins_one)
}

/// Whether a character stands here by its number, `%u002e`, as Microsoft's servers have taken it.
fn has_code_points(bytes: &[u8]) -> bool {
    bytes
        .windows(6)
        .any(|six| matches!(six, [b'%', b'u' | b'U', digits @ ..] if digits.iter().all(u8::is_ascii_hexdigit)))
}

/// A target as messages show it.
pub(super) fn cut(target: &str) -> String {
    const SHOWN: usize = 200;
    match target.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &target[..end]),
        None => format!("{target:?}"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "https://erp.example:8443/sis/api/v1/";

    fn egress() -> Egress {
        Egress::at(parse_base_url(BASE).expect("a base URL"), false)
    }

    fn url(target: &str) -> Result<String, SendError> {
        resolve(&egress(), target, &[]).map(String::from)
    }

    #[test]
    fn a_path_is_appended_to_the_base_with_or_without_a_slash() {
        for target in ["2151/pedido", "/2151/pedido"] {
            assert_eq!(url(target).ok().as_deref(), Some("https://erp.example:8443/sis/api/v1/2151/pedido"));
        }
    }

    #[test]
    fn the_query_is_encoded_and_joins_the_targets_own() {
        let query = [("página".to_owned(), "a b&c\r\n".to_owned())];
        let url = resolve(&egress(), "x?y=1", &query).map(String::from);
        assert_eq!(url.ok().as_deref(), Some("https://erp.example:8443/sis/api/v1/x?y=1&p%C3%A1gina=a+b%26c%0D%0A"));
    }

    #[test]
    fn an_absolute_url_is_taken_at_the_granted_origin_only() {
        assert!(url("https://erp.example:8443/other?page=2").is_ok());
        assert!(url("HTTPS://ERP.example:8443/other").is_ok());
        for elsewhere in [
            "https://evil.example/x",
            "http://erp.example:8443/",
            "//evil.example/x",
            "///evil.example/x",
            "https://erp.example/",
            "https://erp.example:8443.evil.example/",
            "https://erp.example:8443@evil.example/",
            "ftp://erp.example:8443/",
            "file:///etc/passwd",
        ] {
            assert!(url(elsewhere).is_err(), "{elsewhere}");
        }
    }

    #[test]
    fn a_url_in_a_query_makes_no_absolute_url_of_a_path() {
        let asked = url("/x?back=https://evil.example/");
        assert_eq!(asked.ok().as_deref(), Some("https://erp.example:8443/sis/api/v1/x?back=https://evil.example/"));
    }

    #[test]
    fn what_only_looks_like_another_place_stays_below_the_base() {
        for target in
            ["@evil.example/x", ":80/x", "https:evil.example", "javascript:x", "?x", "#x", "", "a//b", "..a/b..", "..."]
        {
            let asked = url(target).unwrap_or_else(|e| panic!("{target}: {e}"));
            assert!(asked.starts_with(BASE), "{target}: {asked}");
        }
    }

    #[test]
    fn a_target_cannot_climb_out_of_the_base() {
        for target in [
            "../admin",
            "a/../../b",
            "a/%2e%2E/b",
            "/..",
            "..",
            "a/.%2e/b",
            "a\\..\\b",
            "..%2fadmin",
            "a/..%2F..%2Fb",
            "%2e%2e%2fadmin",
            "%252e%252e%252fadmin",
            "%25252e%25252e/admin",
            "..%5cadmin",
            "..%255cadmin",
            "a%2f..%2fb",
            "..;/admin",
            "..;x=1/admin",
            "%2e%2e;/admin",
            "%c0%ae%c0%ae/admin",
            "..%c0%afadmin",
            "%e0%80%ae%e0%80%ae/admin",
            "%f0%80%80%ae./admin",
            "..%f8%80%80%80%afadmin",
            "%fc%80%80%80%80%ae./admin",
            "%u002e%u002E/admin",
            "．．/admin",
            "..／admin",
            "‥＼admin",
            "%ef%bc%8e%ef%bc%8e/admin",
            "%E2%80%A5%E2%88%95admin",
            "％2e％2e/admin",
            "..%25u002fadmin",
            "https://erp.example:8443/a/../b",
            "https://erp.example:8443/a/..%2fb",
        ] {
            assert!(matches!(url(target), Err(SendError::InvalidRequest(_))), "{target}");
        }
    }

    #[test]
    fn what_the_url_standard_would_drop_in_silence_is_refused() {
        for target in [
            "x\r\nHost: evil",
            "x\n",
            "\tx",
            ".\t./admin",
            "htt\nps://evil.example/",
            " https://evil.example/",
            "x ",
            "x\0",
            "\u{85}x",
            "a%0d%0aHost:%20evil",
            "a%00",
            "a%250a",
        ] {
            assert!(matches!(url(target), Err(SendError::InvalidRequest(_))), "{target:?}");
        }
    }

    #[test]
    fn a_url_has_a_length() {
        assert!(url(&"a".repeat(URL_MAX)).is_ok());
        let long = [("q".to_owned(), "v".repeat(URL_MAX))];
        for refused in [url(&"a".repeat(URL_MAX + 1)), resolve(&egress(), "x", &long).map(String::from)] {
            assert!(refused.is_err_and(|e| e.to_string().len() < 400));
        }
    }

    proptest! {
        #[test]
        fn a_target_stays_below_the_base_or_at_its_origin(target in "[a-z./\\\\%:@?#;~ \t2ef5c]{0,24}") {
            if let Ok(asked) = resolve(&egress(), &target, &[]) {
                prop_assert_eq!(asked.origin().ascii_serialization(), "https://erp.example:8443");
                prop_assert!(is_absolute(&target) || asked.path().starts_with("/sis/api/v1/"), "{}", asked);
                prop_assert!(!asked.path().split('/').any(climbs), "{}", asked);
            }
        }

        #[test]
        fn whatever_a_connector_writes_is_no_panic(target in any::<String>(), name in any::<String>(), value in any::<String>()) {
            let _ = resolve(&egress(), &target, &[(name, value)]);
        }
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
        for bad in
            ["ftp://h", "h/a", "http://u:p@h", "http://h?x=1", "", "file:///x", "http://10.0.0.1../", "http://a..b/"]
        {
            assert!(parse_base_url(bad).is_none(), "{bad}");
        }
    }
}

//! Fuzz targets for requests and for an answer's headers, whatever a connector writes into a
//! request and a source redirects it to. An accepted request is checked as it goes onto the wire,
//! not as the code that accepted it sees it.

use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::{Duration, UNIX_EPOCH};

use atlas_model::{Access, DefaultFor, Method, Secret};
use atlas_testing::fuzzing::{DIVIDER, Target, fields, text};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode;
use url::{Host, Url};

use super::client::admit_redirect;
use super::headers::{WITHHELD_HEADERS, of_connector, readable};
use super::redirect::{self, Hop};
use super::target::resolve;
use super::{AuthScheme, Egress, Endpoint, Grant, RequestPattern, SendError, parse_base_url};

/// The targets by the names of their programs and corpora.
pub const TARGETS: [(&str, Target); 3] = [("headers", headers), ("retry_after", retry_after), ("urls", urls)];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A wait is what the header says, to the second, and never more than a day.
pub fn retry_after(value: &[u8]) {
    let Some(value) = HeaderValue::from_bytes(value).ok().and_then(|value| Some(value.to_str().ok()?.to_owned()))
    else {
        return;
    };
    let read_at = |now| super::retry_after::parse(&value, now);
    let wait = read_at(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    assert!(wait.is_none_or(|wait| wait <= DAY), "{value:?}: {wait:?}");

    let stated = value.trim();
    let (whole, fraction) = stated.split_once('.').unwrap_or((stated, ""));
    let is_decimal = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if !whole.is_empty() && is_decimal(whole) && is_decimal(fraction) {
        let seconds = whole.parse().map_or(DAY, Duration::from_secs);
        let up = Duration::from_secs(u64::from(!fraction.is_empty()));
        let stated = seconds.min(DAY)..=seconds.saturating_add(up).min(DAY);
        assert!(wait.is_some_and(|wait| stated.contains(&wait)), "{value:?}: {wait:?}");
    } else if let Ok(date) = httpdate::parse_http_date(stated) {
        // What the library takes for a date is its own affair, garbage between the fields included.
        let second = Duration::from_secs(1);
        assert_eq!((read_at(date - second), read_at(date + second)), (Some(second), Some(Duration::ZERO)));
    } else if !stated.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        assert_eq!(wait, None, "{value:?}");
    }
}

/// What an operator has set up for a client and an API.
struct Setup {
    endpoint: Endpoint,
    /// How the URLs begin that may be reached.
    reached: &'static [&'static str],
}

static SETUPS: LazyLock<[Setup; 3]> = LazyLock::new(|| {
    [
        setup("https://erp.example:8443/sis/api/v1/", false, &[], &["https://erp.example:8443/"]),
        setup("http://10.0.0.7/", true, &[], &["http://10.0.0.7/"]),
        setup(
            "https://erp.example/api/",
            false,
            &["https://files.example", "http://8.8.8.8", "http://192.168.0.9:8080", "http://[fe80::1]"],
            &["https://erp.example/", "https://files.example/", "http://8.8.8.8/"],
        ),
    ]
});

fn setup(base: &str, private: bool, origins: &[&str], reached: &'static [&'static str]) -> Setup {
    let access = Access {
        active: true,
        token: Secret::new("segredo-9f3a".to_owned()),
        default_base_url: Some(base.to_owned()),
        default_private: private,
        default_for: DefaultFor::ThisApi,
        api: None,
        parts: None,
        access_token: None,
    };
    let pattern = |text| RequestPattern::parse(text).expect("a pattern");
    let grant = Grant {
        api: "erp".to_owned(),
        client: None,
        origins: origins.iter().map(|origin| Grant::parse_origin(origin).expect("an origin")).collect(),
        requests: ["POST /pedidos/*", "PUT /pedidos/*"].map(pattern).into(),
        headers: Vec::new(),
        private: false,
    };
    let endpoint = Endpoint::resolve(access, "erp", &AuthScheme::Bearer).expect("an endpoint");
    let endpoint = endpoint.granting([&grant]).declaring(&["POST /pedidos/*", "DELETE /pedidos/*"].map(pattern));
    Setup { endpoint, reached }
}

/// A target, a parameter's name and value, and a redirect's location: a request goes where it was
/// granted, below the base URL if it names no origin, and so does what a redirect makes of one. An
/// address that is not public is none by any spelling.
pub fn urls(input: &[u8]) {
    let [target, name, value, location] = fields(input).map(text);
    for setup in &*SETUPS {
        asks_where_it_may(setup, &target, &name, &value);
        follows_where_it_may(setup, &location);
    }
    if let Some(base) = parse_base_url(&target)
        && Egress::at(base.clone(), false).check(Method::Get, &base).is_ok()
    {
        is_at_no_private_address(&base);
    }
}

fn asks_where_it_may(setup: &Setup, target: &str, name: &str, value: &str) {
    let egress = &setup.endpoint.egress;
    let query = [(name.to_owned(), value.to_owned())];
    let none = usize::from(name.is_empty() && value.is_empty());
    let url = match resolve(egress, target, &query[none..]) {
        Ok(url) => url,
        Err(error) => return is_shown_on_one_line(&error),
    };
    for method in Method::ALL {
        match egress.check(method, &url) {
            Ok(_) => is_granted(setup, method, &url),
            Err(error) => is_shown_on_one_line(&error),
        }
    }
    if egress.check(Method::Get, &url).is_ok() {
        let names_an_origin = target.contains("://") || target.starts_with("//");
        assert!(names_an_origin || url.as_str().starts_with(egress.base().as_str()), "{target:?} leads to {url}");
        assert!(!climbs(url.path()), "{target:?} leads to {url}");
    }
}

fn follows_where_it_may(setup: &Setup, location: &str) {
    const HEADERS: [&str; 4] = ["accept", "content-type", "x-tenant", "prefer"];
    const GRANTED: [HeaderName; 1] = [HeaderName::from_static("x-tenant")];
    let headers = of_connector(&HEADERS.map(|name| (name.to_owned(), "v".to_owned())), &GRANTED).expect("headers");
    let url = setup.endpoint.egress.base().join("pedidos/7").expect("a URL");
    for (method, status) in [Method::Get, Method::Post].into_iter().flat_map(|m| [(m, 302), (m, 303), (m, 307)]) {
        let hop = Hop { method, url: url.clone(), headers: headers.clone(), body: Some(Bytes::from_static(b"{}")) };
        let next = match redirect::follow(&hop, status, Some(location)) {
            Ok(Some(next)) => next,
            Ok(None) => panic!("{status} is a redirect"),
            Err(error) => {
                is_shown_on_one_line(&error);
                continue;
            }
        };
        if let Err(error) = admit_redirect(&setup.endpoint, &next) {
            is_shown_on_one_line(&error);
            continue;
        }
        is_granted(setup, next.method, &next.url);
        assert!(url.scheme() == "http" || next.url.scheme() == "https", "{location:?} leads to {}", next.url);
        let is_elsewhere = !next.url.as_str().starts_with(setup.reached[0]);
        let tells_more = next.headers.keys().any(|name| !["accept", "content-type"].contains(&name.as_str()));
        assert!(!(is_elsewhere && tells_more), "{:?} go along to {}", next.headers, next.url);
        if (method, next.method) == (Method::Post, Method::Get) {
            assert!(next.body.is_none() && !next.headers.contains_key("content-type"));
        }
    }
}

/// What holds of every request that is let through.
fn is_granted(setup: &Setup, method: Method, url: &Url) {
    let wire = url.as_str();
    assert!(setup.reached.iter().any(|start| wire.starts_with(start)), "{wire}");
    assert!(wire.bytes().all(|b| b.is_ascii_graphic()) && !wire.contains('#'), "{wire}");
    if !matches!(method, Method::Get | Method::Head) {
        let granted = format!("{}pedidos/", setup.endpoint.egress.base());
        let order = wire.strip_prefix(&granted).and_then(|rest| rest.split('?').next()).unwrap_or_default();
        let is_one_segment = decodings(order).all(|form| !form.iter().any(|b| b"/\\?#".contains(b)));
        assert!(method == Method::Post && !order.is_empty() && is_one_segment, "{} {wire}", method.name());
    }
}

/// Whether a server might go up on its way along a path: however often it decodes it, where
/// overlong UTF-8 counts for the character that it stands for, with `\` for `/`, and without
/// parameters behind a semicolon.
fn climbs(path: &str) -> bool {
    decodings(path).any(|form| {
        let form = read_carelessly(&form);
        let segments = form.split(|c| matches!(c, '/' | '\\'));
        let mut names = segments.map(|segment| segment.split(|c| *c == ';').next().unwrap_or_default());
        names.any(|name| name == ['.', '.']) || form.iter().any(char::is_ascii_control)
    })
}

/// A text decoded once more each time, until there is nothing left to decode.
fn decodings(text: &str) -> impl Iterator<Item = Vec<u8>> {
    std::iter::successors(Some(text.as_bytes().to_vec()), |form| {
        let next: Vec<u8> = percent_decode(form).collect();
        (next != *form).then_some(next)
    })
}

/// Characters as a decoder has them that looks at lengths and bits alone, and knows how the servers
/// of one maker spell them.
fn read_carelessly(mut bytes: &[u8]) -> Vec<char> {
    let mut characters = Vec::new();
    while let [first, rest @ ..] = bytes {
        let length = match first {
            0xc0..=0xdf => 1,
            0xe0..=0xef => 2,
            0xf0..=0xf7 => 3,
            0xf8..=0xfb => 4,
            0xfc..=0xfd => 5,
            _ => 0,
        };
        let following = rest.get(..length).filter(|all| all.iter().all(|b| b & 0xc0 == 0x80));
        let hexadecimal =
            bytes.strip_prefix(b"%u").or_else(|| bytes.strip_prefix(b"%U")).and_then(|rest| rest.get(..4));
        let hexadecimal =
            hexadecimal.and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        let (code, read) = match (hexadecimal, following) {
            (Some(code), _) => (code, 6),
            (None, Some(following)) if length > 0 => {
                let lead = u32::from(first & (0x3f >> length));
                (following.iter().fold(lead, |code, b| code << 6 | u32::from(b & 0x3f)), length + 1)
            }
            _ => (u32::from(*first), 1),
        };
        characters.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        bytes = &bytes[read..];
    }
    characters
}

/// Asserts that a URL's host is a public address, or a name that no resolver could take for an
/// address.
fn is_at_no_private_address(url: &Url) {
    let address: IpAddr = match url.host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.to_ipv4().map_or(address.into(), IpAddr::from),
        Some(Host::Domain(name)) => {
            let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
            let is_number = match last.strip_prefix("0x") {
                Some(digits) => digits.bytes().all(|b| b.is_ascii_hexdigit()),
                None => !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()),
            };
            assert!(name.parse::<IpAddr>().is_err() && !is_number, "{name}");
            return;
        }
        None => panic!("{url} has no host"),
    };
    let is_special = match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_broadcast() || v4.is_documentation(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
    };
    assert!(!is_special && !address.is_loopback() && !address.is_unspecified() && !address.is_multicast(), "{url}");
}

/// Asserts that an error has no control characters, since it may be printed on a terminal.
fn is_shown_on_one_line(error: &SendError) {
    let shown = error.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}

/// Fuzzes names and values of headers, in turn. As a connector's: accepted ones go onto the wire
/// unchanged, a line for each, and none is a header that only the host sets. As an answer's: those
/// that carry a credential are withheld, and all others are returned whole.
pub fn headers(input: &[u8]) {
    let parts: Vec<&[u8]> = input.split(|byte| *byte == DIVIDER).collect();
    let (pairs, _) = parts.as_chunks::<2>();
    let owned = |[name, value]: &[&[u8]; 2]| (text(name).into_owned(), text(value).into_owned());
    asks_as_it_may(&pairs.iter().map(owned).collect::<Vec<_>>());

    let mut headers = HeaderMap::new();
    for [name, value] in pairs {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    gives_what_it_may(&headers);
}

fn asks_as_it_may(given: &[(String, String)]) {
    const THE_HOSTS: [&str; 16] = [
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "x-http-method-override",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    ];
    let passed = match of_connector(given, &[]) {
        Ok(passed) => passed,
        Err(error) => return is_shown_on_one_line(&error),
    };
    assert_eq!(passed.len(), given.len());
    for (name, value) in given {
        assert!(passed.get_all(name).iter().any(|passed| passed.as_bytes() == value.as_bytes()), "{name:?}: {value:?}");
        assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)), "{name:?}");
        assert!(value.bytes().all(|b| matches!(b, b'\t' | b' '..=b'~')), "{name:?}: {value:?}");
        // Servers behind CGI make one character of all that is neither letter nor digit.
        let name = name.to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "-");
        let families = name.starts_with("proxy-") || name.starts_with("x-forwarded");
        assert!(!THE_HOSTS.contains(&name.as_str()) && !families, "{name}");
    }
}

fn gives_what_it_may(of_the_answer: &HeaderMap) {
    const CREDENTIALS: [&str; 6] =
        ["authorization", "cookie", "proxy-authenticate", "set-cookie", "www-authenticate", "x-api-key"];
    let given = readable(of_the_answer.clone());
    for name in of_the_answer.keys() {
        let values: Vec<_> = of_the_answer.get_all(name).iter().collect();
        let read: Vec<_> = given.get_all(name).iter().collect();
        if WITHHELD_HEADERS.contains(&name.as_str()) {
            assert!(read.is_empty(), "{name}");
        } else {
            assert!(!CREDENTIALS.contains(&name.as_str()), "{name}");
            assert_eq!(read, values, "{name}");
        }
    }
    assert!(given.keys().all(|name| of_the_answer.contains_key(name)));
}

#[cfg(test)]
#[test]
fn what_must_hold_holds_of_every_corpus() {
    atlas_testing::fuzzing::hold(&TARGETS);
}

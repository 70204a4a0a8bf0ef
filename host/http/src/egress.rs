//! The policy for a connector's requests: GET and HEAD below the base URL that the operator set for
//! the client and the API, and what the operator grants beyond that. Every request is checked
//! before it is sent, and every redirect before it is followed.

use std::borrow::Cow;
use std::net::IpAddr;

use atlas_model::Method;
use http::HeaderName;
use url::{Host, Origin, Url, form_urlencoded};

use super::address::{Reach, class};
use super::headers;
use super::message::SendError;
use super::pattern::RequestPattern;
use super::resolve::AddressRefused;
use super::target;

/// What the operator grants the connectors of an API beyond GET and HEAD below its base URL: a
/// `[[grant]]` of `atlas.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The API.
    pub api: String,
    /// The client; none: every client.
    pub client: Option<i32>,
    /// Further origins, for GET and HEAD; the base URL's own, for what is not below it. No
    /// credential goes there.
    pub origins: Vec<Origin>,
    /// Further kinds of request below the base URL. Only what the connector declares too is
    /// granted.
    pub requests: Vec<RequestPattern>,
    /// Headers of the vendor's own that a connector may set.
    pub headers: Vec<HeaderName>,
    /// Whether these origins, and the base URL, may be at addresses that are not public.
    pub private: bool,
}

impl Grant {
    /// Reads an origin, as operators type it: a URL with neither path nor anything behind it.
    pub fn parse_origin(text: &str) -> Option<Origin> {
        // A `*` would be taken for a host's name, and grant nothing.
        let is_origin = |url: &Url| url.path() == "/" && !text.contains('*');
        target::parse_base_url(text).filter(is_origin).map(|url| url.origin())
    }

    /// Parses a header's name. `None` if it is malformed, or a header that no grant may name.
    pub fn parse_header(text: &str) -> Option<HeaderName> {
        headers::grantable(text)
    }
}

/// One of the two pools of connections: no connection made under a grant serves a request without
/// one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pool {
    /// Public addresses alone.
    Public,
    /// Others as well.
    Private,
}

/// The requests that are allowed for one client at one API.
#[derive(Debug, Clone)]
pub struct Egress {
    base: Url,
    /// Whether the base URL may be at an address that is not public.
    private: bool,
    /// Whether the operator set the base URL itself at such an address. For an address that no
    /// grant covers, that alone counts.
    by_itself: bool,
    /// Further origins, and whether each may be at such an address.
    origins: Vec<(Origin, bool)>,
    granted: Vec<RequestPattern>,
    declared: Vec<RequestPattern>,
    /// Headers that a connector may set beside those that need no grant.
    headers: Vec<HeaderName>,
}

impl Egress {
    /// GET and HEAD below the base URL, and nothing else.
    pub(super) fn at(base: Url, private: bool) -> Self {
        let (origins, granted, declared, headers) = Default::default();
        Self { base, private, by_itself: private, origins, granted, declared, headers }
    }

    /// The same, with what the operator grants beyond that.
    #[must_use]
    pub(super) fn with<'a>(mut self, grants: impl IntoIterator<Item = &'a Grant>) -> Self {
        for grant in grants {
            self.private |= grant.private;
            self.origins.extend(grant.origins.iter().map(|origin| (origin.clone(), grant.private)));
            self.granted.extend_from_slice(&grant.requests);
            self.headers.extend_from_slice(&grant.headers);
        }
        self
    }

    /// The same for a connector that declares these requests.
    #[must_use]
    pub(super) fn declaring(mut self, declared: &[RequestPattern]) -> Self {
        self.declared = declared.to_vec();
        self
    }

    /// The headers that were granted.
    pub(super) fn headers(&self) -> &[HeaderName] {
        &self.headers
    }

    /// The base URL.
    pub(super) fn base(&self) -> &Url {
        &self.base
    }

    /// Whether a URL is below the base URL, where alone the credential is sent. The rest of the
    /// origin may belong to another tenant.
    pub(super) fn is_below_base(&self, url: &Url) -> bool {
        let (base, path) = (self.base.path(), url.path());
        let is_below = path.starts_with(base) || Some(path) == base.strip_suffix('/').filter(|base| !base.is_empty());
        self.is_at_base(url) && is_below
    }

    /// Whether a URL is at the base URL's origin.
    fn is_at_base(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }

    /// Whether requests may go to a URL's origin at all.
    pub(super) fn covers_origin(&self, url: &Url) -> bool {
        self.is_at_base(url) || self.origins.iter().any(|(origin, _)| *origin == url.origin())
    }

    /// Whether a request may be made, and over which connections.
    pub(super) fn check(&self, method: Method, url: &Url) -> Result<Pool, SendError> {
        if !url.username().is_empty() || url.password().is_some() {
            return Err(SendError::Denied("a URL that carries a credential is refused".to_owned()));
        }
        if let Some(name) = method_in_query(method, url) {
            return Err(SendError::Denied(format!(
                "the parameter {name:?} asks for another method than {}",
                method.name()
            )));
        }
        let private = if self.is_below_base(url) {
            self.check_method(method, url)?;
            self.private
        } else if self.is_at_base(url) && !self.origins.iter().any(|(origin, _)| *origin == url.origin()) {
            let path = target::cut(url.path());
            return Err(SendError::Denied(format!("{path} is not below the base URL {}", self.base)));
        } else {
            let known = self.origins.iter().filter(|(origin, _)| *origin == url.origin());
            let private = known.map(|(_, private)| *private).reduce(|a, b| a || b);
            let private = private.ok_or_else(|| {
                SendError::Denied(format!(
                    "{} is not at the granted origin {}",
                    url.origin().ascii_serialization(),
                    self.base.origin().ascii_serialization()
                ))
            })?;
            if !method.only_reads() {
                return Err(SendError::Denied(format!(
                    "{} at {}: what is not below the base URL can only be granted for GET and HEAD",
                    method.name(),
                    url.origin().ascii_serialization()
                )));
            }
            private
        };
        self.check_literal(url, private)?;
        Ok(if private { Pool::Private } else { Pool::Public })
    }

    /// Fails unless a GET or HEAD with a body is granted: a server that does not expect a body
    /// there takes it for the beginning of the connection's next request, perhaps another client's
    /// (RFC 9110, section 9.3.1).
    pub(super) fn check_body(&self, method: Method, url: &Url, body: &[u8]) -> Result<(), SendError> {
        if body.is_empty() || !method.only_reads() {
            return Ok(());
        }
        self.check_patterns(method, url)
            .map_err(|error| error.map_reason(|why| format!("{why}, as a request with a body has to be")))
    }

    /// Checks a token URL, and returns the pool of connections for it. The grant for private
    /// addresses of the base URL holds for it too.
    pub(super) fn check_token_url(&self, url: &Url) -> Result<Pool, SendError> {
        self.check_literal(url, self.private)?;
        Ok(if self.private { Pool::Private } else { Pool::Public })
    }

    fn check_method(&self, method: Method, url: &Url) -> Result<(), SendError> {
        if method.only_reads() {
            return Ok(());
        }
        self.check_patterns(method, url)
    }

    fn check_patterns(&self, method: Method, url: &Url) -> Result<(), SendError> {
        let below = url.path().strip_prefix(self.base.path());
        let covered =
            |patterns: &[RequestPattern]| below.is_some_and(|path| patterns.iter().any(|p| p.covers(method, path)));
        let asked = format!("{} {}", method.name(), target::cut(below.unwrap_or(url.path())));
        if !covered(&self.declared) {
            return Err(SendError::Denied(format!("{asked} is not among the requests that the connector declares")));
        }
        if !covered(&self.granted) {
            return Err(SendError::Denied(format!(
                "{asked} is declared by the connector, and the operator did not grant it"
            )));
        }
        Ok(())
    }

    /// Checks an address that is written in the URL itself, which no resolver sees. The URL parser
    /// has already normalised its spelling (octal, hexadecimal, one number, fewer parts).
    fn check_literal(&self, url: &Url, private: bool) -> Result<(), SendError> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            _ => return Ok(()),
        };
        let class = class(address);
        let granted = match class.reach() {
            Reach::Anybody => true,
            Reach::Granted => private,
            Reach::ByItself => self.by_itself && self.is_at_base(url),
        };
        if granted {
            return Ok(());
        }
        Err(AddressRefused { host: url.host_str().unwrap_or_default().to_owned(), address, class }.into())
    }
}

/// A parameter by which frameworks take a request for one of another method than it has, whatever
/// was granted for that: WordPress, Rails, Laravel and Symfony read `_method`, Google's servers
/// `$httpMethod`, others the names of the headers of that meaning.
fn method_in_query(method: Method, url: &Url) -> Option<String> {
    // Parts of names that mean nothing else: any value but the request's own method is another.
    const OVERRIDES: [&str; 8] = [
        "httpmethod",
        "httpverb",
        "methodoverride",
        "overridemethod",
        "overrideverb",
        "tunneledmethod",
        "tunneledverb",
        "verboverride",
    ];
    // Names that mean other things too (`verb=ListRecords`): there the value has to be a method.
    const NAMES: [&str; 9] = [
        "datamethod",
        "formmethod",
        "method",
        "realmethod",
        "requestmethod",
        "requestverb",
        "verb",
        "xmethod",
        "xverb",
    ];
    const NEVER_GRANTED: [&str; 4] = ["OPTIONS", "TRACE", "CONNECT", "MERGE"];
    let asks = |(name, value): (Cow<'_, str>, Cow<'_, str>)| {
        let letters: String = name.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
        let value = value.trim();
        let is = |name: &str| value.eq_ignore_ascii_case(name);
        let is_method = || Method::ALL.iter().map(|other| other.name()).chain(NEVER_GRANTED).any(is);
        let overrides = OVERRIDES.iter().any(|part| letters.contains(part));
        let asks = !is(method.name()) && (overrides || NAMES.contains(&letters.as_str()) && is_method());
        asks.then(|| name.into_owned())
    };
    // Some servers end a parameter at a semicolon, as HTML 4 advised (appendix B.2.2).
    let query = url.query().unwrap_or_default().replace(';', "&");
    form_urlencoded::parse(query.as_bytes()).find_map(&asks).or_else(|| url.query_pairs().find_map(&asks))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    fn patterns(texts: &[&str]) -> Vec<RequestPattern> {
        texts.iter().map(|text| RequestPattern::parse(text).unwrap_or_else(|e| panic!("{e}"))).collect()
    }

    fn grant(origins: &[&str], requests: &[&str], private: bool) -> Grant {
        let origin = |text: &&str| Grant::parse_origin(text).unwrap_or_else(|| panic!("{text} is no origin"));
        let origins = origins.iter().map(origin).collect();
        Grant { api: "bling".into(), client: None, origins, requests: patterns(requests), headers: Vec::new(), private }
    }

    fn told(result: Result<Pool, SendError>) -> String {
        result.map_or_else(|error| error.to_string(), |pool| format!("{pool:?}"))
    }

    #[test]
    fn a_request_that_changes_something_has_to_be_declared_and_granted() {
        let declared = patterns(&["POST /pedidos/*", "DELETE /pedidos/*"]);
        let granted = [grant(&[], &["POST /pedidos/*", "PUT /pedidos/*"], false)];
        let egress = Egress::at(url("https://erp.example/api/v1/"), false).with(&granted).declaring(&declared);
        let ask = |method, path: &str| told(egress.check(method, &url(&format!("https://erp.example{path}"))));
        assert_eq!(ask(Method::Post, "/api/v1/pedidos/7"), "Public");
        assert_eq!(ask(Method::Post, "/api/v1/pedidos/7?ack=1"), "Public");
        assert_eq!(ask(Method::Get, "/api/v1/anything"), "Public");
        let refused = [
            ask(Method::Delete, "/api/v1/pedidos/7"),
            ask(Method::Put, "/api/v1/pedidos/7"),
            ask(Method::Post, "/api/v1/pedidos"),
            ask(Method::Post, "/api/v1/pedidos/"),
            ask(Method::Post, "/api/v1/pedidos/7/"),
            ask(Method::Post, "/api/v1/pedidos/7/itens"),
            ask(Method::Post, "/api/v1//pedidos/7"),
            ask(Method::Post, "/pedidos/7"),
            ask(Method::Post, "/api/v1/pedidos/a%2fb"),
            ask(Method::Post, "/api/v1/pedidos/a%252Fb"),
            ask(Method::Post, "/api/v1/pedidos/a%5Cb"),
            ask(Method::Post, "/api/v1/%70edidos/7"),
            ask(Method::Post, "/api/v1/Pedidos/7"),
        ];
        insta::assert_snapshot!(refused.join("\n"));
    }

    #[test]
    fn no_parameter_makes_another_method_of_the_one_that_was_granted() {
        let egress = Egress::at(url("https://erp.example/api/"), false).with(&[]);
        let ask = |method, query: &str| egress.check(method, &url(&format!("https://erp.example/api/x?{query}")));
        for query in [
            "_method=DELETE",
            "a=1&_method=delete",
            "_METHOD=put",
            "X-HTTP-Method-Override=PATCH",
            "%5Fmethod=POST",
            "_method=POST",
            "verb=DELETE",
            "_verb=delete",
            "http_verb=PUT",
            "X-HTTP-Verb=PUT",
            "X-Tunneled-Method=DELETE",
            "$httpMethod=DELETE",
            "x-http-method=MERGE",
            "X_HTTP_METHOD_OVERRIDE=whatever",
            "data[_method]=DELETE",
            "requestMethod=DELETE",
            "a=1;_method=DELETE",
            "a=1;verb=DELETE;b=2",
            "%5fmethod=%20delete",
            "_method=TRACE",
        ] {
            assert!(matches!(ask(Method::Get, query), Err(SendError::Denied(_))), "{query}");
        }
        for query in [
            "method=list",
            "_method=GET",
            "metodo=DELETE",
            "payment_method=delete",
            "verb=ListRecords",
            "X-HTTP-Method=get",
            "a=1;b=2",
        ] {
            assert!(ask(Method::Get, query).is_ok(), "{query}");
        }
    }

    #[test]
    fn another_origin_is_reached_where_it_is_granted_to_read_only() {
        let granted = [grant(&["https://files.example", "http://10.0.0.9:8080"], &["POST /*"], true)];
        let declared = patterns(&["POST /*"]);
        let egress = Egress::at(url("https://erp.example/"), false).with(&granted).declaring(&declared);
        assert_eq!(told(egress.check(Method::Get, &url("https://files.example/a"))), "Private");
        assert_eq!(told(egress.check(Method::Head, &url("http://10.0.0.9:8080/a"))), "Private");
        for (method, elsewhere) in [
            (Method::Post, "https://files.example/a"),
            (Method::Get, "http://files.example/a"),
            (Method::Get, "https://files.example:444/a"),
            (Method::Get, "https://files.example.evil.example/"),
            (Method::Get, "https://user@files.example/"),
            (Method::Get, "https://:p@files.example/"),
            (Method::Get, "http://10.0.0.9/a"),
        ] {
            assert!(matches!(egress.check(method, &url(elsewhere)), Err(SendError::Denied(_))), "{elsewhere}");
        }
        assert!(!egress.is_at_base(&url("https://files.example/a")));
    }

    #[test]
    fn an_origin_is_a_url_without_a_path() {
        assert!(Grant::parse_origin("https://files.example:8443").is_some());
        for bad in [
            "files.example",
            "ftp://files.example",
            "https://files.example/a",
            "https://u:p@files.example",
            "https://*",
        ] {
            assert!(Grant::parse_origin(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn an_address_in_the_url_is_checked_however_it_is_spelt() {
        for spelt in [
            "127.0.0.1",
            "127.1",
            "0177.0.0.1",
            "0x7f.1",
            "2130706433",
            "0x7f000001",
            "017700000001",
            "127.0.0.1.",
            "１２７.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::7f00:1]",
            "[0:0:0:0:0:0:0:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "0",
            "0.0.0.0",
            "10.0.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "[::ffff:a9fe:a9fe]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let base = url(&format!("http://{spelt}:8080/"));
            let refused = Egress::at(base.clone(), false).check(Method::Get, &base);
            assert!(matches!(refused, Err(SendError::AddressRefused(_))), "{spelt}: {refused:?}");
            // The operator's own word for this very place.
            assert_eq!(told(Egress::at(base.clone(), true).check(Method::Get, &base)), "Private", "{spelt}");
        }
    }

    #[test]
    fn a_grant_for_private_addresses_covers_no_metadata() {
        let origins = ["http://169.254.169.254", "http://[fd00:ec2::254]", "http://0.0.0.0", "http://10.0.0.1"];
        let egress = Egress::at(url("https://erp.example/"), true).with(&[grant(&origins, &[], true)]);
        for origin in &origins[..3] {
            assert!(matches!(egress.check(Method::Get, &url(origin)), Err(SendError::AddressRefused(_))), "{origin}");
        }
        assert_eq!(told(egress.check(Method::Get, &url(origins[3]))), "Private");
        // Nor for a base URL that was set by a caller who cannot grant addresses.
        let metadata = url("http://169.254.169.254/");
        let egress = Egress::at(metadata.clone(), false).with(&[grant(&[], &[], true)]);
        assert!(matches!(egress.check(Method::Get, &metadata), Err(SendError::AddressRefused(_))));
    }

    proptest! {
        #[test]
        fn no_url_gets_past_its_origin(text in "(https?|ftp|file)://[a-z0-9.@:%\\[\\]/\\\\?#-]{0,40}") {
            let egress = Egress::at(url("https://erp.example/api/"), false);
            if let Ok(asked) = Url::parse(&text)
                && egress.check(Method::Get, &asked).is_ok()
            {
                prop_assert_eq!(asked.origin().ascii_serialization(), "https://erp.example");
                prop_assert!(asked.username().is_empty() && asked.password().is_none());
            }
        }
    }
}

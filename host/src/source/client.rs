//! One request, one whole answer. Redirects are followed here, within the granted origin, and nothing is ever repeated.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use thiserror::Error;
use url::Url;

use super::body::BodyBudget;
use super::credentials::Endpoint;
use super::{retry_after, target};

/// Redirects followed for one request.
const REDIRECTS_MAX: usize = 5;
/// A connection that takes longer is not coming.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Headers that the host sets itself, or that say how the connection is used: a connector may not.
const HOST_HEADERS: [&str; 13] = [
    "host",
    "authorization",
    "cookie",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy-authorization",
    "proxy-connection",
];
/// Headers that a connector never sees: they could carry a credential back.
const WITHHELD_HEADERS: [&str; 4] = ["set-cookie", "set-cookie2", "authorization", "proxy-authenticate"];

/// How much one page may ask for. Each has its row in the limits' table.
#[derive(Debug, Clone, Copy)]
pub struct HttpLimits {
    /// Requests of one page.
    pub requests_per_page: u32,
    /// Decoded bytes of one body.
    pub body_bytes: usize,
    /// Decoded bytes of all the bodies of one page.
    pub page_bytes: usize,
}

/// Request methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// A request, as a connector makes it.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// A path below the base URL, or an absolute URL of its origin.
    pub target: String,
    /// Appended to the target's query.
    pub query: Vec<(String, String)>,
    /// Beside the host's own.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<Vec<u8>>,
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    headers: HeaderMap,
    /// The wait that it asks for.
    pub retry_after: Option<Duration>,
    /// The decoded body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value, several of one name joined by `, `; none if absent, withheld, or not text.
    pub fn header(&self, name: &str) -> Option<String> {
        let name = name.to_ascii_lowercase();
        if WITHHELD_HEADERS.contains(&name.as_str()) {
            return None;
        }
        let mut values = self.headers.get_all(&name).iter().map(|v| v.to_str().ok());
        let first = values.next()??.to_owned();
        values.try_fold(first, |joined, value| Some(joined + ", " + value?))
    }

    /// Whether the status means that the same request may well succeed later.
    pub fn is_passing_fault(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..=599)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// Not granted.
    #[error("the request was not granted: {0}")]
    Denied(String),
    /// Not a request.
    #[error("not a request: {0}")]
    InvalidRequest(String),
    /// No connection.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The connection broke before the answer was whole.
    #[error("the connection broke before the answer was whole: {0}")]
    Interrupted(String),
    /// No whole answer in time.
    #[error("no whole answer in time: {0}")]
    Timeout(String),
    /// The body is larger than it may be.
    #[error("the answer is larger than {0} bytes (limit body_bytes)")]
    TooLarge(usize),
    /// The page's budget is spent.
    #[error("the page's budget is spent: {0}")]
    Exhausted(String),
}

impl SendError {
    /// Whether the same request may well succeed later.
    pub fn is_passing_fault(&self) -> bool {
        matches!(self, Self::Connect(_) | Self::Interrupted(_) | Self::Timeout(_))
    }
}

/// What one page has asked for so far, and what it learned about waiting.
#[derive(Debug, Default)]
pub struct PageMeter {
    requests: u32,
    bytes: usize,
    /// The limit of the house that a request of this page went past, by name and value.
    pub limit: Option<(&'static str, u64)>,
    /// Whether the last request failed in a passing way.
    pub passing_fault: bool,
    /// The wait that the last answer asked for.
    pub retry_after: Option<Duration>,
}

/// The host's HTTP client: one pool of connections for all connectors.
#[derive(Clone)]
pub struct HttpClient {
    http: reqwest::Client,
    budget: BodyBudget,
    limits: HttpLimits,
}

impl HttpClient {
    /// Sets up the client. Environment proxies are off: where requests go is the operator's to say, not the shell's.
    pub fn new(limits: HttpLimits, budget: BodyBudget) -> Result<Self, reqwest::Error> {
        // A second client in the same process finds it installed: that is fine, it is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .tcp_nodelay(true)
            .user_agent(concat!("atlas-data-flow/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, budget, limits })
    }

    /// Makes one request at an endpoint, within the page's budget.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        meter: &mut PageMeter,
        request: Request,
    ) -> Result<Answer, SendError> {
        let answer = self.send_within(endpoint, meter, request).await;
        meter.passing_fault = match &answer {
            Ok(answer) => answer.is_passing_fault(),
            Err(error) => error.is_passing_fault(),
        };
        meter.retry_after = answer.as_ref().ok().and_then(|a| a.retry_after);
        answer
    }

    async fn send_within(
        &self,
        endpoint: &Endpoint,
        meter: &mut PageMeter,
        request: Request,
    ) -> Result<Answer, SendError> {
        if !matches!(request.method, Method::Get | Method::Head) {
            return Err(SendError::Denied(format!(
                "{} is not granted, only GET and HEAD below the base URL are",
                request.method.name()
            )));
        }
        let headers = guest_headers(&request.headers)?;
        let mut url = target::resolve(endpoint, &request.target, &request.query)?;
        for _ in 0..=REDIRECTS_MAX {
            if meter.requests >= self.limits.requests_per_page {
                meter.limit = Some(("requests_per_page", self.limits.requests_per_page.into()));
                return Err(SendError::Exhausted(format!(
                    "{} requests in one page (limit requests_per_page)",
                    self.limits.requests_per_page
                )));
            }
            meter.requests += 1;
            let response = self.start(endpoint, &request, &headers, url.clone()).await?;
            match redirect(endpoint, &url, &response)? {
                Some(next) => url = next,
                None => return self.read(meter, response).await,
            }
        }
        Err(SendError::Denied(format!("more than {REDIRECTS_MAX} redirects")))
    }

    async fn start(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        headers: &HeaderMap,
        url: Url,
    ) -> Result<reqwest::Response, SendError> {
        let method = reqwest::Method::from_bytes(request.method.name().as_bytes())
            .map_err(|e| SendError::InvalidRequest(e.to_string()))?;
        let mut builder = self.http.request(method, url).headers(headers.clone());
        if !headers.contains_key(ACCEPT) {
            builder = builder.header(ACCEPT, "application/json");
        }
        builder = endpoint.credential.authorize(builder)?;
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        builder.send().await.map_err(sort_error)
    }

    async fn read(&self, meter: &mut PageMeter, mut response: reqwest::Response) -> Result<Answer, SendError> {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let mut body = self.budget.begin();
        while let Some(chunk) = response.chunk().await.map_err(sort_error)? {
            if body.len() + chunk.len() > self.limits.body_bytes {
                meter.limit = Some(("body_bytes", self.limits.body_bytes as u64));
                return Err(SendError::TooLarge(self.limits.body_bytes));
            }
            meter.bytes += chunk.len();
            if meter.bytes > self.limits.page_bytes {
                meter.limit = Some(("page_bytes", self.limits.page_bytes as u64));
                return Err(SendError::Exhausted(format!(
                    "{} bytes of bodies in one page (limit page_bytes)",
                    self.limits.page_bytes
                )));
            }
            body.push(&chunk).await;
        }
        let body = body.finish(charset(&headers).as_deref(), self.limits.body_bytes).await.ok_or_else(|| {
            meter.limit = Some(("body_bytes", self.limits.body_bytes as u64));
            SendError::TooLarge(self.limits.body_bytes)
        })?;
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| retry_after::parse(v, SystemTime::now()));
        Ok(Answer { status, headers, retry_after, body })
    }
}

/// The connector's headers, without those that are the host's.
fn guest_headers(headers: &[(String, String)]) -> Result<HeaderMap, SendError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let invalid = |what: &str| SendError::InvalidRequest(format!("header {name:?}: {what}"));
        let key: HeaderName = name.parse().map_err(|_| invalid("not a header name"))?;
        if HOST_HEADERS.contains(&key.as_str()) {
            return Err(invalid("set by the host alone"));
        }
        let value = HeaderValue::from_str(value).map_err(|_| invalid("not a header value"))?;
        map.append(key, value);
    }
    Ok(map)
}

/// Where a redirect leads, if the answer is one: within the granted origin, else it is refused.
fn redirect(endpoint: &Endpoint, from: &Url, response: &reqwest::Response) -> Result<Option<Url>, SendError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.headers().get(LOCATION).and_then(|v| v.to_str().ok()) else {
        return Ok(None);
    };
    let next = from.join(location).map_err(|e| SendError::Denied(format!("a redirect to no URL: {e}")))?;
    if !endpoint.grants(&next) {
        return Err(SendError::Denied(format!(
            "a redirect to {}, another origin than the granted one",
            next.origin().ascii_serialization()
        )));
    }
    Ok(Some(next))
}

fn charset(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// The client's error with its causes, and without the URL, whose query may be long or telling.
fn sort_error(error: reqwest::Error) -> SendError {
    let (timeout, connect, builder) = (error.is_timeout(), error.is_connect(), error.is_builder());
    let mut text = String::new();
    let mut cause: Option<&dyn std::error::Error> = Some(&error);
    let error_without_url;
    if error.url().is_some() {
        error_without_url = reqwest_without_url(&error);
        text.push_str(&error_without_url);
        cause = std::error::Error::source(&error);
    }
    while let Some(e) = cause {
        let separator = if text.is_empty() { "" } else { ": " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{e}");
        cause = e.source();
    }
    match () {
        () if builder => SendError::InvalidRequest(text),
        () if connect => SendError::Connect(text),
        () if timeout => SendError::Timeout(text),
        () => SendError::Interrupted(text),
    }
}

/// Host and port are enough for a person to see where it failed.
fn reqwest_without_url(error: &reqwest::Error) -> String {
    error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

//! One request, one whole answer. Redirects are followed here, each held against what was granted, and nothing is ever
//! repeated.

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use url::Url;

use super::body::{BodyBudget, Undecodable};
use super::credentials::{Endpoint, Outgoing, Redactor};
use super::egress::Pool;
use super::headers::Coding;
use super::message::{Answer, PageMeter, Refusal, Request, SendError};
use super::redirect::{self, Hop};
use super::resolve::{self, AddressRefused, FilteringResolver};
use super::{headers, rate_headers, retry_after, target};
use crate::limits::Limits;

/// Redirects followed for one request.
const REDIRECTS_MAX: usize = 5;
/// A connection that takes longer is not coming.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence within an answer.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// The body of a request: records are fetched here, not delivered.
const REQUEST_BODY_MAX: usize = 16 * 1024 * 1024;
/// A token URL that takes longer for its whole answer is not answering: others wait for the token, and on SQLite for the file.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);
/// A token URL's answer: a token and its description.
const TOKEN_ANSWER_MAX: usize = 256 * 1024;

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

impl From<&Limits> for HttpLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            requests_per_page: limits.requests_per_page,
            body_bytes: limits.body_bytes,
            page_bytes: limits.page_bytes,
        }
    }
}

/// The host's HTTP client: two pools of connections for all connectors, so that one that was made under a grant for private
/// addresses never serves a request without it.
#[derive(Clone)]
pub struct HttpClient {
    public: reqwest::Client,
    private: reqwest::Client,
    budget: BodyBudget,
    limits: HttpLimits,
}

impl HttpClient {
    /// Sets up the client. Environment proxies are off: where requests go is the operator's to say, not the shell's.
    pub fn new(limits: HttpLimits, budget: BodyBudget) -> Result<Self, reqwest::Error> {
        let public = FilteringResolver::new(resolve::system_lookup(), resolve::public_only);
        let private = FilteringResolver::new(resolve::system_lookup(), resolve::private_too);
        Self::resolving(public, private, limits, budget)
    }

    pub(super) fn resolving(
        public: FilteringResolver,
        private: FilteringResolver,
        limits: HttpLimits,
        budget: BodyBudget,
    ) -> Result<Self, reqwest::Error> {
        // A second client in the same process finds it installed: that is fine, it is the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self { public: pool(public)?, private: pool(private)?, budget, limits })
    }

    /// The memory for bodies.
    pub fn budget(&self) -> &BodyBudget {
        &self.budget
    }

    /// The same client, and its pools of connections, for one client's pages: within their own limits, and within a share of
    /// the memory for bodies.
    #[must_use]
    pub fn within(&self, limits: HttpLimits, budget: BodyBudget) -> Self {
        Self { public: self.public.clone(), private: self.private.clone(), budget, limits }
    }

    fn connections(&self, pool: Pool) -> &reqwest::Client {
        match pool {
            Pool::Public => &self.public,
            Pool::Private => &self.private,
        }
    }

    /// Makes one request at an endpoint, within the page's budget.
    pub async fn send(
        &self,
        endpoint: &Endpoint,
        meter: &mut PageMeter,
        request: Request,
    ) -> Result<Answer, SendError> {
        let answer = self.send_within(endpoint, meter, request).await;
        // A source can write what it was sent into whatever an error tells of it: a redirect's host, a reason of HTTP/2.
        let answer = answer.map_err(|error| error.map_reason(|why| endpoint.redact(why)));
        meter.answered = answer.as_ref().ok().map(Answer::beginning);
        meter.passing_fault = match &answer {
            Ok(answer) => answer.is_passing_fault(),
            Err(error) => error.is_passing_fault(),
        };
        meter.retry_after = answer.as_ref().ok().and_then(|a| a.retry_after);
        meter.refusal = answer.as_ref().err().and_then(Refusal::of);
        let is_refused = matches!(meter.refusal, Some(Refusal::NotGranted(_) | Refusal::Address(_)));
        meter.refused += u32::from(is_refused);
        if let Err(SendError::Throttled(why, wait)) = &answer {
            meter.throttled = Some((why.clone(), *wait));
        }
        if let (Some(budget), Ok(answer)) = (endpoint.budgets.first(), &answer)
            && let Some((why, wait)) =
                rate_headers::wait(answer.status, &answer.headers, answer.retry_after, SystemTime::now())
        {
            budget.hold_off(why, wait).await;
        }
        if let Err(SendError::CredentialRefused(why)) = &answer {
            meter.credential_refused = Some(why.clone());
        }
        answer
    }

    async fn send_within(
        &self,
        endpoint: &Endpoint,
        meter: &mut PageMeter,
        request: Request,
    ) -> Result<Answer, SendError> {
        if request.body.as_ref().is_some_and(|body| body.len() > REQUEST_BODY_MAX) {
            return Err(SendError::InvalidRequest(format!("a body of more than {REQUEST_BODY_MAX} bytes")));
        }
        let mut hop = Hop {
            method: request.method,
            url: target::resolve(&endpoint.egress, &request.target, &request.query)?,
            headers: headers::of_connector(&request.headers)?,
            body: request.body.map(Bytes::from),
        };
        let mut pool = endpoint.egress.check(hop.method, &hop.url)?;
        endpoint.egress.check_body(hop.method, &hop.url, hop.body.as_deref().unwrap_or_default())?;
        for _ in 0..=REDIRECTS_MAX {
            if meter.requests >= self.limits.requests_per_page {
                meter.limit = Some(("requests_per_page", self.limits.requests_per_page.into()));
                return Err(SendError::Exhausted(format!(
                    "{} requests in one page (limit requests_per_page)",
                    self.limits.requests_per_page
                )));
            }
            meter.requests += 1;
            match meter.paid.checked_sub(1) {
                Some(left) => meter.paid = left,
                None => {
                    for budget in &endpoint.budgets {
                        budget.request(&meter.waited).await?;
                    }
                }
            }
            let (response, token) = self.start(endpoint, pool, &hop).await?;
            let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
            match redirect::follow(&hop, response.status().as_u16(), location)? {
                Some(next) => {
                    pool = admit_redirect(endpoint, &next)?;
                    hop = next;
                }
                None => {
                    meter.refused_token = token.filter(|_| response.status().as_u16() == 401);
                    return self.read(meter, response, &endpoint.redactor()).await;
                }
            }
        }
        Err(SendError::RedirectDenied(format!("more than {REDIRECTS_MAX} redirects")))
    }

    /// Sends a request, and says which access token it carried.
    async fn start(
        &self,
        endpoint: &Endpoint,
        pool: Pool,
        hop: &Hop,
    ) -> Result<(reqwest::Response, Option<u64>), SendError> {
        let method = reqwest::Method::from_bytes(hop.method.name().as_bytes())
            .map_err(|e| SendError::InvalidRequest(e.to_string()))?;
        let (url, headers, body) = (hop.url.clone(), hop.headers.clone(), hop.body.clone());
        let mut outgoing = Outgoing { url, headers, body };
        outgoing.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        // Here and nowhere else: nobody else gets it, be the request granted or not.
        let token = if endpoint.egress.is_below_base(&hop.url) {
            endpoint.credential.authorize(self, &endpoint.egress, &mut outgoing).await?
        } else {
            None
        };
        let mut builder = self.connections(pool).request(method, outgoing.url).headers(outgoing.headers);
        if let Some(body) = outgoing.body {
            builder = builder.body(body);
        }
        let response = builder.send().await.map_err(sort_error)?;
        headers::check_answer(response.headers())?;
        headers::check_form(response.status().as_u16(), response.headers())?;
        Ok((response, token))
    }

    /// Posts a form to a token URL, and gives status, headers and body. Follows no redirect: a token URL that moved is the
    /// operator's to change.
    pub(super) async fn exchange(
        &self,
        pool: Pool,
        url: Url,
        headers: HeaderMap,
        form: Vec<u8>,
    ) -> Result<(u16, HeaderMap, Vec<u8>), SendError> {
        let request = self.connections(pool).post(url).headers(headers).timeout(TOKEN_TIMEOUT).body(form);
        let mut response = request.send().await.map_err(sort_error)?;
        headers::check_answer(response.headers())?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(sort_error)? {
            if body.len() + chunk.len() > TOKEN_ANSWER_MAX {
                return Err(SendError::TooLarge(TOKEN_ANSWER_MAX));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((response.status().as_u16(), response.headers().clone(), body))
    }

    async fn read(
        &self,
        meter: &mut PageMeter,
        mut response: reqwest::Response,
        redactor: &Arc<Redactor>,
    ) -> Result<Answer, SendError> {
        let status = response.status().as_u16();
        let coding = headers::own_coding(response.headers());
        let headers = redactor.clean_headers(response.headers().clone());
        let mut body = self.budget.begin();
        while let Some(chunk) = response.chunk().await.map_err(sort_error)? {
            if body.len() + chunk.len() > self.limits.body_bytes {
                meter.limit = Some(("body_bytes", self.limits.body_bytes as u64));
                return Err(SendError::TooLarge(self.limits.body_bytes));
            }
            self.count(meter, chunk.len())?;
            body.push(&chunk).await;
        }
        if let Some(coding) = coding {
            let before = body.len();
            let decoded = match coding {
                Coding::Zstd => body.decode_zstd(self.limits.body_bytes).await,
                Coding::Gzip => body.decode_gzip(self.limits.body_bytes).await,
            };
            decoded.map_err(|error| match error {
                Undecodable::TooLarge => {
                    meter.limit = Some(("body_bytes", self.limits.body_bytes as u64));
                    SendError::TooLarge(self.limits.body_bytes)
                }
                // As where the library decodes: the next answer may be whole.
                Undecodable::Broken(why) => SendError::Interrupted(why),
            })?;
            self.count(meter, body.len().saturating_sub(before))?;
        }
        let body =
            body.finish(charset(&headers).as_deref(), self.limits.body_bytes, redactor).await.ok_or_else(|| {
                meter.limit = Some(("body_bytes", self.limits.body_bytes as u64));
                SendError::TooLarge(self.limits.body_bytes)
            })?;
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| retry_after::parse(v, SystemTime::now()));
        Ok(Answer { status, headers, retry_after, body })
    }

    /// Counts bytes of bodies towards what a page may have.
    fn count(&self, meter: &mut PageMeter, bytes: usize) -> Result<(), SendError> {
        meter.bytes += bytes;
        if meter.bytes <= self.limits.page_bytes {
            return Ok(());
        }
        meter.limit = Some(("page_bytes", self.limits.page_bytes as u64));
        let limit = self.limits.page_bytes;
        Err(SendError::Exhausted(format!("{limit} bytes of bodies in one page (limit page_bytes)")))
    }
}

/// One pool of connections.
fn pool(resolver: FilteringResolver) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .dns_resolver(resolver)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .tcp_nodelay(true)
        .http2_max_header_list_size(u32::try_from(headers::ANSWER_HEADERS_BYTES_MAX).unwrap_or(u32::MAX))
        .user_agent(concat!("atlas-data-flow/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Holds a redirect against what was granted. That it leads astray is the source's doing, not the connector's.
pub(super) fn admit_redirect(endpoint: &Endpoint, next: &Hop) -> Result<Pool, SendError> {
    let origin = next.url.origin().ascii_serialization();
    if !endpoint.egress.covers_origin(&next.url) {
        return Err(SendError::RedirectDenied(format!("a redirect to {origin}, another origin than the granted one")));
    }
    if next.url.path().split('/').any(target::climbs) {
        return Err(SendError::RedirectDenied("a redirect to a path with `..` in it".to_owned()));
    }
    // A source that writes the credential into the address would carry it where it must not go.
    let url = next.url.to_string();
    if !endpoint.egress.is_below_base(&next.url) && endpoint.redact(url.clone()) != url {
        return Err(SendError::RedirectDenied(format!("a redirect that carries the credential to {origin}")));
    }
    endpoint.egress.check(next.method, &next.url).map_err(|error| match error {
        SendError::Denied(why) => SendError::RedirectDenied(format!("a redirect: {why}")),
        other => other,
    })
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
    if let Some(refused) = refused_by_the_resolver(&error) {
        return refused.clone().into();
    }
    let certificate = refused_certificate(&error);
    let (timeout, connect, builder) = (error.is_timeout(), error.is_connect(), error.is_builder());
    let mut text = String::new();
    let mut cause: Option<&dyn Error> = Some(&error);
    let error_without_url;
    if error.url().is_some() {
        error_without_url = reqwest_without_url(&error);
        text.push_str(&error_without_url);
        cause = error.source();
    }
    while let Some(e) = cause {
        let separator = if text.is_empty() { "" } else { ": " };
        // Writing to a String cannot fail.
        let _ = write!(text, "{separator}{e}");
        cause = e.source();
    }
    match () {
        () if certificate.is_some() => SendError::Untrusted(text),
        () if builder => SendError::InvalidRequest(text),
        () if connect => SendError::Connect(text),
        () if timeout => SendError::Timeout(text),
        () => SendError::Interrupted(text),
    }
}

/// What the resolver had against the host, if that is what is behind an error.
fn refused_by_the_resolver(error: &reqwest::Error) -> Option<&AddressRefused> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// What TLS has against the source's certificate, if that is what is behind an error.
fn refused_certificate(error: &reqwest::Error) -> Option<&rustls::CertificateError> {
    let mut cause = error.source();
    while let Some(error) = cause {
        // An I/O error with another inside gives that one's causes, not itself.
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = error.downcast_ref().or_else(|| inside.and_then(|inside| inside.downcast_ref()));
        if let Some(rustls::Error::InvalidCertificate(why)) = tls {
            return Some(why);
        }
        cause = inside.map_or_else(|| error.source(), |inside| Some(inside));
    }
    None
}

/// Host and port are enough for a person to see where it failed.
fn reqwest_without_url(error: &reqwest::Error) -> String {
    error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

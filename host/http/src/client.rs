//! The HTTP client: sends one request, and returns one whole answer. Redirects are followed here,
//! each checked against the grants, and no request is ever repeated.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use atlas_model::{Limits, Request};
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER, USER_AGENT};
use http_body_util::Full;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};
use url::Url;

use super::body::{BodyBudget, Undecodable};
use super::connection::{self, AnswerBody, ClientError, Connections};
use super::credentials::{Endpoint, Outgoing, Redactor};
use super::egress::Pool;
use super::headers::Coding;
use super::message::{Answer, Broke, PageMeter, Refusal, SendError};
use super::redirect::{self, Hop};
use super::resolve::{self, FilteringResolver};
use super::{headers, rate_headers, retry_after, target};

/// Redirects followed for one request.
const REDIRECTS_MAX: usize = 5;
/// The body of a request: records are fetched here, not delivered.
const REQUEST_BODY_MAX: usize = 16 * 1024 * 1024;
/// Time limit of a request to a token URL, whole answer included: other pages wait for the token,
/// and on SQLite for the file.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(20);
/// A token URL's answer: a token and its description.
const TOKEN_ANSWER_MAX: usize = 256 * 1024;
/// The `User-Agent` of requests for which the connector sets none.
const AGENT: HeaderValue = HeaderValue::from_static(concat!("atlas-data-flow/", env!("CARGO_PKG_VERSION")));

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

/// The host's HTTP client: two pools of connections for all connectors, so that one that was made
/// under a grant for private addresses never serves a request without it.
#[derive(Clone)]
pub struct HttpClient {
    public: Connections,
    private: Connections,
    budget: BodyBudget,
    limits: HttpLimits,
    /// Cancelled when another client waits for the slot of this run: from then on, a body that
    /// arrives below the lowest rate is given up.
    asked_back: CancellationToken,
}

impl HttpClient {
    /// Sets up the client. Environment proxies are off: where requests go is the operator's to say,
    /// not the shell's.
    pub fn new(limits: HttpLimits, budget: BodyBudget) -> Result<Self, ClientError> {
        let public = FilteringResolver::new(resolve::system_lookup(), resolve::public_only);
        let private = FilteringResolver::new(resolve::system_lookup(), resolve::private_too);
        Self::resolving(public, private, limits, budget)
    }

    pub(super) fn resolving(
        public: FilteringResolver,
        private: FilteringResolver,
        limits: HttpLimits,
        budget: BodyBudget,
    ) -> Result<Self, ClientError> {
        let tls = connection::tls()?;
        let (public, private) = (Connections::new(public, tls.clone()), Connections::new(private, tls));
        Ok(Self { public, private, budget, limits, asked_back: CancellationToken::new() })
    }

    /// The memory for bodies.
    pub fn budget(&self) -> &BodyBudget {
        &self.budget
    }

    /// The same client, and its pools of connections, for one client's pages: within their own
    /// limits, and within a share of the memory for bodies.
    #[must_use]
    pub fn within(&self, limits: HttpLimits, budget: BodyBudget) -> Self {
        Self { budget, limits, ..self.clone() }
    }

    /// The same client for one run, whose slot may be asked back.
    #[must_use]
    pub fn until_asked_back(self, asked_back: CancellationToken) -> Self {
        Self { asked_back, ..self }
    }

    /// Cancelled when the run's slot is asked back.
    pub fn asked_back(&self) -> &CancellationToken {
        &self.asked_back
    }

    fn connections(&self, pool: Pool) -> &Connections {
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
        // A source can echo the credential into the text of an error: a redirect's host, for
        // example.
        let answer = answer.map_err(|error| error.map_reason(|why| endpoint.redact(why)));
        meter.answered = answer.as_ref().ok().map(Answer::beginning);
        meter.passing_fault = match &answer {
            Ok(answer) => answer.is_passing_fault(),
            Err(error) => error.is_passing_fault(),
        };
        meter.retry_after = answer.as_ref().ok().and_then(|a| a.retry_after);
        meter.status = answer.as_ref().ok().map(|answer| answer.status);
        meter.broke = match &answer {
            Err(SendError::Interrupted(_)) => meter.broke,
            // Perhaps the source has long forgotten the connection; perhaps it is only slow.
            Err(SendError::Timeout(_)) => Some(Broke::Otherwise),
            _ => None,
        };
        meter.refusal = answer.as_ref().err().and_then(Refusal::of);
        let is_refused =
            matches!(meter.refusal, Some(Refusal::NotGranted(_) | Refusal::Headers(_) | Refusal::Address(_)));
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
            headers: headers::of_connector(&request.headers, endpoint.egress.headers())?,
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
            let span = span(hop.method.name(), &hop.url);
            let (response, token) = self.start(endpoint, pool, &hop, meter).instrument(span.clone()).await?;
            span.record("status", response.status().as_u16());
            let location = response.headers().get(LOCATION).and_then(|v| v.to_str().ok());
            match redirect::follow(&hop, response.status().as_u16(), location)? {
                Some(next) => {
                    pool = admit_redirect(endpoint, &next)?;
                    hop = next;
                }
                None => {
                    meter.refused_token = token.filter(|_| response.status().as_u16() == 401);
                    return self.read(meter, response, &endpoint.redactor()).instrument(span).await;
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
        meter: &mut PageMeter,
    ) -> Result<(http::Response<AnswerBody>, Option<u64>), SendError> {
        let (url, headers, body) = (hop.url.clone(), hop.headers.clone(), hop.body.clone());
        let mut outgoing = Outgoing { url, headers, body };
        outgoing.headers.entry(ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        // The credential is added here and nowhere else: other origins never get it, even where
        // requests to them are granted.
        let token = if endpoint.egress.is_below_base(&hop.url) {
            endpoint.credential.authorize(self, &endpoint.egress, &mut outgoing).await?
        } else {
            None
        };
        let request = request(hop.method.name(), &outgoing.url, outgoing.headers, outgoing.body.unwrap_or_default())?;
        let (sent, reused) = self.connections(pool).send(request, self.limits.body_bytes, meter.fresh).await;
        // Once the answer has begun, a break is not the fault of a connection that was kept too
        // long.
        meter.broke = Some(if sent.is_err() && reused { Broke::Kept } else { Broke::Otherwise });
        let response = sent?;
        headers::check_answer(response.headers())?;
        headers::check_form(response.status().as_u16(), response.headers())?;
        Ok((response, token))
    }

    /// Posts a form to a token URL, and gives status, headers and body. Follows no redirect: a
    /// token URL that moved is the operator's to change.
    pub(super) async fn exchange(
        &self,
        pool: Pool,
        url: Url,
        headers: HeaderMap,
        form: Vec<u8>,
    ) -> Result<(u16, HeaderMap, Vec<u8>), SendError> {
        let request = request("POST", &url, headers, form.into())?;
        let span = span("POST", &url);
        let exchange = async {
            // On a connection of its own: token requests are few, and the client must not repeat
            // one silently after a stale connection.
            let (response, _) = self.connections(pool).send(request, TOKEN_ANSWER_MAX, true).await;
            let response = response?;
            span.record("status", response.status().as_u16());
            headers::check_answer(response.headers())?;
            let (head, mut answer) = response.into_parts();
            let mut body = Vec::new();
            // Never given up for another client's turn: other runs wait for this token too.
            let never = CancellationToken::new();
            while let Some(chunk) = answer.chunk(&never).await? {
                if body.len() + chunk.len() > TOKEN_ANSWER_MAX {
                    return Err(SendError::TooLarge(TOKEN_ANSWER_MAX));
                }
                body.extend_from_slice(&chunk);
            }
            Ok((head.status.as_u16(), head.headers, body))
        };
        let late = |_| SendError::Timeout(format!("no whole answer within {} s", TOKEN_TIMEOUT.as_secs()));
        tokio::time::timeout(TOKEN_TIMEOUT, exchange.instrument(span.clone())).await.map_err(late)?
    }

    async fn read(
        &self,
        meter: &mut PageMeter,
        response: http::Response<AnswerBody>,
        redactor: &Arc<Redactor>,
    ) -> Result<Answer, SendError> {
        let (head, mut answer) = response.into_parts();
        let status = head.status.as_u16();
        let coding = headers::own_coding(&head.headers);
        let headers = redactor.clean_headers(head.headers);
        let mut body = self.budget.begin();
        let too_large = |meter: &mut PageMeter| {
            meter.limit = Some(("body_bytes", self.limits.body_bytes as u64));
            SendError::TooLarge(self.limits.body_bytes)
        };
        loop {
            let chunk = match answer.chunk(&self.asked_back).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(SendError::TooLarge(_)) => return Err(too_large(meter)),
                Err(error) => return Err(error),
            };
            if body.len() + chunk.len() > self.limits.body_bytes {
                return Err(too_large(meter));
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
                Undecodable::TooLarge => too_large(meter),
                // As where the library decodes: the next answer may be whole.
                Undecodable::Broken(why) => SendError::Interrupted(why),
            })?;
            self.count(meter, body.len().saturating_sub(before))?;
        }
        let body = body.finish(charset(&headers).as_deref(), self.limits.body_bytes, redactor).await;
        let body = body.ok_or_else(|| too_large(meter))?;
        let retry_after = headers
            .get(RETRY_AFTER)
            .and_then(|v| v.to_str().ok())
            .and_then(|v| retry_after::parse(v, SystemTime::now()));
        Ok(Answer { status, headers: headers::readable(headers), retry_after, body })
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

/// The span of one request and its answer. Of the URL it has the host alone, which was granted: a
/// path or a query may hold a token, a cursor or data.
fn span(method: &str, url: &Url) -> Span {
    let host = url.host_str();
    tracing::info_span!("request", otel.kind = "client", method, host, status = field::Empty)
}

/// A request as it goes onto the wire.
fn request(method: &str, url: &Url, headers: HeaderMap, body: Bytes) -> Result<http::Request<Full<Bytes>>, SendError> {
    let request = http::Request::builder().method(method).uri(url.as_str()).body(Full::new(body));
    let mut request = request.map_err(|error| SendError::InvalidRequest(error.to_string()))?;
    *request.headers_mut() = headers;
    request.headers_mut().entry(USER_AGENT).or_insert(AGENT);
    Ok(request)
}

/// Checks a redirect against the grants. A refusal is reported as the source's fault, not the
/// connector's.
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

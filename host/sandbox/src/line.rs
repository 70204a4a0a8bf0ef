//! The line between a guest and its source, as the sandbox sees it: a request goes out, a whole
//! answer comes back. The sandbox opens no connection; its caller decides what is behind the line.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atlas_model::{Limits, Request};
use bytes::Bytes;
use http::header::HeaderMap;
use serde::{Deserialize, Serialize};

use super::limit::LimitReached;

/// What a guest's HTTP import calls.
#[async_trait]
pub trait Line: Send + Sync {
    /// Makes one request.
    async fn send(&self, request: Request) -> Result<Arc<Answer>, RequestError>;

    /// How long requests have waited for the client's budget so far. The limit on the page's time
    /// leaves it out.
    fn waited(&self) -> Duration {
        Duration::ZERO
    }

    /// A text of the guest's without the secrets of its source: a guest knows those among its
    /// settings.
    fn redact(&self, text: String) -> String {
        text
    }

    /// Receives a line of the guest's log, of `info` or graver. Called in the middle of a call, so
    /// an implementation must be quick.
    fn logged(&self, _line: &str) {}
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers that a guest may read.
    pub headers: HeaderMap,
    /// The wait that it asks for.
    pub retry_after: Option<Duration>,
    /// The decoded body.
    pub body: Bytes,
}

impl Answer {
    /// A header's value, several of one name joined by `, `; none if absent or not text.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values = self.headers.get_all(name).iter().map(|v| v.to_str().ok());
        let first = values.next()??.to_owned();
        values.try_fold(first, |joined, value| Some(joined + ", " + value?))
    }

    /// Its bytes: headers and body.
    pub fn size(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        headers.sum::<usize>() + self.body.len()
    }

    /// A copy with a body of its own, which holds nothing of the budget of bodies in flight.
    pub fn copied(&self) -> Self {
        Self { body: Bytes::copy_from_slice(&self.body), ..self.clone() }
    }
}

/// Why a request has no answer, as far as a guest may know: the contract's `http-error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RequestError {
    /// It was not granted.
    Denied(String),
    /// It is no request.
    InvalidRequest(String),
    /// No connection was made.
    Connect(String),
    /// The connection broke before the answer was whole.
    Interrupted(String),
    /// No whole answer came in time.
    Timeout(String),
    /// The answer is larger than this many bytes.
    TooLarge(u64),
    /// The page's budget is spent.
    Exhausted(String),
}

/// The HTTP of one call: its line, the number of its requests, and what the host reports itself,
/// whatever error the guest makes of it.
pub(crate) struct GuestHttp {
    line: Arc<dyn Line>,
    most: u32,
    made: u32,
    /// The limit that a call to the host was refused for.
    pub(crate) limit: Option<LimitReached>,
    /// What the guest asked wrongly since its last request.
    pub(crate) mistake: Option<String>,
}

impl GuestHttp {
    /// The HTTP of a call that may make as many requests as a page.
    pub(crate) fn new(line: Arc<dyn Line>, limits: &Limits) -> Self {
        Self { line, most: limits.requests_per_page, made: 0, limit: None, mistake: None }
    }

    /// Makes one request. It is counted before any work is done for it: refusing or recording one
    /// has a cost too.
    pub(crate) async fn send(&mut self, request: Request) -> Result<Arc<Answer>, RequestError> {
        let most = self.most;
        if self.made >= most {
            self.limit = Some(LimitReached { name: "requests_per_page", value: most.into() });
            return Err(RequestError::Exhausted(format!("{most} requests in one page (limit requests_per_page)")));
        }
        self.made += 1;
        self.mistake = None;
        self.line.send(request).await
    }
}

#[cfg(test)]
mod tests {
    use atlas_model::Method;
    use http::HeaderValue;

    use super::*;

    /// A line that refuses every request.
    struct Refusing;

    #[async_trait]
    impl Line for Refusing {
        async fn send(&self, _: Request) -> Result<Arc<Answer>, RequestError> {
            Err(RequestError::Denied("no".to_owned()))
        }
    }

    fn request() -> Request {
        Request { method: Method::Get, target: String::new(), query: Vec::new(), headers: Vec::new(), body: None }
    }

    #[tokio::test]
    async fn requests_that_are_refused_count_like_any_other() {
        let limits = Limits { requests_per_page: 10, ..Limits::default() };
        let mut http = GuestHttp::new(Arc::new(Refusing), &limits);
        for _ in 0..10 {
            assert!(matches!(http.send(request()).await, Err(RequestError::Denied(_))));
        }
        for _ in 0..200_000 {
            assert!(matches!(http.send(request()).await, Err(RequestError::Exhausted(_))));
        }
        assert_eq!(http.limit, Some(LimitReached { name: "requests_per_page", value: 10 }));
    }

    #[test]
    fn a_header_that_came_several_times_is_one_and_one_that_is_not_text_is_none() {
        let mut headers = HeaderMap::new();
        headers.append("link", HeaderValue::from_static("a"));
        headers.append("link", HeaderValue::from_static("b"));
        headers.append("x-total", HeaderValue::from_static("7"));
        headers.append("x-total", HeaderValue::from_bytes(b"\xff").unwrap());
        let answer = Answer { status: 200, headers, retry_after: None, body: Bytes::new() };
        assert_eq!(answer.header("Link").as_deref(), Some("a, b"));
        assert_eq!((answer.header("x-total"), answer.header("absent"), answer.header("no name")), (None, None, None));
    }
}

//! Requests.

use std::fmt::Display;

use crate::bindings::atlas::connector::http;
use crate::{HttpError, Method, Response};

/// One request, built up and sent. The host adds the credential; a connector never sees it.
#[must_use = "a request does nothing until it is sent"]
pub struct Request(http::Request);

impl Request {
    /// A GET for a path below the base URL that the operator set, or an absolute URL below it or at
    /// an origin that the operator granted.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new(Method::Get, target)
    }

    /// A POST; it needs a line in the descriptor's `requests`, and the operator's grant.
    pub fn post(target: impl Into<String>) -> Self {
        Self::new(Method::Post, target)
    }

    /// A request of any method. Any but GET needs a line in the descriptor's `requests`, and the
    /// operator's grant.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self(http::Request { method, target: target.into(), query: Vec::new(), headers: Vec::new(), body: None })
    }

    /// Adds a parameter to the query; the host percent-encodes it.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        self.0.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a header. Those that the host sets itself (`Host`, `Authorization`, `Cookie`, …) are
    /// refused.
    pub fn header(mut self, name: &str, value: impl Display) -> Self {
        self.0.headers.push((name.to_owned(), value.to_string()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.0.body = Some(body.into());
        self
    }

    /// Sets a body of JSON text, and says so in a header.
    pub fn json(self, text: impl Into<String>) -> Self {
        self.header("content-type", "application/json").body(text.into())
    }

    /// Sends the request once and waits for the whole answer.
    ///
    /// # Errors
    /// Why there is no answer. As a [`FetchError`](crate::FetchError), which `?` makes of it: a
    /// connection that fails, breaks or takes too long is tried again; a request that was not
    /// granted or is none is fatal, and so is an answer that is too large.
    pub fn send(self) -> Result<Response, HttpError> {
        http::send(&self.0).map(Response::from)
    }
}

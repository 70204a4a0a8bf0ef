//! Whole answers, the errors of requests, and the account of a page.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use thiserror::Error;

use super::resolve::AddressRefused;

/// Bytes of a body that are shown: enough for a message, too little for a page of HTML.
const BEGINNING: usize = 200;
/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers that a connector may read.
    pub headers: HeaderMap,
    /// The wait that it asks for.
    pub retry_after: Option<Duration>,
    /// The decoded body.
    pub body: Bytes,
}

impl Answer {
    /// The status and the beginning of the body, on one line, for messages.
    pub(super) fn beginning(&self) -> String {
        let cut = self.body.get(..BEGINNING).unwrap_or(&self.body);
        let text = String::from_utf8_lossy(cut).split_whitespace().collect::<Vec<_>>().join(" ");
        let more = if cut.len() < self.body.len() { "…" } else { "" };
        format!("HTTP {}: {text}{more}", self.status)
    }

    /// Whether the status means that the same request may well succeed later.
    pub fn is_passing_fault(&self) -> bool {
        matches!(self.status, 408 | 425 | 429 | 500..=599)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SendError {
    /// The connector asked for what was not granted.
    #[error("the request was not granted: {0}")]
    Denied(String),
    /// The connector set headers that no grant names.
    #[error("the request was not granted: no grant names the header {}", .0.join(", "))]
    HeadersNotGranted(Vec<String>),
    /// The source redirected to where it must not be followed.
    #[error("the request was not granted: {0}")]
    RedirectDenied(String),
    /// The host is at an address that was not granted.
    #[error(transparent)]
    AddressRefused(#[from] AddressRefused),
    /// Not a request.
    #[error("not a request: {0}")]
    InvalidRequest(String),
    /// No connection.
    #[error("could not connect: {0}")]
    Connect(String),
    /// The source's certificate is not trusted.
    #[error("the source's certificate is not trusted: {0}")]
    Untrusted(String),
    /// The connection broke before the answer was whole.
    #[error("the connection broke before the answer was whole: {0}")]
    Interrupted(String),
    /// No whole answer in time.
    #[error("no whole answer in time: {0}")]
    Timeout(String),
    /// The answer came in a form that cannot be read.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The body is larger than it may be.
    #[error("the answer is larger than {0} bytes (limit body_bytes)")]
    TooLarge(usize),
    /// The headers are larger than they may be.
    #[error("the answer's headers are larger than {0} bytes")]
    HeadTooLarge(usize),
    /// The page's budget is spent.
    #[error("the page's budget is spent: {0}")]
    Exhausted(String),
    /// The access token could not be renewed this time.
    #[error("the access token could not be renewed: {0}")]
    Renewal(String),
    /// The client's budget at the API is spent, and will not be there in time: what is spent, and
    /// how long it takes.
    #[error("the request budget is spent: {0}, for {secs} s more", secs = .1.as_secs())]
    Throttled(String, Duration),
    /// The token URL will not have the credential.
    #[error("the credential was refused: {0}")]
    CredentialRefused(String),
}

impl SendError {
    /// Whether the same request may well succeed later.
    pub fn is_passing_fault(&self) -> bool {
        matches!(
            self,
            Self::Connect(_) | Self::Interrupted(_) | Self::Timeout(_) | Self::Renewal(_) | Self::Throttled(..)
        )
    }

    /// The same with its reason changed.
    #[must_use]
    pub(super) fn map_reason(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Denied(why) => Self::Denied(change(why)),
            Self::RedirectDenied(why) => Self::RedirectDenied(change(why)),
            Self::InvalidRequest(why) => Self::InvalidRequest(change(why)),
            Self::Connect(why) => Self::Connect(change(why)),
            Self::Untrusted(why) => Self::Untrusted(change(why)),
            Self::Interrupted(why) => Self::Interrupted(change(why)),
            Self::Timeout(why) => Self::Timeout(change(why)),
            Self::Unreadable(why) => Self::Unreadable(change(why)),
            Self::Exhausted(why) => Self::Exhausted(change(why)),
            Self::Renewal(why) => Self::Renewal(change(why)),
            Self::CredentialRefused(why) => Self::CredentialRefused(change(why)),
            Self::HeadersNotGranted(_)
            | Self::AddressRefused(_)
            | Self::TooLarge(_)
            | Self::HeadTooLarge(_)
            | Self::Throttled(..) => self,
        }
    }
}

/// Why a page's last request was refused, for the refusals that the host reports itself, whatever
/// error the connector returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The connector asked for what was not granted.
    NotGranted(String),
    /// The connector set headers that no grant names.
    Headers(Vec<String>),
    /// The host is at an address that was not granted.
    Address(AddressRefused),
    /// The source's certificate is not trusted.
    Untrusted(String),
    /// The answer came in a form that is not read here.
    Unreadable(String),
    /// What the connector asked for is no request, or no pointer: its own mistake.
    Mistake(String),
}

impl Refusal {
    pub(super) fn of(error: &SendError) -> Option<Self> {
        match error {
            SendError::Denied(what) => Some(Self::NotGranted(what.clone())),
            SendError::HeadersNotGranted(names) => Some(Self::Headers(names.clone())),
            SendError::AddressRefused(refused) => Some(Self::Address(refused.clone())),
            SendError::Untrusted(why) => Some(Self::Untrusted(why.clone())),
            SendError::Unreadable(why) => Some(Self::Unreadable(why.clone())),
            SendError::InvalidRequest(why) => Some(Self::Mistake(why.clone())),
            _ => None,
        }
    }
}

/// How a connection broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broke {
    /// It was kept from an earlier request, and gave no answer: the source may have closed it long
    /// before.
    Kept,
    /// It was new, or broke within an answer.
    Otherwise,
}

/// The requests and bytes of one page so far, and the outcome of its last request.
#[derive(Debug, Default)]
pub struct PageMeter {
    pub(super) requests: u32,
    pub(super) bytes: usize,
    /// Requests that the client's budget has paid for already.
    pub paid: u32,
    /// Milliseconds that requests waited for the client's budget, which the limit on the page's
    /// time leaves out.
    pub waited: Arc<AtomicU64>,
    /// What of the budget is spent, and for how long, if that is why a request was not made.
    pub throttled: Option<(String, Duration)>,
    /// The limit of the house that a request of this page went past, by name and value.
    pub limit: Option<(&'static str, u64)>,
    /// Status and beginning of the last request's answer, if there was one.
    pub answered: Option<String>,
    /// Whether the last request failed in a passing way.
    pub passing_fault: bool,
    /// The wait that the last answer asked for.
    pub retry_after: Option<Duration>,
    /// The last answer's status.
    pub status: Option<u16>,
    /// Whether each request is to open a connection of its own.
    pub fresh: bool,
    /// How the connection of the last request broke, if that is what failed.
    pub broke: Option<Broke>,
    /// Requests that were refused.
    pub refused: u32,
    /// What the last request was refused for.
    pub refusal: Option<Refusal>,
    /// The access token that the source refused in its last answer, by its number in the session.
    pub refused_token: Option<u64>,
    /// Why the token URL would not have the credential.
    pub credential_refused: Option<String>,
}

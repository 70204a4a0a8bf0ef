//! The outcome of a call of `fetch-page`: the page, or the reason why there is none.

use std::time::Duration;

use bytes::Bytes;

use super::bindings::atlas::connector::types as wit;
use super::limit::LimitReached;
use super::line::GuestHttp;
use super::meter::Spent;
use super::reason::{REASON_READ, cut};
use super::share::{GuestMemory, PageShare, cursors_counted};

/// The moment at which a quota is there again; as RFC 3339 has it, it takes half of that.
const UNTIL_SHOWN: usize = 64;

/// The outcome of a call.
pub struct Called {
    /// The page, or why there is none.
    pub page: Result<Page, CallError>,
    /// The account of data that the guest handed over and that is no slice of a body, until it is
    /// charged to a budget.
    pub handed_over: HandedOver,
    /// What it used.
    pub spent: Spent,
}

impl Called {
    /// The outcome of a call that ended without handing anything over.
    pub(crate) fn without_page(error: CallError, spent: Spent) -> Self {
        Self { page: Err(error), handed_over: HandedOver::default(), spent }
    }

    /// Whether the guest returned or trapped; else the host ended the call.
    pub fn ended_by_itself(&self) -> bool {
        !matches!(self.page, Err(CallError::Late { .. } | CallError::Lost(_)))
    }
}

/// A page within the limits.
#[derive(Debug)]
pub struct Page {
    /// Its records, each as the exact bytes that arrived, or that the guest made.
    pub records: Vec<Bytes>,
    /// The cursors that come next.
    pub next: Vec<String>,
    /// Those that come next once the page is durable.
    pub after_commit: Vec<String>,
    /// How many records the source says that there are.
    pub total_records: Option<u64>,
}

/// Why a call gave no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The connector returned an error.
    #[error("the connector returned an error")]
    Returned(FetchError),
    /// The connector returned an error after it had asked the host wrongly: what it asked.
    #[error("{0}")]
    Mistake(String),
    /// The guest went past a limit.
    #[error("{0}")]
    Limit(LimitReached),
    /// The guest trapped, or returned what no page can be.
    #[error("{0}")]
    Trapped(String),
    /// The memory for guests is spent. Other pages of the connector or the client hold it now.
    #[error("no memory for guests is left ({0})")]
    NoMemory(LimitReached),
    /// The page took too long.
    #[error("the page took longer than {wall_ms} ms (limit page_wall_ms)")]
    Late {
        /// The limit, in milliseconds.
        wall_ms: u64,
    },
    /// The call was abandoned by the host, or its task panicked.
    #[error("{0}")]
    Lost(String),
}

impl CallError {
    /// Whether the host ended the call for a passing reason, so that the guest need not be at
    /// fault.
    pub fn is_the_hosts(&self) -> bool {
        matches!(self, Self::NoMemory(_) | Self::Late { .. } | Self::Lost(_))
    }

    /// A guest's error, with what the host itself saw of the call: a limit is the operator's to
    /// raise, and a mistake the connector's, whatever the connector makes of it.
    pub(crate) fn returned(error: wit::FetchError, http: Option<&GuestHttp>) -> Self {
        match http {
            Some(GuestHttp { limit: Some(limit), .. }) => Self::Limit(*limit),
            Some(GuestHttp { mistake: Some(mistake), .. }) => Self::Mistake(mistake.clone()),
            _ => Self::Returned(error.into()),
        }
    }
}

/// An error that a connector returned, its texts cut: the contract's `fetch-error`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The same page may well be there later.
    Retry {
        /// Why it is not there now.
        reason: String,
        /// When to ask again.
        after: Option<Duration>,
    },
    /// The source refused the credential.
    Unauthorized(String),
    /// A quota is spent.
    Quota {
        /// Which, and why.
        reason: String,
        /// The moment at which it is there again, unchecked.
        until: Option<String>,
    },
    /// The source's answer is not what the connector knows.
    InvalidResponse(String),
    /// No page can be had, and trying again does not help.
    Fatal(String),
}

impl From<wit::FetchError> for FetchError {
    fn from(error: wit::FetchError) -> Self {
        let read = |reason| cut(reason, REASON_READ);
        match error {
            wit::FetchError::Retry(hint) => {
                Self::Retry { reason: read(hint.reason), after: hint.after_ms.map(Duration::from_millis) }
            }
            wit::FetchError::Unauthorized(reason) => Self::Unauthorized(read(reason)),
            wit::FetchError::Quota(hint) => {
                let until = hint.until.map(|until| cut(until, UNTIL_SHOWN));
                Self::Quota { reason: read(hint.reason), until }
            }
            wit::FetchError::InvalidResponse(reason) => Self::InvalidResponse(read(reason)),
            wit::FetchError::Fatal(reason) => Self::Fatal(read(reason)),
        }
    }
}

/// The account of records that a guest made, and of its cursors, which are as much memory again as
/// they take in its own.
#[derive(Default)]
pub struct HandedOver {
    /// Their account, until each is paid for.
    _account: Option<GuestMemory>,
    /// Whether there are records among it.
    pub has_records: bool,
}

impl HandedOver {
    pub(crate) fn of(share: &PageShare, page: &wit::Page) -> Result<Self, LimitReached> {
        let made = match &page.records {
            wit::Records::Json(texts) => Some(texts.iter().map(String::len).sum()),
            wit::Records::Selected(_) => None,
        };
        let cursors = cursors_counted(page.next.iter().chain(&page.after_commit));
        let bytes = made.unwrap_or(0) + cursors;
        let mut account = share.handed_over();
        let taken = account.take(bytes);
        match account.limit_reached() {
            Some(reached) if !taken => Err(reached),
            _ => Ok(Self { _account: Some(account).filter(|_| bytes > 0), has_records: made.is_some() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_a_guests_is_cut_where_it_leaves_it() {
        let long = "é".repeat(8 * 1024 * 1024);
        let FetchError::Fatal(reason) = FetchError::from(wit::FetchError::Fatal(long.clone())) else { panic!("fatal") };
        assert!(reason.len() <= REASON_READ && reason.capacity() <= 2 * REASON_READ);
        let hint = wit::QuotaHint { reason: long.clone(), until: Some(long) };
        let FetchError::Quota { reason, until } = FetchError::from(wit::FetchError::Quota(hint)) else {
            panic!("quota")
        };
        assert_eq!((reason.len(), until.map(|until| until.len())), (REASON_READ, Some(UNTIL_SHOWN)));
    }
}

//! Where pages come from, as far as the pipeline knows: it asks for a cursor, and gets a page or the reason why not.

use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// A page, fetched and split.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FetchedPage {
    /// The records' bytes, exactly as they arrived.
    pub records: Vec<Bytes>,
    /// The cursors that come next.
    pub next: Vec<String>,
    /// Cursors to be fetched only once this page is durable.
    pub after_commit: Vec<String>,
    /// How many records the source says the whole scrap has.
    pub total_records: Option<u64>,
}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchFailure {
    /// A passing fault: the same again, not before `wait` if there is one.
    Passing {
        /// What happened.
        reason: String,
        /// The wait that the source or the connector asked for.
        wait: Option<Duration>,
    },
    /// The credential was refused.
    Unauthorized(String),
    /// The source's quota is spent.
    Quota {
        /// What the source said.
        reason: String,
        /// When it is there again, RFC 3339, if the source said so.
        until: Option<String>,
    },
    /// The source broke its own contract.
    InvalidResponse(String),
    /// Nothing that waiting would mend.
    Fatal(String),
    /// The connector asked for what nobody granted it.
    NotGranted(String),
    /// The source is at an address that was not granted.
    AddressRefused {
        /// The host.
        host: String,
        /// Where it is.
        address: IpAddr,
        /// What kind of address that is.
        class: &'static str,
        /// Whether the operator could grant it.
        grantable: bool,
    },
    /// The connector trapped.
    Crashed(String),
    /// The connector went past a limit.
    Limit {
        /// The limit's name.
        name: &'static str,
        /// Its value.
        value: u64,
    },
}

impl FetchFailure {
    /// The same with its reason changed.
    #[must_use]
    pub fn map_reason(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Passing { reason, wait } => Self::Passing { reason: change(reason), wait },
            Self::Unauthorized(reason) => Self::Unauthorized(change(reason)),
            Self::Quota { reason, until } => Self::Quota { reason: change(reason), until },
            Self::InvalidResponse(reason) => Self::InvalidResponse(change(reason)),
            Self::Fatal(reason) => Self::Fatal(change(reason)),
            Self::NotGranted(reason) => Self::NotGranted(change(reason)),
            Self::Crashed(reason) => Self::Crashed(change(reason)),
            Self::Limit { .. } | Self::AddressRefused { .. } => self,
        }
    }
}

/// A source of pages: one connector, for one scrap.
#[async_trait]
pub trait PageSource: Send + Sync {
    /// Fetches one page; no cursor: the first. Dropping the future abandons the page, nothing else.
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure>;
}

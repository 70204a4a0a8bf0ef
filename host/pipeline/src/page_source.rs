//! The pipeline's interface to a source: it asks for the page of a cursor, and gets the page or the
//! reason why there is none.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use atlas_json::Pointer;
use bytes::Bytes;

/// The version of a connector that fetched a page. Versions may change from one page to the next:
/// each page is hashed as the one that fetched it says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fetcher {
    /// The component's digest.
    pub sha256: String,
    /// What identifies a record.
    pub key: Vec<Pointer>,
    /// What the content hash leaves out.
    pub unhashed: Vec<Pointer>,
}

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
    /// The version that fetched it.
    pub fetched_by: Arc<Fetcher>,
    /// The memory that is reserved for its cursors until it is checkpointed.
    pub held: Held,
}

/// A share of memory that a page has, kept by its source: given back when the last clone of this is
/// dropped.
#[derive(Clone, Default)]
pub struct Held(Option<Arc<dyn Send + Sync>>);

impl Held {
    /// Holds a reservation until the page is done.
    pub fn new(share: Arc<dyn Send + Sync>) -> Self {
        Self(Some(share))
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Held").field(&self.0.is_some()).finish()
    }
}

impl PartialEq for Held {
    /// Two pages are the same whatever is held for them.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Held {}

/// Why there is no page.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchFailure {
    /// A passing fault: the page is tried again, not before `wait` if there is one.
    #[error("{reason}")]
    Passing {
        /// What happened.
        reason: String,
        /// The wait that the source or the connector asked for: the backoff comes on top of it.
        wait: Option<Duration>,
    },
    /// The source answered that the data is not ready: the page is tried again, not before `wait`.
    /// Counts as no failure.
    #[error("not ready yet: {reason}")]
    NotReady {
        /// What the connector made of the answer.
        reason: String,
        /// The wait that the source or the connector asked for.
        wait: Duration,
    },
    /// A passing fault whose cause is removed: the page is tried again at once.
    #[error("{reason}")]
    AtOnce {
        /// What happened.
        reason: String,
        /// Whether it counts as an attempt at the page.
        counts: bool,
    },
    /// The credential was refused.
    #[error("the credential was refused: {0}")]
    Unauthorized(String),
    /// The source's quota is spent.
    #[error("the quota is spent: {reason}")]
    Quota {
        /// What the source said.
        reason: String,
        /// When it is there again, RFC 3339, if the source said so.
        until: Option<String>,
    },
    /// The source broke its own contract.
    #[error("not the answer that was expected: {0}")]
    InvalidResponse(String),
    /// A failure that waiting does not mend.
    #[error("{0}")]
    Fatal(String),
    /// The connector made a request that no grant covers.
    #[error("not granted: {0}")]
    NotGranted(String),
    /// The connector set headers that no grant of its API names.
    #[error("no grant names the header {}", .headers.join(", "))]
    HeadersNotGranted {
        /// The API.
        api: String,
        /// The headers, as the connector writes them.
        headers: Vec<String>,
    },
    /// The source is at an address that was not granted.
    #[error("{host} is at {address}, an address that was not granted")]
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
    /// The source's certificate is not trusted.
    #[error("the source's certificate is not trusted: {0}")]
    Untrusted(String),
    /// The connector made an invalid call of the host, which is its own mistake.
    #[error("the connector made a mistake: {0}")]
    Mistake(String),
    /// The connector trapped.
    #[error("the connector crashed: {0}")]
    Crashed(String),
    /// The version is held on all hosts, since a call of it ended a process.
    #[error("{0}")]
    Held(HeldVersion),
    /// The connector went past a limit.
    #[error("limit {name} ({value})")]
    Limit {
        /// The limit's name.
        name: &'static str,
        /// Its value.
        value: u64,
    },
}

/// A version of a connector that is held on all hosts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {version} ({sha256}) of {route} ended a process ({signal}), and is held")]
pub struct HeldVersion {
    /// Its route.
    pub route: String,
    /// Its own version, for people.
    pub version: String,
    /// The component's SHA-256, lower-case hex.
    pub sha256: String,
    /// The name of the signal by which it ended a process.
    pub signal: String,
}

impl FetchFailure {
    /// The same with its reason changed.
    #[must_use]
    pub fn map_reason(self, change: impl FnOnce(String) -> String) -> Self {
        match self {
            Self::Passing { reason, wait } => Self::Passing { reason: change(reason), wait },
            Self::NotReady { reason, wait } => Self::NotReady { reason: change(reason), wait },
            Self::AtOnce { reason, counts } => Self::AtOnce { reason: change(reason), counts },
            Self::Unauthorized(reason) => Self::Unauthorized(change(reason)),
            Self::Quota { reason, until } => Self::Quota { reason: change(reason), until },
            Self::InvalidResponse(reason) => Self::InvalidResponse(change(reason)),
            Self::Fatal(reason) => Self::Fatal(change(reason)),
            Self::NotGranted(reason) => Self::NotGranted(change(reason)),
            Self::Untrusted(reason) => Self::Untrusted(change(reason)),
            Self::Mistake(reason) => Self::Mistake(change(reason)),
            Self::Crashed(reason) => Self::Crashed(change(reason)),
            Self::HeadersNotGranted { .. } | Self::Limit { .. } | Self::AddressRefused { .. } | Self::Held(_) => self,
        }
    }
}

/// A source of pages: one connector, for one scrap.
#[async_trait]
pub trait PageSource: Send + Sync {
    /// Fetches one page; no cursor: the first. Dropping the future abandons the page, nothing else.
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure>;
}

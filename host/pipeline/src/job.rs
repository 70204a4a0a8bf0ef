//! The input of a run, and the ways it can end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use atlas_json::RecordLimits;
use atlas_model::{Lease, Limits, Scrap, ScrapState};
use atlas_store::{Fault, StoreError};
use tokio_util::sync::CancellationToken;

use super::page_source::HeldVersion;
use super::retry::RetryPolicy;

/// A scrap that was claimed.
#[derive(Debug, Clone)]
pub struct Job {
    /// The right to write for it.
    pub lease: Lease,
    /// The scrap as it stood when it was claimed.
    pub scrap: Scrap,
    /// Cancelled when the slot is wanted for another client's scrap: the run ends when the pages
    /// in flight have.
    pub asked_back: CancellationToken,
}

/// The settings of a run.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// Records a transaction (`BATCH_EXPORT`), at least 1.
    pub batch: usize,
    /// Pages in flight, at least 1.
    pub concurrency: usize,
    /// Further sweeps of a source that moved.
    pub sweeps: i32,
    /// When a page is tried again.
    pub retry: RetryPolicy,
    /// How long a run waits for a database that does not answer; then it ends, and can be resumed.
    pub db_patience: Duration,
    /// The limits of the house.
    pub limits: Limits,
}

impl RunSettings {
    pub(super) fn record_limits(&self) -> RecordLimits {
        RecordLimits { max_bytes: self.limits.record_bytes, max_depth: self.limits.record_depth }
    }
}

/// How a run ended. All but [`End::Done`] and [`End::DoneWithReservations`] leave a scrap that can
/// be resumed.
#[derive(Debug, Clone)]
pub enum End {
    /// Everything that the source has is in the table.
    Done,
    /// Done, with reservations.
    DoneWithReservations(Vec<Reservation>),
    /// This process was asked to stop.
    Stopped,
    /// An operator asked for this scrap to be paused, on any host.
    Paused,
    /// The scrap gave its slot to another client's, and goes on when there is one for it.
    HandedBack,
    /// A page's attempts ran out.
    AttemptsExhausted {
        /// How many there were.
        attempts: u32,
        /// What the last one failed with.
        reason: String,
    },
    /// A page's data was not ready at any of its tries.
    NeverReady {
        /// How often that was.
        tries: u32,
        /// What the connector made of the last answer.
        reason: String,
    },
    /// The source asked for a longer wait than a run should take.
    WaitTooLong {
        /// The wait, in seconds.
        seconds: u64,
        /// What the source said.
        reason: String,
    },
    /// The source refused the credential.
    Unauthorized(String),
    /// The source's quota is spent.
    Quota {
        /// What the source said.
        reason: String,
        /// When it is there again.
        until: Option<String>,
    },
    /// The source broke its own contract, or the connector gave up on it.
    SourceFailed(String),
    /// A page named itself, or a page that led to it, as all that comes next.
    Loop {
        /// The cursor.
        cursor: String,
    },
    /// Pages in a row carried the very same records.
    Repeating {
        /// How many.
        pages: i32,
        /// The last one's cursor.
        cursor: String,
    },
    /// Pages of a chain in a row carried no record, and each named the next.
    EmptyPages {
        /// How many: the limit `empty_pages`.
        pages: i32,
    },
    /// The connector made a request that no grant covers.
    NotGranted(String),
    /// The connector set headers that no grant of its API names.
    HeadersNotGranted {
        /// The API.
        api: String,
        /// The headers, as the connector writes them.
        headers: Vec<String>,
    },
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
    /// The source's certificate is not trusted.
    Untrusted(String),
    /// The connector made an invalid call of the host.
    ConnectorMistake(String),
    /// The connector trapped.
    ConnectorCrashed(String),
    /// The version that fetched the scrap was held on all hosts meanwhile.
    VersionHeld(HeldVersion),
    /// A limit of the house was reached.
    Limit {
        /// Its name.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// Another process has claimed the scrap, or it was cancelled.
    LeaseLost,
    /// The database failed.
    Store(Arc<StoreError>),
}

/// The differences of a first page from the same page one sweep before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Differences {
    /// The total that the source declares.
    pub total: bool,
    /// The keys of its records.
    pub keys: bool,
    /// How many cursors come next; of a page without records, which.
    pub cursors: bool,
    /// Whether any come after its commit.
    pub after_commit: bool,
}

/// Why a run that reached the end is not simply done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reservation {
    /// Records were rejected.
    Rejected {
        /// How many.
        records: i64,
    },
    /// The source kept moving while it was read.
    Moving {
        /// How its first page differed at the last second look.
        differs: Differences,
        /// What it declared at the last sweep's beginning.
        before: Option<i64>,
        /// What it declared in the end.
        after: Option<i64>,
    },
    /// The source declared another number of records than it gave.
    TotalOff {
        /// What it declared.
        declared: i64,
        /// What it gave.
        read: i64,
    },
    /// Records came more than once in one reading of a source whose total counts them all: its
    /// order is not stable, and others may never have come.
    Repeated {
        /// How many.
        repeated: i64,
        /// Of how many read.
        read: i64,
        /// What the source declared.
        declared: i64,
    },
    /// Pages that should differ carried the very same records.
    SamePages {
        /// How many.
        pages: i64,
    },
}

impl End {
    /// What the source or the connector gave as its reason, if it gave one: in English, for logs.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::AttemptsExhausted { reason, .. }
            | Self::NeverReady { reason, .. }
            | Self::WaitTooLong { reason, .. }
            | Self::Quota { reason, .. }
            | Self::Unauthorized(reason)
            | Self::SourceFailed(reason)
            | Self::NotGranted(reason)
            | Self::Untrusted(reason)
            | Self::ConnectorMistake(reason)
            | Self::ConnectorCrashed(reason) => Some(reason),
            _ => None,
        }
    }

    /// The state in which the scrap is left.
    pub fn state(&self) -> ScrapState {
        match self {
            Self::Done => ScrapState::Concluido,
            Self::DoneWithReservations(_) => ScrapState::ConcluidoComRessalva,
            Self::Stopped | Self::Paused => ScrapState::Pausado,
            Self::HandedBack => ScrapState::Pendente,
            Self::AttemptsExhausted { .. }
            | Self::NeverReady { .. }
            | Self::WaitTooLong { .. }
            | Self::VersionHeld(_) => ScrapState::Interrompido,
            // The scrap goes on once the database is back.
            Self::Store(error) if error.fault == Fault::Unavailable => ScrapState::Interrompido,
            Self::Unauthorized(_) => ScrapState::TokenRecusado,
            Self::Quota { .. } => ScrapState::Suspenso,
            Self::LeaseLost => ScrapState::Cancelado,
            Self::SourceFailed(_)
            | Self::Loop { .. }
            | Self::Repeating { .. }
            | Self::EmptyPages { .. }
            | Self::NotGranted(_)
            | Self::HeadersNotGranted { .. }
            | Self::AddressRefused { .. }
            | Self::Untrusted(_)
            | Self::ConnectorMistake(_)
            | Self::ConnectorCrashed(_)
            | Self::Limit { .. }
            | Self::Store(_) => ScrapState::Falhou,
        }
    }
}

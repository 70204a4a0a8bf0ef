//! Where records, scraps and clients are kept: one trait, and PostgreSQL and SQLite behind it.
//!
//! All SQL of the product stands in this folder and in `migrations/`. A store decides nothing about scraps: it does what
//! the pipeline says, each call atomic, and tells errors apart by what can be done about them ([`Fault`]).
//!
//! - `types`     the rows and values that go in and out
//! - `error`     what can go wrong, by what to do about it
//! - `concern`   what a database has or lacks that keeps records out
//! - `credential_lock`  the lock under which access tokens are renewed
//! - `access`    what opens the page and the API
//! - `brief`     transactions whose statements may take only so long
//! - `browse`    what people look at: scraps, pages and records, a part at a time
//! - `budgets`   budgets of requests, shared by all hosts
//! - `history`   what scraps said of themselves, and their pace
//! - `clients`   changes of clients, each of them whole
//! - `cursors`   erasing the cursors of pages that are done
//! - `publications`  connectors that were published to all hosts
//! - `queue`     the queue that workers take scraps from, and the processes that run them
//! - `schedules` scraps that are created by themselves
//! - `settings`  what clients have set of APIs
//! - `slices`    scraps that are divided, and what their slices add up to
//! - `usage`     what is kept for each client, counted
//! - `rows`      how rows of either database become those values
//! - `seal`      secrets at rest
//! - `postgres`, `sqlite`  the two implementations
//! - `suite`     the tests that both must pass

mod access;
mod brief;
mod browse;
mod budgets;
mod clients;
mod concern;
mod credential_lock;
mod cursors;
mod error;
mod history;
mod postgres;
mod publications;
mod quarantine;
mod queue;
mod rows;
mod schedules;
mod seal;
mod settings;
mod slices;
mod sqlite;
#[cfg(test)]
mod suite;
mod types;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use self::access::{Access as AccessRow, AccessKind, Doors, Earlier, NewAccess, Scope};
pub use self::brief::STATEMENT_MAX;
pub use self::browse::{
    Browse, HostRow, PageRow, RawRecord, RecordFilter, ScrapFilter, ScrapSums, StepTotal, VERIFY_NEWEST, VERIFY_TOTALS,
};
pub use self::budgets::{Account, Budgets, RequestsAsked, Reserved};
pub use self::clients::{ClientWrite, Clients, Defaults};
pub use self::concern::Concern;
pub use self::cursors::Cursors;
pub use self::error::{Fault, StoreError};
pub use self::history::{HISTORIES_KEPT, History, HistoryPlace, LINES_KEPT, LogLine, POINTS_KEPT, PacePoint};
pub use self::postgres::PostgresStore;
pub use self::publications::{NewPublication, Publication, Publications, PublishedFile};
pub use self::quarantine::{NewQuarantine, Quarantine, QuarantineRow};
pub use self::queue::{Asked, Host, Offer, Queue, Standing, TAKE_OVERS_MAX};
pub use self::schedules::{Fired, Firing, NewSchedule, Schedule, Schedules};
pub use self::seal::StoreKey;
pub use self::settings::Settings;
pub use self::sqlite::SqliteStore;
pub use self::types::*;
pub use self::usage::{ClientUsage, Kept, Usages};
use crate::source::{AccessToken, Parts};

/// The tables. Every call is atomic; calls that take a [`Lease`] add nothing once the scrap's epoch has moved on.
#[async_trait]
pub trait Store:
    Queue
    + Budgets
    + Schedules
    + Publications
    + Quarantine
    + Doors
    + Browse
    + Settings
    + Clients
    + Defaults
    + Cursors
    + Usages
    + History
{
    /// How many writers gain from working at once, for batches of this size.
    fn writers(&self, batch: usize) -> usize;

    /// Closes every connection. Only for a tidy end: whatever was committed is safe without it.
    async fn close(&self);

    /// Whether the database is still where it was opened: [`Fault::Displaced`] if its file was
    /// deleted, replaced or written over since. Asked before a run counts as done, and while it
    /// goes on.
    async fn in_place(&self) -> Result<(), StoreError>;

    // --- schema -------------------------------------------------------------------------------------------------------

    /// Creates what is missing and adopts what is there.
    async fn init(&self) -> Result<InitReport, StoreError>;

    /// What the database holds of our tables.
    async fn schema(&self) -> Result<SchemaStatus, StoreError>;

    /// What keeps records out of `dados_raw`, or may. Empty while there is no such table.
    async fn concerns(&self) -> Result<Vec<Concern>, StoreError>;

    // --- clients ------------------------------------------------------------------------------------------------------

    /// Locks an API's credential of several parts, for one holder among all processes: waits for the one who has it, and
    /// gives it as it stands then. [`Fault::Missing`]: there is none (any more). A holder that is not heard of again, a dead
    /// one perhaps, has it for [`CREDENTIAL_LEASE`]. No transaction and no connection is kept for it.
    async fn lock_credential(&self, cliente_id: i32, api: &str) -> Result<Box<dyn CredentialLock>, StoreError>;

    /// Seals every secret with a new key, all or none, and gives how many they were. What is in the clear is sealed too.
    async fn rekey(&self, key: &StoreKey) -> Result<u64, StoreError>;

    /// Removes one API of a client, and takes it from what the client's default serves; false if it
    /// was neither.
    async fn remove_api(&self, cliente_id: i32, api: &str) -> Result<bool, StoreError>;

    /// Removes a client that has neither rows nor scraps ([`Fault::InUse`] otherwise); false if it was not there.
    async fn remove_client(&self, cliente_id: i32) -> Result<bool, StoreError>;

    /// All clients, by id.
    async fn clients(&self) -> Result<Vec<Client>, StoreError>;

    /// What is registered for a client and an API. `None`: no such client.
    async fn access(&self, cliente_id: i32, api: &str) -> Result<Option<Access>, StoreError>;

    // --- scraps -------------------------------------------------------------------------------------------------------

    /// Creates a scrap with its first page in the frontier, or one that is divided and its slices, and gives its id.
    async fn create_scrap(&self, scrap: &NewScrap) -> Result<i64, StoreError>;

    /// One scrap.
    async fn scrap(&self, id: i64) -> Result<Option<Scrap>, StoreError>;

    /// The slices of a scrap that are not done, in the order of their periods.
    async fn unfinished_slices(&self, whole: i64) -> Result<Vec<i64>, StoreError>;

    /// Takes a scrap for running: raises its epoch, whoever held it, and marks it as running by this connector on this host.
    async fn claim(&self, id: i64, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError>;

    /// The same for a scrap that was taken from the queue, which somebody else may have meanwhile: [`Fault::LeaseLost`].
    async fn claim_taken(&self, taken: &Lease, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError>;

    /// Ends a run. False if the lease is lost: nothing was written. Repeating it changes nothing.
    async fn finish(&self, lease: &Lease, end: &RunEnd<'_>) -> Result<bool, StoreError>;

    /// Cancels a scrap that has not ended, whoever runs it; false if it had.
    async fn cancel(&self, id: i64, reason: &str) -> Result<bool, StoreError>;

    /// The digests of the connectors that fetched for scraps that are not done, each once.
    async fn connectors_in_use(&self) -> Result<Vec<String>, StoreError>;

    // --- frontier -----------------------------------------------------------------------------------------------------

    /// The cursors of a sweep still to be fetched, in the order in which they became known, after `after`.
    async fn pending(
        &self,
        lease: &Lease,
        sweep: i32,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PendingCursor>, StoreError>;

    /// Whether the sweep knows this cursor.
    async fn knows(&self, lease: &Lease, page: PageKey) -> Result<bool, StoreError>;

    /// Whether `candidate` is one of the pages that led to `page`.
    async fn is_ancestor(&self, lease: &Lease, candidate: CursorId, page: PageKey) -> Result<bool, StoreError>;

    /// Marks pages as begun and checkpoints finished ones: each done page leaves the frontier, its next ones enter and its
    /// counts are added, all in one transaction. Repeating it changes nothing, so it may be repeated when the outcome of a
    /// COMMIT is unknown. Fails with [`Fault::LeaseLost`] when the scrap has a newer epoch.
    async fn ledger(&self, lease: &Lease, begun: &[PageKey], done: &[Checkpoint]) -> Result<LedgerReceipt, StoreError>;

    /// Opens the next sweep with the first page in its frontier. Repeating it changes nothing.
    async fn open_sweep(&self, lease: &Lease, sweep: i32) -> Result<(), StoreError>;

    /// What one page held, once it is done.
    async fn page_facts(&self, lease: &Lease, page: PageKey) -> Result<Option<PageFacts>, StoreError>;

    /// What a whole sweep added up to.
    async fn sweep_facts(&self, lease: &Lease, sweep: i32) -> Result<SweepFacts, StoreError>;

    // --- records ------------------------------------------------------------------------------------------------------

    /// Inserts records, all or none, and says of each whether it is new: `false` means that a row
    /// with its hash was there. The caller gives them sorted by hash. [`Fault::Collision`]: the
    /// same again will do. [`Fault::Poison`]: one of them cannot be stored; [`Fault::NotKept`]: one
    /// of them is not there, and no error said so; with a single record, that one.
    async fn insert(&self, lease: &Lease, records: &[RecordRow<'_>]) -> Result<Vec<bool>, StoreError>;

    /// Tries the statement of [`insert`](Self::insert) with a record that nothing can be wrong
    /// with, and takes it back: whether an error was the record's fault or will meet every other
    /// record as well.
    async fn try_insert(&self, lease: &Lease) -> Result<(), StoreError>;

    /// Keeps records that the table cannot hold. Known ones are left as they are.
    async fn reject(&self, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError>;

    /// Rejected records after an id, oldest first, those of one scrap if asked: at most `limit`, and no more than may be read at a time,
    /// but for one that is larger by itself. None: there are no more.
    async fn rejects(&self, scrap_id: Option<i64>, after: i64, limit: i64) -> Result<Vec<Rejected>, StoreError>;

    /// One rejected record.
    async fn rejected(&self, id: i64) -> Result<Option<Rejected>, StoreError>;

    /// Puts a rejected record into the table, and notes that it was: both or neither. Whether its
    /// row is new; `None`: it had been put there before. [`Fault::Poison`] and [`Fault::NotKept`]:
    /// the table cannot hold it, or does not.
    async fn replay(&self, rejected: &Rejected, record: &RecordRow<'_>) -> Result<Option<bool>, StoreError>;

    // --- proof --------------------------------------------------------------------------------------------------------

    /// Pages of a scrap, or of its slices, whose counts do not add up, or that declared another total than their sweep's first page, at most `limit`.
    async fn odd_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<OddPage>, StoreError>;

    /// What the checkpointed pages of a scrap, or of its slices, add up to.
    async fn pages_together(&self, scrap_id: i64) -> Result<Counts, StoreError>;

    /// Rows of a client in `dados_raw`, by origem.
    async fn totals(&self, cliente_id: i32) -> Result<Vec<OrigemTotal>, StoreError>;

    /// A client's newest rows in `dados_raw`.
    async fn newest(&self, cliente_id: i32, limit: i64) -> Result<Vec<NewestRow>, StoreError>;
}

/// Connections to a server that a process has where nobody says how many.
pub const CONNECTIONS: usize = 25;
/// How many somebody may say: fewer than these would not do for a run.
pub const CONNECTIONS_WITHIN: std::ops::RangeInclusive<usize> = 8..=200;

/// How long a lock on a credential holds: longer than a token URL may take to answer (20 s), and the tries to store its answer.
pub const CREDENTIAL_LEASE: Duration = Duration::from_secs(45);
/// How often one who waits for such a lock looks again, and for how long.
const CREDENTIAL_POLL: Duration = Duration::from_millis(100);
const CREDENTIAL_PATIENCE: Duration = Duration::from_secs(90);
/// How long giving it back is tried.
const CREDENTIAL_LET_GO_MAX: Duration = Duration::from_secs(5);

/// A credential that nobody else renews meanwhile. Dropped, it has changed nothing, and is anybody's once its time is over.
#[async_trait]
pub trait CredentialLock: Send + Sync {
    /// The parts, as they stand now.
    fn parts(&self) -> &Parts;

    /// The access token that was got last.
    fn access(&self) -> Option<&AccessToken>;

    /// Whether somebody had it whose time was over: they may be frozen, with an answer of the token URL in their hands.
    fn is_in_anothers_place(&self) -> bool;

    /// Stores both, durably, and lets go. [`Fault::Collision`]: the lock was lost, and the credential is to be looked at again:
    /// its time was over, or the operator replaced what it was for.
    async fn keep(&self, parts: &Parts, access: &AccessToken) -> Result<(), StoreError>;

    /// Lets go.
    async fn release(self: Box<Self>);
}

/// Opens the store that a URL names (`postgres://…`, `postgresql://…`, `sqlite:FILE`). Creates an embedded database that
/// is not there; touches no table. With a key, secrets are sealed when they are written; without one they stand in the clear.
pub async fn open(url: &StoreUrl, key: Option<StoreKey>) -> Result<Arc<dyn Store>, StoreError> {
    open_with(url, key, CONNECTIONS).await
}

/// The same with at most so many connections to a server, within [`CONNECTIONS_WITHIN`].
pub async fn open_with(
    url: &StoreUrl,
    key: Option<StoreKey>,
    connections: usize,
) -> Result<Arc<dyn Store>, StoreError> {
    match url {
        StoreUrl::Postgres(options) => Ok(Arc::new(PostgresStore::open(options, key, connections).await?)),
        StoreUrl::Sqlite(path) => Ok(Arc::new(SqliteStore::open(path, key).await?)),
    }
}

/// The SQL that creates every table by hand, as PostgreSQL takes it: all migrations, in their order.
pub const POSTGRES_SQL: &str = concat!(
    include_str!("../../../migrations/postgres/0001_base.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0002_rede_privada.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0003_credenciais.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0004_fila.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0005_renovacao.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0006_orcamentos.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0007_agendas.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0008_reprocessados.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0009_conectores.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0010_fatias.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0011_acessos.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0012_proprios.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0013_configuracoes.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0014_quarentena.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0015_uso.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0016_historico.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0017_padrao.sql"),
    "\n",
    include_str!("../../../migrations/postgres/0018_cursores.sql"),
);
/// The same for SQLite.
pub const SQLITE_SQL: &str = concat!(
    include_str!("../../../migrations/sqlite/0001_base.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0002_rede_privada.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0003_credenciais.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0004_fila.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0005_renovacao.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0006_orcamentos.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0007_agendas.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0008_reprocessados.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0009_conectores.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0010_fatias.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0011_acessos.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0012_proprios.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0013_configuracoes.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0014_quarentena.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0015_uso.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0016_historico.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0017_padrao.sql"),
    "\n",
    include_str!("../../../migrations/sqlite/0018_cursores.sql"),
);

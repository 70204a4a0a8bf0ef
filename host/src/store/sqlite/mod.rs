//! SQLite, embedded: nothing to install. WAL, `synchronous=FULL`, foreign keys on, and one writer: a database file takes one
//! at a time, so more would only wait for each other. Readers have connections of their own and never wait.

mod concerns;
mod credentials;
mod ledger;
mod place;
mod pools;
mod queue;
mod records;
mod schema;

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqliteSynchronous};
use sqlx::{ConnectOptions, Row};

use self::place::DatabasePlace;
use self::pools::pool_options;
use super::access::impl_doors;
use super::brief::STATEMENT_MAX;
use super::browse::{fitting, impl_browse};
use super::budgets::impl_budgets;
use super::clients::impl_clients;
use super::concern::Concern;
use super::cursors::impl_cursors;
use super::error::{Fault, StoreError};
use super::history::impl_history;
use super::publications::impl_publications;
use super::quarantine::impl_quarantine;
use super::rows;
use super::schedules::impl_schedules;
use super::seal::{Column, Place, Sealer, StoreKey};
use super::settings::impl_settings;
use super::slices::impl_slices;
use super::types::*;
use super::usage::impl_usages;
use super::{Asked, CredentialLock, Host, Offer, Queue, Settings, Standing, Store};

/// How long a statement waits for another process that is writing to the same file.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);
/// How long a caller waits for the one writing connection: longer than any batch takes.
const WRITER_PATIENCE: Duration = Duration::from_secs(600);
const READERS: u32 = 4;
const LOOKS: u32 = 4;
/// Steps of SQLite's machine between two looks at the clock: some 100 µs.
const PROGRESS_STEPS: i32 = 10_000;
/// How long to wait before a file that others open too is tried again.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// The tables in a SQLite file.
pub struct SqliteStore {
    /// One connection: the writer.
    pool: SqlitePool,
    readers: SqlitePool,
    /// For people who look: what they ask may take [`STATEMENT_MAX`].
    looks: SqlitePool,
    place: DatabasePlace,
    sealer: Sealer,
}

impl SqliteStore {
    /// Opens the file, creating it if it is not there.
    pub async fn open(path: &Path, key: Option<StoreKey>) -> Result<Self, StoreError> {
        create_private(path);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_PATIENCE)
            .disable_statement_logging();
        let pool = open_writer(&options).await?;
        let place = DatabasePlace::of(path);
        // A connection that is made later, by whichever pool, makes no new database in the place of
        // one that is gone.
        let options = options.create_if_missing(false);
        pool.set_connect_options(options.clone());
        let reading = |connections| pool_options().max_connections(connections);
        let readers = reading(READERS).connect_lazy_with(options.clone());
        let looks = reading(LOOKS)
            .after_connect(|connection, _| Box::pin(end_within(STATEMENT_MAX, connection)))
            .before_acquire(|connection, _| {
                Box::pin(async { end_within(STATEMENT_MAX, connection).await.map(|()| true) })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, readers, looks, place, sealer: Sealer::new(key) })
    }
}

/// Interrupts whatever a connection is still at when so long has passed from now on. SQLite has no
/// timeout of its own for a statement that runs.
async fn end_within(limit: Duration, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    connection.lock_handle().await?.set_progress_handler(PROGRESS_STEPS, move || began.elapsed() < limit);
    Ok(())
}

/// Opens the writing connection. Whoever is first turns a new file to WAL, and SQLite does not let the others wait for that as they
/// wait for a statement: they are refused at once.
async fn open_writer(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let began = Instant::now();
    loop {
        let pool = pool_options()
            .max_connections(1)
            .acquire_timeout(WRITER_PATIENCE)
            .connect_with(options.clone())
            .await
            .map_err(StoreError::sort("open the SQLite file"));
        match pool {
            Err(error) if error.fault == Fault::Collision && began.elapsed() < BUSY_PATIENCE => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// Makes the file, if it is not there, readable by its owner alone: tokens stand in it. SQLite gives the files beside it the
/// same mode. What goes wrong here goes wrong once more when SQLite opens it, and is told then.
fn create_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

#[async_trait]
impl Queue for SqliteStore {
    async fn beat(&self, host: &Host) -> Result<(), StoreError> {
        queue::beat(&self.pool, host).await
    }

    async fn leave(&self, host: &str) -> Result<(), StoreError> {
        queue::leave(&self.pool, host).await
    }

    async fn take(&self, offer: &Offer<'_>) -> Result<Option<Lease>, StoreError> {
        self.in_place().await?;
        queue::take(&self.pool, offer).await
    }

    async fn waiting(&self, offer: &Offer<'_>) -> Result<Vec<i32>, StoreError> {
        queue::waiting(&self.pool, offer).await
    }

    async fn orphans(&self) -> Result<Vec<i64>, StoreError> {
        queue::orphans(&self.pool).await
    }

    async fn holders(&self) -> Result<Vec<(String, String)>, StoreError> {
        queue::holders(&self.readers).await
    }

    async fn standing(&self, lease: &Lease) -> Result<Standing, StoreError> {
        self.in_place().await?;
        queue::standing(&self.readers, lease).await
    }

    async fn pause(&self, id: i64, reason: &str) -> Result<Asked, StoreError> {
        queue::pause(&self.pool, id, reason).await
    }

    async fn requeue(&self, id: i64) -> Result<Asked, StoreError> {
        queue::requeue(&self.pool, id).await
    }
}

impl_budgets! {
    for SqliteStore,
    begin: "BEGIN IMMEDIATE",
    now: "unixepoch('subsec')",
    day: "CAST((unixepoch('subsec') + $5) / 86400 AS INTEGER)",
    greatest: "MAX",
    bigint: "INTEGER",
    lives: "h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')",
    not_held: "vaga NOT IN (SELECT value FROM json_each($4))"
}

impl_schedules!(for SqliteStore, begin: "BEGIN IMMEDIATE");
impl_publications!(for SqliteStore, begin: "BEGIN IMMEDIATE");
impl_quarantine!(for SqliteStore, begin: "BEGIN IMMEDIATE");
impl_slices!(for SqliteStore, of: sqlx::Sqlite, begin: "BEGIN IMMEDIATE");
impl_clients!(for SqliteStore, of: sqlx::Sqlite, begin: "BEGIN IMMEDIATE", now: "CURRENT_TIMESTAMP", lock: "");
impl_cursors!(for SqliteStore);
impl_settings!(for SqliteStore);
impl_usages!(for SqliteStore, begin: "BEGIN IMMEDIATE");
impl_history!(for SqliteStore, reads: readers, begin: "BEGIN IMMEDIATE");
impl_doors!(for SqliteStore, reads: readers, begin: "BEGIN IMMEDIATE");
impl_browse!(
    for SqliteStore, reads: looks, begin: "BEGIN", moments_ago: "datetime('now', '-5 seconds')",
    epoch: "CAST(strftime('%s', data_coleta) AS INTEGER)", from: "$1", until: "$2"
);

#[async_trait]
impl Store for SqliteStore {
    fn writers(&self, _batch: usize) -> usize {
        1
    }

    async fn close(&self) {
        // The readers first: the last connection to go folds the write-ahead log into the file and removes it.
        self.looks.close().await;
        self.readers.close().await;
        self.pool.close().await;
    }

    async fn init(&self) -> Result<InitReport, StoreError> {
        let report = schema::init(&self.pool).await?;
        self.seal_settings().await?;
        Ok(report)
    }

    async fn in_place(&self) -> Result<(), StoreError> {
        self.place.check(&self.readers).await
    }

    async fn schema(&self) -> Result<SchemaStatus, StoreError> {
        self.in_place().await?;
        schema::status(&self.pool).await
    }

    async fn concerns(&self) -> Result<Vec<Concern>, StoreError> {
        concerns::find(&self.pool).await
    }

    async fn lock_credential(&self, cliente_id: i32, api: &str) -> Result<Box<dyn CredentialLock>, StoreError> {
        credentials::lock(&self.pool, &self.sealer, cliente_id, api).await
    }

    async fn rekey(&self, key: &StoreKey) -> Result<u64, StoreError> {
        credentials::rekey(&self.pool, &self.sealer, key).await
    }

    async fn remove_api(&self, cliente_id: i32, api: &str) -> Result<bool, StoreError> {
        let sort = || StoreError::sort("remove the client's API");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
        let mut removed = 0;
        for statement in [rows::REMOVE_API, rows::UNBIND] {
            let done = sqlx::query(statement).bind(cliente_id).bind(api).execute(&mut *tx).await;
            removed += done.map_err(sort())?.rows_affected();
        }
        tx.commit().await.map_err(sort())?;
        Ok(removed > 0)
    }

    async fn remove_client(&self, cliente_id: i32) -> Result<bool, StoreError> {
        let doing = "remove the client";
        let removed = sqlx::query("DELETE FROM clientes_tokens WHERE cliente_id = $1")
            .bind(cliente_id)
            .execute(&self.pool)
            .await
            .map_err(StoreError::sort(doing));
        match removed {
            Ok(done) => Ok(done.rows_affected() > 0),
            Err(e) if e.fault == Fault::Missing => Err(StoreError::new(Fault::InUse, doing, cliente_id.to_string())),
            Err(e) => Err(e),
        }
    }

    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        let sort = || StoreError::sort("list the clients");
        let rows = sqlx::query_as(rows::CLIENTS).fetch_all(&self.readers).await.map_err(sort())?;
        let served = sqlx::query_as(rows::SERVED).fetch_all(&self.readers).await.map_err(sort())?;
        Ok(rows::group_clients(rows, served))
    }

    async fn access(&self, cliente_id: i32, api: &str) -> Result<Option<Access>, StoreError> {
        let doing = "look up the client's credential";
        // One view of all of it: what stood there before a change is not read together with what stands there after it.
        let mut tx = self.readers.begin().await.map_err(StoreError::sort(doing))?;
        let row = sqlx::query(rows::ACCESS)
            .bind(cliente_id)
            .bind(api)
            .fetch_optional(&mut *tx)
            .await
            .map_err(StoreError::sort(doing))?;
        let Some(row) = row else { return Ok(None) };
        let open = |api, column, stored| self.sealer.open(Place { cliente_id, api, column }, stored);
        let credential =
            row.get::<Option<String>, _>("credencial").map(|c| open(api, Column::Credencial, c)).transpose()?;
        let held = credentials::held(&mut tx, &self.sealer, cliente_id, api).await?;
        tx.commit().await.map_err(StoreError::sort(doing))?;
        let (parts, access_token) = held.map(|held| (held.parts, held.access)).unzip();
        Ok(Some(Access {
            active: row.get::<Option<bool>, _>("ativo").unwrap_or(true),
            token: open("", Column::Token, row.get("token"))?,
            default_base_url: row.get("base_padrao"),
            default_private: row.get::<Option<bool>, _>("privada_padrao").unwrap_or(false),
            default_for: rows::default_for(row.get("serve"), row.get("vinculado")),
            api: row.get::<Option<String>, _>("base_url").map(|base_url| ApiAccess {
                base_url,
                credential,
                private: row.get::<Option<bool>, _>("rede_privada").unwrap_or(false),
            }),
            parts,
            access_token: access_token.flatten(),
        }))
    }

    async fn create_scrap(&self, scrap: &NewScrap) -> Result<i64, StoreError> {
        self.insert_scrap(scrap).await
    }

    async fn scrap(&self, id: i64) -> Result<Option<Scrap>, StoreError> {
        self.read_scrap(id).await
    }

    async fn unfinished_slices(&self, whole: i64) -> Result<Vec<i64>, StoreError> {
        self.list_unfinished_slices(whole).await
    }

    async fn claim(&self, id: i64, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError> {
        let claimed = queue::claim(&self.pool, id, None, connector, host).await?;
        claimed.ok_or_else(|| StoreError::new(Fault::Missing, "claim the scrap", id.to_string()))
    }

    async fn claim_taken(&self, taken: &Lease, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError> {
        let claimed = queue::claim(&self.pool, taken.scrap_id, Some(taken.epoch), connector, host).await?;
        claimed.ok_or_else(|| StoreError::new(Fault::LeaseLost, "claim the scrap", "somebody else has it"))
    }

    async fn finish(&self, lease: &Lease, end: &RunEnd<'_>) -> Result<bool, StoreError> {
        queue::finish(&self.pool, lease, end).await
    }

    async fn cancel(&self, id: i64, reason: &str) -> Result<bool, StoreError> {
        let done = sqlx::query(rows::CANCEL)
            .bind(id)
            .bind(reason)
            .execute(&self.pool)
            .await
            .map_err(StoreError::sort("cancel the scrap"))?;
        Ok(done.rows_affected() > 0)
    }

    async fn connectors_in_use(&self) -> Result<Vec<String>, StoreError> {
        let digests = sqlx::query_scalar(rows::CONNECTORS_IN_USE).fetch_all(&self.readers).await;
        digests.map_err(StoreError::sort("list the connectors that are needed"))
    }

    async fn pending(
        &self,
        lease: &Lease,
        sweep: i32,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PendingCursor>, StoreError> {
        let rows: Vec<rows::PendingRow> = sqlx::query_as(rows::PENDING)
            .bind(lease.scrap_id)
            .bind(sweep)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::sort("read the frontier"))?;
        Ok(rows.into_iter().map(PendingCursor::from).collect())
    }

    async fn knows(&self, lease: &Lease, page: PageKey) -> Result<bool, StoreError> {
        let row = sqlx::query(rows::KNOWS)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::sort("look up a cursor"))?;
        Ok(row.is_some())
    }

    async fn is_ancestor(&self, lease: &Lease, candidate: CursorId, page: PageKey) -> Result<bool, StoreError> {
        let row = sqlx::query(rows::IS_ANCESTOR)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .bind(candidate.0.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::sort("look up a page's ancestors"))?;
        Ok(row.is_some())
    }

    async fn ledger(&self, lease: &Lease, begun: &[PageKey], done: &[Checkpoint]) -> Result<LedgerReceipt, StoreError> {
        ledger::write(&self.pool, lease, begun, done).await
    }

    async fn open_sweep(&self, lease: &Lease, sweep: i32) -> Result<(), StoreError> {
        ledger::open_sweep(&self.pool, lease, sweep).await
    }

    async fn page_facts(&self, lease: &Lease, page: PageKey) -> Result<Option<PageFacts>, StoreError> {
        let row: Option<rows::PageFactsRow> = sqlx::query_as(rows::PAGE_FACTS)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::sort("read what a page held"))?;
        Ok(row.map(PageFacts::from))
    }

    async fn sweep_facts(&self, lease: &Lease, sweep: i32) -> Result<SweepFacts, StoreError> {
        let row: rows::SweepFactsRow = sqlx::query_as(rows::SWEEP_FACTS)
            .bind(lease.scrap_id)
            .bind(sweep)
            .fetch_one(&self.readers)
            .await
            .map_err(StoreError::sort("add up a sweep"))?;
        Ok(row.into())
    }

    async fn insert(&self, lease: &Lease, records: &[RecordRow<'_>]) -> Result<Vec<bool>, StoreError> {
        records::insert(&self.pool, lease, records).await
    }

    async fn try_insert(&self, lease: &Lease) -> Result<(), StoreError> {
        records::try_insert(&self.pool, lease).await
    }

    async fn reject(&self, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError> {
        records::reject(&self.pool, lease, records).await
    }

    async fn rejects(&self, scrap_id: Option<i64>, after: i64, limit: i64) -> Result<Vec<Rejected>, StoreError> {
        let sort = || StoreError::sort("list the rejected records");
        let sizes: Vec<i64> = sqlx::query_scalar(rows::REJECT_SIZES)
            .bind(scrap_id)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(sort())?;
        let rows: Vec<rows::RejectedRowOut> = sqlx::query_as(rows::REJECTS)
            .bind(scrap_id)
            .bind(after)
            .bind(fitting(&sizes))
            .fetch_all(&self.readers)
            .await
            .map_err(sort())?;
        Ok(rows.into_iter().map(Rejected::from).collect())
    }

    async fn rejected(&self, id: i64) -> Result<Option<Rejected>, StoreError> {
        let row: Option<rows::RejectedRowOut> = sqlx::query_as(rows::REJECTED)
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(StoreError::sort("look up the rejected record"))?;
        Ok(row.map(Rejected::from))
    }

    async fn replay(&self, rejected: &Rejected, record: &RecordRow<'_>) -> Result<Option<bool>, StoreError> {
        let sort = || StoreError::sort("put a rejected record into the table");
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
        let marked = sqlx::query(rows::REPLAYED).bind(rejected.id).execute(&mut *tx).await.map_err(sort())?;
        if marked.rows_affected() == 0 {
            return Ok(None);
        }
        let inserted = sqlx::query(
            "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (hash_conteudo) DO NOTHING",
        )
        .bind(rejected.cliente_id)
        .bind(&rejected.origem)
        .bind(record.payload)
        .bind(record.hash)
        .execute(&mut *tx)
        .await
        .map_err(sort())?;
        let is_new = inserted.rows_affected() > 0;
        let is_there: bool =
            sqlx::query_scalar(rows::IS_THERE).bind(record.hash).fetch_one(&mut *tx).await.map_err(sort())?;
        if !is_new && !is_there {
            return Err(rows::not_kept("put a rejected record into the table"));
        }
        tx.commit().await.map_err(sort())?;
        Ok(Some(is_new))
    }

    async fn odd_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<OddPage>, StoreError> {
        let pages = sqlx::query_as(rows::ODD_PAGES).bind(scrap_id).bind(limit).fetch_all(&self.readers).await;
        pages.map_err(StoreError::sort("look for pages that do not add up"))
    }

    async fn pages_together(&self, scrap_id: i64) -> Result<Counts, StoreError> {
        let counts = sqlx::query_as(rows::PAGES_TOGETHER).bind(scrap_id).fetch_one(&self.readers).await;
        counts.map_err(StoreError::sort("add the pages up"))
    }

    async fn totals(&self, cliente_id: i32) -> Result<Vec<OrigemTotal>, StoreError> {
        sqlx::query_as(rows::TOTALS)
            .bind(cliente_id)
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::sort("count the client's rows"))
    }

    async fn newest(&self, cliente_id: i32, limit: i64) -> Result<Vec<NewestRow>, StoreError> {
        sqlx::query_as(rows::NEWEST)
            .bind(cliente_id)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(StoreError::sort("read the client's newest rows"))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, Result, bail};

    use super::super::Browse;
    use super::*;

    /// A store on a file, with a client, and the path of that file.
    async fn store() -> Result<(tempfile::TempDir, SqliteStore, std::path::PathBuf)> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("atlas.db");
        let store = SqliteStore::open(&path, None).await?;
        store.init().await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool).await?;
        store.in_place().await?;
        Ok((folder, store, path))
    }

    async fn is_displaced(store: &SqliteStore) -> Result<()> {
        let error = store.in_place().await.err().context("it is taken for the file that was opened")?;
        if error.fault != Fault::Displaced {
            bail!("{error}");
        }
        let schema = store.schema().await.err().context("a server would call itself ready")?;
        assert_eq!(schema.fault, Fault::Displaced);
        Ok(())
    }

    #[tokio::test]
    async fn a_file_that_is_deleted_or_replaced_under_the_store_is_noticed() -> Result<()> {
        let (_folder, store, path) = store().await?;
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside)?;
        is_displaced(&store).await?;
        std::fs::copy(&aside, &path)?;
        is_displaced(&store).await?;
        std::fs::rename(&aside, &path)?;
        store.in_place().await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_file_that_is_written_over_is_noticed_whatever_is_written() -> Result<()> {
        let (_folder, store, path) = store().await?;
        let (_other_folder, other, other_path) = self::store().await?;
        other.close().await;
        let own = std::fs::read(&path)?;
        let mut long = own.clone();
        long[..16].fill(b'x');
        for written in [Vec::new(), vec![0; own.len()], long, own[..4096].to_vec(), std::fs::read(&other_path)?] {
            std::fs::write(&path, &written)?;
            is_displaced(&store).await?;
            std::fs::write(&path, &own)?;
            store.in_place().await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_database_that_was_made_smaller_by_its_own_means_is_in_its_place() -> Result<()> {
        let (_folder, store, path) = store().await?;
        sqlx::query("CREATE TABLE ballast (x)").execute(&store.pool).await?;
        sqlx::query("INSERT INTO ballast VALUES (zeroblob(1000000))").execute(&store.pool).await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool).await?;
        store.in_place().await?;
        let before = std::fs::metadata(&path)?.len();
        for statement in ["DROP TABLE ballast", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            sqlx::query(statement).execute(&store.pool).await?;
        }
        assert!(std::fs::metadata(&path)?.len() < before);
        store.in_place().await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_question_without_end_is_ended_and_the_next_one_is_answered() -> Result<()> {
        let (_folder, store, _path) = store().await?;
        let mut look = store.looks.acquire().await?;
        end_within(Duration::from_millis(50), &mut look).await?;
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
        let ended = sqlx::query(endless).fetch_one(&mut *look).await.err().context("it has an end")?;
        assert_eq!(StoreError::sort("test")(ended).fault, Fault::TooSlow);
        drop(look);
        assert_eq!(store.newest_scrap().await?, 0);
        Ok(())
    }
}

//! PostgreSQL: the reference. Batches travel as array parameters (`unnest`), every conditional write is one statement, and
//! each is one round trip.

mod concerns;
mod connect;
mod credentials;
mod ledger;
mod queue;
mod records;
mod schema;
mod sessions;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{Connection, Row};

use self::sessions::Sessions;
use super::CONNECTIONS;
use super::access::impl_doors;
use super::brief::BEGIN_BRIEFLY;
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

/// Writers for single-row commits: each COMMIT waits for a disk flush, and PostgreSQL shares one flush among the
/// connections that wait for it. Measured: 3,500 rows/s on one connection, 14,400 on 16.
const WRITERS_SMALL_BATCH: usize = 16;
/// Writers for batches of hundreds of rows, where the server's CPU is the limit and more connections only add clashes.
const WRITERS_LARGE_BATCH: usize = 4;
/// From how many records on a batch is a large one.
const LARGE_BATCH: usize = 100;
/// Connections for everything that runs need beside writing: the frontier's reader, the lease's watch, and the like.
const POOL_MAX: u32 = 6;
/// The same for a process that is to have few.
const POOL_FEW: u32 = 4;
/// Connections for people who look: whatever they ask for, no run waits for it.
const LOOKS_MAX: u32 = 2;

/// How many connections of each kind a process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shares {
    /// For records and checkpoints, all scraps of the process together.
    sessions: usize,
    pool: u32,
}

impl Shares {
    /// Of so many in all.
    fn of(connections: usize) -> Self {
        let pool = if connections < CONNECTIONS { POOL_FEW } else { POOL_MAX };
        let others = (pool + LOOKS_MAX) as usize;
        Self { sessions: connections.saturating_sub(others).clamp(2, WRITERS_SMALL_BATCH + 1), pool }
    }

    /// How many writers there is room for: one connection is the checkpoints'.
    fn writers(self) -> usize {
        self.sessions - 1
    }
}

/// A transaction whose statements all see the tables as they stood at the first of them.
const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// The tables in a PostgreSQL database.
pub struct PostgresStore {
    pool: PgPool,
    /// For people who look.
    looks: PgPool,
    sessions: Sessions,
    shares: Shares,
    sealer: Sealer,
}

impl PostgresStore {
    /// Connects once, so that a wrong address or password shows at once, and prepares the pool.
    ///
    /// It has at most so many connections, and at least 8.
    pub async fn open(
        options: &PgConnectOptions,
        key: Option<StoreKey>,
        connections: usize,
    ) -> Result<Self, StoreError> {
        let options = connect::options(options);
        let connecting = "connect to PostgreSQL";
        let probe = connect::connect(&options).await.map_err(StoreError::sort(connecting))?;
        probe.close().await.map_err(StoreError::sort(connecting))?;
        let shares = Shares::of(connections);
        let pool = connect::pool(options.clone(), shares.pool);
        let looks = connect::pool(options.clone(), LOOKS_MAX);
        let sessions = Sessions::new(options, shares.sessions);
        Ok(Self { pool, looks, sessions, shares, sealer: Sealer::new(key) })
    }
}

#[async_trait]
impl Queue for PostgresStore {
    async fn beat(&self, host: &Host) -> Result<(), StoreError> {
        queue::beat(&self.pool, host).await
    }

    async fn leave(&self, host: &str) -> Result<(), StoreError> {
        queue::leave(&self.pool, host).await
    }

    async fn take(&self, offer: &Offer<'_>) -> Result<Option<Lease>, StoreError> {
        queue::take(&self.pool, offer).await
    }

    async fn waiting(&self, offer: &Offer<'_>) -> Result<Vec<i32>, StoreError> {
        queue::waiting(&self.pool, offer).await
    }

    async fn orphans(&self) -> Result<Vec<i64>, StoreError> {
        queue::orphans(&self.pool).await
    }

    async fn holders(&self) -> Result<Vec<(String, String)>, StoreError> {
        queue::holders(&self.pool).await
    }

    async fn standing(&self, lease: &Lease) -> Result<Standing, StoreError> {
        queue::standing(&self.pool, lease).await
    }

    async fn pause(&self, id: i64, reason: &str) -> Result<Asked, StoreError> {
        queue::pause(&self.pool, id, reason).await
    }

    async fn requeue(&self, id: i64) -> Result<Asked, StoreError> {
        queue::requeue(&self.pool, id).await
    }
}

impl_budgets! {
    for PostgresStore,
    begin: BEGIN_BRIEFLY,
    now: "EXTRACT(EPOCH FROM clock_timestamp())::float8",
    day: "CAST(floor((EXTRACT(EPOCH FROM clock_timestamp()) + $5) / 86400) AS BIGINT)",
    greatest: "GREATEST",
    bigint: "BIGINT",
    lives: "h.visto_em > NOW() - make_interval(secs => h.validade_s)",
    not_held: "vaga NOT IN (SELECT CAST(n AS BIGINT) FROM json_array_elements_text(CAST($4 AS JSON)) n)"
}

impl_schedules!(for PostgresStore, begin: BEGIN_BRIEFLY);
impl_publications!(for PostgresStore, begin: "BEGIN");
impl_quarantine!(for PostgresStore, begin: "BEGIN");
impl_slices!(for PostgresStore, of: sqlx::Postgres, begin: "BEGIN");
impl_clients!(for PostgresStore, of: sqlx::Postgres, begin: "BEGIN", now: "NOW()", lock: " FOR NO KEY UPDATE");
impl_cursors!(for PostgresStore);
impl_settings!(for PostgresStore);
impl_usages!(for PostgresStore, begin: "BEGIN");
impl_history!(for PostgresStore, reads: looks, begin: "BEGIN");
impl_doors!(for PostgresStore, reads: pool, begin: "BEGIN");
impl_browse!(
    for PostgresStore, reads: looks, begin: BEGIN_BRIEFLY, moments_ago: "NOW() - INTERVAL '5 seconds'",
    epoch: "CAST(FLOOR(EXTRACT(EPOCH FROM data_coleta)) AS BIGINT)",
    from: "CAST($1 AS TIMESTAMP)", until: "CAST($2 AS TIMESTAMP)"
);

#[async_trait]
impl Store for PostgresStore {
    fn writers(&self, batch: usize) -> usize {
        let most = if batch < LARGE_BATCH { WRITERS_SMALL_BATCH } else { WRITERS_LARGE_BATCH };
        most.min(self.shares.writers())
    }

    async fn close(&self) {
        self.sessions.close().await;
        self.pool.close().await;
        self.looks.close().await;
    }

    async fn init(&self) -> Result<InitReport, StoreError> {
        let report = schema::init(&self.pool).await?;
        self.seal_settings().await?;
        Ok(report)
    }

    async fn in_place(&self) -> Result<(), StoreError> {
        // What a server is asked of a table, it says of the table.
        Ok(())
    }

    async fn schema(&self) -> Result<SchemaStatus, StoreError> {
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
        let mut tx = self.pool.begin_with("BEGIN").await.map_err(sort())?;
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
        let rows = sqlx::query_as(rows::CLIENTS).fetch_all(&self.pool).await.map_err(sort())?;
        let served = sqlx::query_as(rows::SERVED).fetch_all(&self.pool).await.map_err(sort())?;
        Ok(rows::group_clients(rows, served))
    }

    async fn access(&self, cliente_id: i32, api: &str) -> Result<Option<Access>, StoreError> {
        let doing = "look up the client's credential";
        // One view of all of it: what stood there before a change is not read together with what stands there after it.
        let mut tx = self.pool.begin_with(SNAPSHOT).await.map_err(StoreError::sort(doing))?;
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
        let digests = sqlx::query_scalar(rows::CONNECTORS_IN_USE).fetch_all(&self.pool).await;
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
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::sort("read the frontier"))?;
        Ok(rows.into_iter().map(PendingCursor::from).collect())
    }

    async fn knows(&self, lease: &Lease, page: PageKey) -> Result<bool, StoreError> {
        let row = sqlx::query(rows::KNOWS)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .fetch_optional(&self.pool)
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
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::sort("look up a page's ancestors"))?;
        Ok(row.is_some())
    }

    async fn ledger(&self, lease: &Lease, begun: &[PageKey], done: &[Checkpoint]) -> Result<LedgerReceipt, StoreError> {
        ledger::write(&self.sessions, lease, begun, done).await
    }

    async fn open_sweep(&self, lease: &Lease, sweep: i32) -> Result<(), StoreError> {
        ledger::open_sweep(&self.pool, lease, sweep).await
    }

    async fn page_facts(&self, lease: &Lease, page: PageKey) -> Result<Option<PageFacts>, StoreError> {
        let row: Option<rows::PageFactsRow> = sqlx::query_as(rows::PAGE_FACTS)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::sort("read what a page held"))?;
        Ok(row.map(PageFacts::from))
    }

    async fn sweep_facts(&self, lease: &Lease, sweep: i32) -> Result<SweepFacts, StoreError> {
        let row: rows::SweepFactsRow = sqlx::query_as(rows::SWEEP_FACTS)
            .bind(lease.scrap_id)
            .bind(sweep)
            .fetch_one(&self.pool)
            .await
            .map_err(StoreError::sort("add up a sweep"))?;
        Ok(row.into())
    }

    async fn insert(&self, lease: &Lease, records: &[RecordRow<'_>]) -> Result<Vec<bool>, StoreError> {
        records::insert(&self.sessions, lease, records).await
    }

    async fn try_insert(&self, lease: &Lease) -> Result<(), StoreError> {
        records::try_insert(&self.sessions, lease).await
    }

    async fn reject(&self, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError> {
        records::reject(&self.sessions, lease, records).await
    }

    async fn rejects(&self, scrap_id: Option<i64>, after: i64, limit: i64) -> Result<Vec<Rejected>, StoreError> {
        let sort = || StoreError::sort("list the rejected records");
        let sizes: Vec<i64> = sqlx::query_scalar(rows::REJECT_SIZES)
            .bind(scrap_id)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(sort())?;
        let rows: Vec<rows::RejectedRowOut> = sqlx::query_as(rows::REJECTS)
            .bind(scrap_id)
            .bind(after)
            .bind(fitting(&sizes))
            .fetch_all(&self.pool)
            .await
            .map_err(sort())?;
        Ok(rows.into_iter().map(Rejected::from).collect())
    }

    async fn rejected(&self, id: i64) -> Result<Option<Rejected>, StoreError> {
        let row: Option<rows::RejectedRowOut> = sqlx::query_as(rows::REJECTED)
            .bind(id)
            .fetch_optional(&self.pool)
            .await
            .map_err(StoreError::sort("look up the rejected record"))?;
        Ok(row.map(Rejected::from))
    }

    async fn replay(&self, rejected: &Rejected, record: &RecordRow<'_>) -> Result<Option<bool>, StoreError> {
        let sort = || StoreError::sort("put a rejected record into the table");
        let mut tx = self.pool.begin().await.map_err(sort())?;
        let marked = sqlx::query(rows::REPLAYED).bind(rejected.id).execute(&mut *tx).await.map_err(sort())?;
        if marked.rows_affected() == 0 {
            return Ok(None);
        }
        let inserted = sqlx::query(
            "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) VALUES ($1, $2, CAST($3 AS JSONB), $4) \
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
        let pages = sqlx::query_as(rows::ODD_PAGES).bind(scrap_id).bind(limit).fetch_all(&self.pool).await;
        pages.map_err(StoreError::sort("look for pages that do not add up"))
    }

    async fn pages_together(&self, scrap_id: i64) -> Result<Counts, StoreError> {
        let counts = sqlx::query_as(rows::PAGES_TOGETHER).bind(scrap_id).fetch_one(&self.pool).await;
        counts.map_err(StoreError::sort("add the pages up"))
    }

    async fn totals(&self, cliente_id: i32) -> Result<Vec<OrigemTotal>, StoreError> {
        sqlx::query_as(rows::TOTALS)
            .bind(cliente_id)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::sort("count the client's rows"))
    }

    async fn newest(&self, cliente_id: i32, limit: i64) -> Result<Vec<NewestRow>, StoreError> {
        sqlx::query_as(rows::NEWEST)
            .bind(cliente_id)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(StoreError::sort("read the client's newest rows"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_no_more_connections_than_it_may() {
        for connections in 8..=100 {
            let shares = Shares::of(connections);
            let all = shares.sessions + (shares.pool + LOOKS_MAX) as usize;
            assert!(all <= connections && shares.writers() >= 1, "{connections}: {shares:?}");
        }
        assert_eq!(Shares::of(CONNECTIONS).writers(), WRITERS_SMALL_BATCH);
    }
}

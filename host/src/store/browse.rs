//! What people look at: scraps, the pages of one, records. Always a part at a time, from a key on, so that the last part costs
//! no more than the first.

use async_trait::async_trait;
use sqlx::FromRow;

use super::cursors;
use super::error::StoreError;
use super::rows::scrap_columns;
use super::types::{Counts, Scrap, ScrapState};

/// Which scraps; what is `None` is all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrapFilter {
    /// Of this client.
    pub cliente_id: Option<i32>,
    /// Of this route.
    pub rota: Option<String>,
    /// In this state, or with a slice that is.
    pub state: Option<ScrapState>,
    /// The slices of this one; none: no slices.
    pub slice_of: Option<i64>,
    /// With a smaller id.
    pub before: Option<i64>,
}

/// Which records; what is `None` is all the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of this client.
    pub cliente_id: Option<i32>,
    /// Of this route.
    pub origem: Option<String>,
    /// Collected at this time or later: `2026-11-29 03:00:00`, UTC.
    pub from: Option<String>,
    /// Collected before this time.
    pub until: Option<String>,
}

/// A page of a scrap.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct PageRow {
    /// Its place in the order in which pages became known.
    pub ordem: i64,
    /// The reading of the source that it belongs to, from 0.
    pub varredura: i32,
    /// Its cursor; none: the first page, or it is erased.
    pub cursor: Option<String>,
    /// The cursor's SHA-256; zeros: the first page.
    pub cursor_hash: Vec<u8>,
    /// `pendente`, `feita` or `conferida`.
    pub estado: String,
    /// Whether writing it was begun.
    pub iniciado: bool,
    /// How often it was asked for.
    pub tentativas: i32,
    /// What became of its records.
    #[sqlx(flatten)]
    pub counts: Counts,
    /// What the source declared on it.
    pub total_declarado: Option<i64>,
    /// The connector that fetched it.
    pub conector_sha256: Option<String>,
    /// When it was checkpointed, as the database writes it.
    pub gravado_em: Option<String>,
}

impl PageRow {
    /// What it is known by: its cursor, or once that is erased, the cursor's SHA-256. None: the
    /// first page.
    pub fn name(&self) -> Option<String> {
        cursors::name_of(self.cursor.as_deref(), &self.cursor_hash)
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct RawRecord {
    /// The row's id.
    pub id: i64,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub origem: String,
    /// When it was collected, as the database writes it.
    pub data_coleta: Option<String>,
    /// The payload, as the database writes it.
    pub payload: String,
    /// Its hash.
    pub hash_conteudo: Option<String>,
}

/// A process that runs scraps.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct HostRow {
    /// Its name: the machine's, and the process's number.
    pub nome: String,
    /// The program's version.
    pub versao: String,
    /// When it began, as the database writes it.
    pub iniciado_em: String,
    /// When it was seen last.
    pub visto_em: String,
    /// Scraps that it runs.
    pub correndo: i64,
}

/// Rows of one route and of one step of time.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct StepTotal {
    /// The route.
    pub origem: String,
    /// How many steps of time lie between 1970 and it.
    pub passo: i64,
    /// Rows.
    pub registros: i64,
}

/// What a client's scraps came to together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct ScrapSums {
    /// How many there are, slices each by itself.
    pub scraps: i64,
    /// Those that are not done: records of theirs may be missing.
    pub inacabados: i64,
    /// Records read.
    pub lidos: i64,
    /// New rows.
    pub inseridos: i64,
    /// Rows that were there.
    pub duplicados: i64,
    /// Rows that were there, from an earlier attempt at the same page.
    pub reencontrados: i64,
    /// Records that the table does not hold.
    pub rejeitados: i64,
}

impl ScrapSums {
    /// Records read of which it is not known what became of them.
    pub fn off_by(&self) -> i64 {
        self.lidos - self.inseridos - self.duplicados - self.reencontrados - self.rejeitados
    }
}

/// Processes that are listed.
pub(super) const HOSTS_MAX: i64 = 1_000;
/// Rows of routes and steps that are counted: of 26 routes that are collected every hour, a month
/// by the hour.
pub(super) const STEP_TOTALS_MAX: i64 = 20_000;

/// Looking. Nothing here changes anything.
#[async_trait]
pub trait Browse: Send + Sync {
    /// The newest scraps first, at most `limit`. Slices are not among them unless they are asked for, but what they make up.
    async fn scraps(&self, filter: &ScrapFilter, limit: i64) -> Result<Vec<Scrap>, StoreError>;

    /// How many scraps are in each state, slices not counted: by the state's name in the table.
    async fn scraps_by_state(&self) -> Result<Vec<(String, i64)>, StoreError>;

    /// Scraps, slices among them, that run, ended within the last few seconds, or have an id greater than `after`; at most `limit`.
    async fn watch_scraps(&self, after: i64, limit: i64) -> Result<Vec<Scrap>, StoreError>;

    /// The greatest id of a scrap; 0 if there is none.
    async fn newest_scrap(&self) -> Result<i64, StoreError>;

    /// The pages of a scrap in the order in which they became known, after `after`.
    async fn pages(&self, scrap_id: i64, after: i64, limit: i64) -> Result<Vec<PageRow>, StoreError>;

    /// The pages of a scrap that became known last, in that order.
    async fn newest_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<PageRow>, StoreError>;

    /// Records, the newest first, with an id smaller than `before`; of those whose payload is larger than `longest` characters only
    /// so many.
    async fn records(
        &self,
        filter: &RecordFilter,
        before: i64,
        limit: i64,
        longest: i64,
    ) -> Result<Vec<RawRecord>, StoreError>;

    /// Records, the oldest first, with an id greater than `after`, whole.
    async fn export(&self, filter: &RecordFilter, after: i64, limit: i64) -> Result<Vec<RawRecord>, StoreError>;

    /// Whole records before one, newest first: at most `limit`, and of those as many as [`export`](Self::export) gives.
    async fn read_back(&self, filter: &RecordFilter, before: i64, limit: i64) -> Result<Vec<RawRecord>, StoreError>;

    /// One record, whole.
    async fn record(&self, id: i64) -> Result<Option<RawRecord>, StoreError>;

    /// The processes that run scraps, those seen last first, at most `HOSTS_MAX`.
    async fn hosts(&self) -> Result<Vec<HostRow>, StoreError>;

    /// What a client's scraps came to together.
    async fn scrap_sums(&self, cliente_id: i32) -> Result<ScrapSums, StoreError>;

    /// A client's rows that were collected since a time (`2026-11-29 03:00:00`, UTC), by route and
    /// by steps of so many seconds, the last step first, at most `STEP_TOTALS_MAX`.
    async fn rows_by_step(&self, cliente_id: i32, since: &str, step: i64) -> Result<Vec<StepTotal>, StoreError>;
}

/// Bytes of records that are read at a time: each may have as many as the limit `record_bytes` says.
pub(super) const READ_BYTES: i64 = 4 * 1024 * 1024;

/// How many of the first records may be read at a time, given their sizes: at least one.
pub(super) fn fitting(sizes: &[i64]) -> i64 {
    let mut bytes = 0_i64;
    let within = sizes.iter().take_while(|size| {
        bytes = bytes.saturating_add(**size);
        bytes <= READ_BYTES
    });
    (within.count() as i64).max(1)
}

/// The slices' states as one look for all, not one for each scrap: by what PostgreSQL thinks that those cost, it compiles the statement
/// first, which takes seconds.
pub(super) const FIND: &str = concat!(
    "SELECT ",
    scrap_columns!(),
    " FROM scraps WHERE ($1 IS NULL OR cliente_id = $1) AND ($2 IS NULL OR rota = $2) \
       AND ($3 IS NULL OR estado = $3 OR (estado = 'dividido' AND id IN (SELECT f.fatia_de FROM scraps f WHERE f.fatia_de IS NOT NULL AND f.estado = $3))) \
       AND (($4 IS NULL AND fatia_de IS NULL) OR fatia_de = $4) AND ($5 IS NULL OR id < $5) ORDER BY id DESC LIMIT $6"
);

pub(super) const BY_STATE: &str =
    "SELECT estado, COUNT(*) FROM scraps WHERE fatia_de IS NULL GROUP BY estado ORDER BY estado";

/// What a divided one came to is what its slices did, which are rows of their own.
pub(super) const SUMS: &str = "SELECT COUNT(*) AS scraps, \
       COUNT(CASE WHEN estado NOT IN ('concluido', 'concluido_com_ressalva') THEN 1 END) AS inacabados, \
       CAST(COALESCE(SUM(lidos), 0) AS BIGINT) AS lidos, CAST(COALESCE(SUM(inseridos), 0) AS BIGINT) AS inseridos, \
       CAST(COALESCE(SUM(duplicados), 0) AS BIGINT) AS duplicados, \
       CAST(COALESCE(SUM(reencontrados), 0) AS BIGINT) AS reencontrados, \
       CAST(COALESCE(SUM(rejeitados), 0) AS BIGINT) AS rejeitados \
     FROM scraps WHERE cliente_id = $1 AND estado <> 'dividido'";

pub(super) const NEWEST: &str = "SELECT COALESCE(MAX(id), 0) FROM scraps";

pub(super) const PAGES: &str = "SELECT ordem, varredura, cursor, cursor_hash, estado, iniciado, tentativas, lidos, inseridos, duplicados, \
       reencontrados, rejeitados, total_declarado, conector_sha256, CAST(gravado_em AS TEXT) AS gravado_em \
     FROM scrap_cursores WHERE scrap_id = $1 AND ordem > $2 ORDER BY ordem LIMIT $3";

pub(super) const HOSTS: &str = "SELECT h.nome, h.versao, CAST(h.iniciado_em AS TEXT) AS iniciado_em, \
       CAST(h.visto_em AS TEXT) AS visto_em, \
       (SELECT COUNT(*) FROM scraps s WHERE s.host = h.id AND s.estado = 'executando') AS correndo \
     FROM atlas_hosts h ORDER BY h.visto_em DESC LIMIT $1";

pub(super) const RECORD: &str = "SELECT CAST(id AS BIGINT) AS id, CAST(cliente_id AS INTEGER) AS cliente_id, origem, \
       CAST(data_coleta AS TEXT) AS data_coleta, \
       CAST(payload AS TEXT) AS payload, hash_conteudo FROM dados_raw WHERE id = $1";

pub(super) const NEWEST_PAGES: &str = "SELECT ordem, varredura, cursor, cursor_hash, estado, iniciado, tentativas, lidos, inseridos, duplicados, \
       reencontrados, rejeitados, total_declarado, conector_sha256, CAST(gravado_em AS TEXT) AS gravado_em \
     FROM scrap_cursores WHERE scrap_id = $1 ORDER BY ordem DESC LIMIT $2";

/// The two verification queries, as people type them; `$1` is the client. What the page shows is counted in the same way.
pub const VERIFY_TOTALS: &str =
    "SELECT origem, COUNT(*), COUNT(DISTINCT hash_conteudo) FROM dados_raw WHERE cliente_id = $1 GROUP BY origem;";
/// The second.
pub const VERIFY_NEWEST: &str =
    "SELECT id, origem, data_coleta, payload FROM dados_raw WHERE cliente_id = $1 ORDER BY id DESC LIMIT 5;";

/// The same on either database, but for the connections that read, for how a transaction begins,
/// and for how each reckons with times.
macro_rules! impl_browse {
    (
        for $store:ty, reads: $reads:ident, begin: $begin:expr, moments_ago: $moments_ago:literal,
        epoch: $epoch:literal, from: $from:literal, until: $until:literal
    ) => {
        const _: () = {
            use crate::store::brief::Brief;
            use crate::store::browse;
            use crate::store::rows::scrap_columns;
            use crate::store::{Browse, HostRow, PageRow, RawRecord, RecordFilter, ScrapFilter};
            use crate::store::{Scrap, ScrapSums, StepTotal, StoreError, rows};
            use async_trait::async_trait;
            use sqlx::AssertSqlSafe;
            use std::sync::LazyLock;

            /// Three looks that each have an index of their own.
            const WATCH: &str = concat!(
                "SELECT ",
                scrap_columns!(),
                " FROM scraps WHERE id IN (SELECT id FROM scraps WHERE estado = 'executando' \
                   UNION SELECT id FROM scraps WHERE id > $1 UNION SELECT id FROM scraps WHERE terminado_em >= ",
                $moments_ago,
                ") ORDER BY id LIMIT $2"
            );
            const BY_STEP: &str = concat!(
                "SELECT origem, ",
                $epoch,
                " / $3 AS passo, COUNT(*) AS registros FROM dados_raw WHERE data_coleta >= ",
                $from,
                " AND cliente_id = $2 GROUP BY 1, 2 ORDER BY 2 DESC, 1 LIMIT $4"
            );
            /// Which records: what they share. They were collected from `$1` on, and before `$2`.
            const MEANT: &str = concat!(
                " FROM dados_raw WHERE ($1 IS NULL OR data_coleta >= ",
                $from,
                ") AND ($2 IS NULL OR data_coleta < ",
                $until,
                ") AND ($3 IS NULL OR cliente_id = $3) AND ($4 IS NULL OR origem = $4)"
            );
            static RECORDS: LazyLock<String> = LazyLock::new(|| {
                format!(
                    "SELECT CAST(id AS BIGINT) AS id, CAST(cliente_id AS INTEGER) AS cliente_id, origem, \
       CAST(data_coleta AS TEXT) AS data_coleta, \
                       SUBSTR(CAST(payload AS TEXT), 1, $7) AS payload, hash_conteudo{MEANT} AND id < $5 \
                     ORDER BY dados_raw.id DESC LIMIT $6"
                )
            });
            const SIZE: &str = "CAST(OCTET_LENGTH(CAST(payload AS TEXT)) AS BIGINT)";
            const WHOLE: &str = "CAST(id AS BIGINT) AS id, CAST(cliente_id AS INTEGER) AS cliente_id, origem, \
                 CAST(data_coleta AS TEXT) AS data_coleta, \
                 CAST(payload AS TEXT) AS payload, hash_conteudo";
            static ONWARD: LazyLock<[String; 2]> =
                LazyLock::new(|| [SIZE, WHOLE].map(|what| format!("SELECT {what}{MEANT} AND id > $5 ORDER BY dados_raw.id LIMIT $6")));
            static BACK: LazyLock<[String; 2]> = LazyLock::new(|| {
                [SIZE, WHOLE].map(|what| format!("SELECT {what}{MEANT} AND id < $5 ORDER BY dados_raw.id DESC LIMIT $6"))
            });

            /// Whole records, as many as may be read at a time: first it is asked how large they are.
            async fn whole(
                store: &$store,
                [sizes, records]: &'static [String; 2],
                filter: &RecordFilter,
                from: i64,
                limit: i64,
                doing: &'static str,
            ) -> Result<Vec<RawRecord>, StoreError> {
                let mut look = Brief::begin(&store.$reads, $begin, doing).await?;
                let sizes: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(sizes.as_str()))
                    .bind(&filter.from)
                    .bind(&filter.until)
                    .bind(filter.cliente_id)
                    .bind(&filter.origem)
                    .bind(from)
                    .bind(limit)
                    .fetch_all(&mut *look)
                    .await
                    .map_err(look.sort())?;
                let records = sqlx::query_as(AssertSqlSafe(records.as_str()))
                    .bind(&filter.from)
                    .bind(&filter.until)
                    .bind(filter.cliente_id)
                    .bind(&filter.origem)
                    .bind(from)
                    .bind(browse::fitting(&sizes));
                let records = records.fetch_all(&mut *look).await.map_err(look.sort())?;
                look.commit().await?;
                Ok(records)
            }

            #[async_trait]
            impl Browse for $store {
                async fn scraps(&self, filter: &ScrapFilter, limit: i64) -> Result<Vec<Scrap>, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "list the scraps").await?;
                    let rows: Vec<rows::ScrapRow> = sqlx::query_as(browse::FIND)
                        .bind(filter.cliente_id)
                        .bind(&filter.rota)
                        .bind(filter.state.map(|state| state.name()))
                        .bind(filter.slice_of)
                        .bind(filter.before)
                        .bind(limit)
                        .fetch_all(&mut *look)
                        .await
                        .map_err(look.sort())?;
                    look.commit().await?;
                    self.united(rows.into_iter().map(Scrap::from).collect()).await
                }

                async fn scraps_by_state(&self) -> Result<Vec<(String, i64)>, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "count the scraps").await?;
                    let counts = sqlx::query_as(browse::BY_STATE).fetch_all(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    Ok(counts)
                }

                async fn watch_scraps(&self, after: i64, limit: i64) -> Result<Vec<Scrap>, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "watch the scraps").await?;
                    let rows: Vec<rows::ScrapRow> = sqlx::query_as(WATCH)
                        .bind(after)
                        .bind(limit)
                        .fetch_all(&mut *look)
                        .await
                        .map_err(look.sort())?;
                    look.commit().await?;
                    Ok(rows.into_iter().map(Scrap::from).collect())
                }

                async fn newest_scrap(&self) -> Result<i64, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "watch the scraps").await?;
                    let id = sqlx::query_scalar(browse::NEWEST).fetch_one(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    Ok(id)
                }

                async fn pages(&self, scrap_id: i64, after: i64, limit: i64) -> Result<Vec<PageRow>, StoreError> {
                    let pages = sqlx::query_as(browse::PAGES).bind(scrap_id).bind(after).bind(limit);
                    let mut look = Brief::begin(&self.$reads, $begin, "list the scrap's pages").await?;
                    let pages = pages.fetch_all(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    Ok(pages)
                }

                async fn newest_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<PageRow>, StoreError> {
                    let pages = sqlx::query_as(browse::NEWEST_PAGES).bind(scrap_id).bind(limit);
                    let mut look = Brief::begin(&self.$reads, $begin, "list the scrap's pages").await?;
                    let mut pages: Vec<PageRow> = pages.fetch_all(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    pages.reverse();
                    Ok(pages)
                }

                async fn records(
                    &self,
                    filter: &RecordFilter,
                    before: i64,
                    limit: i64,
                    longest: i64,
                ) -> Result<Vec<RawRecord>, StoreError> {
                    let records = sqlx::query_as(AssertSqlSafe(RECORDS.as_str()))
                        .bind(&filter.from)
                        .bind(&filter.until)
                        .bind(filter.cliente_id)
                        .bind(&filter.origem)
                        .bind(before)
                        .bind(limit)
                        .bind(i32::try_from(longest).unwrap_or(i32::MAX));
                    let mut look = Brief::begin(&self.$reads, $begin, "list records").await?;
                    let records = records.fetch_all(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    Ok(records)
                }

                async fn export(
                    &self,
                    filter: &RecordFilter,
                    after: i64,
                    limit: i64,
                ) -> Result<Vec<RawRecord>, StoreError> {
                    whole(self, &ONWARD, filter, after, limit, "export records").await
                }

                async fn read_back(
                    &self,
                    filter: &RecordFilter,
                    before: i64,
                    limit: i64,
                ) -> Result<Vec<RawRecord>, StoreError> {
                    whole(self, &BACK, filter, before, limit, "search records").await
                }

                async fn record(&self, id: i64) -> Result<Option<RawRecord>, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "read a record").await?;
                    let record = sqlx::query_as(browse::RECORD).bind(id).fetch_optional(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    Ok(record)
                }

                async fn hosts(&self) -> Result<Vec<HostRow>, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "list the hosts").await?;
                    let hosts = sqlx::query_as(browse::HOSTS).bind(browse::HOSTS_MAX).fetch_all(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    Ok(hosts)
                }

                async fn scrap_sums(&self, cliente_id: i32) -> Result<ScrapSums, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "add up the client's scraps").await?;
                    let sums = sqlx::query_as(browse::SUMS).bind(cliente_id).fetch_one(&mut *look).await.map_err(look.sort())?;
                    look.commit().await?;
                    Ok(sums)
                }

                async fn rows_by_step(
                    &self,
                    cliente_id: i32,
                    since: &str,
                    step: i64,
                ) -> Result<Vec<StepTotal>, StoreError> {
                    let mut look = Brief::begin(&self.$reads, $begin, "count records by day").await?;
                    let totals = sqlx::query_as(BY_STEP)
                        .bind(since)
                        .bind(cliente_id)
                        .bind(step)
                        .bind(browse::STEP_TOTALS_MAX)
                        .fetch_all(&mut *look)
                        .await
                        .map_err(look.sort())?;
                    look.commit().await?;
                    Ok(totals)
                }
            }
        };
    };
}
pub(super) use impl_browse;

//! Queries of the page and the API: scraps, the pages of one, records. All are read a part at a
//! time, from a key on, so that the last part costs no more than the first.

use std::sync::LazyLock;

use async_trait::async_trait;
use atlas_model::{HostRow, PageRow, RawRecord, RecordFilter, Scrap, ScrapFilter, ScrapSums, StepTotal};
use atlas_store::{Browse, StoreError};
use sqlx::AssertSqlSafe;

use super::dialect::{BEGIN_LOOK, SqlStore};
use crate::brief::Brief;
use crate::rows::ScrapRow;
use crate::values::{HostColumns, PageColumns, RawRecordRow, ScrapSumsRow, StepTotalRow, values};

/// Processes that are listed.
const HOSTS_MAX: i64 = 1_000;

/// Rows of routes and steps that are counted: of 26 routes that are collected every hour, a month
/// by the hour.
const STEP_TOTALS_MAX: i64 = 20_000;

/// Bytes of records that are read at a time: each may have as many as the limit `record_bytes`
/// says.
const READ_BYTES: i64 = 4 * 1024 * 1024;

/// How many of the first records may be read at a time, given their sizes: at least one.
pub(super) fn fitting(sizes: &[i64]) -> i64 {
    let mut bytes = 0_i64;
    let within = sizes.iter().take_while(|size| {
        bytes = bytes.saturating_add(**size);
        bytes <= READ_BYTES
    });
    (within.count() as i64).max(1)
}

/// Finds scraps by a filter. The slices' states are one subquery for all scraps, not one for each:
/// PostgreSQL overrates the cost of those, and compiles the statement first, which takes seconds.
const FIND: &str = concat!(
    "SELECT ",
    scrap_columns!(),
    " FROM scraps WHERE ($1 IS NULL OR cliente_id = $1) AND ($2 IS NULL OR rota = $2) \
       AND ($3 IS NULL OR estado = $3 OR (estado = 'dividido' AND id IN (SELECT f.fatia_de FROM scraps f WHERE f.fatia_de IS NOT NULL AND f.estado = $3))) \
       AND (($4 IS NULL AND fatia_de IS NULL) OR fatia_de = $4) AND ($5 IS NULL OR id < $5) ORDER BY id DESC LIMIT $6"
);

const BY_STATE: &str = "SELECT estado, COUNT(*) FROM scraps WHERE fatia_de IS NULL GROUP BY estado ORDER BY estado";

/// Sums over a client's scraps. Divided scraps are left out, since their slices are rows of their
/// own.
const SUMS: &str = "SELECT COUNT(*) AS scraps, \
       COUNT(CASE WHEN estado NOT IN ('concluido', 'concluido_com_ressalva') THEN 1 END) AS inacabados, \
       CAST(COALESCE(SUM(lidos), 0) AS BIGINT) AS lidos, CAST(COALESCE(SUM(inseridos), 0) AS BIGINT) AS inseridos, \
       CAST(COALESCE(SUM(duplicados), 0) AS BIGINT) AS duplicados, \
       CAST(COALESCE(SUM(reencontrados), 0) AS BIGINT) AS reencontrados, \
       CAST(COALESCE(SUM(rejeitados), 0) AS BIGINT) AS rejeitados \
     FROM scraps WHERE cliente_id = $1 AND estado <> 'dividido'";

const NEWEST: &str = "SELECT COALESCE(MAX(id), 0) FROM scraps";

const PAGES: &str = "SELECT ordem, varredura, cursor, cursor_hash, estado, iniciado, tentativas, lidos, inseridos, duplicados, \
       reencontrados, rejeitados, total_declarado, conector_sha256, CAST(gravado_em AS TEXT) AS gravado_em \
     FROM scrap_cursores WHERE scrap_id = $1 AND ordem > $2 ORDER BY ordem LIMIT $3";

const HOSTS: &str = "SELECT h.nome, h.versao, CAST(h.iniciado_em AS TEXT) AS iniciado_em, \
       CAST(h.visto_em AS TEXT) AS visto_em, \
       (SELECT COUNT(*) FROM scraps s WHERE s.host = h.id AND s.estado = 'executando') AS correndo \
     FROM atlas_hosts h ORDER BY h.visto_em DESC LIMIT $1";

const RECORD: &str = "SELECT CAST(id AS BIGINT) AS id, CAST(cliente_id AS INTEGER) AS cliente_id, origem, \
       CAST(data_coleta AS TEXT) AS data_coleta, \
       CAST(payload AS TEXT) AS payload, hash_conteudo FROM dados_raw WHERE id = $1";

const NEWEST_PAGES: &str = "SELECT ordem, varredura, cursor, cursor_hash, estado, iniciado, tentativas, lidos, inseridos, duplicados, \
       reencontrados, rejeitados, total_declarado, conector_sha256, CAST(gravado_em AS TEXT) AS gravado_em \
     FROM scrap_cursores WHERE scrap_id = $1 ORDER BY ordem DESC LIMIT $2";

/// The scraps to poll for changes: a union of three queries, each with an index of its own.
const WATCH: &str = concat!(
    "SELECT ",
    scrap_columns!(),
    " FROM scraps WHERE id IN (SELECT id FROM scraps WHERE estado = 'executando' \
       UNION SELECT id FROM scraps WHERE id > $1 UNION SELECT id FROM scraps WHERE terminado_em >= ",
    moments_ago!(),
    ") ORDER BY id LIMIT $2"
);
const BY_STEP: &str = concat!(
    "SELECT origem, ",
    epoch!(),
    " / $3 AS passo, COUNT(*) AS registros FROM dados_raw WHERE data_coleta >= ",
    from!(),
    " AND cliente_id = $2 GROUP BY 1, 2 ORDER BY 2 DESC, 1 LIMIT $4"
);
/// The filter that all queries for records share: collected from `$1` on and before `$2`, of client
/// `$3` and route `$4`.
const MEANT: &str = concat!(
    " FROM dados_raw WHERE ($1 IS NULL OR data_coleta >= ",
    from!(),
    ") AND ($2 IS NULL OR data_coleta < ",
    until!(),
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
static ONWARD: LazyLock<[String; 2]> = LazyLock::new(|| {
    [SIZE, WHOLE].map(|what| format!("SELECT {what}{MEANT} AND id > $5 ORDER BY dados_raw.id LIMIT $6"))
});
static BACK: LazyLock<[String; 2]> = LazyLock::new(|| {
    [SIZE, WHOLE].map(|what| format!("SELECT {what}{MEANT} AND id < $5 ORDER BY dados_raw.id DESC LIMIT $6"))
});

/// Reads whole records, up to `READ_BYTES` at a time: queries their sizes first.
async fn whole(
    store: &SqlStore,
    [sizes, records]: &'static [String; 2],
    filter: &RecordFilter,
    from: i64,
    limit: i64,
    doing: &'static str,
) -> Result<Vec<RawRecord>, StoreError> {
    let mut look = Brief::begin(&store.looks, BEGIN_LOOK, doing).await?;
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
    let records = sqlx::query_as::<_, RawRecordRow>(AssertSqlSafe(records.as_str()))
        .bind(&filter.from)
        .bind(&filter.until)
        .bind(filter.cliente_id)
        .bind(&filter.origem)
        .bind(from)
        .bind(fitting(&sizes));
    let records = records.fetch_all(&mut *look).await.map_err(look.sort())?;
    look.commit().await?;
    Ok(values(records))
}

#[async_trait]
impl Browse for SqlStore {
    async fn scraps(&self, filter: &ScrapFilter, limit: i64) -> Result<Vec<Scrap>, StoreError> {
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "list the scraps").await?;
        let rows: Vec<ScrapRow> = sqlx::query_as(FIND)
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
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "count the scraps").await?;
        let counts = sqlx::query_as(BY_STATE).fetch_all(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(counts)
    }

    async fn watch_scraps(&self, after: i64, limit: i64) -> Result<Vec<Scrap>, StoreError> {
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "watch the scraps").await?;
        let rows: Vec<ScrapRow> =
            sqlx::query_as(WATCH).bind(after).bind(limit).fetch_all(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(rows.into_iter().map(Scrap::from).collect())
    }

    async fn newest_scrap(&self) -> Result<i64, StoreError> {
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "watch the scraps").await?;
        let id = sqlx::query_scalar(NEWEST).fetch_one(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(id)
    }

    async fn pages(&self, scrap_id: i64, after: i64, limit: i64) -> Result<Vec<PageRow>, StoreError> {
        let pages = sqlx::query_as::<_, PageColumns>(PAGES).bind(scrap_id).bind(after).bind(limit);
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "list the scrap's pages").await?;
        let pages = pages.fetch_all(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(values(pages))
    }

    async fn newest_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<PageRow>, StoreError> {
        let pages = sqlx::query_as::<_, PageColumns>(NEWEST_PAGES).bind(scrap_id).bind(limit);
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "list the scrap's pages").await?;
        let mut pages = pages.fetch_all(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        pages.reverse();
        Ok(values(pages))
    }

    async fn records(
        &self,
        filter: &RecordFilter,
        before: i64,
        limit: i64,
        longest: i64,
    ) -> Result<Vec<RawRecord>, StoreError> {
        let records = sqlx::query_as::<_, RawRecordRow>(AssertSqlSafe(RECORDS.as_str()))
            .bind(&filter.from)
            .bind(&filter.until)
            .bind(filter.cliente_id)
            .bind(&filter.origem)
            .bind(before)
            .bind(limit)
            .bind(i32::try_from(longest).unwrap_or(i32::MAX));
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "list records").await?;
        let records = records.fetch_all(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(values(records))
    }

    async fn export(&self, filter: &RecordFilter, after: i64, limit: i64) -> Result<Vec<RawRecord>, StoreError> {
        whole(self, &ONWARD, filter, after, limit, "export records").await
    }

    async fn read_back(&self, filter: &RecordFilter, before: i64, limit: i64) -> Result<Vec<RawRecord>, StoreError> {
        whole(self, &BACK, filter, before, limit, "search records").await
    }

    async fn record(&self, id: i64) -> Result<Option<RawRecord>, StoreError> {
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "read a record").await?;
        let record =
            sqlx::query_as::<_, RawRecordRow>(RECORD).bind(id).fetch_optional(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(record.map(RawRecord::from))
    }

    async fn hosts(&self) -> Result<Vec<HostRow>, StoreError> {
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "list the hosts").await?;
        let hosts =
            sqlx::query_as::<_, HostColumns>(HOSTS).bind(HOSTS_MAX).fetch_all(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(values(hosts))
    }

    async fn scrap_sums(&self, cliente_id: i32) -> Result<ScrapSums, StoreError> {
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "add up the client's scraps").await?;
        let sums: ScrapSumsRow =
            sqlx::query_as(SUMS).bind(cliente_id).fetch_one(&mut *look).await.map_err(look.sort())?;
        look.commit().await?;
        Ok(sums.into())
    }

    async fn rows_by_step(&self, cliente_id: i32, since: &str, step: i64) -> Result<Vec<StepTotal>, StoreError> {
        let mut look = Brief::begin(&self.looks, BEGIN_LOOK, "count records by day").await?;
        let totals = sqlx::query_as::<_, StepTotalRow>(BY_STEP)
            .bind(since)
            .bind(cliente_id)
            .bind(step)
            .bind(STEP_TOTALS_MAX)
            .fetch_all(&mut *look)
            .await
            .map_err(look.sort())?;
        look.commit().await?;
        Ok(values(totals))
    }
}

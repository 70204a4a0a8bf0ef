//! Queries that prove that no record is missing: counts of pages, and rows of the table.

use async_trait::async_trait;
use atlas_model::{Counts, NewestRow, OddPage, OrigemTotal};
use atlas_store::{Proof, StoreError};

use super::dialect::SqlStore;
use crate::error::sorted;
use crate::values::{CountsRow, NewestColumns, OddPageRow, OrigemTotalRow, values};

/// The first verification query: what there is of each route, and that no row is there twice.
const TOTALS: &str = "SELECT origem, COUNT(*) AS registros, COUNT(hash_conteudo) - COUNT(DISTINCT hash_conteudo) AS repetidos, \
       CAST(MIN(data_coleta) AS TEXT) AS primeira_coleta, CAST(MAX(data_coleta) AS TEXT) AS ultima_coleta \
     FROM dados_raw WHERE cliente_id = $1 GROUP BY origem ORDER BY origem";

/// Pages of a scrap whose counts do not add up, or that declared another total than the first page
/// of their sweep.
const ODD_PAGES: &str = "SELECT p.scrap_id, p.varredura, p.cursor, p.cursor_hash, p.lidos, p.inseridos, p.duplicados, p.reencontrados, p.rejeitados, \
       p.total_declarado, r.total_declarado AS total_da_primeira \
     FROM scrap_cursores p LEFT JOIN scrap_cursores r ON r.scrap_id = p.scrap_id AND r.varredura = p.varredura AND r.pai_hash IS NULL \
     WHERE p.scrap_id IN (SELECT id FROM scraps WHERE id = $1 OR fatia_de = $1) AND p.estado <> 'pendente' \
       AND (p.lidos <> p.inseridos + p.duplicados + p.reencontrados + p.rejeitados \
         OR p.total_declarado IS DISTINCT FROM r.total_declarado) ORDER BY p.ordem LIMIT $2";

/// What the pages of a scrap add up to, all sweeps together.
const PAGES_TOGETHER: &str = "SELECT CAST(COALESCE(SUM(lidos), 0) AS BIGINT) AS lidos, \
       CAST(COALESCE(SUM(inseridos), 0) AS BIGINT) AS inseridos, CAST(COALESCE(SUM(duplicados), 0) AS BIGINT) AS duplicados, \
       CAST(COALESCE(SUM(reencontrados), 0) AS BIGINT) AS reencontrados, \
       CAST(COALESCE(SUM(rejeitados), 0) AS BIGINT) AS rejeitados FROM scrap_cursores \
     WHERE scrap_id IN (SELECT id FROM scraps WHERE id = $1 OR fatia_de = $1) AND estado = 'feita'";

/// The second verification query: a client's newest rows.
const NEWEST: &str = "SELECT CAST(id AS BIGINT) AS id, origem, CAST(data_coleta AS TEXT) AS data_coleta, \
       CAST(payload AS TEXT) AS payload, hash_conteudo \
     FROM dados_raw WHERE cliente_id = $1 ORDER BY dados_raw.id DESC LIMIT $2";

#[async_trait]
impl Proof for SqlStore {
    async fn odd_pages(&self, scrap_id: i64, limit: i64) -> Result<Vec<OddPage>, StoreError> {
        let pages =
            sqlx::query_as::<_, OddPageRow>(ODD_PAGES).bind(scrap_id).bind(limit).fetch_all(&self.readers).await;
        pages.map(values).map_err(sorted("look for pages that do not add up"))
    }

    async fn pages_together(&self, scrap_id: i64) -> Result<Counts, StoreError> {
        let counts = sqlx::query_as::<_, CountsRow>(PAGES_TOGETHER).bind(scrap_id).fetch_one(&self.readers).await;
        counts.map(Counts::from).map_err(sorted("add the pages up"))
    }

    async fn totals(&self, cliente_id: i32) -> Result<Vec<OrigemTotal>, StoreError> {
        sqlx::query_as::<_, OrigemTotalRow>(TOTALS)
            .bind(cliente_id)
            .fetch_all(&self.readers)
            .await
            .map(values)
            .map_err(sorted("count the client's rows"))
    }

    async fn newest(&self, cliente_id: i32, limit: i64) -> Result<Vec<NewestRow>, StoreError> {
        sqlx::query_as::<_, NewestColumns>(NEWEST)
            .bind(cliente_id)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map(values)
            .map_err(sorted("read the client's newest rows"))
    }
}

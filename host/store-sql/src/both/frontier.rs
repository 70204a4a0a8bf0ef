//! The frontier: the cursors of a scrap, those that are still to be fetched and those that are
//! done.

use async_trait::async_trait;
use atlas_model::{Checkpoint, CursorId, Lease, LedgerReceipt, PageFacts, PageKey, PendingCursor, SweepFacts};
use atlas_store::{Fault, Frontier, StoreError};

use super::dialect::{BEGIN, SqlStore};
use super::ledger;
use super::scraps::INSERT_ROOT;
use crate::error::sorted;
use crate::rows::{PageFactsRow, PendingRow, SweepFactsRow};

/// Moves a scrap to a sweep. May be repeated, since it changes nothing the second time.
const OPEN_SWEEP: &str = "UPDATE scraps SET varredura = $3, \
       fronteira = fronteira + CASE WHEN varredura < $3 THEN 1 ELSE 0 END \
     WHERE id = $1 AND epoca = $2 AND varredura <= $3";

const PENDING: &str = "SELECT ordem, cursor_hash, cursor, pai_hash, profundidade, iniciado \
     FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND estado = 'pendente' AND ordem > $3 \
     ORDER BY ordem LIMIT $4";

const KNOWS: &str = "SELECT 1 FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3";

/// Walks up from a page; `UNION` ends the walk should the parents ever form a ring.
const IS_ANCESTOR: &str = "WITH RECURSIVE acima(h) AS ( \
       SELECT pai_hash FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3 \
       UNION \
       SELECT c.pai_hash FROM scrap_cursores c JOIN acima a ON c.cursor_hash = a.h \
         WHERE c.scrap_id = $1 AND c.varredura = $2) \
     SELECT 1 FROM acima WHERE h = $4 LIMIT 1";

const PAGE_FACTS: &str = "SELECT total_declarado, membros, conteudo, ramos, repeticoes \
     FROM scrap_cursores WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3 AND estado <> 'pendente'";

const SWEEP_FACTS: &str = "SELECT CAST(COALESCE(SUM(n), 0) AS BIGINT) AS pages, \
       CAST(COALESCE(SUM(n_lidos), 0) AS BIGINT) AS lidos, \
       CAST(COALESCE(MAX(CASE WHEN conteudo IS NULL THEN 0 ELSE n END), 0) AS BIGINT) AS same_content \
     FROM (SELECT conteudo, COUNT(*) AS n, SUM(lidos) AS n_lidos FROM scrap_cursores \
           WHERE scrap_id = $1 AND varredura = $2 AND estado = 'feita' GROUP BY conteudo) porconteudo";

#[async_trait]
impl Frontier for SqlStore {
    async fn pending(
        &self,
        lease: &Lease,
        sweep: i32,
        after: i64,
        limit: i64,
    ) -> Result<Vec<PendingCursor>, StoreError> {
        let rows: Vec<PendingRow> = sqlx::query_as(PENDING)
            .bind(lease.scrap_id)
            .bind(sweep)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(sorted("read the frontier"))?;
        Ok(rows.into_iter().map(PendingCursor::from).collect())
    }

    async fn knows(&self, lease: &Lease, page: PageKey) -> Result<bool, StoreError> {
        let row = sqlx::query(KNOWS)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(sorted("look up a cursor"))?;
        Ok(row.is_some())
    }

    async fn is_ancestor(&self, lease: &Lease, candidate: CursorId, page: PageKey) -> Result<bool, StoreError> {
        let row = sqlx::query(IS_ANCESTOR)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .bind(candidate.0.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(sorted("look up a page's ancestors"))?;
        Ok(row.is_some())
    }

    async fn ledger(&self, lease: &Lease, begun: &[PageKey], done: &[Checkpoint]) -> Result<LedgerReceipt, StoreError> {
        ledger::write(self, lease, begun, done).await
    }

    async fn open_sweep(&self, lease: &Lease, sweep: i32) -> Result<(), StoreError> {
        let doing = "open the next sweep";
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sorted(doing))?;
        let opened = sqlx::query(OPEN_SWEEP)
            .bind(lease.scrap_id)
            .bind(lease.epoch)
            .bind(sweep)
            .execute(&mut *tx)
            .await
            .map_err(sorted(doing))?;
        if opened.rows_affected() == 0 {
            return Err(StoreError::new(Fault::LeaseLost, doing, "the scrap has a newer epoch"));
        }
        sqlx::query(INSERT_ROOT)
            .bind(lease.scrap_id)
            .bind(sweep)
            .bind(CursorId::ROOT.0.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(sorted(doing))?;
        tx.commit().await.map_err(sorted(doing))
    }

    async fn page_facts(&self, lease: &Lease, page: PageKey) -> Result<Option<PageFacts>, StoreError> {
        let row: Option<PageFactsRow> = sqlx::query_as(PAGE_FACTS)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .fetch_optional(&self.readers)
            .await
            .map_err(sorted("read what a page held"))?;
        Ok(row.map(PageFacts::from))
    }

    async fn sweep_facts(&self, lease: &Lease, sweep: i32) -> Result<SweepFacts, StoreError> {
        let row: SweepFactsRow = sqlx::query_as(SWEEP_FACTS)
            .bind(lease.scrap_id)
            .bind(sweep)
            .fetch_one(&self.readers)
            .await
            .map_err(sorted("add up a sweep"))?;
        Ok(row.into())
    }
}

//! Scraps: created, read, claimed and ended. One that is divided is created with its slices, and
//! read as what they add up to.

use async_trait::async_trait;
use atlas_model::{ConnectorStamp, CursorId, Lease, NewScrap, RunEnd, Scrap, ScrapState};
use atlas_store::{Fault, Scraps, StoreError};

use super::dialect::{BEGIN, Db, SqlStore};
use crate::error::sorted;
use crate::rows::{LeaseRow, ScrapRow};
use crate::slices;

const INSERT: &str = "INSERT INTO scraps \
     (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina, configuracao, host, estado, fatias, fatia_de, fronteira, \
      lote, tentativas_max) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id";

/// The first page of a sweep.
pub(super) const INSERT_ROOT: &str = "INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash) \
     VALUES ($1, $2, $3) ON CONFLICT (scrap_id, varredura, cursor_hash) DO NOTHING";

const SCRAP_BY_ID: &str = concat!("SELECT ", scrap_columns!(), " FROM scraps WHERE id = $1");

/// What the slices of some scraps add up to, by their states.
const TOGETHER: &str = "SELECT fatia_de, estado, retomar_em IS NOT NULL AS retoma, COUNT(*) AS quantas, \
       CAST(SUM(fronteira) AS BIGINT) AS fronteira, CAST(SUM(paginas) AS BIGINT) AS paginas, \
       CAST(SUM(lidos) AS BIGINT) AS lidos, CAST(SUM(inseridos) AS BIGINT) AS inseridos, \
       CAST(SUM(duplicados) AS BIGINT) AS duplicados, CAST(SUM(reencontrados) AS BIGINT) AS reencontrados, \
       CAST(SUM(rejeitados) AS BIGINT) AS rejeitados, CAST(SUM(total_declarado) AS BIGINT) AS total_declarado, \
       COUNT(total_declarado) AS declararam, CAST(SUM(duracao_ms) AS BIGINT) AS duracao_ms, \
       MIN(motivo) AS motivo, CAST(MIN(retomar_em) AS TEXT) AS retomar_em, MAX(varredura) AS varredura, \
       MIN(conector_versao) AS conector_versao, MIN(conector_sha256) AS conector_sha256, \
       COUNT(DISTINCT conector_sha256) AS conectores \
     FROM scraps WHERE fatia_de BETWEEN $1 AND $2 GROUP BY fatia_de, estado, retomar_em IS NOT NULL";

const UNFINISHED: &str =
    "SELECT id FROM scraps WHERE fatia_de = $1 AND estado NOT IN ('concluido', 'concluido_com_ressalva') ORDER BY id";

/// Claims a scrap at the epoch `$6`, or at any where that is null. Leaves one that is done as it
/// is.
const CLAIM: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'executando', motivo = NULL, \
     iniciado_em = COALESCE(iniciado_em, CURRENT_TIMESTAMP), terminado_em = NULL, conector_versao = $2, \
     conector_sha256 = $3, formato_cursor = COALESCE(formato_cursor, $4), retomar_em = NULL, \
     pedido = CASE WHEN host = $5 THEN pedido END, host = $5 WHERE id = $1 AND epoca = COALESCE($6, epoca) \
       AND estado NOT IN ('concluido', 'concluido_com_ressalva') AND fatias = 0 \
     RETURNING id, epoca, cliente_id, rota";

/// Inserts the first page of a scrap that another program inserted without one. Changes nothing the
/// second time.
const FIRST_PAGE: &str = "INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash) \
     SELECT id, 0, $2 FROM scraps WHERE id = $1 AND varredura = 0 AND paginas = 0 AND fronteira = 0 \
     ON CONFLICT (scrap_id, varredura, cursor_hash) DO NOTHING";

const FIRST_PAGE_COUNTS: &str = "UPDATE scraps SET fronteira = 1 \
     WHERE id = $1 AND varredura = 0 AND paginas = 0 AND fronteira = 0";

/// Whether the holder of this lease has recorded the run's end: nothing else ends a run without
/// raising the epoch.
const ENDED: &str = "SELECT EXISTS (SELECT 1 FROM scraps WHERE id = $1 AND epoca = $2 AND estado <> 'executando')";

const CANCEL: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'cancelado', motivo = $2, \
     host = NULL, retomar_em = NULL, pedido = NULL, terminado_em = CURRENT_TIMESTAMP \
     WHERE (id = $1 OR fatia_de = $1) AND fatias = 0 AND estado NOT IN ('concluido', 'concluido_com_ressalva')";

const CONNECTORS_IN_USE: &str = "SELECT DISTINCT conector_sha256 FROM scraps \
     WHERE conector_sha256 IS NOT NULL AND estado NOT IN ('concluido', 'concluido_com_ressalva')";

#[async_trait]
impl Scraps for SqlStore {
    async fn create_scrap(&self, scrap: &NewScrap) -> Result<i64, StoreError> {
        let sort = || sorted("create the scrap");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        let id = insert_scrap(&mut tx, scrap).await?;
        tx.commit().await.map_err(sort())?;
        Ok(id)
    }

    async fn scrap(&self, id: i64) -> Result<Option<Scrap>, StoreError> {
        let row: Option<ScrapRow> =
            sqlx::query_as(SCRAP_BY_ID).bind(id).fetch_optional(&self.pool).await.map_err(sorted("read the scrap"))?;
        Ok(self.united(row.into_iter().map(Scrap::from).collect()).await?.pop())
    }

    async fn unfinished_slices(&self, whole: i64) -> Result<Vec<i64>, StoreError> {
        let ids = sqlx::query_scalar(UNFINISHED).bind(whole).fetch_all(&self.pool).await;
        ids.map_err(sorted("list the scrap's slices"))
    }

    async fn claim(&self, id: i64, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError> {
        let claimed = claim(self, id, None, connector, host).await?;
        claimed.ok_or_else(|| StoreError::new(Fault::Missing, "claim the scrap", id.to_string()))
    }

    async fn claim_taken(&self, taken: &Lease, connector: &ConnectorStamp, host: &str) -> Result<Lease, StoreError> {
        let claimed = claim(self, taken.scrap_id, Some(taken.epoch), connector, host).await?;
        claimed.ok_or_else(|| StoreError::new(Fault::LeaseLost, "claim the scrap", "somebody else has it"))
    }

    async fn finish(&self, lease: &Lease, end: &RunEnd<'_>) -> Result<bool, StoreError> {
        let sort = || sorted("end the scrap's run");
        let done = sqlx::query(super::statements::FINISH)
            .bind(lease.scrap_id)
            .bind(lease.epoch)
            .bind(end.state.name())
            .bind(end.reason)
            .bind(end.elapsed_ms)
            .bind(end.again_in.map(|wait| wait.as_secs_f64()))
            .bind(end.failures)
            .bind(end.as_asked)
            .execute(&self.pool)
            .await
            .map_err(sort())?;
        if done.rows_affected() > 0 {
            return Ok(true);
        }
        // The answer to an earlier try may have been lost, and an operator may have wanted
        // something else since.
        let ended = sqlx::query_scalar(ENDED).bind(lease.scrap_id).bind(lease.epoch).fetch_one(&self.pool).await;
        ended.map_err(sort())
    }

    async fn cancel(&self, id: i64, reason: &str) -> Result<bool, StoreError> {
        let done =
            sqlx::query(CANCEL).bind(id).bind(reason).execute(&self.pool).await.map_err(sorted("cancel the scrap"))?;
        Ok(done.rows_affected() > 0)
    }

    async fn connectors_in_use(&self) -> Result<Vec<String>, StoreError> {
        let digests = sqlx::query_scalar(CONNECTORS_IN_USE).fetch_all(&self.readers).await;
        digests.map_err(sorted("list the connectors that are needed"))
    }
}

impl SqlStore {
    /// The same scraps, with what their slices add up to.
    pub(super) async fn united(&self, mut scraps: Vec<Scrap>) -> Result<Vec<Scrap>, StoreError> {
        let Some((least, greatest)) = slices::range(&scraps) else { return Ok(scraps) };
        let together = sqlx::query_as(TOGETHER).bind(least).bind(greatest).fetch_all(&self.pool).await;
        slices::unite(&mut scraps, together.map_err(sorted("add up the scrap's slices"))?);
        Ok(scraps)
    }
}

/// Creates a scrap as a part of a transaction: with its first page, or with its slices.
pub(super) async fn insert_scrap(
    tx: &mut <Db as sqlx::Database>::Connection,
    scrap: &NewScrap,
) -> Result<i64, StoreError> {
    let sort = || sorted("create the scrap");
    let count = i32::try_from(scrap.slices.len()).unwrap_or(i32::MAX);
    let whole = (count > 0).then_some(());
    let own = std::iter::once((scrap.period.as_ref(), whole.is_some()));
    let slices = scrap.slices.iter().map(|period| (Some(period), false));
    let mut first = None;
    for (period, is_divided) in own.chain(slices) {
        let fresh = if scrap.paused { ScrapState::Pausado } else { ScrapState::Pendente };
        let state = if is_divided { slices::DIVIDED } else { fresh.name() };
        let id: i64 = sqlx::query_scalar(INSERT)
            .bind(scrap.cliente_id)
            .bind(&scrap.rota)
            .bind(period.map(|(from, _)| from))
            .bind(period.map(|(_, to)| to))
            .bind(scrap.page_size)
            .bind(&scrap.settings)
            .bind(scrap.host.as_ref().filter(|_| !is_divided))
            .bind(state)
            .bind(if is_divided { count } else { 0 })
            .bind(first)
            .bind(i64::from(!is_divided))
            .bind(scrap.batch)
            .bind(scrap.retries)
            .fetch_one(&mut *tx)
            .await
            .map_err(sort())?;
        if !is_divided {
            let root = sqlx::query(INSERT_ROOT).bind(id).bind(0).bind(CursorId::ROOT.0.as_slice());
            root.execute(&mut *tx).await.map_err(sort())?;
        }
        first = first.or(Some(id));
    }
    Ok(first.unwrap_or_default())
}

/// Claims a scrap, if it still has this epoch, or at any epoch where none is given. `None` if no
/// such scrap can be claimed.
async fn claim(
    store: &SqlStore,
    id: i64,
    epoch: Option<i64>,
    connector: &ConnectorStamp,
    host: &str,
) -> Result<Option<Lease>, StoreError> {
    let sort = || sorted("claim the scrap");
    let mut tx = store.pool.begin_with(BEGIN).await.map_err(sort())?;
    let claimed: Option<LeaseRow> = sqlx::query_as(CLAIM)
        .bind(id)
        .bind(&connector.version)
        .bind(&connector.sha256)
        .bind(connector.cursor_format)
        .bind(host)
        .bind(epoch)
        .fetch_optional(&mut *tx)
        .await
        .map_err(sort())?;
    let root = CursorId::ROOT.0.as_slice();
    let first = sqlx::query(FIRST_PAGE).bind(id).bind(root);
    if claimed.is_some() && first.execute(&mut *tx).await.map_err(sort())?.rows_affected() > 0 {
        sqlx::query(FIRST_PAGE_COUNTS).bind(id).execute(&mut *tx).await.map_err(sort())?;
    }
    tx.commit().await.map_err(sort())?;
    Ok(claimed.map(Lease::from))
}

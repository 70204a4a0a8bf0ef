//! Versions of connectors that ended a host's process: held on all hosts, for all read it here.

use async_trait::async_trait;
use atlas_model::{CursorId, NewQuarantine, QuarantineRow};
use atlas_store::{Quarantine, StoreError};

use super::dialect::{BEGIN, SqlStore};
use super::queue::LEAVE;
use crate::error::sorted;
use crate::values::{QuarantineColumns, values};

/// Versions that are listed, the newest: there is one for each fault of the engine that was found.
const QUARANTINED_MAX: i64 = 1_000;

const HOLD: &str = "INSERT INTO atlas_quarentena (sha256, rota, versao, sinal) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (sha256) DO NOTHING";

/// Puts the scraps of the dead process back into the queue, as a process does that ends in order;
/// pauses those that were to be paused.
const HAND_BACK: &str = "UPDATE scraps SET epoca = epoca + 1, \
       estado = CASE WHEN pedido = 'pausar' THEN 'pausado' ELSE 'interrompido' END, \
       retomar_em = CASE WHEN pedido = 'pausar' THEN NULL ELSE CURRENT_TIMESTAMP END, \
       motivo = CASE WHEN conector_sha256 = $2 THEN $3 ELSE $4 END, \
       pedido = NULL, host = NULL, terminado_em = CURRENT_TIMESTAMP \
     WHERE host = $1 AND estado = 'executando'";

/// Takes one failure off a scrap that another host has taken over since, and that did not cause the
/// crash: taking it over counted one.
const NOT_COUNTED: &str = "UPDATE scraps SET falhas = falhas - 1 WHERE id = $1 AND falhas > 0 \
       AND estado = 'executando' AND host <> $2 AND (conector_sha256 IS NULL OR conector_sha256 <> $3)";

const ALL: &str = "SELECT sha256, rota, versao, sinal FROM atlas_quarentena ORDER BY criado_em DESC, sha256 LIMIT $1";

const CURSOR: &str = "SELECT cursor FROM scrap_cursores WHERE scrap_id = $1 AND cursor_hash = $2 LIMIT 1";

/// Removes a version from quarantine, when the operator accepts it on every host.
pub(super) const RELEASE: &str = "DELETE FROM atlas_quarentena WHERE sha256 = $1";

#[async_trait]
impl Quarantine for SqlStore {
    async fn quarantine(&self, new: &NewQuarantine<'_>) -> Result<(), StoreError> {
        let sort = || sorted("hold the connector on all hosts");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        let hold = sqlx::query(HOLD).bind(new.sha256).bind(new.route);
        let hold = hold.bind(new.version).bind(new.signal);
        let is_new = hold.execute(&mut *tx).await.map_err(sort())?.rows_affected() > 0;
        let back = sqlx::query(HAND_BACK).bind(new.host).bind(new.sha256);
        let back = back.bind(new.reason).bind(new.reason_beside);
        back.execute(&mut *tx).await.map_err(sort())?;
        // Only the first time: a process that dies before it has forgotten the crash repeats this.
        for id in new.beside.iter().filter(|_| is_new) {
            let not_counted = sqlx::query(NOT_COUNTED).bind(id).bind(new.host);
            not_counted.bind(new.sha256).execute(&mut *tx).await.map_err(sort())?;
        }
        let left = sqlx::query(LEAVE).bind(new.host);
        left.execute(&mut *tx).await.map_err(sort())?;
        tx.commit().await.map_err(sort())
    }

    async fn quarantined(&self) -> Result<Vec<QuarantineRow>, StoreError> {
        let all = sqlx::query_as::<_, QuarantineColumns>(ALL).bind(QUARANTINED_MAX).fetch_all(&self.pool).await;
        all.map(values).map_err(sorted("list the connectors that are held on all hosts"))
    }

    async fn cursor(&self, scrap_id: i64, id: CursorId) -> Result<Option<String>, StoreError> {
        let found = sqlx::query_scalar(CURSOR).bind(scrap_id).bind(id.0.as_slice());
        let found: Option<Option<String>> = found.fetch_optional(&self.pool).await.map_err(sorted("read a cursor"))?;
        Ok(found.flatten())
    }
}

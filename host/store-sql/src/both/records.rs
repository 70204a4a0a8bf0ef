//! Records: written, rejected, and put into the table after all.

use async_trait::async_trait;
use atlas_model::{Lease, RecordRow, Rejected, RejectedRow};
use atlas_store::{Records, StoreError};

use super::browse::fitting;
use super::dialect::{BEGIN, SqlStore};
use super::insert;
use crate::error::{not_kept, sorted};
use crate::rows::RejectedRowOut;

const REJECTS: &str = "SELECT id, scrap_id, cliente_id, origem, cursor, cursor_hash, posicao, codigo, motivo, conteudo, \
       CAST(criado_em AS TEXT) AS criado_em, CAST(reprocessado_em AS TEXT) AS reprocessado_em \
     FROM dados_rejeitados \
     WHERE ($1 IS NULL OR scrap_id = $1 OR scrap_id IN (SELECT id FROM scraps WHERE fatia_de = $1)) AND id > $2 ORDER BY id LIMIT $3";

/// The sizes of rejected records, in the order in which they are read.
const REJECT_SIZES: &str = "SELECT CAST(LENGTH(conteudo) AS BIGINT) FROM dados_rejeitados \
     WHERE ($1 IS NULL OR scrap_id = $1 OR scrap_id IN (SELECT id FROM scraps WHERE fatia_de = $1)) AND id > $2 ORDER BY id LIMIT $3";

const REJECTED: &str = "SELECT id, scrap_id, cliente_id, origem, cursor, cursor_hash, posicao, codigo, motivo, conteudo, \
       CAST(criado_em AS TEXT) AS criado_em, CAST(reprocessado_em AS TEXT) AS reprocessado_em \
     FROM dados_rejeitados WHERE id = $1";

const REPLAYED: &str = "UPDATE dados_rejeitados SET reprocessado_em = CURRENT_TIMESTAMP \
     WHERE id = $1 AND reprocessado_em IS NULL";

/// Whether a row with this hash is there.
const IS_THERE: &str = "SELECT EXISTS (SELECT 1 FROM dados_raw WHERE hash_conteudo = $1)";

const REPLAY: &str = concat!(
    "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) VALUES ($1, $2, ",
    payload!(),
    ", $4) ON CONFLICT (hash_conteudo) DO NOTHING"
);

#[async_trait]
impl Records for SqlStore {
    async fn insert(&self, lease: &Lease, records: &[RecordRow<'_>]) -> Result<Vec<bool>, StoreError> {
        insert::insert(self, lease, records).await
    }

    async fn try_insert(&self, lease: &Lease) -> Result<(), StoreError> {
        insert::try_insert(self, lease).await
    }

    async fn reject(&self, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError> {
        insert::reject(self, lease, records).await
    }

    async fn rejects(&self, scrap_id: Option<i64>, after: i64, limit: i64) -> Result<Vec<Rejected>, StoreError> {
        let sort = || sorted("list the rejected records");
        let sizes: Vec<i64> = sqlx::query_scalar(REJECT_SIZES)
            .bind(scrap_id)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(sort())?;
        let rows: Vec<RejectedRowOut> = sqlx::query_as(REJECTS)
            .bind(scrap_id)
            .bind(after)
            .bind(fitting(&sizes))
            .fetch_all(&self.readers)
            .await
            .map_err(sort())?;
        Ok(rows.into_iter().map(Rejected::from).collect())
    }

    async fn rejected(&self, id: i64) -> Result<Option<Rejected>, StoreError> {
        let row: Option<RejectedRowOut> = sqlx::query_as(REJECTED)
            .bind(id)
            .fetch_optional(&self.readers)
            .await
            .map_err(sorted("look up the rejected record"))?;
        Ok(row.map(Rejected::from))
    }

    async fn replay(&self, rejected: &Rejected, record: &RecordRow<'_>) -> Result<Option<bool>, StoreError> {
        let sort = || sorted("put a rejected record into the table");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        let marked = sqlx::query(REPLAYED).bind(rejected.id).execute(&mut *tx).await.map_err(sort())?;
        if marked.rows_affected() == 0 {
            return Ok(None);
        }
        let inserted = sqlx::query(REPLAY)
            .bind(rejected.cliente_id)
            .bind(&rejected.origem)
            .bind(record.payload)
            .bind(record.hash)
            .execute(&mut *tx)
            .await
            .map_err(sort())?;
        let is_new = inserted.rows_affected() > 0;
        let is_there: bool = sqlx::query_scalar(IS_THERE).bind(record.hash).fetch_one(&mut *tx).await.map_err(sort())?;
        if !is_new && !is_there {
            return Err(not_kept("put a rejected record into the table"));
        }
        tx.commit().await.map_err(sort())?;
        Ok(Some(is_new))
    }
}

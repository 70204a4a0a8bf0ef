//! Writing records: `dados_raw` and `dados_rejeitados`. SQLite runs inside the process, so a statement for each row costs
//! no round trip; a batch is one transaction.

use sha2::{Digest, Sha256};
use sqlx::SqlitePool;

use super::super::error::StoreError;
use super::super::types::{Lease, RecordRow, RejectedRow};
use super::super::usage::ClientUsage;
use super::ledger::add_usage;

const INSERT: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     SELECT $1, $2, $3, $4 WHERE EXISTS (SELECT 1 FROM scraps WHERE id = $5 AND epoca = $6) \
     ON CONFLICT (hash_conteudo) DO NOTHING";

const REJECT: &str = "INSERT INTO dados_rejeitados \
       (scrap_id, cliente_id, origem, cursor_hash, cursor, posicao, conteudo_hash, codigo, motivo, conteudo) \
     SELECT id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM scraps WHERE id = $1 AND epoca = $2 \
     ON CONFLICT (scrap_id, cursor_hash, posicao, conteudo_hash) DO NOTHING";

pub(super) async fn insert(
    pool: &SqlitePool,
    lease: &Lease,
    records: &[RecordRow<'_>],
) -> Result<Vec<bool>, StoreError> {
    let sort = || StoreError::sort("insert records");
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
    let mut inserted = Vec::with_capacity(records.len());
    for record in records {
        let done = sqlx::query(INSERT)
            .bind(lease.cliente_id)
            .bind(&lease.origem)
            .bind(record.payload)
            .bind(record.hash)
            .bind(lease.scrap_id)
            .bind(lease.epoch)
            .execute(&mut *tx)
            .await
            .map_err(sort())?;
        inserted.push(done.rows_affected() == 1);
    }
    tx.commit().await.map_err(sort())?;
    Ok(inserted)
}

pub(super) async fn reject(pool: &SqlitePool, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError> {
    let sort = || StoreError::sort("keep rejected records");
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
    let mut more = ClientUsage::default();
    for record in records {
        let kept = sqlx::query(REJECT)
            // A statement that is kept keeps what was bound to it: a connector may have made 128 MiB of it.
            .persistent(false)
            .bind(lease.scrap_id)
            .bind(lease.epoch)
            .bind(lease.cliente_id)
            .bind(&lease.origem)
            .bind(record.page.cursor.0.as_slice())
            .bind(record.cursor)
            .bind(record.position)
            .bind(Sha256::digest(record.content).to_vec())
            .bind(record.code)
            .bind(record.reason)
            .bind(record.content)
            .execute(&mut *tx)
            .await
            .map_err(sort())?;
        if kept.rows_affected() > 0 {
            let bytes = record.content.len() + record.cursor.map_or(0, str::len);
            more.rejects += 1;
            more.reject_bytes += i64::try_from(bytes).unwrap_or(i64::MAX);
        }
    }
    if more.rejects > 0 {
        add_usage(&mut tx, lease.cliente_id, more).await.map_err(sort())?;
    }
    tx.commit().await.map_err(sort())
}

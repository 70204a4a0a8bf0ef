//! Writing records: `dados_raw` and `dados_rejeitados`. SQLite runs inside the process, so a
//! statement for each row costs no round trip; a batch is one transaction.

use std::collections::BTreeSet;

use atlas_model::{ClientUsage, Lease, RecordRow, RejectedRow};
use atlas_store::StoreError;
use sha2::{Digest, Sha256};
use sqlx::{Row, SqliteConnection};

use super::SqliteStore;
use super::ledger::add_usage;
use crate::error::{not_kept, sorted};
use crate::harmless::{HARMLESS, harmless_hash};

const INSERT: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     SELECT $1, $2, $3, $4 WHERE EXISTS (SELECT 1 FROM scraps WHERE id = $5 AND epoca = $6) \
     ON CONFLICT (hash_conteudo) DO NOTHING";

/// How many of these hashes are there, and whether the lease still holds: without it nothing is
/// inserted.
const ARE_THERE: &str = "SELECT (SELECT COUNT(DISTINCT hash_conteudo) FROM dados_raw \
       WHERE hash_conteudo IN (SELECT value FROM json_each($1))), \
     EXISTS (SELECT 1 FROM scraps WHERE id = $2 AND epoca = $3)";

const REJECT: &str = "INSERT INTO dados_rejeitados \
       (scrap_id, cliente_id, origem, cursor_hash, cursor, posicao, conteudo_hash, codigo, motivo, conteudo) \
     SELECT id, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM scraps WHERE id = $1 AND epoca = $2 \
     ON CONFLICT (scrap_id, cursor_hash, posicao, conteudo_hash) DO NOTHING";

pub(super) async fn insert(
    store: &SqliteStore,
    lease: &Lease,
    records: &[RecordRow<'_>],
) -> Result<Vec<bool>, StoreError> {
    let doing = "insert records";
    let mut tx = store.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sorted(doing))?;
    let inserted = insert_within(&mut tx, lease, records, doing).await?;
    tx.commit().await.map_err(sorted(doing))?;
    Ok(inserted)
}

/// Inserts a harmless record, and rolls it back.
pub(super) async fn try_insert(store: &SqliteStore, lease: &Lease) -> Result<(), StoreError> {
    let doing = "try to insert a record";
    let mut tx = store.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sorted(doing))?;
    insert_within(&mut tx, lease, &[RecordRow { payload: HARMLESS, hash: &harmless_hash() }], doing).await?;
    tx.rollback().await.map_err(sorted(doing))
}

async fn insert_within(
    connection: &mut SqliteConnection,
    lease: &Lease,
    records: &[RecordRow<'_>],
    doing: &'static str,
) -> Result<Vec<bool>, StoreError> {
    let sort = || sorted(doing);
    let mut inserted = Vec::with_capacity(records.len());
    for record in records {
        let done = sqlx::query(INSERT)
            .bind(lease.cliente_id)
            .bind(&lease.origem)
            .bind(record.payload)
            .bind(record.hash)
            .bind(lease.scrap_id)
            .bind(lease.epoch)
            .execute(&mut *connection)
            .await
            .map_err(sort())?;
        inserted.push(done.rows_affected() == 1);
    }
    let others = records.iter().zip(&inserted).filter(|(_, is_new)| !**is_new);
    let others: BTreeSet<&str> = others.map(|(record, _)| record.hash).collect();
    if !others.is_empty() && !are_there(connection, lease, &others).await.map_err(sort())? {
        return Err(not_kept(doing));
    }
    Ok(inserted)
}

/// Whether a row with each of these hashes is there. True where the lease is lost: then nothing was
/// to be inserted, and the run ends at its next checkpoint.
async fn are_there(
    connection: &mut SqliteConnection,
    lease: &Lease,
    hashes: &BTreeSet<&str>,
) -> Result<bool, sqlx::Error> {
    // Hexadecimal digits: nothing to be escaped.
    let list = format!("[\"{}\"]", hashes.iter().copied().collect::<Vec<_>>().join("\",\""));
    let row = sqlx::query(ARE_THERE).bind(list).bind(lease.scrap_id).bind(lease.epoch).fetch_one(connection).await?;
    let (there, holds): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
    Ok(!holds || usize::try_from(there).is_ok_and(|there| there == hashes.len()))
}

pub(super) async fn reject(store: &SqliteStore, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError> {
    let sort = || sorted("keep rejected records");
    let mut tx = store.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
    let mut more = ClientUsage::default();
    for record in records {
        let kept = sqlx::query(REJECT)
            // A statement that is kept keeps what was bound to it: a connector may have made 128
            // MiB of it.
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

//! Writing records: `dados_raw` and `dados_rejeitados`.

use std::collections::HashSet;

use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::super::error::StoreError;
use super::super::types::{Lease, RecordRow, RejectedRow};

// The conflict target is named: a conflict with any other unique index is an error, not a record quietly left out.
const INSERT_ONE: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     SELECT $1, $2, $3::text::jsonb, $4 WHERE EXISTS (SELECT 1 FROM scraps WHERE id = $5 AND epoca = $6) \
     ON CONFLICT (hash_conteudo) DO NOTHING";

const INSERT_MANY: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     SELECT $1, $2, p::jsonb, h FROM unnest($3::text[], $4::text[]) AS t(p, h) \
     WHERE EXISTS (SELECT 1 FROM scraps WHERE id = $5 AND epoca = $6) \
     ON CONFLICT (hash_conteudo) DO NOTHING RETURNING hash_conteudo";

const REJECT: &str = "INSERT INTO dados_rejeitados \
       (scrap_id, cliente_id, origem, cursor_hash, cursor, posicao, conteudo_hash, codigo, motivo, conteudo) \
     SELECT s.id, $3, $4, r.* \
     FROM unnest($5::bytea[], $6::text[], $7::bigint[], $8::bytea[], $9::text[], $10::text[], $11::bytea[]) AS r, scraps s \
     WHERE s.id = $1 AND s.epoca = $2 \
     ON CONFLICT (scrap_id, cursor_hash, posicao, conteudo_hash) DO NOTHING";

pub(super) async fn insert(pool: &PgPool, lease: &Lease, records: &[RecordRow<'_>]) -> Result<Vec<bool>, StoreError> {
    let doing = "insert records";
    if let [record] = records {
        let done = sqlx::query(INSERT_ONE)
            .bind(lease.cliente_id)
            .bind(&lease.origem)
            .bind(record.payload)
            .bind(record.hash)
            .bind(lease.scrap_id)
            .bind(lease.epoch)
            .execute(pool)
            .await
            .map_err(StoreError::sort(doing))?;
        return Ok(vec![done.rows_affected() == 1]);
    }
    let payloads: Vec<&str> = records.iter().map(|r| r.payload).collect();
    let hashes: Vec<&str> = records.iter().map(|r| r.hash).collect();
    let inserted: Vec<String> = sqlx::query_scalar(INSERT_MANY)
        .bind(lease.cliente_id)
        .bind(&lease.origem)
        .bind(&payloads)
        .bind(&hashes)
        .bind(lease.scrap_id)
        .bind(lease.epoch)
        .fetch_all(pool)
        .await
        .map_err(StoreError::sort(doing))?;
    if inserted.len() == records.len() {
        return Ok(vec![true; records.len()]);
    }
    // A hash that stands in the batch twice is new once: the first takes it out of the set.
    let mut inserted: HashSet<String> = inserted.into_iter().collect();
    Ok(hashes.into_iter().map(|hash| inserted.remove(hash)).collect())
}

pub(super) async fn reject(pool: &PgPool, lease: &Lease, records: &[RejectedRow<'_>]) -> Result<(), StoreError> {
    let digests: Vec<Vec<u8>> = records.iter().map(|r| Sha256::digest(r.content).to_vec()).collect();
    sqlx::query(REJECT)
        .bind(lease.scrap_id)
        .bind(lease.epoch)
        .bind(lease.cliente_id)
        .bind(&lease.origem)
        .bind(records.iter().map(|r| r.page.cursor.0.to_vec()).collect::<Vec<_>>())
        .bind(records.iter().map(|r| r.cursor).collect::<Vec<_>>())
        .bind(records.iter().map(|r| r.position).collect::<Vec<_>>())
        .bind(digests)
        .bind(records.iter().map(|r| r.code).collect::<Vec<_>>())
        .bind(records.iter().map(|r| r.reason).collect::<Vec<_>>())
        .bind(records.iter().map(|r| r.content).collect::<Vec<_>>())
        .execute(pool)
        .await
        .map_err(StoreError::sort("keep rejected records"))?;
    Ok(())
}

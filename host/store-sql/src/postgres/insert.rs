//! Writing records: `dados_raw` and `dados_rejeitados`.

use std::collections::HashSet;

use atlas_model::{Lease, RecordRow, RejectedRow};
use atlas_store::StoreError;
use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, Row};

use super::PostgresStore;
use crate::error::{not_kept, sorted};
use crate::harmless::{HARMLESS, harmless_hash};

// The conflict target is named: a conflict with any other unique index is an error, not a record
// quietly left out.
const INSERT_ONE: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     SELECT $1, $2, $3::text::jsonb, $4 WHERE EXISTS (SELECT 1 FROM scraps WHERE id = $5 AND epoca = $6) \
     ON CONFLICT (hash_conteudo) DO NOTHING";

const INSERT_MANY: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     SELECT $1, $2, p::jsonb, h FROM unnest($3::text[], $4::text[]) AS t(p, h) \
     WHERE EXISTS (SELECT 1 FROM scraps WHERE id = $5 AND epoca = $6) \
     ON CONFLICT (hash_conteudo) DO NOTHING";

/// Which of these rows this very transaction has inserted.
const INSERTED_HERE: &str = "SELECT hash_conteudo FROM dados_raw \
     WHERE hash_conteudo = ANY($1) AND xmin = pg_current_xact_id()::xid";

/// How many of these hashes are there, and whether the lease still holds: without it nothing is
/// inserted.
const ARE_THERE: &str = "SELECT (SELECT COUNT(DISTINCT hash_conteudo) FROM dados_raw WHERE hash_conteudo = ANY($1)), \
     EXISTS (SELECT 1 FROM scraps WHERE id = $2 AND epoca = $3)";

// The scrap's row is locked before the client's counters, as checkpoints do: the other way round,
// the two would wait for each other.
const REJECT: &str = "WITH dono AS (SELECT id FROM scraps WHERE id = $1 AND epoca = $2 FOR KEY SHARE), \
     mantidos AS (INSERT INTO dados_rejeitados \
         (scrap_id, cliente_id, origem, cursor_hash, cursor, posicao, conteudo_hash, codigo, motivo, conteudo) \
       SELECT dono.id, $3, $4, r.* \
       FROM unnest($5::bytea[], $6::text[], $7::bigint[], $8::bytea[], $9::text[], $10::text[], $11::bytea[]) AS r, dono \
       ON CONFLICT (scrap_id, cursor_hash, posicao, conteudo_hash) DO NOTHING \
       RETURNING OCTET_LENGTH(conteudo) + COALESCE(OCTET_LENGTH(cursor), 0) AS tamanho), \
     m AS (SELECT COUNT(*) AS quantos, COALESCE(SUM(tamanho), 0)::bigint AS bytes FROM mantidos) \
     INSERT INTO atlas_uso AS u (cliente_id, rejeitados, rejeitados_bytes) SELECT $3, quantos, bytes FROM m WHERE quantos > 0 \
     ON CONFLICT (cliente_id) DO UPDATE SET rejeitados = u.rejeitados + EXCLUDED.rejeitados, \
       rejeitados_bytes = u.rejeitados_bytes + EXCLUDED.rejeitados_bytes";

pub(super) async fn insert(
    store: &PostgresStore,
    lease: &Lease,
    records: &[RecordRow<'_>],
) -> Result<Vec<bool>, StoreError> {
    let doing = "insert records";
    let mut session = store.sessions.take().await.map_err(sorted(doing))?;
    let inserted = match records {
        [record] => insert_one(&mut session.connection, lease, record).await,
        _ => insert_many(&mut session.connection, lease, records).await,
    };
    let inserted = session.settle(inserted).map_err(sorted(doing))?;
    inserted.ok_or_else(|| not_kept(doing))
}

/// Inserts a harmless record, and rolls it back.
pub(super) async fn try_insert(store: &PostgresStore, lease: &Lease) -> Result<(), StoreError> {
    let doing = "try to insert a record";
    let mut session = store.sessions.take().await.map_err(sorted(doing))?;
    let hash = harmless_hash();
    let tried = async {
        let mut transaction = session.connection.begin().await?;
        let inserted = insert_one(&mut transaction, lease, &RecordRow { payload: HARMLESS, hash: &hash }).await;
        transaction.rollback().await?;
        inserted
    };
    let tried = tried.await;
    let inserted = session.settle(tried).map_err(sorted(doing))?;
    inserted.map(drop).ok_or_else(|| not_kept(doing))
}

async fn insert_one(
    connection: &mut PgConnection,
    lease: &Lease,
    record: &RecordRow<'_>,
) -> Result<Option<Vec<bool>>, sqlx::Error> {
    let done = sqlx::query(INSERT_ONE)
        .bind(lease.cliente_id)
        .bind(&lease.origem)
        .bind(record.payload)
        .bind(record.hash)
        .bind(lease.scrap_id)
        .bind(lease.epoch)
        .execute(&mut *connection)
        .await?;
    match done.rows_affected() {
        1 => Ok(Some(vec![true])),
        _ => Ok(are_there(connection, lease, &[record.hash]).await?.then(|| vec![false])),
    }
}

/// Whether a row with each of these hashes is there, however it came there. True where the lease is
/// lost: then nothing was to be inserted, and the run ends at its next checkpoint.
pub(super) async fn are_there(
    connection: &mut PgConnection,
    lease: &Lease,
    hashes: &[&str],
) -> Result<bool, sqlx::Error> {
    let row = sqlx::query(ARE_THERE).bind(hashes).bind(lease.scrap_id).bind(lease.epoch).fetch_one(connection).await?;
    let (there, holds): (i64, bool) = (row.try_get(0)?, row.try_get(1)?);
    let asked: HashSet<&str> = hashes.iter().copied().collect();
    Ok(!holds || usize::try_from(there).is_ok_and(|there| there == asked.len()))
}

/// Inserts a batch, and returns which rows are new. Nearly always all are, or none, and the number
/// of rows tells; `RETURNING` would take 3 µs a row, several times what the transaction's two round
/// trips take for a batch, so single rows are queried only when they differ.
async fn insert_many(
    connection: &mut PgConnection,
    lease: &Lease,
    records: &[RecordRow<'_>],
) -> Result<Option<Vec<bool>>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    match insert_and_tell(&mut transaction, lease, records).await {
        Ok(Some(inserted)) => {
            transaction.commit().await?;
            Ok(Some(inserted))
        }
        Ok(None) => {
            transaction.rollback().await?;
            Ok(None)
        }
        Err(error) => {
            // Rolled back now, not at the connection's next use: until then the server would hold
            // the transaction open. If this fails too, the first error is the one to report.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

async fn insert_and_tell(
    connection: &mut PgConnection,
    lease: &Lease,
    records: &[RecordRow<'_>],
) -> Result<Option<Vec<bool>>, sqlx::Error> {
    let payloads: Vec<&str> = records.iter().map(|r| r.payload).collect();
    let hashes: Vec<&str> = records.iter().map(|r| r.hash).collect();
    let done = sqlx::query(INSERT_MANY)
        .bind(lease.cliente_id)
        .bind(&lease.origem)
        .bind(&payloads)
        .bind(&hashes)
        .bind(lease.scrap_id)
        .bind(lease.epoch)
        .execute(&mut *connection)
        .await?;
    let all = usize::try_from(done.rows_affected()).is_ok_and(|rows| rows == records.len());
    if all {
        return Ok(Some(vec![true; records.len()]));
    }
    if !are_there(connection, lease, &hashes).await? {
        return Ok(None);
    }
    if done.rows_affected() == 0 {
        return Ok(Some(vec![false; records.len()]));
    }
    let inserted = sqlx::query_scalar(INSERTED_HERE).bind(&hashes).fetch_all(connection).await?;
    // A hash that stands in the batch twice is new once: the first takes it out of the set.
    let mut inserted: HashSet<String> = inserted.into_iter().collect();
    Ok(Some(hashes.into_iter().map(|hash| inserted.remove(hash)).collect()))
}

pub(super) async fn reject(
    store: &PostgresStore,
    lease: &Lease,
    records: &[RejectedRow<'_>],
) -> Result<(), StoreError> {
    let doing = "keep rejected records";
    let mut session = store.sessions.take().await.map_err(sorted(doing))?;
    let digests: Vec<Vec<u8>> = records.iter().map(|r| Sha256::digest(r.content).to_vec()).collect();
    let kept = sqlx::query(REJECT)
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
        .execute(&mut session.connection)
        .await;
    session.settle(kept).map_err(sorted(doing))?;
    Ok(())
}

//! The frontier's bookkeeping, in one transaction.

use atlas_model::{Checkpoint, ClientUsage, Counts, Lease, LedgerReceipt, PageEnd, PageKey};
use atlas_store::{Fault, StoreError};
use sqlx::{Row, Sqlite, Transaction};

use super::SqliteStore;
use crate::error::sorted;
use crate::values::ClientUsageRow;

const BEGIN: &str =
    "UPDATE scrap_cursores SET iniciado = TRUE WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3";

// A page that is not pending any more is left alone, which makes the whole transaction safe to
// repeat.
const DONE: &str = "UPDATE scrap_cursores SET estado = $4, iniciado = TRUE, tentativas = tentativas + $5, lidos = $6, \
       inseridos = $7, duplicados = $8, reencontrados = $9, rejeitados = $10, total_declarado = $11, membros = $12, \
       conteudo = $13, ramos = $14, repeticoes = $15, conector_sha256 = $16, gravado_em = CURRENT_TIMESTAMP \
     WHERE scrap_id = $1 AND varredura = $2 AND cursor_hash = $3 AND estado = 'pendente' \
     RETURNING COALESCE(OCTET_LENGTH(cursor), 0)";

const NEXT: &str = "INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash, cursor, pai_hash, profundidade) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (scrap_id, varredura, cursor_hash) DO NOTHING";

const ADD: &str = "UPDATE scraps SET fronteira = fronteira + $3, paginas = paginas + $4, lidos = lidos + $5, \
       inseridos = inseridos + $6, duplicados = duplicados + $7, reencontrados = reencontrados + $8, \
       rejeitados = rejeitados + $9, total_declarado = COALESCE($10, total_declarado), \
       falhas = CASE WHEN $4 > 0 THEN 0 ELSE falhas END, fronteira_bytes = MAX(0, fronteira_bytes + $11) \
     WHERE id = $1 AND epoca = $2 RETURNING fronteira, paginas, fronteira_bytes";

/// Adds to a client's counters: `$1` client, then each counter in the order of the columns. Gives
/// what they are then.
const ADD_USAGE: &str = concat!(
    "INSERT INTO atlas_uso AS u (cliente_id, ",
    usage_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (cliente_id) DO UPDATE SET \
       rejeitados = u.rejeitados + excluded.rejeitados, rejeitados_bytes = u.rejeitados_bytes + excluded.rejeitados_bytes, \
       cursores = u.cursores + excluded.cursores, cursores_bytes = u.cursores_bytes + excluded.cursores_bytes, \
       registros = u.registros + excluded.registros, registros_bytes = u.registros_bytes + excluded.registros_bytes \
     RETURNING ",
    usage_columns!()
);

pub(super) async fn write(
    store: &SqliteStore,
    lease: &Lease,
    begun: &[PageKey],
    done: &[Checkpoint],
) -> Result<LedgerReceipt, StoreError> {
    let doing = "checkpoint pages";
    // Dropped on the way out by an error, the transaction rolls back.
    let mut tx = store.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sorted(doing))?;
    for page in begun {
        sqlx::query(BEGIN)
            .bind(lease.scrap_id)
            .bind(page.sweep)
            .bind(page.cursor.0.as_slice())
            .execute(&mut *tx)
            .await
            .map_err(sorted(doing))?;
    }
    let (mut frontier, mut frontier_bytes) = (0, 0);
    let mut more = ClientUsage::default();
    let mut pages = 0;
    let mut counts = Counts::default();
    let mut declared = None;
    for page in done {
        let left = finish_page(&mut tx, lease, page).await.map_err(sorted(doing))?;
        if let Some(bytes) = left {
            frontier -= 1;
            frontier_bytes -= bytes;
            more.records += page.counts.inseridos;
            if page.page.sweep == 0 {
                more.records += page.counts.reencontrados;
            }
            more.record_bytes += page.row_bytes;
            declared = page.facts.total_records.or(declared);
            if page.end == PageEnd::Feita {
                pages += 1;
                counts += page.counts;
            }
        }
        let (entered, bytes) = enter_next(&mut tx, lease, page).await.map_err(sorted(doing))?;
        frontier += entered;
        frontier_bytes += bytes;
        more.cursors += entered;
        more.cursor_bytes += bytes;
    }
    let row = sqlx::query(ADD)
        .bind(lease.scrap_id)
        .bind(lease.epoch)
        .bind(frontier)
        .bind(pages)
        .bind(counts.lidos)
        .bind(counts.inseridos)
        .bind(counts.duplicados)
        .bind(counts.reencontrados)
        .bind(counts.rejeitados)
        .bind(declared)
        .bind(frontier_bytes)
        .fetch_optional(&mut *tx)
        .await
        .map_err(sorted(doing))?
        .ok_or_else(|| StoreError::new(Fault::LeaseLost, doing, "the scrap has a newer epoch"))?;
    let usage = match done {
        [] => ClientUsage::default(),
        _ => add_usage(&mut tx, lease.cliente_id, more).await.map_err(sorted(doing))?,
    };
    tx.commit().await.map_err(sorted(doing))?;
    let (frontier, pages) = (row.get("fronteira"), row.get("paginas"));
    Ok(LedgerReceipt { frontier, pages, frontier_bytes: row.get("fronteira_bytes"), usage })
}

/// Adds to what is kept for a client, and gives what that is then.
pub(super) async fn add_usage(
    tx: &mut Transaction<'_, Sqlite>,
    cliente_id: i32,
    more: ClientUsage,
) -> Result<ClientUsage, sqlx::Error> {
    let usage: ClientUsageRow = sqlx::query_as(ADD_USAGE)
        .bind(cliente_id)
        .bind(more.rejects)
        .bind(more.reject_bytes)
        .bind(more.cursors)
        .bind(more.cursor_bytes)
        .bind(more.records)
        .bind(more.record_bytes)
        .fetch_one(&mut **tx)
        .await?;
    Ok(usage.into())
}

/// Checkpoints a page, and returns the bytes of its cursor; `None` if it was not pending.
async fn finish_page(
    tx: &mut Transaction<'_, Sqlite>,
    lease: &Lease,
    page: &Checkpoint,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(DONE)
        .bind(lease.scrap_id)
        .bind(page.page.sweep)
        .bind(page.page.cursor.0.as_slice())
        .bind(page.end.name())
        .bind(page.attempts)
        .bind(page.counts.lidos)
        .bind(page.counts.inseridos)
        .bind(page.counts.duplicados)
        .bind(page.counts.reencontrados)
        .bind(page.counts.rejeitados)
        .bind(page.facts.total_records)
        .bind(page.facts.members.as_slice())
        .bind(page.facts.content.map(Vec::from))
        .bind(page.facts.branches.as_slice())
        .bind(page.facts.repeats)
        .bind(&page.connector_sha256)
        .fetch_optional(&mut **tx)
        .await
}

/// Inserts a page's next cursors, and returns how many were new, and their bytes.
async fn enter_next(
    tx: &mut Transaction<'_, Sqlite>,
    lease: &Lease,
    page: &Checkpoint,
) -> Result<(i64, i64), sqlx::Error> {
    let (mut entered, mut bytes) = (0, 0);
    for next in &page.next {
        let done = sqlx::query(NEXT)
            .bind(lease.scrap_id)
            .bind(page.page.sweep)
            .bind(next.id.0.as_slice())
            .bind(&next.cursor)
            .bind(page.page.cursor.0.as_slice())
            .bind(page.depth + 1)
            .execute(&mut **tx)
            .await?;
        if done.rows_affected() > 0 {
            entered += 1;
            bytes += i64::try_from(next.cursor.len()).unwrap_or(i64::MAX);
        }
    }
    Ok((entered, bytes))
}

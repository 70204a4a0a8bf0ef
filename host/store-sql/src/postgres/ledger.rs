//! The frontier's bookkeeping: one statement, so one round trip and one commit, however many pages
//! it covers.

use atlas_model::{Checkpoint, Lease, LedgerReceipt, PageEnd, PageKey};
use atlas_store::{Fault, StoreError};
use sqlx::{FromRow, Row};

use super::PostgresStore;
use crate::error::sorted;
use crate::values::ClientUsageRow;

// Rows that are known to be there are changed by INSERT … ON CONFLICT, because that goes by the
// primary key whatever the planner believes. A plain UPDATE joined with the arrays reads all
// cursors of the scrap as soon as the statistics are older than the scrap: a time that grows with
// the square of its pages. The scalar subquery keeps out pages that are not in the table, by the
// same key.
const BEGIN: &str = "WITH dono AS (SELECT id, fronteira, paginas FROM scraps WHERE id = $1 AND epoca = $2), \
     iniciadas AS (INSERT INTO scrap_cursores AS c (scrap_id, varredura, cursor_hash) \
       SELECT DISTINCT dono.id, b.varredura, b.h FROM dono, unnest($3::int[], $4::bytea[]) AS b(varredura, h) \
       WHERE (SELECT TRUE FROM scrap_cursores x \
         WHERE x.scrap_id = dono.id AND x.varredura = b.varredura AND x.cursor_hash = b.h) \
       ON CONFLICT (scrap_id, varredura, cursor_hash) DO UPDATE SET iniciado = TRUE WHERE NOT c.iniciado) \
     SELECT fronteira, paginas FROM dono";

// `dono` locks the scrap in the lease's epoch, and everything else hangs on it: without the lease
// nothing happens at all. A page that is not pending any more is left alone and adds nothing, which
// makes the whole statement safe to repeat.
const WRITE: &str = "WITH dono AS (SELECT id, cliente_id FROM scraps WHERE id = $1 AND epoca = $2 FOR UPDATE), \
     iniciadas AS (INSERT INTO scrap_cursores AS c (scrap_id, varredura, cursor_hash) \
       SELECT DISTINCT dono.id, b.varredura, b.h FROM dono, unnest($3::int[], $4::bytea[]) AS b(varredura, h) \
       WHERE (SELECT TRUE FROM scrap_cursores x \
         WHERE x.scrap_id = dono.id AND x.varredura = b.varredura AND x.cursor_hash = b.h) \
       ON CONFLICT (scrap_id, varredura, cursor_hash) DO UPDATE SET iniciado = TRUE WHERE NOT c.iniciado), \
     feitas AS (INSERT INTO scrap_cursores AS c (scrap_id, varredura, cursor_hash, estado, iniciado, tentativas, \
         lidos, inseridos, duplicados, reencontrados, rejeitados, total_declarado, membros, conteudo, \
         ramos, repeticoes, conector_sha256, gravado_em) \
       SELECT dono.id, d.varredura, d.h, d.estado, TRUE, d.tentativas, \
         d.lidos, d.inseridos, d.duplicados, d.reencontrados, d.rejeitados, d.total, d.membros, d.conteudo, \
         d.ramos, d.repeticoes, d.conector, NOW() \
       FROM dono, unnest($5::int[], $6::bytea[], $7::text[], $8::int[], $9::bigint[], $10::bigint[], $11::bigint[], \
           $12::bigint[], $13::bigint[], $14::bigint[], $15::bytea[], $16::bytea[], $17::bytea[], $18::int[], $19::text[]) \
         AS d(varredura, h, estado, tentativas, lidos, inseridos, duplicados, reencontrados, rejeitados, total, membros, \
           conteudo, ramos, repeticoes, conector) \
       WHERE (SELECT TRUE FROM scrap_cursores x \
         WHERE x.scrap_id = dono.id AND x.varredura = d.varredura AND x.cursor_hash = d.h) \
       ON CONFLICT (scrap_id, varredura, cursor_hash) DO UPDATE SET estado = EXCLUDED.estado, iniciado = TRUE, \
         tentativas = c.tentativas + EXCLUDED.tentativas, lidos = EXCLUDED.lidos, inseridos = EXCLUDED.inseridos, \
         duplicados = EXCLUDED.duplicados, reencontrados = EXCLUDED.reencontrados, rejeitados = EXCLUDED.rejeitados, \
         total_declarado = EXCLUDED.total_declarado, membros = EXCLUDED.membros, conteudo = EXCLUDED.conteudo, \
         ramos = EXCLUDED.ramos, repeticoes = EXCLUDED.repeticoes, conector_sha256 = EXCLUDED.conector_sha256, \
         gravado_em = EXCLUDED.gravado_em \
       WHERE c.estado = 'pendente' \
       RETURNING c.varredura, c.cursor_hash, OCTET_LENGTH(c.cursor) AS tamanho, \
         c.estado, c.lidos, c.inseridos, c.duplicados, c.reencontrados, c.rejeitados), \
     novas AS (INSERT INTO scrap_cursores (scrap_id, varredura, cursor_hash, cursor, pai_hash, profundidade) \
       SELECT dono.id, n.varredura, n.h, n.cursor, n.pai, n.profundidade \
       FROM dono, unnest($20::int[], $21::bytea[], $22::text[], $23::bytea[], $24::int[]) WITH ORDINALITY \
         AS n(varredura, h, cursor, pai, profundidade, lugar) ORDER BY n.lugar \
       ON CONFLICT (scrap_id, varredura, cursor_hash) DO NOTHING RETURNING OCTET_LENGTH(cursor) AS tamanho), \
     n AS (SELECT COUNT(*) AS entradas, COALESCE(SUM(tamanho), 0)::bigint AS bytes FROM novas), \
     f AS (SELECT COUNT(*) AS saidas, COALESCE(SUM(tamanho), 0)::bigint AS bytes, \
          COUNT(*) FILTER (WHERE estado = 'feita') AS paginas, \
          COALESCE(SUM(lidos), 0)::bigint AS lidos, COALESCE(SUM(inseridos), 0)::bigint AS inseridos, \
          COALESCE(SUM(duplicados), 0)::bigint AS duplicados, COALESCE(SUM(reencontrados), 0)::bigint AS reencontrados, \
          COALESCE(SUM(rejeitados), 0)::bigint AS rejeitados, \
          COALESCE(SUM(inseridos + CASE WHEN varredura = 0 THEN reencontrados ELSE 0 END), 0)::bigint AS linhas \
        FROM feitas), \
     l AS (SELECT COALESCE(SUM(b.bytes), 0)::bigint AS bytes FROM feitas \
        JOIN unnest($5::int[], $6::bytea[], $26::bigint[]) AS b(varredura, h, bytes) \
          ON b.varredura = feitas.varredura AND b.h = feitas.cursor_hash), \
     uso AS (INSERT INTO atlas_uso AS u (cliente_id, cursores, cursores_bytes, registros, registros_bytes) \
        SELECT dono.cliente_id, n.entradas, n.bytes, f.linhas, l.bytes FROM dono, n, f, l \
        ON CONFLICT (cliente_id) DO UPDATE SET cursores = u.cursores + EXCLUDED.cursores, \
          cursores_bytes = u.cursores_bytes + EXCLUDED.cursores_bytes, registros = u.registros + EXCLUDED.registros, \
          registros_bytes = u.registros_bytes + EXCLUDED.registros_bytes RETURNING u.*) \
     UPDATE scraps s SET fronteira = s.fronteira - f.saidas + n.entradas, \
       fronteira_bytes = GREATEST(0, s.fronteira_bytes - f.bytes + n.bytes), paginas = s.paginas + f.paginas, \
       lidos = s.lidos + f.lidos, inseridos = s.inseridos + f.inseridos, duplicados = s.duplicados + f.duplicados, \
       reencontrados = s.reencontrados + f.reencontrados, rejeitados = s.rejeitados + f.rejeitados, \
       total_declarado = CASE WHEN f.saidas > 0 THEN COALESCE($25, s.total_declarado) ELSE s.total_declarado END, \
       falhas = CASE WHEN f.paginas > 0 THEN 0 ELSE s.falhas END \
     FROM dono, f, n, uso WHERE s.id = dono.id RETURNING s.fronteira, s.paginas, s.fronteira_bytes, \
       uso.rejeitados, uso.rejeitados_bytes, uso.cursores, uso.cursores_bytes, uso.registros, uso.registros_bytes";

pub(super) async fn write(
    store: &PostgresStore,
    lease: &Lease,
    begun: &[PageKey],
    done: &[Checkpoint],
) -> Result<LedgerReceipt, StoreError> {
    let doing = "checkpoint pages";
    // A statement may change a row once, and a page that is done has begun.
    let begun: Vec<&PageKey> = begun.iter().filter(|p| !done.iter().any(|d| d.page == **p)).collect();
    let begun_sweeps: Vec<i32> = begun.iter().map(|p| p.sweep).collect();
    let begun_ids: Vec<&[u8]> = begun.iter().map(|p| p.cursor.0.as_slice()).collect();
    let statement = sqlx::query(if done.is_empty() { BEGIN } else { WRITE })
        .bind(lease.scrap_id)
        .bind(lease.epoch)
        .bind(begun_sweeps)
        .bind(begun_ids);
    let statement = if done.is_empty() {
        statement
    } else {
        let each = |f: fn(&Checkpoint) -> i64| done.iter().map(f).collect::<Vec<_>>();
        let next = || done.iter().flat_map(|d| d.next.iter().map(move |n| (d, n)));
        statement
            .bind(done.iter().map(|d| d.page.sweep).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.page.cursor.0.as_slice()).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.end.name()).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.attempts).collect::<Vec<_>>())
            .bind(each(|d| d.counts.lidos))
            .bind(each(|d| d.counts.inseridos))
            .bind(each(|d| d.counts.duplicados))
            .bind(each(|d| d.counts.reencontrados))
            .bind(each(|d| d.counts.rejeitados))
            .bind(done.iter().map(|d| d.facts.total_records).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.facts.members.as_slice()).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.facts.content.map(Vec::from)).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.facts.branches.as_slice()).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.facts.repeats).collect::<Vec<_>>())
            .bind(done.iter().map(|d| d.connector_sha256.as_str()).collect::<Vec<_>>())
            .bind(next().map(|(d, _)| d.page.sweep).collect::<Vec<_>>())
            .bind(next().map(|(_, n)| n.id.0.as_slice()).collect::<Vec<_>>())
            .bind(next().map(|(_, n)| n.cursor.as_str()).collect::<Vec<_>>())
            .bind(next().map(|(d, _)| d.page.cursor.0.as_slice()).collect::<Vec<_>>())
            .bind(next().map(|(d, _)| d.depth + 1).collect::<Vec<_>>())
            .bind(declared(done))
            .bind(each(|d| d.row_bytes))
    };
    let mut session = store.sessions.take().await.map_err(sorted(doing))?;
    let row = statement.fetch_optional(&mut session.connection).await;
    let row = session
        .settle(row)
        .map_err(sorted(doing))?
        .ok_or_else(|| StoreError::new(Fault::LeaseLost, doing, "the scrap has a newer epoch"))?;
    let (frontier, pages) = (row.get("fronteira"), row.get("paginas"));
    if done.is_empty() {
        return Ok(LedgerReceipt { frontier, pages, ..LedgerReceipt::default() });
    }
    let usage = ClientUsageRow::from_row(&row).map_err(sorted(doing))?;
    Ok(LedgerReceipt { frontier, pages, frontier_bytes: row.get("fronteira_bytes"), usage: usage.into() })
}

/// The total that the source declared last on these pages.
fn declared(done: &[Checkpoint]) -> Option<i64> {
    let last = |end: PageEnd| done.iter().rev().filter(move |d| d.end == end).find_map(|d| d.facts.total_records);
    last(PageEnd::Conferida).or_else(|| last(PageEnd::Feita))
}

//! Taking scraps, and the processes that run them. One writer at a time has the file, so that nothing else has to be locked.

use sqlx::SqlitePool;

use super::super::error::StoreError;
use super::super::queue::{Asked, Host, ORPHANS_MAX, Offer, Standing, TAKE_OVERS_MAX, WAITING_MAX};
use super::super::rows;
use super::super::types::{ConnectorStamp, CursorId, Lease, RunEnd};

/// Hosts that were not seen for so long are forgotten.
const FORGET: &str = "DELETE FROM atlas_hosts WHERE visto_em < strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 day')";

const BEAT: &str = "INSERT INTO atlas_hosts (id, nome, versao, validade_s) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (id) DO UPDATE SET visto_em = strftime('%Y-%m-%d %H:%M:%f', 'now'), validade_s = excluded.validade_s";

/// Of those that died before they did as they were asked; and what this host was asked to pause and does not run.
const PAUSE_ORPHANS: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'pausado', pedido = NULL, host = NULL, \
       terminado_em = CURRENT_TIMESTAMP \
     WHERE estado = 'executando' AND pedido = 'pausar' AND (host = $1 AND id NOT IN (SELECT value FROM json_each($2)) \
       OR $3 AND NOT EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = scraps.host \
         AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')))";

/// What host after host died with, as long as nobody else can be shown to be the cause. Beside them this one would be next.
const GIVE_UP: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'falhou', motivo = $3, host = NULL, terminado_em = CURRENT_TIMESTAMP \
     WHERE estado = 'executando' AND falhas >= $2 AND $1 AND NOT EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = scraps.host \
       AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds'))";

/// Whether something runs, by the table, whose host is not seen any more.
const ORPHANS: &str = "SELECT s.id FROM scraps s WHERE s.estado = 'executando' AND NOT EXISTS \
     (SELECT 1 FROM atlas_hosts h WHERE h.id = s.host \
       AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')) ORDER BY s.id LIMIT $1";

/// Of a host that does not know who lives, what the others run counts as running, whoever seems to be dead. The states stand in it
/// once more for the sake of the index.
macro_rules! first_of_each_client {
    () => {
        "WITH vivos AS (SELECT id FROM atlas_hosts \
       WHERE visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || validade_s || ' seconds')), \
     correndo AS (SELECT cliente_id, COUNT(*) AS n FROM scraps \
       WHERE estado = 'executando' AND (NOT $6 OR host = $1 OR host IN (SELECT id FROM vivos)) \
         AND NOT (host = $1 AND id NOT IN (SELECT value FROM json_each($4))) \
       GROUP BY cliente_id), \
     primeiros AS (SELECT c.cliente_id, COALESCE(r.n, 0) AS n, (SELECT s.id FROM scraps s \
         WHERE s.cliente_id = c.cliente_id AND s.estado IN ('pendente', 'executando', 'suspenso', 'interrompido') \
           AND s.id NOT IN (SELECT value FROM json_each($4)) AND s.rota IN (SELECT value FROM json_each($2)) \
           AND (s.conector_sha256 IS NULL OR s.conector_sha256 IN (SELECT value FROM json_each($3))) \
           AND s.pedido IS NULL \
           AND (s.retomar_em IS NULL OR s.retomar_em <= strftime('%Y-%m-%d %H:%M:%f', 'now')) \
           AND (s.estado = 'pendente' AND (s.host IS NULL OR s.host NOT IN (SELECT id FROM vivos)) \
             OR s.estado IN ('suspenso', 'interrompido') AND s.retomar_em IS NOT NULL \
             OR s.estado = 'executando' AND (s.host IS NULL \
               OR s.host = $1 \
               OR NOT EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = s.host) \
               OR $6 AND s.host NOT IN (SELECT id FROM vivos))) \
         ORDER BY s.id LIMIT 1) AS id \
       FROM clientes_tokens c LEFT JOIN correndo r ON r.cliente_id = c.cliente_id \
       WHERE COALESCE(c.ativo, TRUE) AND COALESCE(r.n, 0) < $5)"
    };
}

/// Takes the first of them.
const TAKE: &str = concat!(
    first_of_each_client!(),
    " UPDATE scraps SET estado = 'executando', epoca = epoca + 1, host = $1, \
       retirado_em = strftime('%Y-%m-%d %H:%M:%f', 'now'), retomar_em = NULL, motivo = NULL, \
       falhas = falhas + CASE WHEN estado = 'executando' THEN 1 ELSE 0 END \
     WHERE id = (SELECT p.id FROM primeiros p WHERE p.id IS NOT NULL ORDER BY p.n, \
       (SELECT MAX(u.retirado_em) FROM scraps u WHERE u.cliente_id = p.cliente_id) NULLS FIRST, p.id LIMIT 1) \
     RETURNING id, epoca, cliente_id, rota"
);

/// Whose they are. The order is that of `TAKE`.
const WAITING: &str = concat!(
    first_of_each_client!(),
    " SELECT p.cliente_id FROM primeiros p WHERE p.id IS NOT NULL ORDER BY p.n, \
       (SELECT MAX(u.retirado_em) FROM scraps u WHERE u.cliente_id = p.cliente_id) NULLS FIRST, p.id LIMIT $7"
);

const PAUSE: &str = "UPDATE scraps SET pedido = CASE WHEN v.vive THEN 'pausar' END, \
       estado = CASE WHEN v.vive THEN estado ELSE 'pausado' END, \
       epoca = CASE WHEN v.vive THEN epoca ELSE epoca + 1 END, \
       host = CASE WHEN v.vive THEN host END, \
       motivo = CASE WHEN v.vive THEN motivo ELSE $2 END, \
       retomar_em = NULL \
     FROM (SELECT x.id AS este, x.estado = 'executando' AND EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = x.host \
         AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')) AS vive \
       FROM scraps x WHERE x.id = $1) v \
     WHERE id = v.este AND estado IN ('pendente', 'executando', 'suspenso', 'interrompido') RETURNING pedido IS NOT NULL";

/// The time to go on is counted from the database's now, whose clock all hosts share. What was to be paused while it ended is not
/// taken again by itself; nor is paused what somebody wants to go on since it was asked to pause.
const FINISH: &str = "UPDATE scraps SET estado = CASE WHEN pedido = 'pausar' \
         AND $3 IN ('pendente', 'suspenso', 'interrompido') THEN 'pausado' \
         WHEN pedido IS NULL AND $8 THEN 'pendente' ELSE $3 END, motivo = $4, duracao_ms = duracao_ms + $5, host = NULL, pedido = NULL, \
       retomar_em = CASE WHEN pedido IS NULL THEN strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || $6 || ' seconds') END, falhas = $7, \
       terminado_em = CURRENT_TIMESTAMP WHERE id = $1 AND epoca = $2 AND estado = 'executando'";

/// Hosts that are seen and have something.
const HOLDERS: &str = "SELECT h.id, CAST(h.visto_em AS TEXT) FROM atlas_hosts h WHERE h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds') \
     AND EXISTS (SELECT 1 FROM scraps s WHERE s.host = h.id AND s.estado IN ('pendente', 'executando')) ORDER BY h.id LIMIT $1";

pub(super) async fn beat(pool: &SqlitePool, host: &Host) -> Result<(), StoreError> {
    let sort = || StoreError::sort("say that this host is alive");
    let lease = i32::try_from(host.lease.as_secs()).unwrap_or(i32::MAX);
    let known = sqlx::query(BEAT).bind(&host.id).bind(&host.name).bind(&host.version).bind(lease);
    known.execute(pool).await.map_err(sort())?;
    sqlx::query(FORGET).execute(pool).await.map_err(sort())?;
    Ok(())
}

pub(super) async fn leave(pool: &SqlitePool, host: &str) -> Result<(), StoreError> {
    let left = sqlx::query(rows::LEAVE).bind(host).execute(pool).await;
    left.map(drop).map_err(StoreError::sort("take this host off the list"))
}

pub(super) async fn take(pool: &SqlitePool, offer: &Offer<'_>) -> Result<Option<Lease>, StoreError> {
    let doing = "take the next scrap";
    let sort = || StoreError::sort(doing);
    let list = |list: serde_json::Result<String>| {
        list.map_err(|error| StoreError::new(super::super::Fault::Other, doing, error.to_string()))
    };
    let (routes, connectors) = (serde_json::to_string(offer.routes), serde_json::to_string(offer.connectors));
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
    let running = list(serde_json::to_string(offer.running))?;
    let orphans = sqlx::query(PAUSE_ORPHANS).bind(offer.host).bind(&running).bind(offer.may_take_over);
    orphans.execute(&mut *tx).await.map_err(sort())?;
    let given_up = sqlx::query(GIVE_UP).bind(offer.may_take_over).bind(TAKE_OVERS_MAX).bind(offer.reason_to_give_up);
    given_up.execute(&mut *tx).await.map_err(sort())?;
    let taken: Option<rows::LeaseRow> = sqlx::query_as(TAKE)
        .bind(offer.host)
        .bind(list(routes)?)
        .bind(list(connectors)?)
        .bind(running)
        .bind(offer.per_client)
        .bind(offer.may_take_over)
        .fetch_optional(&mut *tx)
        .await
        .map_err(sort())?;
    tx.commit().await.map_err(sort())?;
    Ok(taken.map(Lease::from))
}

/// The clients whose scraps could be taken.
pub(super) async fn waiting(pool: &SqlitePool, offer: &Offer<'_>) -> Result<Vec<i32>, StoreError> {
    let doing = "look whose scraps wait";
    let list = |list: serde_json::Result<String>| {
        list.map_err(|error| StoreError::new(super::super::Fault::Other, doing, error.to_string()))
    };
    let waiting = sqlx::query_scalar(WAITING)
        .bind(offer.host)
        .bind(list(serde_json::to_string(offer.routes))?)
        .bind(list(serde_json::to_string(offer.connectors))?)
        .bind(list(serde_json::to_string(offer.running))?)
        .bind(offer.per_client)
        .bind(offer.may_take_over)
        .bind(WAITING_MAX)
        .fetch_all(pool);
    waiting.await.map_err(StoreError::sort(doing))
}

/// Takes a scrap for running, if it still has this epoch, or whatever epoch it has. None: no such scrap.
pub(super) async fn claim(
    pool: &SqlitePool,
    id: i64,
    epoch: Option<i64>,
    connector: &ConnectorStamp,
    host: &str,
) -> Result<Option<Lease>, StoreError> {
    let sort = || StoreError::sort("claim the scrap");
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
    let claimed: Option<rows::LeaseRow> = sqlx::query_as(rows::CLAIM)
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
    let first = sqlx::query(rows::FIRST_PAGE).bind(id).bind(root);
    if claimed.is_some() && first.execute(&mut *tx).await.map_err(sort())?.rows_affected() > 0 {
        sqlx::query(rows::FIRST_PAGE_COUNTS).bind(id).execute(&mut *tx).await.map_err(sort())?;
    }
    tx.commit().await.map_err(sort())?;
    Ok(claimed.map(Lease::from))
}

pub(super) async fn orphans(pool: &SqlitePool) -> Result<Vec<i64>, StoreError> {
    let ids = sqlx::query_scalar(ORPHANS).bind(ORPHANS_MAX).fetch_all(pool).await;
    ids.map_err(StoreError::sort("look for scraps of dead hosts"))
}

pub(super) async fn holders(pool: &SqlitePool) -> Result<Vec<(String, String)>, StoreError> {
    let hosts = sqlx::query_as(HOLDERS).bind(ORPHANS_MAX).fetch_all(pool).await;
    hosts.map_err(StoreError::sort("look for hosts that run something"))
}

pub(super) async fn standing(pool: &SqlitePool, lease: &Lease) -> Result<Standing, StoreError> {
    let asked = sqlx::query_scalar(rows::STANDING).bind(lease.scrap_id).bind(lease.epoch).fetch_optional(pool).await;
    Ok(rows::standing(asked.map_err(StoreError::sort("check the lease"))?))
}

pub(super) async fn pause(pool: &SqlitePool, id: i64, reason: &str) -> Result<Asked, StoreError> {
    let lives: Option<bool> = sqlx::query_scalar(PAUSE)
        .bind(id)
        .bind(reason)
        .fetch_optional(pool)
        .await
        .map_err(StoreError::sort("pause the scrap"))?;
    Ok(rows::asked(lives))
}

pub(super) async fn requeue(pool: &SqlitePool, id: i64) -> Result<Asked, StoreError> {
    let runs: Option<bool> = sqlx::query_scalar(rows::REQUEUE)
        .bind(id)
        .fetch_optional(pool)
        .await
        .map_err(StoreError::sort("put the scrap back into the queue"))?;
    Ok(rows::asked(runs))
}

pub(super) async fn finish(pool: &SqlitePool, lease: &Lease, end: &RunEnd<'_>) -> Result<bool, StoreError> {
    let done = sqlx::query(FINISH)
        .bind(lease.scrap_id)
        .bind(lease.epoch)
        .bind(end.state.name())
        .bind(end.reason)
        .bind(end.elapsed_ms)
        .bind(end.again_in.map(|wait| wait.as_secs_f64()))
        .bind(end.failures)
        .bind(end.as_asked)
        .execute(pool)
        .await
        .map_err(StoreError::sort("end the scrap's run"))?;
    if done.rows_affected() > 0 {
        return Ok(true);
    }
    // The answer to an earlier try may have been lost, and an operator may have wanted something else since.
    let ended = sqlx::query_scalar(rows::ENDED).bind(lease.scrap_id).bind(lease.epoch).fetch_one(pool).await;
    ended.map_err(StoreError::sort("end the scrap's run"))
}

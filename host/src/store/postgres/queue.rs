//! Taking scraps, and the processes that run them.

use sqlx::postgres::PgPool;

use super::super::brief::{BEGIN_BRIEFLY, Brief};
use super::super::error::StoreError;
use super::super::queue::{Asked, Host, ORPHANS_MAX, Offer, Standing, TAKE_OVERS_MAX, WAITING_MAX};
use super::super::rows;
use super::super::types::{ConnectorStamp, CursorId, Lease, RunEnd};

/// One at a time takes a scrap: only so is the number that a client has running what it seems. Held until it is taken.
const TAKE_LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('atlas: fila', 0))";

/// Hosts that were not seen for so long are forgotten.
const FORGET: &str = "DELETE FROM atlas_hosts WHERE visto_em < NOW() - INTERVAL '1 day'";

const BEAT: &str = "INSERT INTO atlas_hosts (id, nome, versao, validade_s) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (id) DO UPDATE SET visto_em = NOW(), validade_s = EXCLUDED.validade_s";

/// Of those that died before they did as they were asked; and what this host was asked to pause and does not run.
const PAUSE_ORPHANS: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'pausado', pedido = NULL, host = NULL, \
       terminado_em = NOW() \
     WHERE estado = 'executando' AND pedido = 'pausar' AND (host = $1 AND id <> ALL($2) \
       OR $3 AND NOT EXISTS (SELECT 1 FROM atlas_hosts h \
         WHERE h.id = scraps.host AND h.visto_em > NOW() - make_interval(secs => h.validade_s)))";

/// What host after host died with, as long as nobody else can be shown to be the cause. Beside them this one would be next.
const GIVE_UP: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'falhou', motivo = $3, host = NULL, terminado_em = NOW() \
     WHERE estado = 'executando' AND falhas >= $2 AND $1 AND NOT EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = scraps.host \
       AND h.visto_em > NOW() - make_interval(secs => h.validade_s))";

/// Whether something runs, by the table, whose host is not seen any more.
const ORPHANS: &str = "SELECT s.id FROM scraps s WHERE s.estado = 'executando' AND NOT EXISTS \
     (SELECT 1 FROM atlas_hosts h WHERE h.id = s.host AND h.visto_em > NOW() - make_interval(secs => h.validade_s)) ORDER BY s.id LIMIT $1";

/// Hosts that are seen and have something.
const HOLDERS: &str = "SELECT h.id, CAST(h.visto_em AS TEXT) FROM atlas_hosts h WHERE h.visto_em > NOW() - make_interval(secs => h.validade_s) \
     AND EXISTS (SELECT 1 FROM scraps s WHERE s.host = h.id AND s.estado IN ('pendente', 'executando')) ORDER BY h.id LIMIT $1";

/// Of a host that does not know who lives, what the others run counts as running, whoever seems to be dead. The states stand in it
/// once more for the sake of the index. Others change scraps without the lock: the row has to be as it was when it was chosen.
macro_rules! first_of_each_client {
    () => {
        "WITH vivos AS (SELECT id FROM atlas_hosts WHERE visto_em > NOW() - make_interval(secs => validade_s)), \
     correndo AS (SELECT cliente_id, COUNT(*) AS n FROM scraps \
       WHERE estado = 'executando' AND (NOT $6 OR host = $1 OR host IN (SELECT id FROM vivos)) \
         AND NOT (host = $1 AND id <> ALL($4)) \
       GROUP BY cliente_id), \
     primeiros AS MATERIALIZED (SELECT c.cliente_id, COALESCE(r.n, 0) AS n, (SELECT s.id FROM scraps s \
         WHERE s.cliente_id = c.cliente_id AND s.estado IN ('pendente', 'executando', 'suspenso', 'interrompido') \
           AND s.id <> ALL($4) AND s.rota = ANY($2) \
           AND (s.conector_sha256 IS NULL OR s.conector_sha256 = ANY($3)) AND s.pedido IS NULL \
           AND (s.retomar_em IS NULL OR s.retomar_em <= NOW()) \
           AND (s.estado = 'pendente' AND (s.host IS NULL OR s.host NOT IN (SELECT id FROM vivos)) \
             OR s.estado IN ('suspenso', 'interrompido') AND s.retomar_em IS NOT NULL \
             OR s.estado = 'executando' AND (s.host IS NULL OR s.host = $1 \
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
    ", escolhido AS (SELECT p.id FROM primeiros p WHERE p.id IS NOT NULL ORDER BY p.n, \
         (SELECT MAX(u.retirado_em) FROM scraps u WHERE u.cliente_id = p.cliente_id) NULLS FIRST, p.id LIMIT 1) \
     UPDATE scraps s SET estado = 'executando', epoca = s.epoca + 1, host = $1, retirado_em = clock_timestamp(), \
       retomar_em = NULL, motivo = NULL, falhas = s.falhas + CASE WHEN s.estado = 'executando' THEN 1 ELSE 0 END \
     FROM escolhido e JOIN scraps visto ON visto.id = e.id \
     WHERE s.id = e.id AND s.epoca = visto.epoca AND s.estado = visto.estado AND s.pedido IS NULL RETURNING s.id, s.epoca, s.cliente_id, s.rota"
);

/// Whose they are. The order is that of `TAKE`.
const WAITING: &str = concat!(
    first_of_each_client!(),
    " SELECT p.cliente_id FROM primeiros p WHERE p.id IS NOT NULL ORDER BY p.n, \
       (SELECT MAX(u.retirado_em) FROM scraps u WHERE u.cliente_id = p.cliente_id) NULLS FIRST, p.id LIMIT $7"
);

const PAUSE: &str = "UPDATE scraps s SET pedido = CASE WHEN v.vive THEN 'pausar' END, \
       estado = CASE WHEN v.vive THEN s.estado ELSE 'pausado' END, \
       epoca = CASE WHEN v.vive THEN s.epoca ELSE s.epoca + 1 END, \
       host = CASE WHEN v.vive THEN s.host END, \
       motivo = CASE WHEN v.vive THEN s.motivo ELSE $2 END, \
       retomar_em = NULL \
     FROM (SELECT x.id, x.estado = 'executando' AND EXISTS (SELECT 1 FROM atlas_hosts h \
         WHERE h.id = x.host AND h.visto_em > NOW() - make_interval(secs => h.validade_s)) AS vive \
       FROM scraps x WHERE x.id = $1 FOR UPDATE) v \
     WHERE s.id = v.id AND s.estado IN ('pendente', 'executando', 'suspenso', 'interrompido') RETURNING v.vive";

/// The time to go on is counted from the database's now, whose clock all hosts share. What was to be paused while it ended is not
/// taken again by itself; nor is paused what somebody wants to go on since it was asked to pause.
const FINISH: &str = "UPDATE scraps SET estado = CASE WHEN pedido = 'pausar' \
         AND $3 IN ('pendente', 'suspenso', 'interrompido') THEN 'pausado' \
         WHEN pedido IS NULL AND $8 THEN 'pendente' ELSE $3 END, motivo = $4, duracao_ms = duracao_ms + $5, host = NULL, pedido = NULL, \
       retomar_em = CASE WHEN pedido IS NULL THEN NOW() + make_interval(secs => $6) END, falhas = $7, \
       terminado_em = CURRENT_TIMESTAMP WHERE id = $1 AND epoca = $2 AND estado = 'executando'";

pub(super) async fn beat(pool: &PgPool, host: &Host) -> Result<(), StoreError> {
    let lease = i32::try_from(host.lease.as_secs()).unwrap_or(i32::MAX);
    let known = sqlx::query(BEAT).bind(&host.id).bind(&host.name).bind(&host.version).bind(lease);
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "say that this host is alive").await?;
    known.execute(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await?;
    // Apart: what is known of this host is not to wait for a lock on another's row.
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "forget hosts that are gone").await?;
    sqlx::query(FORGET).execute(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await
}

pub(super) async fn leave(pool: &PgPool, host: &str) -> Result<(), StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "take this host off the list").await?;
    sqlx::query(rows::LEAVE).bind(host).execute(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await
}

pub(super) async fn take(pool: &PgPool, offer: &Offer<'_>) -> Result<Option<Lease>, StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "take the next scrap").await?;
    sqlx::query(TAKE_LOCK).execute(&mut *tx).await.map_err(tx.sort())?;
    let orphans = sqlx::query(PAUSE_ORPHANS).bind(offer.host).bind(offer.running).bind(offer.may_take_over);
    orphans.execute(&mut *tx).await.map_err(tx.sort())?;
    let given_up = sqlx::query(GIVE_UP).bind(offer.may_take_over).bind(TAKE_OVERS_MAX).bind(offer.reason_to_give_up);
    given_up.execute(&mut *tx).await.map_err(tx.sort())?;
    let taken: Option<rows::LeaseRow> = sqlx::query_as(TAKE)
        .bind(offer.host)
        .bind(offer.routes)
        .bind(offer.connectors)
        .bind(offer.running)
        .bind(offer.per_client)
        .bind(offer.may_take_over)
        .fetch_optional(&mut *tx)
        .await
        .map_err(tx.sort())?;
    tx.commit().await?;
    Ok(taken.map(Lease::from))
}

/// The clients whose scraps could be taken.
pub(super) async fn waiting(pool: &PgPool, offer: &Offer<'_>) -> Result<Vec<i32>, StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "look whose scraps wait").await?;
    let waiting = sqlx::query_scalar(WAITING)
        .bind(offer.host)
        .bind(offer.routes)
        .bind(offer.connectors)
        .bind(offer.running)
        .bind(offer.per_client)
        .bind(offer.may_take_over)
        .bind(WAITING_MAX)
        .fetch_all(&mut *tx)
        .await
        .map_err(tx.sort())?;
    tx.commit().await?;
    Ok(waiting)
}

/// Takes a scrap for running, if it still has this epoch, or whatever epoch it has. None: no such scrap.
pub(super) async fn claim(
    pool: &PgPool,
    id: i64,
    epoch: Option<i64>,
    connector: &ConnectorStamp,
    host: &str,
) -> Result<Option<Lease>, StoreError> {
    let sort = || StoreError::sort("claim the scrap");
    let mut tx = pool.begin().await.map_err(sort())?;
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

pub(super) async fn orphans(pool: &PgPool) -> Result<Vec<i64>, StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "look for scraps of dead hosts").await?;
    let ids = sqlx::query_scalar(ORPHANS).bind(ORPHANS_MAX).fetch_all(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await?;
    Ok(ids)
}

pub(super) async fn holders(pool: &PgPool) -> Result<Vec<(String, String)>, StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "look for hosts that run something").await?;
    let hosts = sqlx::query_as(HOLDERS).bind(ORPHANS_MAX).fetch_all(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await?;
    Ok(hosts)
}

pub(super) async fn standing(pool: &PgPool, lease: &Lease) -> Result<Standing, StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "check the lease").await?;
    let asked = sqlx::query_scalar(rows::STANDING).bind(lease.scrap_id).bind(lease.epoch);
    let asked = asked.fetch_optional(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await?;
    Ok(rows::standing(asked))
}

pub(super) async fn pause(pool: &PgPool, id: i64, reason: &str) -> Result<Asked, StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "pause the scrap").await?;
    let lives: Option<bool> =
        sqlx::query_scalar(PAUSE).bind(id).bind(reason).fetch_optional(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await?;
    Ok(rows::asked(lives))
}

pub(super) async fn requeue(pool: &PgPool, id: i64) -> Result<Asked, StoreError> {
    let mut tx = Brief::begin(pool, BEGIN_BRIEFLY, "put the scrap back into the queue").await?;
    let runs: Option<bool> =
        sqlx::query_scalar(rows::REQUEUE).bind(id).fetch_optional(&mut *tx).await.map_err(tx.sort())?;
    tx.commit().await?;
    Ok(rows::asked(runs))
}

pub(super) async fn finish(pool: &PgPool, lease: &Lease, end: &RunEnd<'_>) -> Result<bool, StoreError> {
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

//! The statements of the queue, as SQLite has them.

/// Hosts that were not seen for so long are forgotten.
pub(super) const FORGET: &str =
    "DELETE FROM atlas_hosts WHERE visto_em < strftime('%Y-%m-%d %H:%M:%f', 'now', '-1 day')";

pub(super) const BEAT: &str = "INSERT INTO atlas_hosts (id, nome, versao, validade_s) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (id) DO UPDATE SET visto_em = strftime('%Y-%m-%d %H:%M:%f', 'now'), validade_s = excluded.validade_s";

/// Pauses scraps that were to be paused and whose host died before it did, or is this one although
/// it does not run them.
pub(super) const PAUSE_ORPHANS: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'pausado', pedido = NULL, host = NULL, \
       terminado_em = CURRENT_TIMESTAMP \
     WHERE estado = 'executando' AND pedido = 'pausar' AND (host = $1 AND id NOT IN (SELECT value FROM json_each($2)) \
       OR $3 AND NOT EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = scraps.host \
         AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')))";

/// Gives up scraps that host after host died with: perhaps they are the cause, and the next host
/// that took one would die too.
pub(super) const GIVE_UP: &str = "UPDATE scraps SET epoca = epoca + 1, estado = 'falhou', motivo = $3, host = NULL, terminado_em = CURRENT_TIMESTAMP \
     WHERE estado = 'executando' AND falhas >= $2 AND $1 AND NOT EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = scraps.host \
       AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds'))";

/// Scraps marked as running whose host is not seen any more.
pub(super) const ORPHANS: &str = "SELECT s.id FROM scraps s WHERE s.estado = 'executando' AND NOT EXISTS \
     (SELECT 1 FROM atlas_hosts h WHERE h.id = s.host \
       AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')) ORDER BY s.id LIMIT $1";

/// The next scrap of each client, in the order of the queue. For a host that may not judge others
/// as dead, all scraps marked as running count as such. The states are repeated for the sake of the
/// index.
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

/// Takes the first scrap of the queue.
pub(super) const TAKE: &str = concat!(
    first_of_each_client!(),
    " UPDATE scraps SET estado = 'executando', epoca = epoca + 1, host = $1, \
       retirado_em = strftime('%Y-%m-%d %H:%M:%f', 'now'), retomar_em = NULL, motivo = NULL, \
       falhas = falhas + CASE WHEN estado = 'executando' THEN 1 ELSE 0 END \
     WHERE id = (SELECT p.id FROM primeiros p WHERE p.id IS NOT NULL ORDER BY p.n, \
       (SELECT MAX(u.retirado_em) FROM scraps u WHERE u.cliente_id = p.cliente_id) NULLS FIRST, p.id LIMIT 1) \
     RETURNING id, epoca, cliente_id, rota"
);

/// The clients whose scraps wait, in the order in which `TAKE` would serve them.
pub(super) const WAITING: &str = concat!(
    first_of_each_client!(),
    " SELECT p.cliente_id FROM primeiros p WHERE p.id IS NOT NULL ORDER BY p.n, \
       (SELECT MAX(u.retirado_em) FROM scraps u WHERE u.cliente_id = p.cliente_id) NULLS FIRST, p.id LIMIT $7"
);

pub(super) const PAUSE: &str = "UPDATE scraps SET pedido = CASE WHEN v.vive THEN 'pausar' END, \
       estado = CASE WHEN v.vive THEN estado ELSE 'pausado' END, \
       epoca = CASE WHEN v.vive THEN epoca ELSE epoca + 1 END, \
       host = CASE WHEN v.vive THEN host END, \
       motivo = CASE WHEN v.vive THEN motivo ELSE $2 END, \
       retomar_em = NULL \
     FROM (SELECT x.id AS este, x.estado = 'executando' AND EXISTS (SELECT 1 FROM atlas_hosts h WHERE h.id = x.host \
         AND h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')) AS vive \
       FROM scraps x WHERE x.id = $1) v \
     WHERE id = v.este AND estado IN ('pendente', 'executando', 'suspenso', 'interrompido') RETURNING pedido IS NOT NULL";

/// Records the end of a run. The time to go on is counted from the database's now, whose clock all
/// hosts share. A scrap that was to be paused while its run ended is paused; one whose pause was
/// withdrawn meanwhile goes back into the queue.
pub(super) const FINISH: &str = "UPDATE scraps SET estado = CASE WHEN pedido = 'pausar' \
         AND $3 IN ('pendente', 'suspenso', 'interrompido') THEN 'pausado' \
         WHEN pedido IS NULL AND $8 THEN 'pendente' ELSE $3 END, motivo = $4, duracao_ms = duracao_ms + $5, host = NULL, pedido = NULL, \
       retomar_em = CASE WHEN pedido IS NULL THEN strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || $6 || ' seconds') END, falhas = $7, \
       terminado_em = CURRENT_TIMESTAMP WHERE id = $1 AND epoca = $2 AND estado = 'executando'";

/// Hosts that are seen and hold scraps.
pub(super) const HOLDERS: &str = "SELECT h.id, CAST(h.visto_em AS TEXT) FROM atlas_hosts h WHERE h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds') \
     AND EXISTS (SELECT 1 FROM scraps s WHERE s.host = h.id AND s.estado IN ('pendente', 'executando')) ORDER BY h.id LIMIT $1";

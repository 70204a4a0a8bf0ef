//! A scrap's history: the last lines of its log, and its pace, over its runs on all hosts. Bounded
//! for each scrap and for each client.

use async_trait::async_trait;
use atlas_model::{HISTORIES_KEPT, HistoryPlace, LINES_KEPT, LogLine, PacePoint};
use atlas_store::{History, StoreError};

use super::dialect::{BEGIN, SqlStore};
use crate::error::sorted;
use crate::values::{HistoryPlaceRow, LogLineRow, PacePointRow, values};

/// The histories of those scraps of a client that are older than its newest ones.
const FORGET: [&str; 2] = [
    "DELETE FROM scrap_linhas WHERE cliente_id = $1 AND scrap_id < (SELECT MIN(id) FROM \
       (SELECT id FROM scraps WHERE cliente_id = $1 ORDER BY id DESC LIMIT $2) AS newest)",
    "DELETE FROM scrap_ritmo WHERE cliente_id = $1 AND scrap_id < (SELECT MIN(id) FROM \
       (SELECT id FROM scraps WHERE cliente_id = $1 ORDER BY id DESC LIMIT $2) AS newest)",
];

const PLACE: &str = "SELECT s.cliente_id, \
       (SELECT COALESCE(MAX(l.ordem) + 1, 0) FROM scrap_linhas l \
         WHERE l.cliente_id = s.cliente_id AND l.scrap_id = s.id) AS linhas, \
       (SELECT COALESCE(MAX(r.ordem) + 1, 0) FROM scrap_ritmo r \
         WHERE r.cliente_id = s.cliente_id AND r.scrap_id = s.id) AS pontos \
     FROM scraps s WHERE s.id = $1";

const ADD_LINE: &str = "INSERT INTO scrap_linhas (cliente_id, scrap_id, lugar, ordem, em, aviso) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (cliente_id, scrap_id, lugar) DO UPDATE \
     SET ordem = EXCLUDED.ordem, em = EXCLUDED.em, aviso = EXCLUDED.aviso WHERE scrap_linhas.ordem < EXCLUDED.ordem";

const ADD_POINT: &str = "INSERT INTO scrap_ritmo (cliente_id, scrap_id, ordem, em, por_segundo, pagina_ms) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (cliente_id, scrap_id, ordem) DO NOTHING";

const THIN: &str = "DELETE FROM scrap_ritmo WHERE cliente_id = $1 AND scrap_id = $2 AND ordem % $3 <> 0";

const LINES: &str = "SELECT ordem, em, aviso FROM scrap_linhas WHERE cliente_id = $1 AND scrap_id = $2 ORDER BY ordem";

const POINTS: &str = "SELECT ordem, em, por_segundo, pagina_ms FROM scrap_ritmo \
     WHERE cliente_id = $1 AND scrap_id = $2 ORDER BY ordem";

#[async_trait]
impl History for SqlStore {
    async fn open_history(&self, scrap_id: i64) -> Result<Option<HistoryPlace>, StoreError> {
        let sort = || sorted("go on with the scrap's history");
        let place = sqlx::query_as(PLACE).bind(scrap_id).fetch_optional(&self.pool).await;
        let place: Option<HistoryPlaceRow> = place.map_err(sort())?;
        let place = place.map(HistoryPlace::from);
        let Some(of) = place.map(|place| place.cliente_id) else { return Ok(None) };
        for forget in FORGET {
            let forget = sqlx::query(forget).bind(of).bind(HISTORIES_KEPT);
            forget.execute(&self.pool).await.map_err(sort())?;
        }
        Ok(place)
    }

    async fn add_history(
        &self,
        cliente_id: i32,
        scrap_id: i64,
        lines: &[LogLine],
        points: &[PacePoint],
        every: i64,
    ) -> Result<(), StoreError> {
        let sort = || sorted("keep the scrap's history");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        for line in lines {
            let add = sqlx::query(ADD_LINE).bind(cliente_id).bind(scrap_id);
            let add = add.bind(line.ordem % LINES_KEPT).bind(line.ordem).bind(line.em).bind(&line.aviso);
            add.execute(&mut *tx).await.map_err(sort())?;
        }
        for point in points {
            let add = sqlx::query(ADD_POINT).bind(cliente_id).bind(scrap_id);
            let add = add.bind(point.ordem).bind(point.em).bind(point.por_segundo).bind(point.pagina_ms);
            add.execute(&mut *tx).await.map_err(sort())?;
        }
        if every > 1 && !points.is_empty() {
            let thin = sqlx::query(THIN).bind(cliente_id).bind(scrap_id).bind(every);
            thin.execute(&mut *tx).await.map_err(sort())?;
        }
        tx.commit().await.map_err(sort())
    }

    async fn history(&self, cliente_id: i32, scrap_id: i64) -> Result<(Vec<LogLine>, Vec<PacePoint>), StoreError> {
        let sort = || sorted("read the scrap's history");
        let lines = sqlx::query_as::<_, LogLineRow>(LINES).bind(cliente_id).bind(scrap_id);
        let lines = lines.fetch_all(&self.looks).await.map_err(sort())?;
        let points = sqlx::query_as::<_, PacePointRow>(POINTS).bind(cliente_id).bind(scrap_id);
        let points = points.fetch_all(&self.looks).await.map_err(sort())?;
        Ok((values(lines), values(points)))
    }
}

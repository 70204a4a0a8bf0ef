//! A scrap's history: the last lines of its log, and its pace, whichever process ran it. Bounded
//! for each scrap and for each client.

use async_trait::async_trait;
use sqlx::FromRow;

use super::error::StoreError;

/// Lines of a scrap's log that are kept: the last ones.
pub const LINES_KEPT: i64 = 200;
/// Points of a scrap's pace that are kept, at most twice as many as are left when they are thinned
/// out.
pub const POINTS_KEPT: i64 = 600;
/// Scraps of one client whose history is kept: those with the greatest ids.
pub const HISTORIES_KEPT: i64 = 200;

/// A line of a scrap's log.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct LogLine {
    /// The how many-th of the scrap, from 0.
    pub ordem: i64,
    /// When, in milliseconds since 1970.
    pub em: i64,
    /// The message: its key and arguments, as JSON.
    pub aviso: String,
}

/// How a scrap went for a moment.
#[derive(Debug, Clone, Copy, PartialEq, FromRow)]
pub struct PacePoint {
    /// The how many-th moment of the scrap's running, from 0.
    pub ordem: i64,
    /// When, in milliseconds since 1970.
    pub em: i64,
    /// Records a second.
    pub por_segundo: f64,
    /// Mean time of a page in milliseconds; none: none came.
    pub pagina_ms: Option<f64>,
}

/// Where a scrap's history goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct HistoryPlace {
    /// The scrap's client.
    pub cliente_id: i32,
    /// The next line's place.
    pub linhas: i64,
    /// The next point's.
    pub pontos: i64,
}

/// Keeping histories. Every call is atomic, and the same again changes nothing.
#[async_trait]
pub trait History: Send + Sync {
    /// Says where a scrap's history goes on, and forgets those of its client's scraps that are too
    /// many. None: no such scrap.
    async fn open_history(&self, scrap_id: i64) -> Result<Option<HistoryPlace>, StoreError>;

    /// Adds lines, each in the place of the one [`LINES_KEPT`] before it, and points, of which then
    /// only those stay whose place is a multiple of `every`.
    async fn add_history(
        &self,
        cliente_id: i32,
        scrap_id: i64,
        lines: &[LogLine],
        points: &[PacePoint],
        every: i64,
    ) -> Result<(), StoreError>;

    /// A scrap's lines and points, the oldest first.
    async fn history(&self, cliente_id: i32, scrap_id: i64) -> Result<(Vec<LogLine>, Vec<PacePoint>), StoreError>;
}

/// The histories of those scraps of a client that are older than its newest ones.
pub(super) const FORGET: [&str; 2] = [
    "DELETE FROM scrap_linhas WHERE cliente_id = $1 AND scrap_id < (SELECT MIN(id) FROM \
       (SELECT id FROM scraps WHERE cliente_id = $1 ORDER BY id DESC LIMIT $2) AS newest)",
    "DELETE FROM scrap_ritmo WHERE cliente_id = $1 AND scrap_id < (SELECT MIN(id) FROM \
       (SELECT id FROM scraps WHERE cliente_id = $1 ORDER BY id DESC LIMIT $2) AS newest)",
];

pub(super) const PLACE: &str = "SELECT s.cliente_id, \
       (SELECT COALESCE(MAX(l.ordem) + 1, 0) FROM scrap_linhas l \
         WHERE l.cliente_id = s.cliente_id AND l.scrap_id = s.id) AS linhas, \
       (SELECT COALESCE(MAX(r.ordem) + 1, 0) FROM scrap_ritmo r \
         WHERE r.cliente_id = s.cliente_id AND r.scrap_id = s.id) AS pontos \
     FROM scraps s WHERE s.id = $1";

pub(super) const ADD_LINE: &str = "INSERT INTO scrap_linhas (cliente_id, scrap_id, lugar, ordem, em, aviso) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (cliente_id, scrap_id, lugar) DO UPDATE \
     SET ordem = EXCLUDED.ordem, em = EXCLUDED.em, aviso = EXCLUDED.aviso WHERE scrap_linhas.ordem < EXCLUDED.ordem";

pub(super) const ADD_POINT: &str = "INSERT INTO scrap_ritmo (cliente_id, scrap_id, ordem, em, por_segundo, pagina_ms) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (cliente_id, scrap_id, ordem) DO NOTHING";

pub(super) const THIN: &str = "DELETE FROM scrap_ritmo WHERE cliente_id = $1 AND scrap_id = $2 AND ordem % $3 <> 0";

pub(super) const LINES: &str =
    "SELECT ordem, em, aviso FROM scrap_linhas WHERE cliente_id = $1 AND scrap_id = $2 ORDER BY ordem";

pub(super) const POINTS: &str = "SELECT ordem, em, por_segundo, pagina_ms FROM scrap_ritmo \
     WHERE cliente_id = $1 AND scrap_id = $2 ORDER BY ordem";

/// The same on either database, but for the connections that read, and for how a transaction begins
/// that writes.
macro_rules! impl_history {
    (for $store:ty, reads: $reads:ident, begin: $begin:literal) => {
        const _: () = {
            use crate::store::history::{self, HISTORIES_KEPT, LINES_KEPT};
            use crate::store::{History, HistoryPlace, LogLine, PacePoint, StoreError};
            use async_trait::async_trait;

            #[async_trait]
            impl History for $store {
                async fn open_history(&self, scrap_id: i64) -> Result<Option<HistoryPlace>, StoreError> {
                    let sort = || StoreError::sort("go on with the scrap's history");
                    let place = sqlx::query_as(history::PLACE).bind(scrap_id).fetch_optional(&self.pool).await;
                    let place: Option<HistoryPlace> = place.map_err(sort())?;
                    let Some(of) = place.map(|place| place.cliente_id) else { return Ok(None) };
                    for forget in history::FORGET {
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
                    let sort = || StoreError::sort("keep the scrap's history");
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    for line in lines {
                        let add = sqlx::query(history::ADD_LINE).bind(cliente_id).bind(scrap_id);
                        let add = add.bind(line.ordem % LINES_KEPT).bind(line.ordem).bind(line.em).bind(&line.aviso);
                        add.execute(&mut *tx).await.map_err(sort())?;
                    }
                    for point in points {
                        let add = sqlx::query(history::ADD_POINT).bind(cliente_id).bind(scrap_id);
                        let add = add.bind(point.ordem).bind(point.em).bind(point.por_segundo).bind(point.pagina_ms);
                        add.execute(&mut *tx).await.map_err(sort())?;
                    }
                    if every > 1 && !points.is_empty() {
                        let thin = sqlx::query(history::THIN).bind(cliente_id).bind(scrap_id).bind(every);
                        thin.execute(&mut *tx).await.map_err(sort())?;
                    }
                    tx.commit().await.map_err(sort())
                }

                async fn history(
                    &self,
                    cliente_id: i32,
                    scrap_id: i64,
                ) -> Result<(Vec<LogLine>, Vec<PacePoint>), StoreError> {
                    let sort = || StoreError::sort("read the scrap's history");
                    let lines = sqlx::query_as(history::LINES).bind(cliente_id).bind(scrap_id);
                    let lines = lines.fetch_all(&self.$reads).await.map_err(sort())?;
                    let points = sqlx::query_as(history::POINTS).bind(cliente_id).bind(scrap_id);
                    Ok((lines, points.fetch_all(&self.$reads).await.map_err(sort())?))
                }
            }
        };
    };
}
pub(super) use impl_history;

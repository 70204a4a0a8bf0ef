//! The history of scraps: the lines of their logs, and their pace.

/// Lines of a scrap's log that are kept: the last ones.
pub const LINES_KEPT: i64 = 200;

/// Points of a scrap's pace that are kept, at most twice as many as are left when they are thinned
/// out.
pub const POINTS_KEPT: i64 = 600;

/// Scraps of one client whose history is kept: those with the greatest ids.
pub const HISTORIES_KEPT: i64 = 200;

/// A line of a scrap's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// The how many-th of the scrap, from 0.
    pub ordem: i64,
    /// When, in milliseconds since 1970.
    pub em: i64,
    /// The message: its key and arguments, as JSON.
    pub aviso: String,
}

/// How a scrap went for a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryPlace {
    /// The scrap's client.
    pub cliente_id: i32,
    /// The next line's place.
    pub linhas: i64,
    /// The next point's.
    pub pontos: i64,
}

//! A request to create a scrap, and what comes of it.

use atlas_model::Notice;

/// Records of one page that may be asked for.
pub const PAGE_SIZE_MAX: i32 = 100_000;

/// A scrap or a schedule that was created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its number.
    pub id: i64,
    /// What the operator is to be told of the client's default, if it serves the route's API from
    /// now on.
    pub bound: Option<Notice>,
}

/// A request to create a scrap.
#[derive(Debug, Clone)]
pub struct ScrapRequest {
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// First day, as typed.
    pub from: Option<String>,
    /// Last day, as typed.
    pub to: Option<String>,
    /// Records a page; none: the connector's own.
    pub page_size: Option<i32>,
    /// How long a slice of the period is, as typed; none: it is not divided.
    pub slice: Option<String>,
    /// Records a transaction; `None` for the setting of the host that runs it.
    pub batch: Option<i32>,
    /// Attempts at a page; `None` for the setting of the host that runs it.
    pub retries: Option<i32>,
    /// Whether it is created paused, and waits to be put into the queue.
    pub paused: bool,
}

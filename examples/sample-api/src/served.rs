//! What the source can swear to afterwards. A test that only compares the table with what the
//! client *says* it read proves nothing about what the client never noticed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{FaultKind, Rota};

/// What was asked for and handed out since the start. Requests to `/_faults` and `/_served` are not
/// in it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Served {
    /// Requests, refused ones included.
    pub requests: u64,
    /// Pages whose body was handed to the connection to its last byte, with status 200 and unbroken
    /// JSON (as far as [`crate::Faults::malformed`] leaves it so).
    pub whole_pages: u64,
    /// Answers by status. A reset has none.
    pub statuses: BTreeMap<u16, u64>,
    /// Attempts that were made to fail, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// The most requests that were under way at once, from their first byte here to the last byte
    /// of the answer.
    pub max_concurrent: u64,
    /// Requests whose `Authorization` was the right one for the client.
    pub authorization_right: u64,
    /// Requests with another `Authorization`.
    pub authorization_wrong: u64,
    /// Requests without one.
    pub authorization_missing: u64,
    /// Path and query of the last 100 requests, oldest first.
    pub last_requests: Vec<String>,
    /// Attempts at each page: requests that asked for it with the right token, whatever became of
    /// them.
    pub attempts: Vec<PageAttempts>,
    /// What each client and route handed out.
    pub routes: Vec<ServedRoute>,
}

/// How often one page was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageAttempts {
    /// The client.
    pub cliente: u32,
    /// The route.
    pub rota: Rota,
    /// First and last day; none for routes without a period.
    pub period: Option<(String, String)>,
    /// The page, from 1 on. A poll for events counts as the page after as many as were acknowledged
    /// before it, and an acknowledgment as the one with its lot's number.
    pub page: u64,
    /// Requests for it.
    pub attempts: u64,
}

/// What one route handed out to one client.
#[derive(Debug, Clone, Serialize)]
pub struct ServedRoute {
    /// The client.
    pub cliente: u32,
    /// The route.
    pub rota: Rota,
    /// Requests with the right token.
    pub requests: u64,
    /// Whole pages, as in [`Served::whole_pages`].
    pub whole_pages: u64,
    /// Acknowledgments that were taken, repeated ones included, whatever became of their answers.
    pub acknowledgments: u64,
    /// How many different records stood on those pages.
    pub distinct_records: u64,
    /// Their exact texts; empty without [`crate::Settings::remember_records`].
    #[serde(skip)]
    pub records: BTreeSet<String>,
    /// The raw elements of [`crate::Faults::malformed`] that stood on those pages.
    #[serde(skip)]
    pub malformed: BTreeSet<Vec<u8>>,
}

impl Served {
    /// What this client was served on this route, if it ever asked.
    pub fn route(&self, cliente: u32, rota: Rota) -> Option<&ServedRoute> {
        self.routes.iter().find(|it| it.cliente == cliente && it.rota == rota)
    }

    /// Attempts at a page, over all periods.
    pub fn attempts_at(&self, cliente: u32, rota: Rota, page: u64) -> u64 {
        self.attempts
            .iter()
            .filter(|it| it.cliente == cliente && it.rota == rota && it.page == page)
            .map(|it| it.attempts)
            .sum()
    }

    /// As JSON; the records' texts only on request, since they are as much as was served.
    pub fn to_json(&self, with_records: bool) -> Value {
        let mut whole = json!(self);
        if with_records {
            for (at, route) in self.routes.iter().enumerate() {
                whole["routes"][at]["records"] = json!(route.records);
                let raw = route.malformed.iter().map(|raw| String::from_utf8_lossy(raw));
                whole["routes"][at]["malformed"] = raw.collect::<Vec<_>>().into();
            }
        }
        whole
    }
}

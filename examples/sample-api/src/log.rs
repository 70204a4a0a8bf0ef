//! The books that [`Served`] is drawn up from. Kept so that a page rendered ahead costs one pointer
//! and not one hash for each record: the books must not be what a benchmark measures.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use crate::{FaultKind, Malformed, PageAttempts, Rota, Served, ServedRoute, listing::ListKey, page::Page};

/// How many requests [`Served::last_requests`] holds.
const LAST_REQUESTS: usize = 100;

/// What a request's `Authorization` was worth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authorization {
    Right,
    Wrong,
    Missing,
}

/// A page that was handed out to its last byte.
pub(crate) struct WholePage {
    pub(crate) list: ListKey,
    pub(crate) page: Arc<Page>,
    /// It was rendered ahead, and so stays in memory anyway.
    pub(crate) prerendered: bool,
    pub(crate) malformed: Vec<Malformed>,
}

#[derive(Default)]
pub(crate) struct Log(Mutex<Books>);

#[derive(Default)]
struct Books {
    /// The counts; the lists of it are filled from the fields below.
    served: Served,
    in_flight: u64,
    last: VecDeque<String>,
    attempts: BTreeMap<(ListKey, u64), u64>,
    routes: BTreeMap<(u32, Rota), RouteBook>,
}

#[derive(Default)]
struct RouteBook {
    requests: u64,
    whole_pages: u64,
    acknowledgments: u64,
    /// Pages that were rendered ahead, by their address.
    pages: HashMap<usize, Arc<Page>>,
    records: HashSet<Bytes>,
    malformed: HashSet<Bytes>,
}

impl Log {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, target: String, authorization: Authorization) {
        let mut books = self.books();
        books.served.requests += 1;
        match authorization {
            Authorization::Right => books.served.authorization_right += 1,
            Authorization::Wrong => books.served.authorization_wrong += 1,
            Authorization::Missing => books.served.authorization_missing += 1,
        }
        books.in_flight += 1;
        books.served.max_concurrent = books.served.max_concurrent.max(books.in_flight);
        if books.last.len() == LAST_REQUESTS {
            books.last.pop_front();
        }
        books.last.push_back(target);
    }

    pub(crate) fn end(&self) {
        self.books().in_flight -= 1;
    }

    pub(crate) fn status(&self, status: u16) {
        *self.books().served.statuses.entry(status).or_default() += 1;
    }

    pub(crate) fn fault(&self, kind: FaultKind) {
        *self.books().served.faults.entry(kind).or_default() += 1;
    }

    pub(crate) fn attempt(&self, list: ListKey, page: u64) {
        let mut books = self.books();
        *books.attempts.entry((list, page)).or_default() += 1;
        books.routes.entry((list.cliente, list.rota)).or_default().requests += 1;
    }

    pub(crate) fn acknowledgment(&self, list: ListKey) {
        self.books().routes.entry((list.cliente, list.rota)).or_default().acknowledgments += 1;
    }

    pub(crate) fn whole_page(&self, whole: WholePage, remember: bool) {
        let mut books = self.books();
        books.served.whole_pages += 1;
        let route = books.routes.entry((whole.list.cliente, whole.list.rota)).or_default();
        route.whole_pages += 1;
        if remember {
            route.malformed.extend(whole.malformed.into_iter().map(|it| it.raw));
            if whole.prerendered {
                route.pages.insert(Arc::as_ptr(&whole.page).addr(), whole.page);
            } else {
                route.records.extend(whole.page.records());
            }
        }
    }

    pub(crate) fn served(&self) -> Served {
        let books = self.books();
        let mut served = books.served.clone();
        served.last_requests = books.last.iter().cloned().collect();
        served.attempts = books
            .attempts
            .iter()
            .map(|(&(list, page), &attempts)| PageAttempts {
                cliente: list.cliente,
                rota: list.rota,
                period: list.period.map(|it| (it.from.to_string(), it.to.to_string())),
                page,
                attempts,
            })
            .collect();
        served.routes = books.routes.iter().map(|(&(cliente, rota), it)| it.served(cliente, rota)).collect();
        served
    }
}

impl RouteBook {
    fn served(&self, cliente: u32, rota: Rota) -> ServedRoute {
        let ahead = self.pages.values().flat_map(|page| page.records());
        let records: BTreeSet<String> =
            ahead.chain(self.records.iter().cloned()).map(|text| String::from_utf8_lossy(&text).into_owned()).collect();
        ServedRoute {
            cliente,
            rota,
            requests: self.requests,
            whole_pages: self.whole_pages,
            acknowledgments: self.acknowledgments,
            distinct_records: records.len() as u64,
            records,
            malformed: self.malformed.iter().map(|raw| raw.to_vec()).collect(),
        }
    }
}

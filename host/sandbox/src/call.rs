//! One call of `fetch-page` on a fresh instance, which is dropped with it: nothing leaks between
//! pages, clients or versions, and a trap poisons nothing.

use std::any::Any;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::Limits;
use bytes::Bytes;
use tracing::Instrument;
use wasmtime::Store;

use super::bindings::atlas::connector::types as wit;
use super::component::LinkedComponent;
use super::contract::ContractPre;
use super::engine::ConnectorEngine;
use super::facts::ScrapFacts;
use super::guest::Guest;
use super::limit::LimitReached;
use super::line::{GuestHttp, Line};
use super::meter::Meters;
use super::outcome::{CallError, Called, HandedOver, Page};
use super::reason::reason_of_trap;
use super::share::{HOST_GUESTS, PageShare, Place, Turnstile};
use super::wasi::Wasi;

/// One call of `fetch-page`.
pub struct Call<'a> {
    /// The component.
    pub component: &'a LinkedComponent,
    /// Its route, as its log has it.
    pub route: &'a str,
    /// The shares that the page belongs to.
    pub share: &'a PageShare,
    /// The instance's place in them.
    pub place: Place,
    /// Its line to the source.
    pub line: Arc<dyn Line>,
    /// The facts of the scrap.
    pub facts: &'a ScrapFacts,
    /// The only clock that the guest has.
    pub now: &'a str,
    /// Which page; none: the first.
    pub cursor: Option<&'a str>,
    /// Whether the guest's log lines are taken.
    pub logs: bool,
    /// Dropped when the instance is gone: until then its code may still run.
    pub until_gone: Box<dyn Any + Send>,
}

/// Calls `fetch-page` on a fresh instance, under all limits.
pub async fn call(engine: &ConnectorEngine, limits: &Limits, call: Call<'_>) -> Called {
    let Call { component, route, share, place, line, facts, now, cursor, logs, until_gone } = call;
    let scrap = facts.at(route, now);
    let wasi = Wasi::of_page(&scrap, cursor);
    let http = GuestHttp::new(Arc::clone(&line), limits);
    let mut store = Guest::store(engine, limits, share, route, Some(http), wasi);
    if logs {
        store.data_mut().log.tell(Arc::clone(&line));
    } else {
        store.data_mut().log.discard();
    }
    let meters = store.data().meters();
    let running = RunningCall {
        store,
        meters: meters.clone(),
        contract: Arc::clone(&component.contract),
        limits: *limits,
        scrap,
        cursor: cursor.map(str::to_owned),
        turnstile: share.turnstile(),
        share: share.clone(),
        _place: place,
        _until_gone: until_gone,
    };
    let wall = Duration::from_millis(limits.page_wall_ms);
    let began = Instant::now();
    let mut running = pin!(engine.run(running.run().in_current_span()));
    let called = loop {
        // Waits for the client's budget do not count towards the page's time.
        let waited = line.waited();
        let left = (wall + waited).saturating_sub(began.elapsed());
        match tokio::time::timeout(left, &mut running).await {
            Ok(called) => break Some(called),
            Err(_) if line.waited() > waited => {}
            Err(_) => break None,
        }
    };
    match called {
        Some(Ok(called)) => called,
        Some(Err(lost)) => Called::without_page(CallError::Lost(format!("{lost:#}")), meters.read()),
        None => Called::without_page(CallError::Late { wall_ms: limits.page_wall_ms }, meters.read()),
    }
}

/// A call with all that it needs, to be run on the guests' threads.
struct RunningCall {
    store: Store<Guest>,
    meters: Meters,
    contract: ContractPre,
    limits: Limits,
    scrap: wit::Scrap,
    cursor: Option<String>,
    turnstile: Turnstile,
    share: PageShare,
    /// After the store: the place is given back once the instance is gone.
    _place: Place,
    /// The same.
    _until_gone: Box<dyn Any + Send>,
}

impl RunningCall {
    async fn run(mut self) -> Called {
        let work = self.contract.fetch_page(&mut self.store, &self.scrap, self.cursor);
        let called = self.meters.cpu.charge(self.turnstile, work).await;
        let guest = self.store.data_mut();
        let page = match called {
            Ok(Ok(page)) => match HandedOver::of(&self.share, &page) {
                Ok(handed_over) => {
                    let page = checked_page(guest, &self.limits, page);
                    return Called { page, handed_over, spent: self.meters.read() };
                }
                Err(reached) => CallError::NoMemory(reached),
            },
            Ok(Err(error)) => CallError::returned(error, guest.http.as_ref()),
            Err(trap) => trapped(&trap, guest),
        };
        Called::without_page(page, self.meters.read())
    }
}

fn trapped(trap: &wasmtime::Error, guest: &mut Guest) -> CallError {
    match guest.limit_reached(trap) {
        Some(limit) if limit.name == HOST_GUESTS => CallError::NoMemory(limit),
        Some(limit) => CallError::Limit(limit),
        None => {
            let reason = reason_of_trap(trap, None);
            // To the engine a panic or an exception is only a trap; the guest logged its message
            // before.
            match guest.log.last_error() {
                Some(said) => CallError::Trapped(format!("{reason} [{said}]")),
                None => CallError::Trapped(reason),
            }
        }
    }
}

fn checked_page(guest: &mut Guest, limits: &Limits, page: wit::Page) -> Result<Page, CallError> {
    within("cursors_per_page", page.next.len() + page.after_commit.len(), limits.cursors_per_page)?;
    let longest = page.next.iter().chain(&page.after_commit).map(String::len).max();
    within("cursor_bytes", longest.unwrap_or(0), limits.cursor_bytes)?;
    if page.next.iter().chain(&page.after_commit).any(|cursor| cursor.contains('\0')) {
        return Err(CallError::Trapped("a cursor with a NUL character, which no table can hold".to_owned()));
    }
    Ok(Page {
        records: chosen_records(guest, limits, page.records)?,
        next: page.next,
        after_commit: page.after_commit,
        total_records: page.total_records,
    })
}

/// Takes the records that a guest named out of its table.
fn chosen_records(guest: &mut Guest, limits: &Limits, records: wit::Records) -> Result<Vec<Bytes>, CallError> {
    let all = match records {
        wit::Records::Json(texts) => texts.into_iter().map(Bytes::from).collect(),
        wit::Records::Selected(selections) => {
            let mut all = Vec::new();
            for selection in selections {
                let held = guest
                    .take_back(selection)
                    .map_err(|e| CallError::Trapped(format!("a selection that is not there: {e}")))?;
                all.extend(held.records);
                within("records_per_page", all.len(), limits.records_per_page)?;
            }
            all
        }
    };
    within("records_per_page", all.len(), limits.records_per_page)?;
    Ok(all)
}

fn within(name: &'static str, found: usize, limit: usize) -> Result<(), CallError> {
    if found > limit {
        return Err(CallError::Limit(LimitReached { name, value: limit as u64 }));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use atlas_model::Request;
    use atlas_testing::guests::wasi_guest_with;

    use super::super::line::{Answer, RequestError};
    use super::super::testing::{load, loader};
    use super::*;

    /// A line to nowhere.
    struct Nowhere;

    #[async_trait]
    impl Line for Nowhere {
        async fn send(&self, _: Request) -> Result<Arc<Answer>, RequestError> {
            Err(RequestError::Denied("nowhere".to_owned()))
        }
    }

    #[tokio::test]
    async fn a_call_whose_time_is_over_is_ended_and_what_it_used_is_known() {
        let loader = loader();
        let sleeper = wasi_guest_with("(i64.const 20000000)", "(i64.const 60000000000)");
        let component = load(&loader, &sleeper).await.unwrap();
        let limits = Limits { page_wall_ms: 500, ..Limits::default() };
        let facts = ScrapFacts { scrap_id: None, cliente_id: 1, period: None, page_size: 1, settings: "{}".to_owned() };
        let share = loader.engine.share(None, "relogio");
        let sleeping = Call {
            component: &component.linked,
            route: "relogio",
            share: &share,
            place: share.place().await,
            line: Arc::new(Nowhere),
            facts: &facts,
            now: "2025-10-20T12:00:00Z",
            cursor: None,
            logs: false,
            until_gone: Box::new(()),
        };
        let called = call(&loader.engine, &limits, sleeping).await;
        assert_eq!(called.page.as_ref().err(), Some(&CallError::Late { wall_ms: 500 }));
        assert!(!called.ended_by_itself());
        assert!(called.spent.peak_memory >= 64 * 1024 && !called.spent.cpu.is_zero(), "{:?}", called.spent);
    }
}

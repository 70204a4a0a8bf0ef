//! A connector as the pipeline sees it: a source of pages. Each page runs on a fresh instance,
//! which is dropped with it, so nothing leaks between pages, clients or versions, and a trap
//! poisons nothing.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atlas_http::{Broke, Endpoint, HttpClient, PageMeter, Refusal, WAIT_MAX, Waiting};
use atlas_model::notice::printable;
use atlas_model::{CursorId, Limits};
use atlas_pipeline::{FetchFailure, FetchedPage, Held, PageSource};
use bytes::Bytes;
use chrono::{SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;
use wasmtime::Store;

use super::bindings::atlas::connector::types as wit;
use super::engine::ConnectorEngine;
use super::exchange::{GuestHttp, RecordedPage};
use super::flight::{CallUnderWay, Flight};
use super::guest::{CpuMeter, Guest, LimitReached};
use super::load::Connector;
use super::registry::Registry;
use super::share::{GuestMemory, HOST_GUESTS, PageShare, Place, Turnstile, cursors_counted};
use super::usage::{Ended, Usage};
use super::verdict::understands;
use super::wasi::Wasi;

/// Bytes of a reason that are taken from the guest: far more than are shown, so that a secret which
/// begins in the shown part can be found whole.
const REASON_READ: usize = 64 * 1024;
/// The longest that a secret may be, however it is encoded. This many bytes before the cut of a
/// text are not shown, since they may be the beginning of one.
const SECRET_READ: usize = 16 * 1024;
/// Bytes of a reason that are shown, logged and stored: enough for a message, not for a whole
/// answer.
const REASON_SHOWN: usize = 4 * 1024;
/// The longest wait that a connector can impose on a whole API.
const HINT_MAX: Duration = Duration::from_secs(60 * 60);
/// The moment at which a quota is there again; as RFC 3339 has it, it takes half of that.
const UNTIL_SHOWN: usize = 64;

/// The facts of a scrap that its connector gets. Not printable, since its settings may hold
/// secrets.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScrapFacts {
    /// Its number; none: it is not stored.
    pub scrap_id: Option<i64>,
    /// The client.
    pub cliente_id: i32,
    /// First and last day.
    pub period: Option<(String, String)>,
    /// Records to ask for in a page.
    pub page_size: i32,
    /// The connector's settings, a JSON object, with secrets in their places.
    pub settings: String,
}

impl std::fmt::Debug for ScrapFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { scrap_id, cliente_id, period, page_size, settings: _ } = self;
        let mut told = f.debug_struct("ScrapFacts");
        told.field("scrap_id", scrap_id).field("cliente_id", cliente_id).field("period", period);
        told.field("page_size", page_size).finish_non_exhaustive()
    }
}

impl ScrapFacts {
    /// The scrap as the guest gets it, with the moment `now`, which is the guest's only clock.
    pub(super) fn told(&self, route: &str, now: &str) -> wit::Scrap {
        wit::Scrap {
            client_id: self.cliente_id.unsigned_abs(),
            route: route.to_owned(),
            period: self.period.clone().map(|(start, end)| wit::Period { start, end }),
            page_size: self.page_size.unsigned_abs(),
            settings: self.settings.clone(),
            definition: None,
            now: now.to_owned(),
        }
    }
}

/// The page source of one scrap: its route's connector, in whichever version serves.
pub struct ConnectorSource {
    registry: Arc<Registry>,
    /// The version that fetched the scrap's pages so far.
    connector: Mutex<Arc<Connector>>,
    /// The serving version, once it was found not to suit the scrap, so that this is not checked
    /// again for each page.
    unsuited: Mutex<Option<Arc<Connector>>>,
    client: HttpClient,
    endpoint: Endpoint,
    limits: Limits,
    facts: ScrapFacts,
    share: PageShare,
    /// Receives the waits and log lines of pages.
    waiting: Arc<dyn Waiting>,
    /// Pages whose last attempt broke with its connection, by their cursors: the next one opens
    /// connections of its own.
    broken: Mutex<HashSet<Option<String>>>,
}

impl ConnectorSource {
    /// Puts a connector to work for a scrap, within these limits.
    pub fn new(
        registry: Arc<Registry>,
        connector: Arc<Connector>,
        client: HttpClient,
        endpoint: Endpoint,
        limits: Limits,
        facts: ScrapFacts,
        waiting: Arc<dyn Waiting>,
    ) -> Self {
        let share = registry.engine().share(Some(facts.cliente_id), &connector.descriptor.route);
        let (connector, unsuited, broken) = (Mutex::new(connector), Mutex::default(), Mutex::default());
        Self { registry, connector, unsuited, client, endpoint, limits, facts, share, waiting, broken }
    }

    /// The same source, for a run whose slot may be asked back: from then on, slow answers are
    /// given up.
    #[must_use]
    pub fn until_asked_back(self, asked_back: CancellationToken) -> Self {
        Self { client: self.client.until_asked_back(asked_back), ..self }
    }

    /// The version that fetches the next page: the one that serves, unless the scrap's cursors mean
    /// nothing to it.
    async fn current(&self) -> Arc<Connector> {
        let current = Arc::clone(&locked(&self.connector));
        let is_another = |serving: &Arc<Connector>| {
            let unsuited = locked(&self.unsuited);
            !Arc::ptr_eq(serving, &current) && unsuited.as_ref().is_none_or(|known| !Arc::ptr_eq(serving, known))
        };
        let Some(serving) = self.registry.connector(&current.descriptor.route).filter(is_another) else {
            return current;
        };
        let suits = understands(&current.descriptor, &serving.descriptor)
            && serving.descriptor.accepts(&self.facts.settings).await.is_ok();
        if !suits {
            *locked(&self.unsuited) = Some(serving);
            return current;
        }
        *locked(&self.connector) = Arc::clone(&serving);
        serving
    }

    /// The text (`Request::whole`) of the first request that the connector would make for the
    /// scrap, without sending it. `None` if it makes none, or fails before.
    pub async fn first_request(&self) -> Option<String> {
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        let http = GuestHttp::replay(Arc::new(RecordedPage::empty(self.facts.clone(), self.limits, now.clone())));
        let connector = self.current().await;
        let first = Call { share: &self.share, http, facts: &self.facts, now: &now, cursor: None, log: None };
        let Called { http, .. } = call(self.registry.engine(), &self.limits, &connector, first).await;
        // Its connector may have put a secret setting into it.
        http.as_ref().and_then(GuestHttp::strange_request).map(|request| self.endpoint.redact(request.whole()))
    }

    /// Repeats a call of the version that this was made with, in a child process of its own. Its
    /// requests go to the source as those of any page do, and what it returns is dropped. Gives the
    /// signal by which it ended that process, if it did.
    pub async fn call_alone(&self, cursor: Option<&str>) -> Result<Option<&'static str>, String> {
        let mut admissions = Vec::new();
        for budget in self.endpoint.budgets() {
            admissions.push(budget.admit(self.waiting.as_ref()).await.map_err(|spent| spent.why)?);
        }
        let connector = Arc::clone(&locked(&self.connector));
        let endpoint = self.endpoint.clone().declaring(&connector.descriptor.requests);
        let host = self.registry.engine().host().clone();
        let mut http = GuestHttp::live(self.client.clone(), endpoint, host, &self.limits, false);
        // Its first request was paid for when it was admitted.
        http.meter.paid = 1;
        let http = Arc::new(tokio::sync::Mutex::new(http));
        let send = |request| {
            let http = Arc::clone(&http);
            async move { http.lock().await.send(request).await }
        };
        self.registry.call_alone(&connector, &self.limits, &self.facts, cursor, send).await
    }

    /// Lets a page whose access token was refused be fetched once more with another token, but not
    /// twice.
    fn repeat_with_new_token(
        &self,
        cursor: Option<&str>,
        refused_token: Option<u64>,
        fetched: Result<FetchedPage, FetchFailure>,
    ) -> Result<FetchedPage, FetchFailure> {
        use FetchFailure::{AtOnce, Fatal, InvalidResponse, NotReady, Passing, Unauthorized};
        match (fetched, refused_token) {
            (Ok(page), _) => {
                self.endpoint.answered(cursor);
                Ok(page)
            }
            (
                Err(Unauthorized(_) | InvalidResponse(_) | Fatal(_) | NotReady { .. } | Passing { .. }),
                Some(generation),
            ) if self.endpoint.repeats_after_refusal(cursor, generation) => {
                let reason =
                    "the source refused the access token; the page is asked for again with a new one".to_owned();
                Err(AtOnce { reason, counts: true })
            }
            (Err(failure), _) => Err(failure),
        }
    }

    /// Lets a page whose connection broke be fetched again on a new one. If it was a kept
    /// connection, which the source may have closed long before, the attempt does not count.
    fn on_a_new_connection(
        &self,
        cursor: Option<&str>,
        broke: Option<Broke>,
        fetched: Result<FetchedPage, FetchFailure>,
    ) -> Result<FetchedPage, FetchFailure> {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let cursor = cursor.map(str::to_owned);
        match (fetched, broke) {
            (Err(FetchFailure::Passing { reason, wait }), Some(broke)) => {
                let is_first = broken.insert(cursor);
                match broke {
                    Broke::Kept if is_first => Err(FetchFailure::AtOnce { reason, counts: false }),
                    _ => Err(FetchFailure::Passing { reason, wait }),
                }
            }
            (fetched, _) => {
                broken.remove(&cursor);
                fetched
            }
        }
    }

    /// Holds off all requests to the API for the wait that a connector asks for, if the status of
    /// the source's answer is one that carries such waits. Any other wait concerns this page alone.
    async fn hold_off(&self, status: Option<u16>, fetched: &Result<FetchedPage, FetchFailure>) {
        let (Err(FetchFailure::Passing { wait: Some(wait), .. } | FetchFailure::NotReady { wait, .. }), Some(status)) =
            (fetched, status)
        else {
            return;
        };
        if let Some(budget) = self.endpoint.budgets().first()
            && !wait.is_zero()
            && may_say_wait(status)
        {
            budget.hold_off("the connector read a wait in the source's answer", (*wait).min(HINT_MAX)).await;
        }
    }
}

/// Whether a wait that stands in the body of an answer with this status is the API's, as that of a
/// 429 is: many say it under 200, or under a status of their own. 202 (RFC 9110, section 15.3.3)
/// says that one thing is not done yet, and 408, 425 and 5xx but 503 that one request failed.
fn may_say_wait(status: u16) -> bool {
    matches!(status, 200 | 201 | 203..=299 | 400..=407 | 409..=424 | 426..=499 | 503)
}

#[async_trait]
impl PageSource for ConnectorSource {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        let mut admissions = Vec::new();
        for budget in self.endpoint.budgets() {
            let admitted = tokio::select! {
                biased;
                admitted = budget.admit(self.waiting.as_ref()) => admitted,
                () = self.client.asked_back().cancelled() => {
                    let reason = "the slot was asked back while the page waited for the budget".to_owned();
                    return Err(FetchFailure::Passing { reason, wait: None });
                }
            };
            admissions.push(admitted.map_err(|spent| later(spent.why, spent.wait))?);
        }
        // This version fetches the whole page; one that takes over meanwhile gets the next page.
        let connector = self.current().await;
        if let Some(held) = self.registry.quarantined(&connector.sha256) {
            return Err(FetchFailure::Held(held.into()));
        }
        let now = Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true);
        // The operator's grants hold for the scrap; the declared requests are those of this
        // version.
        let endpoint = self.endpoint.clone().declaring(&connector.descriptor.requests);
        let host = self.registry.engine().host().clone();
        let mut http = GuestHttp::live(self.client.clone(), endpoint, host, &self.limits, self.registry.is_watched());
        // Its first request was paid for when it was admitted.
        http.meter.paid = 1;
        http.meter.fresh =
            self.broken.lock().unwrap_or_else(PoisonError::into_inner).contains(&cursor.map(str::to_owned));
        let Called { fetched, mut http, usage, made, .. } = call(
            self.registry.engine(),
            &self.limits,
            &connector,
            Call {
                share: &self.share,
                http,
                facts: &self.facts,
                now: &now,
                cursor,
                log: Some((Arc::clone(&self.waiting), self.endpoint.clone())),
            },
        )
        .await;
        self.registry.usage.note(&connector.descriptor.route, &usage);
        let learned = http.as_mut().map(|http| (http.meter.refused_token, http.meter.credential_refused.take()));
        let (refused_token, credential_refused) = learned.unzip();
        let throttled = http.as_mut().and_then(|http| http.meter.throttled.take());
        let (status, broke) = http.as_ref().map_or((None, None), |http| (http.meter.status, http.meter.broke));
        self.hold_off(status, &fetched).await;
        if let (Ok(page), Some(mut http)) = (&fetched, http) {
            let format = connector.descriptor.cursor_format;
            if let Some(recorded) = http.recorded(&self.facts, &now, cursor, format, page.records.len()) {
                self.registry.remember(&connector.descriptor.route, recorded);
            }
        }
        let fetched = match fetched {
            Ok(page) => {
                // Records before cursors, so that no two pages deadlock: a page that waits for
                // memory for bodies holds none, and a page that holds cursors waits for the
                // database alone.
                let records =
                    if made.records { self.client.budget().pay_for(page.records).await } else { page.records };
                let held = self.share.hold_cursors(page.next.iter().chain(&page.after_commit)).await;
                let held = held.map(|held| Held::new(held)).unwrap_or_default();
                Ok(FetchedPage { records, held, ..page })
            }
            failed => failed,
        };
        drop(made);
        let fetched = match (fetched, credential_refused.flatten()) {
            // Without a token the page fails as unauthorised, whatever the connector made of it.
            (Err(_), Some(why)) => Err(FetchFailure::Unauthorized(why)),
            (fetched, _) => fetched,
        };
        let fetched = match (fetched, throttled) {
            (Err(_), Some((why, wait))) => Err(later(why, wait)),
            (fetched, _) => fetched,
        };
        let fetched = self.repeat_with_new_token(cursor, refused_token.flatten(), fetched);
        let fetched = self.on_a_new_connection(cursor, broke, fetched);
        // A reason is shown, logged and stored, and a source may answer with the very token that it
        // refuses.
        fetched.map_err(|failure| failure.map_reason(|reason| told(reason, |reason| self.endpoint.redact(reason))))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One call of `fetch-page`.
pub(super) struct Call<'a> {
    pub(super) share: &'a PageShare,
    pub(super) http: GuestHttp,
    pub(super) facts: &'a ScrapFacts,
    /// The only clock that the guest has.
    pub(super) now: &'a str,
    pub(super) cursor: Option<&'a str>,
    /// The observer of the guest's log lines, and the endpoint whose secrets are redacted in them;
    /// `None` discards the lines.
    pub(super) log: Option<(Arc<dyn Waiting>, Endpoint)>,
}

/// The outcome of a call.
pub(super) struct Called {
    pub(super) fetched: Result<FetchedPage, FetchFailure>,
    /// The account of data that the guest handed over and that is no slice of a body, until it is
    /// charged to a budget.
    made: HandedOver,
    /// The line to the source, if the call ended by itself.
    pub(super) http: Option<GuestHttp>,
    pub(super) usage: Usage,
    /// Whether the host ended the call for a passing reason, so that the guest need not be at
    /// fault.
    pub(super) cut_short: bool,
}

impl Called {
    /// The outcome of a call that did not end by itself: its time was up, or its task was aborted.
    fn lost(failure: FetchFailure, meters: &Meters) -> Self {
        let usage = meters.read(Ended::Stopped);
        Self { fetched: Err(failure), made: HandedOver::default(), http: None, usage, cut_short: true }
    }
}

/// The meters of a call. Shared, so that its caller can read them even if it does not end by
/// itself.
#[derive(Clone)]
struct Meters {
    cpu: Arc<CpuMeter>,
    peak_memory: Arc<AtomicUsize>,
    refused: Arc<AtomicU32>,
    waited: Arc<AtomicU64>,
}

impl Meters {
    fn of(guest: &Guest) -> Self {
        Self {
            cpu: guest.cpu(),
            peak_memory: guest.memory().peak(),
            refused: guest.http.as_ref().map(GuestHttp::refused).unwrap_or_default(),
            waited: guest.http.as_ref().map(GuestHttp::waited).unwrap_or_default(),
        }
    }

    fn read(&self, ended: Ended) -> Usage {
        let (refused, peak) = (self.refused.load(Ordering::Relaxed), self.peak_memory.load(Ordering::Relaxed));
        Usage::of_attempt(ended, refused, self.cpu.charged(), peak)
    }
}

/// Calls `fetch-page` on a fresh instance.
pub(super) async fn call(
    engine: &ConnectorEngine,
    limits: &Limits,
    connector: &Arc<Connector>,
    call: Call<'_>,
) -> Called {
    let Call { share, http, facts, now, cursor, log } = call;
    let place = share.place().await;
    let flight = engine.flights().begin(&under_way(connector, &http, facts, cursor));
    let scrap = facts.told(&connector.descriptor.route, now);
    let wasi = Wasi::of_page(&scrap, cursor);
    let mut store = Guest::store(engine, limits, share, &connector.descriptor.route, Some(http), wasi);
    match log {
        Some((whom, endpoint)) => store.data_mut().log.tell(whom, endpoint),
        None => store.data_mut().log.discard(),
    }
    let meters = Meters::of(store.data());
    let call = PageCall {
        store,
        meters: meters.clone(),
        connector: Arc::clone(connector),
        limits: *limits,
        scrap,
        cursor: cursor.map(str::to_owned),
        turnstile: share.turnstile(),
        share: share.clone(),
        _place: place,
        _flight: flight,
    };
    let wall = Duration::from_millis(limits.page_wall_ms);
    let began = Instant::now();
    let mut running = pin!(engine.run(call.run().in_current_span()));
    let called = loop {
        // Waits for the client's budget do not count towards the page's time.
        let waited = Duration::from_millis(meters.waited.load(Ordering::Relaxed));
        let left = (wall + waited).saturating_sub(began.elapsed());
        match tokio::time::timeout(left, &mut running).await {
            Ok(called) => break Some(called),
            Err(_) if Duration::from_millis(meters.waited.load(Ordering::Relaxed)) > waited => {}
            Err(_) => break None,
        }
    };
    match called {
        Some(Ok(called)) => called,
        Some(Err(lost)) => Called::lost(FetchFailure::Crashed(format!("{lost:#}")), &meters),
        None => {
            let reason = format!("the page took longer than {} ms (limit page_wall_ms)", limits.page_wall_ms);
            Called::lost(FetchFailure::Passing { reason, wait: None }, &meters)
        }
    }
}

/// The record of a call while it runs.
fn under_way(connector: &Connector, http: &GuestHttp, facts: &ScrapFacts, cursor: Option<&str>) -> CallUnderWay {
    CallUnderWay {
        sha256: connector.sha256.clone(),
        route: connector.descriptor.route.clone(),
        kind: http.kind(),
        scrap_id: facts.scrap_id,
        cursor: cursor.map(|cursor| CursorId::of(Some(cursor)).hex()),
    }
}

/// A call with all that it needs, to be run on the guests' threads.
struct PageCall {
    store: Store<Guest>,
    meters: Meters,
    connector: Arc<Connector>,
    limits: Limits,
    scrap: wit::Scrap,
    cursor: Option<String>,
    turnstile: Turnstile,
    share: PageShare,
    /// After the store: the place is given back once the instance is gone.
    _place: Place,
    /// The same: until then its code may still run.
    _flight: Flight,
}

impl PageCall {
    async fn run(mut self) -> Called {
        let work = self.connector.contract.fetch_page(&mut self.store, &self.scrap, self.cursor);
        let called = self.meters.cpu.charge(self.turnstile, work).await;
        let guest = self.store.data_mut();
        let (mut cut_short, mut made) = (false, HandedOver::default());
        let fetched = match called {
            Ok(Ok(page)) => match HandedOver::of(&self.share, &page) {
                Ok(handed_over) => {
                    made = handed_over;
                    fetched_page(guest, &self.limits, &self.connector, page)
                }
                Err(reached) => {
                    cut_short = true;
                    Err(no_memory(reached))
                }
            },
            Ok(Err(error)) => {
                Err(failure(error, guest.http.as_ref().map(|http| &http.meter), &self.connector.descriptor.api))
            }
            Err(trap) => {
                let failure = trapped(&trap, guest);
                cut_short = matches!(failure, FetchFailure::Passing { .. });
                Err(failure)
            }
        };
        let usage = self.meters.read(Ended::of(&fetched));
        let http = guest.http.take();
        Called { fetched, made, http, usage, cut_short }
    }
}

/// Records that a guest made, and its cursors, are as much memory again as they take in its own.
#[derive(Default)]
struct HandedOver {
    /// Their account, until each is paid for.
    _account: Option<GuestMemory>,
    /// Whether there are records among it.
    records: bool,
}

impl HandedOver {
    fn of(share: &PageShare, page: &wit::Page) -> Result<Self, LimitReached> {
        let made = match &page.records {
            wit::Records::Json(texts) => Some(texts.iter().map(String::len).sum()),
            wit::Records::Selected(_) => None,
        };
        let cursors = cursors_counted(page.next.iter().chain(&page.after_commit));
        let bytes = made.unwrap_or(0) + cursors;
        let mut account = share.handed_over();
        let taken = account.take(bytes);
        match account.limit_reached() {
            Some(reached) if !taken => Err(reached),
            _ => Ok(Self { _account: Some(account).filter(|_| bytes > 0), records: made.is_some() }),
        }
    }
}

/// The failure of a page for want of guests' memory. It passes: other pages of its connector or
/// client hold the memory now.
fn no_memory(limit: LimitReached) -> FetchFailure {
    FetchFailure::Passing { reason: format!("no memory for guests is left ({limit})"), wait: None }
}

fn fetched_page(
    guest: &mut Guest,
    limits: &Limits,
    connector: &Connector,
    page: wit::Page,
) -> Result<FetchedPage, FetchFailure> {
    within("cursors_per_page", page.next.len() + page.after_commit.len(), limits.cursors_per_page)?;
    let longest = page.next.iter().chain(&page.after_commit).map(String::len).max();
    within("cursor_bytes", longest.unwrap_or(0), limits.cursor_bytes)?;
    if page.next.iter().chain(&page.after_commit).any(|cursor| cursor.contains('\0')) {
        return Err(FetchFailure::Crashed("a cursor with a NUL character, which no table can hold".to_owned()));
    }
    Ok(FetchedPage {
        records: fetched_records(guest, limits, page.records)?,
        next: page.next,
        after_commit: page.after_commit,
        total_records: page.total_records,
        fetched_by: Arc::clone(&connector.fetcher),
        held: Held::default(),
    })
}

/// Takes the records that a guest named out of its table.
fn fetched_records(guest: &mut Guest, limits: &Limits, records: wit::Records) -> Result<Vec<Bytes>, FetchFailure> {
    let all = match records {
        wit::Records::Json(texts) => texts.into_iter().map(Bytes::from).collect(),
        wit::Records::Selected(selections) => {
            let mut all = Vec::new();
            for selection in selections {
                let held = guest
                    .take_back(selection)
                    .map_err(|e| FetchFailure::Crashed(format!("a selection that is not there: {e}")))?;
                all.extend(held.records);
                within("records_per_page", all.len(), limits.records_per_page)?;
            }
            all
        }
    };
    within("records_per_page", all.len(), limits.records_per_page)?;
    Ok(all)
}

/// The failure of a page whose budget is spent: a short wait is sat out, a longer one suspends the
/// scrap until then.
fn later(why: String, wait: Duration) -> FetchFailure {
    if wait <= WAIT_MAX {
        return FetchFailure::Passing { reason: why, wait: Some(wait) };
    }
    let until = chrono::TimeDelta::from_std(wait).ok().and_then(|wait| Utc::now().checked_add_signed(wait));
    FetchFailure::Quota { reason: why, until: until.map(|until| until.to_rfc3339_opts(SecondsFormat::Secs, true)) }
}

fn within(name: &'static str, found: usize, limit: usize) -> Result<(), FetchFailure> {
    if found > limit {
        return Err(FetchFailure::Limit { name, value: limit as u64 });
    }
    Ok(())
}

/// The connector's verdict, with what the host itself saw: an answer that was a passing fault stays
/// one if the connector took it for a broken contract, and the wait that it asked for holds
/// whatever the connector said.
fn failure(error: wit::FetchError, meter: Option<&PageMeter>, api: &str) -> FetchFailure {
    // A limit is the operator's to raise, whatever the connector makes of it; trying again would
    // only meet it again.
    if let Some((name, value)) = meter.and_then(|m| m.limit) {
        return FetchFailure::Limit { name, value };
    }
    // A missing grant is the operator's to give, even if the connector calls the failure passing.
    match meter.and_then(|m| m.refusal.clone()) {
        Some(Refusal::NotGranted(what)) => return FetchFailure::NotGranted(what),
        Some(Refusal::Headers(headers)) => {
            return FetchFailure::HeadersNotGranted { api: api.to_owned(), headers };
        }
        Some(Refusal::Address(refused)) => {
            return FetchFailure::AddressRefused {
                host: refused.host,
                address: refused.address,
                class: refused.class.name(),
                grantable: refused.class.is_grantable(),
            };
        }
        Some(Refusal::Untrusted(why)) => return FetchFailure::Untrusted(why),
        Some(Refusal::Unreadable(why)) => return FetchFailure::InvalidResponse(why),
        Some(Refusal::Mistake(why)) => return FetchFailure::Mistake(why),
        None => {}
    }
    let passing = meter.is_some_and(|m| m.passing_fault);
    let asked = meter.and_then(|m| m.retry_after);
    let failure = match error {
        wit::FetchError::Retry(hint) => {
            let status = meter.and_then(|m| m.status).filter(|_| !passing);
            let wait = asked.max(hint.after_ms.map(Duration::from_millis));
            match status {
                // A connector that says when to ask again after an answer of success polls.
                Some(status @ 200..=299) if status == 202 || hint.after_ms.is_some() => {
                    FetchFailure::NotReady { reason: hint.reason, wait: wait.unwrap_or_default() }
                }
                _ => FetchFailure::Passing { reason: hint.reason, wait },
            }
        }
        wit::FetchError::Unauthorized(reason) => FetchFailure::Unauthorized(reason),
        wit::FetchError::Quota(hint) => {
            let until = hint.until.map(|until| cut(until, UNTIL_SHOWN));
            FetchFailure::Quota { reason: hint.reason, until }
        }
        wit::FetchError::InvalidResponse(reason) if passing => FetchFailure::Passing { reason, wait: asked },
        wit::FetchError::InvalidResponse(reason) => FetchFailure::InvalidResponse(reason),
        wit::FetchError::Fatal(reason) => FetchFailure::Fatal(reason),
    };
    let answered = meter.and_then(|m| m.answered.as_deref());
    // JSON that is tried again was cut short, as a rule: that is records, and no message.
    let is_passing = matches!(failure, FetchFailure::Passing { .. } | FetchFailure::NotReady { .. });
    let is_json = |answered: &&str| answered.split_once(": ").is_some_and(|(_, body)| body.starts_with(['{', '[']));
    let answered = answered.filter(|answered| !(is_passing && is_json(answered)));
    failure.map_reason(|reason| with_answer(cut(reason, REASON_READ), answered))
}

/// A reason with what the source answered, unless the connector quotes it already: under status 200
/// an API may say what is wrong, and a connector that looks for records only finds none.
fn with_answer(reason: String, answered: Option<&str>) -> String {
    /// Bytes of an answer by which a quotation is known: quotations are cut, and differ in how they
    /// write blanks.
    const KNOWN_BY: usize = 24;

    let said = answered.and_then(|answered| answered.split_once(": ")).map_or("", |(_, body)| body);
    let known_by = &said[..said.floor_char_boundary(KNOWN_BY)];
    match answered {
        Some(answered) if !known_by.is_empty() && !reason.contains(known_by) => format!("{reason} [{answered}]"),
        _ => reason,
    }
}

/// The beginning of a text. The rest is given back at once: a guest's text may be as large as its
/// memory.
fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
    }
    text
}

/// What is shown of a reason, without the secrets that `redact` takes out of it.
pub(super) fn told(reason: String, redact: impl FnOnce(String) -> String) -> String {
    let reason = cut(reason, REASON_READ);
    let near_a_cut = if reason.len() + char::MAX_LEN_UTF8 > REASON_READ { SECRET_READ } else { 0 };
    let cleaned = redact(reason);
    // Without its secrets a text may be short enough for its end to be shown.
    let whole = cleaned.len().saturating_sub(near_a_cut);
    cut(cleaned, whole.min(REASON_SHOWN))
}

fn trapped(trap: &wasmtime::Error, guest: &mut Guest) -> FetchFailure {
    match guest.limit_reached(trap) {
        Some(limit) if limit.name == HOST_GUESTS => no_memory(limit),
        Some(limit) => FetchFailure::Limit { name: limit.name, value: limit.value },
        None => {
            let reason = reason_of_trap(trap, guest);
            // To the engine a panic or an exception is only a trap; the guest logged its message
            // before.
            match guest.log.last_error() {
                Some(said) => FetchFailure::Crashed(format!("{reason} [{said}]")),
                None => FetchFailure::Crashed(reason),
            }
        }
    }
}

/// A trap in one line, without the frames that only its author can read; those go to the log.
pub(super) fn reason_of_trap(trap: &wasmtime::Error, guest: &Guest) -> String {
    tracing::debug!("the connector trapped: {}", in_full(trap));
    if let Some(limit) = guest.limit_reached(trap) {
        return limit.to_string();
    }
    let reason =
        trap.downcast_ref::<wasmtime::Trap>().map_or_else(|| trap.root_cause().to_string(), ToString::to_string);
    cut(reason, REASON_SHOWN)
}

/// A trap with its frames, as the log may have it: the functions' names are the connector's words,
/// be they megabytes, or what moves a terminal's cursor.
fn in_full(trap: &wasmtime::Error) -> String {
    let mut text = Beginning(String::new());
    // The writer fails once it is full, which ends the formatting.
    let _ = write!(text, "{trap:?}");
    text.0.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// The first [`REASON_SHOWN`] bytes of what is written to it.
struct Beginning(String);

impl std::fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = REASON_SHOWN - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(std::fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::RecordedPage;
    use super::super::load::TrustPolicy;
    use super::super::testing::{load, loader, wasi_guest_with};
    use super::*;

    #[test]
    fn a_text_of_a_guests_is_cut_where_it_leaves_it() {
        let long = "é".repeat(8 * 1024 * 1024);
        let FetchFailure::Fatal(reason) = failure(wit::FetchError::Fatal(long.clone()), None, "api") else {
            panic!("fatal")
        };
        assert!(reason.len() <= REASON_READ && reason.capacity() <= 2 * REASON_READ);
        assert_eq!(told(reason, |reason| reason).len(), REASON_SHOWN);
        let hint = wit::QuotaHint { reason: long.clone(), until: Some(long) };
        let FetchFailure::Quota { reason, until } = failure(wit::FetchError::Quota(hint), None, "api") else {
            panic!("quota")
        };
        assert_eq!((reason.len(), until.map(|until| until.len())), (REASON_READ, Some(UNTIL_SHOWN)));
    }

    #[test]
    fn a_connector_that_says_when_to_ask_again_after_a_good_answer_polls() {
        let failed = |status: u16, after_ms: Option<u64>| {
            let passing_fault = matches!(status, 408 | 425 | 429 | 500..=599);
            let mut meter = PageMeter::default();
            (meter.status, meter.passing_fault) = (Some(status), passing_fault);
            let hint = wit::RetryHint { reason: "not yet".to_owned(), after_ms };
            failure(wit::FetchError::Retry(hint), Some(&meter), "api")
        };
        for (status, after_ms) in [(200, Some(5_000)), (202, Some(0)), (202, None), (204, Some(1))] {
            let failed = failed(status, after_ms);
            assert!(matches!(failed, FetchFailure::NotReady { .. }), "{status}, {after_ms:?}: {failed:?}");
        }
        // Half a body under 200 is a fault, and so is what the source itself calls one.
        for (status, after_ms) in [(200, None), (429, Some(5_000)), (503, Some(5_000)), (404, Some(1))] {
            let failed = failed(status, after_ms);
            assert!(matches!(failed, FetchFailure::Passing { .. }), "{status}, {after_ms:?}: {failed:?}");
        }
    }

    #[test]
    fn no_piece_of_a_secret_is_left_where_a_reason_is_cut() {
        let secret = "s3gredo".repeat(400);
        let told = |reason: String| told(reason, |reason| reason.replace(&secret, "***"));
        for before in [0, 1, 7, 1000, 2000, secret.len()] {
            let at_the_end = "x".repeat(REASON_SHOWN - before) + &secret + &"x".repeat(100);
            assert!(!told(at_the_end).contains("s3g"), "{before} bytes before what is shown ends");
            let many = "x".repeat(before) + &secret.repeat(REASON_READ / secret.len() + 1);
            assert!(!told(many).contains("s3g"), "{before} bytes before the first of many");
        }
        assert_eq!(told(format!("a {secret} b")), "a *** b");
    }

    #[tokio::test]
    async fn what_an_attempt_used_until_its_time_was_over_counts() {
        let loader = loader(TrustPolicy::default());
        let sleeper = wasi_guest_with("(i64.const 20000000)", "(i64.const 60000000000)");
        let connector = Arc::new(load(&loader, "relogio.wasm", &sleeper).await.unwrap());
        let limits = Limits { page_wall_ms: 500, ..Limits::default() };
        let page = Arc::new(RecordedPage::without_requests(1, limits));
        let (share, http) = (loader.engine.share(None, "relogio"), GuestHttp::replay(Arc::clone(&page)));
        let attempt = Call { share: &share, http, facts: &page.facts, now: &page.now, cursor: None, log: None };
        let Called { fetched, usage, .. } = call(&loader.engine, &limits, &connector, attempt).await;
        assert!(matches!(fetched, Err(FetchFailure::Passing { .. })), "{fetched:?}");
        assert_eq!((usage.pages, usage.traps), (0, 1));
        assert!(usage.peak_memory >= 64 * 1024 && usage.cpu_us > 0, "{usage:?}");
    }

    #[tokio::test]
    async fn what_is_told_of_a_trap_is_cut() {
        let engine = loader(TrustPolicy::default()).engine;
        let store = Guest::store(&engine, &Limits::default(), &engine.share(None, "a"), "a", None, Wasi::of_describe());
        let trap = wasmtime::Error::msg("x".repeat(1024 * 1024));
        assert_eq!(reason_of_trap(&trap, store.data()).len(), REASON_SHOWN);
        assert_eq!(in_full(&trap).len(), REASON_SHOWN);
        assert!(in_full(&wasmtime::Error::msg("a\u{1b}[2J\nb")).starts_with("a\\u{1b}[2J\nb"));
    }
}

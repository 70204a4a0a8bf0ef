//! A connector as the pipeline sees it: a source of pages. Each page runs on a fresh instance,
//! which is dropped with it, so nothing leaks between pages, clients or versions, and a trap
//! poisons nothing.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use atlas_http::{Broke, Endpoint, HttpClient, PageMeter, Waiting};
use atlas_model::Limits;
use atlas_pipeline::{FetchFailure, FetchedPage, Held, PageSource};
use atlas_sandbox::{Called, PageShare, ScrapFacts};
use chrono::{SecondsFormat, Utc};
use tokio_util::sync::CancellationToken;

use super::failure::{failure, later, told};
use super::flight::CallKind;
use super::lines::{LiveLine, RecordedPage, ReplayLine};
use super::load::Connector;
use super::page_call::{PageCall, call_page};
use super::registry::Registry;
use super::usage::{Ended, Usage};
use super::verdict::understands;

/// The longest wait that a connector can impose on a whole API.
const HINT_MAX: Duration = Duration::from_secs(60 * 60);

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
        let now = now();
        let page = RecordedPage::empty(self.facts.clone(), self.limits, now.clone());
        let line = Arc::new(ReplayLine::new(Arc::new(page)));
        let connector = self.current().await;
        let first = PageCall {
            connector: &connector,
            limits: &self.limits,
            share: &self.share,
            kind: CallKind::Replay,
            line: Arc::clone(&line) as _,
            facts: &self.facts,
            now: &now,
            cursor: None,
        };
        let called = call_page(self.registry.engine(), self.registry.flights(), first).await;
        if !called.ended_by_itself() {
            return None;
        }
        // Its connector may have put a secret setting into it.
        line.strange_request().map(|request| self.endpoint.redact(request.whole()))
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
        let line = self.line(&connector, false);
        self.registry.call_alone(&connector, &self.limits, &self.facts, cursor, Arc::new(line)).await
    }

    /// A line to the source for one page of this version. `fresh`: each request opens a connection
    /// of its own.
    fn line(&self, connector: &Connector, fresh: bool) -> LiveLine {
        // The operator's grants hold for the scrap; the declared requests are those of this
        // version.
        let endpoint = self.endpoint.clone().declaring(&connector.descriptor.requests);
        let host = self.registry.engine().host().clone();
        // Its first request was paid for when it was admitted.
        let mut meter = PageMeter::default();
        (meter.paid, meter.fresh) = (1, fresh);
        LiveLine::new(self.client.clone(), endpoint, host, &self.limits, Arc::clone(&self.waiting), meter)
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
        let mut broken = locked(&self.broken);
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
    async fn hold_off<T>(&self, status: Option<u16>, fetched: &Result<T, FetchFailure>) {
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
        let now = now();
        let fresh = locked(&self.broken).contains(&cursor.map(str::to_owned));
        let line = self.line(&connector, fresh);
        let line = Arc::new(if self.registry.is_watched() { line.recording() } else { line });
        let call = PageCall {
            connector: &connector,
            limits: &self.limits,
            share: &self.share,
            kind: CallKind::Page,
            line: Arc::clone(&line) as _,
            facts: &self.facts,
            now: &now,
            cursor,
        };
        let called = call_page(self.registry.engine(), self.registry.flights(), call).await;
        let ended_by_itself = called.ended_by_itself();
        let Called { page, handed_over, spent } = called;
        let route = &connector.descriptor.route;
        // A call that was ended in the middle of a request has no account.
        let mut meter = if ended_by_itself { line.take_meter() } else { PageMeter::default() };
        let page = page.map_err(|error| failure(error, &meter, &connector.descriptor.api));
        let ended = Ended::of(&page, ended_by_itself);
        self.registry.usage.note(route, &Usage::of_attempt(ended, line.refused(), spent));
        self.hold_off(meter.status, &page).await;
        if let Ok(page) = &page
            && let Some(recorded) =
                line.recorded(&self.facts, &now, cursor, connector.descriptor.cursor_format, page.records.len())
        {
            self.registry.remember(route, recorded);
        }
        let fetched = match page {
            Ok(page) => {
                // Records before cursors, so that no two pages deadlock: a page that waits for
                // memory for bodies holds none, and a page that holds cursors waits for the
                // database alone.
                let records = if handed_over.has_records {
                    self.client.budget().pay_for(page.records).await
                } else {
                    page.records
                };
                let held = self.share.hold_cursors(page.next.iter().chain(&page.after_commit)).await;
                Ok(FetchedPage {
                    records,
                    next: page.next,
                    after_commit: page.after_commit,
                    total_records: page.total_records,
                    fetched_by: Arc::clone(&connector.fetcher),
                    held: held.map(|held| Held::new(held)).unwrap_or_default(),
                })
            }
            Err(failure) => Err(failure),
        };
        drop(handed_over);
        let fetched = match (fetched, meter.credential_refused.take()) {
            // Without a token the page fails as unauthorised, whatever the connector made of it.
            (Err(_), Some(why)) => Err(FetchFailure::Unauthorized(why)),
            (fetched, _) => fetched,
        };
        let fetched = match (fetched, meter.throttled.take()) {
            (Err(_), Some((why, wait))) => Err(later(why, wait)),
            (fetched, _) => fetched,
        };
        let fetched = self.repeat_with_new_token(cursor, meter.refused_token, fetched);
        let fetched = self.on_a_new_connection(cursor, meter.broke, fetched);
        // A reason is shown, logged and stored, and a source may answer with the very token that it
        // refuses.
        fetched.map_err(|failure| failure.map_reason(|reason| told(reason, |reason| self.endpoint.redact(reason))))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The moment that a guest is told, as RFC 3339 has it.
fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use atlas_testing::guests::wasi_guest_with;

    use super::super::flight::FlightRecorder;
    use super::super::load::TrustPolicy;
    use super::super::testing::{load, loader};
    use super::*;

    #[tokio::test]
    async fn what_an_attempt_used_until_its_time_was_over_counts() {
        let loader = loader(TrustPolicy::default());
        let sleeper = wasi_guest_with("(i64.const 20000000)", "(i64.const 60000000000)");
        let connector = load(&loader, "relogio.wasm", &sleeper).await.unwrap();
        let limits = Limits { page_wall_ms: 500, ..Limits::default() };
        let page = Arc::new(RecordedPage::without_requests(1, limits));
        let attempt = PageCall {
            connector: &connector,
            limits: &limits,
            share: &loader.components.engine().share(None, "relogio"),
            kind: CallKind::Replay,
            line: Arc::new(ReplayLine::new(Arc::clone(&page))),
            facts: &page.facts,
            now: &page.now,
            cursor: None,
        };
        let called = call_page(loader.components.engine(), &FlightRecorder::default(), attempt).await;
        let ended_by_itself = called.ended_by_itself();
        let Called { page, spent, .. } = called;
        let page = page.map_err(|error| failure(error, &PageMeter::default(), "api"));
        assert!(matches!(page, Err(FetchFailure::Passing { .. })), "{page:?}");
        let usage = Usage::of_attempt(Ended::of(&page, ended_by_itself), 0, spent);
        assert_eq!((usage.pages, usage.traps), (0, 1));
        assert!(usage.peak_memory >= 64 * 1024 && usage.cpu_us > 0, "{usage:?}");
    }
}

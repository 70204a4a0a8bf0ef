//! The lines between a guest and its source: live, live and recorded for a later trial, or
//! replayed.
//!
//! A recording is a page as its guest saw it, kept in memory for the trial of the next version and
//! never written to disk. It is bounded, and has its own copies of the bodies, since the bodies
//! themselves hold a part of the budget of bodies in flight.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use atlas_http::{Endpoint, HttpClient, PageMeter, SendError, Waiting};
use atlas_model::{Limits, Request};
use atlas_sandbox::{Answer, Line, RequestError, ScrapFacts};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

/// The largest page that is recorded: requests, headers and bodies together.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that a recorded request and its answer take at least, beside their own.
const EXCHANGE_BYTES: usize = 1024;
/// Bytes that a recorded header or parameter takes beside its own.
const PAIR_BYTES: usize = size_of::<(String, String)>();

/// A line to the source.
pub(super) struct LiveLine {
    client: HttpClient,
    endpoint: Endpoint,
    /// Where requests are made: not on the guests' threads.
    host: Handle,
    /// The limits of the page.
    limits: Limits,
    /// Receives the guest's log lines.
    heard_by: Arc<dyn Waiting>,
    /// Milliseconds that requests waited for the client's budget.
    waited: Arc<AtomicU64>,
    /// Requests that the host refused. Kept apart, so that the count survives a page that is cut
    /// short.
    refused: AtomicU32,
    account: Mutex<Account>,
}

/// What a live line has seen so far.
struct Account {
    meter: PageMeter,
    recording: Option<Recording>,
}

/// Requests and what the guest got for them, in order.
#[derive(Default)]
struct Recording {
    exchanges: Vec<Exchange>,
    bytes: usize,
}

type Exchange = (Request, Result<Arc<Answer>, RequestError>);

impl LiveLine {
    /// A line whose requests run on `host`'s threads. `meter` is the page's account so far.
    pub(super) fn new(
        client: HttpClient,
        endpoint: Endpoint,
        host: Handle,
        limits: &Limits,
        heard_by: Arc<dyn Waiting>,
        meter: PageMeter,
    ) -> Self {
        let (waited, refused) = (Arc::clone(&meter.waited), AtomicU32::new(meter.refused));
        let account = Mutex::new(Account { meter, recording: None });
        Self { client, endpoint, host, limits: *limits, heard_by, waited, refused, account }
    }

    /// The same, which keeps the page for a trial.
    #[must_use]
    pub(super) fn recording(self) -> Self {
        self.account().recording = Some(Recording::default());
        self
    }

    /// How many requests the host has refused so far.
    pub(super) fn refused(&self) -> u32 {
        self.refused.load(Ordering::Relaxed)
    }

    /// The account of the page, which is then closed.
    pub(super) fn take_meter(&self) -> PageMeter {
        std::mem::take(&mut self.account().meter)
    }

    /// The page that was fetched, if it was recorded.
    pub(super) fn recorded(
        &self,
        facts: &ScrapFacts,
        now: &str,
        cursor: Option<&str>,
        cursor_format: u32,
        records: usize,
    ) -> Option<RecordedPage> {
        let Recording { exchanges, bytes } = self.account().recording.take()?;
        let bytes = bytes + facts.settings.len() + cursor.map_or(0, str::len);
        let copy = |answer: Arc<Answer>| Arc::new(answer.copied());
        Some(RecordedPage {
            facts: facts.clone(),
            limits: self.limits,
            now: now.to_owned(),
            cursor: cursor.map(str::to_owned),
            cursor_format,
            records,
            bytes,
            exchanges: exchanges.into_iter().map(|(request, answer)| (request, answer.map(copy))).collect(),
        })
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Line for LiveLine {
    async fn send(&self, request: Request) -> Result<Arc<Answer>, RequestError> {
        let size = size_of_request(&request);
        let (asked, mut meter) = {
            let mut account = self.account();
            account.make_room(size);
            let asked = account.recording.is_some().then(|| request.clone());
            (asked, std::mem::take(&mut account.meter))
        };
        let (client, endpoint) = (self.client.clone(), self.endpoint.clone());
        let sending = async move {
            let answer = client.send(&endpoint, &mut meter, request).await;
            (answer, meter)
        };
        let sending = self.host.spawn(sending.in_current_span());
        let (answer, meter) = match AbortOnDropHandle::new(sending).await {
            Ok(sent) => sent,
            Err(lost) => return Err(RequestError::Interrupted(lost.to_string())),
        };
        self.refused.store(meter.refused, Ordering::Relaxed);
        let answer = answer.map(|answer| Arc::new(plain(answer)));
        let size = size + answer.as_ref().map_or_else(|error| error.to_string().len(), |answer| answer.size());
        let answer = answer.map_err(request_error);
        let mut account = self.account();
        account.meter = meter;
        account.make_room(size);
        if let (Some(asked), Some(taken)) = (asked, account.recording.as_mut()) {
            taken.bytes += size;
            taken.exchanges.push((asked, answer.clone()));
        }
        answer
    }

    fn waited(&self) -> Duration {
        Duration::from_millis(self.waited.load(Ordering::Relaxed))
    }

    fn redact(&self, text: String) -> String {
        self.endpoint.redact(text)
    }

    fn logged(&self, line: &str) {
        self.heard_by.logged(line);
    }
}

impl Account {
    /// Drops a recording that would grow past [`PAGE_BYTES`].
    fn make_room(&mut self, more: usize) {
        self.recording.take_if(|taken| taken.bytes + more > PAGE_BYTES);
    }
}

/// An answer as the guest gets it.
fn plain(answer: atlas_http::Answer) -> Answer {
    let atlas_http::Answer { status, headers, retry_after, body } = answer;
    Answer { status, headers, retry_after, body }
}

/// Why there is no answer, as far as a guest may know: the case says what happened, the text only
/// why.
fn request_error(error: SendError) -> RequestError {
    match error {
        SendError::Denied(why) | SendError::RedirectDenied(why) => RequestError::Denied(why),
        // A connector must not learn the addresses of names within the operator's network.
        SendError::AddressRefused(refused) => {
            RequestError::Denied(format!("{} is at an address that was not granted", refused.host))
        }
        ungranted @ SendError::HeadersNotGranted(_) => RequestError::Denied(ungranted.to_string()),
        SendError::InvalidRequest(why) => RequestError::InvalidRequest(why),
        SendError::Connect(why) => RequestError::Connect(why),
        untrusted @ SendError::Untrusted(_) => RequestError::Connect(untrusted.to_string()),
        SendError::Interrupted(why) | SendError::Unreadable(why) => RequestError::Interrupted(why),
        SendError::Timeout(why) => RequestError::Timeout(why),
        SendError::TooLarge(limit) | SendError::HeadTooLarge(limit) => RequestError::TooLarge(limit as u64),
        SendError::Exhausted(why) => RequestError::Exhausted(why),
        SendError::Renewal(why) => RequestError::Interrupted(why),
        throttled @ SendError::Throttled(..) => RequestError::Interrupted(throttled.to_string()),
        SendError::CredentialRefused(why) => RequestError::Denied(why),
    }
}

/// Bytes that a request takes in a recording.
fn size_of_request(request: &Request) -> usize {
    let pairs = request.query.len() + request.headers.len();
    EXCHANGE_BYTES + request.size() + pairs * PAIR_BYTES
}

/// A fetched page with all that is needed to fetch it again without its source.
pub(super) struct RecordedPage {
    pub(super) facts: ScrapFacts,
    /// What it was fetched under.
    pub(super) limits: Limits,
    /// The moment that the guest was told.
    pub(super) now: String,
    pub(super) cursor: Option<String>,
    /// What the cursor means.
    pub(super) cursor_format: u32,
    /// How many records the page had.
    pub(super) records: usize,
    /// How much it is.
    pub(super) bytes: usize,
    exchanges: Vec<Exchange>,
}

impl RecordedPage {
    /// The first page of a source that nothing was asked of yet: the first request is one that it
    /// does not have.
    pub(super) fn empty(facts: ScrapFacts, limits: Limits, now: String) -> Self {
        Self { facts, limits, now, cursor: None, cursor_format: 1, records: 0, bytes: 0, exchanges: Vec::new() }
    }
}

/// A recorded page instead of a source.
pub(super) struct ReplayLine {
    page: Arc<RecordedPage>,
    progress: Mutex<Progress>,
}

/// How far a replay has come.
#[derive(Default)]
struct Progress {
    next: usize,
    /// The first request that the recording does not have.
    strange: Option<Request>,
}

impl ReplayLine {
    /// A replay of this page, from its first request.
    pub(super) fn new(page: Arc<RecordedPage>) -> Self {
        Self { page, progress: Mutex::default() }
    }

    /// The first request that the recording does not have.
    pub(super) fn strange_request(&self) -> Option<Request> {
        self.progress().strange.clone()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Line for ReplayLine {
    async fn send(&self, request: Request) -> Result<Arc<Answer>, RequestError> {
        let mut progress = self.progress();
        let recorded = self.page.exchanges.get(progress.next).filter(|(known, _)| *known == request);
        match recorded {
            Some((_, answer)) if progress.strange.is_none() => {
                progress.next += 1;
                answer.clone()
            }
            _ => {
                progress.strange.get_or_insert(request);
                Err(RequestError::Denied("the recorded page has no such request".to_owned()))
            }
        }
    }
}

#[cfg(test)]
impl RecordedPage {
    /// The first page of a source that nothing was asked of.
    pub(super) fn without_requests(records: usize, limits: Limits) -> Self {
        let facts = ScrapFacts { scrap_id: None, cliente_id: 1, period: None, page_size: 1, settings: "{}".to_owned() };
        Self { records, ..Self::empty(facts, limits, "2025-10-20T12:00:00Z".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atlas_http::{AuthScheme, BodyBudget, HttpLimits, Throttled};
    use atlas_model::{Access, DefaultFor, Method, Secret};

    struct Nobody;

    impl Waiting for Nobody {
        fn throttled(&self, _: &Throttled) {}
    }

    /// A recorded line to an address where no server listens.
    fn line() -> LiveLine {
        let limits = Limits::default();
        let access = Access {
            active: true,
            token: Secret::new("segredo".to_owned()),
            default_base_url: Some("http://127.0.0.1:9/".to_owned()),
            default_private: true,
            default_for: DefaultFor::ThisApi,
            api: None,
            parts: None,
            access_token: None,
        };
        let endpoint = Endpoint::resolve(access, "teste", &AuthScheme::Bearer).unwrap_or_else(|e| panic!("{e}"));
        let client = HttpClient::new(HttpLimits::from(&limits), BodyBudget::new(1 << 20, 1 << 16)).unwrap();
        let meter = PageMeter::default();
        LiveLine::new(client, endpoint, Handle::current(), &limits, Arc::new(Nobody), meter).recording()
    }

    /// A request that is refused before it is made: no header has such a name.
    fn refused(headers: usize) -> Request {
        let headers = vec![("a b".to_owned(), String::new()); headers];
        Request { method: Method::Get, target: String::new(), query: Vec::new(), headers, body: None }
    }

    fn recorded(line: &LiveLine) -> Option<RecordedPage> {
        let facts = ScrapFacts { scrap_id: None, cliente_id: 1, period: None, page_size: 1, settings: "{}".to_owned() };
        line.recorded(&facts, "", None, 0, 0)
    }

    #[tokio::test]
    async fn what_little_there_is_of_an_exchange_counts_in_a_recording() {
        let few = line();
        for _ in 0..3 {
            assert!(matches!(few.send(refused(1)).await, Err(RequestError::InvalidRequest(_))));
        }
        let page = recorded(&few).unwrap();
        assert_eq!(page.exchanges.len(), 3);
        assert!(page.bytes >= 3 * (EXCHANGE_BYTES + PAIR_BYTES));
        let many = line();
        for _ in 0..=PAGE_BYTES / EXCHANGE_BYTES {
            let _ = many.send(refused(1)).await;
        }
        assert!(recorded(&many).is_none());
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_not_copied() {
        let line = line();
        let _ = line.send(refused(PAGE_BYTES / PAIR_BYTES)).await;
        assert!(recorded(&line).is_none());
    }
}

//! The line between a guest and its source: live, live and recorded for a later trial, or replayed.
//!
//! A recording is a page as its guest saw it, kept in memory for the trial of the next version and
//! never written to disk. It is bounded, and has its own copies of the bodies, since the bodies
//! themselves hold a part of the budget of bodies in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use atlas_http::{Answer, Endpoint, HttpClient, PageMeter, Request, SendError};
use atlas_model::Limits;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::child::RemoteLine;
use super::flight::CallKind;
use super::source::ScrapFacts;

/// The largest page that is recorded: requests, headers and bodies together.
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Bytes that a recorded request and its answer take at least, beside their own.
const EXCHANGE_BYTES: usize = 1024;
/// Bytes that a recorded header or parameter takes beside its own.
const PAIR_BYTES: usize = size_of::<(String, String)>();

/// The HTTP that a guest may use; none in `describe`.
pub(super) struct GuestHttp {
    pub(super) meter: PageMeter,
    /// The limits of the page.
    limits: Limits,
    /// Requests that the guest has made, refused ones included.
    requests: u32,
    /// Requests that the host refused. Shared, so that the count survives a page that is cut short.
    refused: Arc<AtomicU32>,
    line: Line,
}

enum Line {
    Live {
        client: HttpClient,
        endpoint: Box<Endpoint>,
        /// Where requests are made: not on the guests' threads.
        host: Handle,
        recording: Option<Recording>,
    },
    Replay(Replay),
    /// In a child process: its parent makes the requests.
    Remote(RemoteLine),
}

/// Requests and what the guest got for them, in order.
#[derive(Default)]
struct Recording {
    exchanges: Vec<Exchange>,
    bytes: usize,
}

type Exchange = (Request, Result<Arc<Answer>, SendError>);

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

/// A recorded page that is fetched again.
struct Replay {
    page: Arc<RecordedPage>,
    next: usize,
    /// The first request that the recording does not have.
    strange: Option<Request>,
}

impl GuestHttp {
    /// A line to the source, whose requests run on `host`'s threads. `record` keeps the page for a
    /// trial.
    pub(super) fn live(client: HttpClient, endpoint: Endpoint, host: Handle, limits: &Limits, record: bool) -> Self {
        let recording = record.then(Recording::default);
        Self::new(limits, Line::Live { client, endpoint: Box::new(endpoint), host, recording })
    }

    /// A recorded page instead of a source.
    pub(super) fn replay(page: Arc<RecordedPage>) -> Self {
        let limits = page.limits;
        Self::new(&limits, Line::Replay(Replay { page, next: 0, strange: None }))
    }

    /// A line to the parent of this process, which asks the source.
    pub(super) fn remote(limits: &Limits) -> Self {
        Self::new(limits, Line::Remote(RemoteLine { body_bytes: limits.body_bytes }))
    }

    fn new(limits: &Limits, line: Line) -> Self {
        Self { meter: PageMeter::default(), limits: *limits, requests: 0, refused: Arc::default(), line }
    }

    /// Makes one request.
    pub(super) async fn send(&mut self, request: Request) -> Result<Arc<Answer>, SendError> {
        self.count()?;
        match &mut self.line {
            Line::Replay(replay) => replay.send(request),
            Line::Remote(parent) => parent.send(request),
            Line::Live { client, endpoint, host, recording } => {
                let size = size_of_request(&request);
                make_room(recording, size);
                let asked = recording.is_some().then(|| request.clone());
                let (client, endpoint, mut meter) = (client.clone(), endpoint.clone(), std::mem::take(&mut self.meter));
                let sending = async move {
                    let answer = client.send(&endpoint, &mut meter, request).await;
                    (answer, meter)
                };
                let sending = host.spawn(sending.in_current_span());
                let (answer, meter) = match AbortOnDropHandle::new(sending).await {
                    Ok(sent) => sent,
                    Err(lost) => return Err(SendError::Interrupted(lost.to_string())),
                };
                self.refused.store(meter.refused, Ordering::Relaxed);
                self.meter = meter;
                let answer = answer.map(Arc::new);
                let size = size + answer.as_ref().map_or_else(|error| error.to_string().len(), |answer| answer.size());
                make_room(recording, size);
                if let (Some(asked), Some(taken)) = (asked, recording.as_mut()) {
                    taken.bytes += size;
                    taken.exchanges.push((asked, answer.clone()));
                }
                answer
            }
        }
    }

    /// What kind of call this is the line of.
    pub(super) fn kind(&self) -> CallKind {
        match self.line {
            Line::Live { .. } => CallKind::Page,
            Line::Replay(_) | Line::Remote(_) => CallKind::Replay,
        }
    }

    /// For how many milliseconds requests of the page wait for the client's budget.
    pub(super) fn waited(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.meter.waited)
    }

    /// How many requests of the page the host has refused so far.
    pub(super) fn refused(&self) -> Arc<AtomicU32> {
        Arc::clone(&self.refused)
    }

    /// Counts a request before any work is done for it: refusing or recording one has a cost too.
    fn count(&mut self) -> Result<(), SendError> {
        let most = self.limits.requests_per_page;
        if self.requests >= most {
            self.meter.limit = Some(("requests_per_page", most.into()));
            return Err(SendError::Exhausted(format!("{most} requests in one page (limit requests_per_page)")));
        }
        self.requests += 1;
        Ok(())
    }

    /// The page that was fetched, if it was recorded.
    pub(super) fn recorded(
        &mut self,
        facts: &ScrapFacts,
        now: &str,
        cursor: Option<&str>,
        cursor_format: u32,
        records: usize,
    ) -> Option<RecordedPage> {
        let Line::Live { recording, .. } = &mut self.line else { return None };
        let Recording { exchanges, bytes } = recording.take()?;
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

    /// The first request of a replay that the recording does not have.
    pub(super) fn strange_request(&self) -> Option<&Request> {
        match &self.line {
            Line::Replay(replay) => replay.strange.as_ref(),
            Line::Live { .. } | Line::Remote(_) => None,
        }
    }
}

impl Replay {
    fn send(&mut self, request: Request) -> Result<Arc<Answer>, SendError> {
        let recorded = self.page.exchanges.get(self.next).filter(|(known, _)| *known == request);
        match recorded {
            Some((_, answer)) if self.strange.is_none() => {
                self.next += 1;
                answer.clone()
            }
            _ => {
                self.strange.get_or_insert(request);
                Err(SendError::Denied("the recorded page has no such request".to_owned()))
            }
        }
    }
}

/// Drops a recording that would grow past [`PAGE_BYTES`].
fn make_room(recording: &mut Option<Recording>, more: usize) {
    if recording.as_ref().is_some_and(|taken| taken.bytes + more > PAGE_BYTES) {
        *recording = None;
    }
}

/// Bytes that a request takes in a recording.
fn size_of_request(request: &Request) -> usize {
    let pairs = request.query.len() + request.headers.len();
    EXCHANGE_BYTES + request.size() + pairs * PAIR_BYTES
}

impl RecordedPage {
    /// The first page of a source that nothing was asked of yet: the first request is one that it
    /// does not have.
    pub(super) fn empty(facts: ScrapFacts, limits: Limits, now: String) -> Self {
        Self { facts, limits, now, cursor: None, cursor_format: 1, records: 0, bytes: 0, exchanges: Vec::new() }
    }
}

#[cfg(test)]
impl RecordedPage {
    /// The first page of a source that nothing was asked of.
    pub(super) fn without_requests(records: usize, limits: Limits) -> Self {
        Self {
            facts: ScrapFacts { scrap_id: None, cliente_id: 1, period: None, page_size: 1, settings: "{}".to_owned() },
            limits,
            now: "2025-10-20T12:00:00Z".to_owned(),
            cursor: None,
            cursor_format: 1,
            records,
            bytes: 0,
            exchanges: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atlas_http::{AuthScheme, BodyBudget, HttpLimits, Method};
    use atlas_model::Secret;
    use atlas_model::{Access, DefaultFor};

    /// A recorded line to an address where no server listens.
    fn line(requests_per_page: u32) -> GuestHttp {
        let limits = Limits { requests_per_page, ..Limits::default() };
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
        GuestHttp::live(client, endpoint, Handle::current(), &limits, true)
    }

    /// A request that is refused before it is made: no header has such a name.
    fn refused(headers: usize) -> Request {
        let headers = vec![("a b".to_owned(), String::new()); headers];
        Request { method: Method::Get, target: String::new(), query: Vec::new(), headers, body: None }
    }

    fn recorded(http: &mut GuestHttp) -> Option<RecordedPage> {
        let facts = ScrapFacts { scrap_id: None, cliente_id: 1, period: None, page_size: 1, settings: "{}".to_owned() };
        http.recorded(&facts, "", None, 0, 0)
    }

    #[tokio::test]
    async fn requests_that_are_refused_count_like_any_other() {
        let mut http = line(10);
        for _ in 0..10 {
            assert!(matches!(http.send(refused(1)).await, Err(SendError::InvalidRequest(_))));
        }
        for _ in 0..200_000 {
            assert!(matches!(http.send(refused(1)).await, Err(SendError::Exhausted(_))));
        }
        assert_eq!(http.meter.limit, Some(("requests_per_page", 10)));
        assert_eq!(recorded(&mut http).unwrap().exchanges.len(), 10);
    }

    #[tokio::test]
    async fn what_little_there_is_of_an_exchange_counts_in_a_recording() {
        let mut http = line(u32::MAX);
        for _ in 0..3 {
            let _ = http.send(refused(1)).await;
        }
        assert!(recorded(&mut http).unwrap().bytes >= 3 * (EXCHANGE_BYTES + PAIR_BYTES));
        let mut http = line(u32::MAX);
        for _ in 0..=PAGE_BYTES / EXCHANGE_BYTES {
            let _ = http.send(refused(1)).await;
        }
        assert!(recorded(&mut http).is_none());
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_not_copied() {
        let mut http = line(10);
        let _ = http.send(refused(PAGE_BYTES / PAIR_BYTES)).await;
        assert!(recorded(&mut http).is_none());
    }
}

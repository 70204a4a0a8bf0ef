//! The line between a guest and its source: live, recorded as it goes if somebody wants to replay it, or replayed.
//!
//! A recording is a page as its guest saw it, kept in memory for the trial of the next version and never written anywhere. It
//! is bounded, and a copy: the bodies themselves are paid for out of the budget of bodies in flight.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use super::source::ScrapFacts;
use crate::source::{Answer, Endpoint, HttpClient, PageMeter, Request, SendError};

/// The largest page that is recorded: requests, headers and bodies together.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The HTTP that a guest may use; none in `describe`.
pub(super) struct GuestHttp {
    pub(super) meter: PageMeter,
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
}

/// Requests and what the guest got for them, in order.
#[derive(Default)]
struct Recording {
    exchanges: Vec<(Request, Result<Arc<Answer>, SendError>)>,
    bytes: usize,
}

/// A page that was fetched, with all that is needed to fetch it again without its source.
pub(super) struct RecordedPage {
    pub(super) facts: ScrapFacts,
    /// The moment that the guest was told.
    pub(super) now: String,
    pub(super) cursor: Option<String>,
    /// What the cursor means.
    pub(super) cursor_format: u32,
    /// How many records the page had.
    pub(super) records: usize,
    /// How much it is.
    pub(super) bytes: usize,
    exchanges: Vec<(Request, Result<Arc<Answer>, SendError>)>,
}

/// A recorded page that is fetched again.
struct Replay {
    page: Arc<RecordedPage>,
    next: usize,
    /// The first request that the recording does not have.
    strange: Option<String>,
}

impl GuestHttp {
    /// A line to the source, that works on `host`'s threads. `record`: whether the page may be wanted for a trial.
    pub(super) fn live(client: HttpClient, endpoint: Endpoint, host: Handle, record: bool) -> Self {
        let recording = record.then(Recording::default);
        Self { meter: PageMeter::default(), line: Line::Live { client, endpoint: Box::new(endpoint), host, recording } }
    }

    /// A recorded page instead of a source.
    pub(super) fn replay(page: Arc<RecordedPage>) -> Self {
        Self { meter: PageMeter::default(), line: Line::Replay(Replay { page, next: 0, strange: None }) }
    }

    /// Makes one request.
    pub(super) async fn send(&mut self, request: Request) -> Result<Arc<Answer>, SendError> {
        match &mut self.line {
            Line::Replay(replay) => replay.send(request),
            Line::Live { client, endpoint, host, recording } => {
                let asked = recording.is_some().then(|| request.clone());
                let (client, endpoint, mut meter) = (client.clone(), endpoint.clone(), std::mem::take(&mut self.meter));
                let sending = host.spawn(async move {
                    let answer = client.send(&endpoint, &mut meter, request).await;
                    (answer, meter)
                });
                let (answer, meter) = match AbortOnDropHandle::new(sending).await {
                    Ok(sent) => sent,
                    Err(lost) => return Err(SendError::Interrupted(lost.to_string())),
                };
                self.meter = meter;
                let answer = answer.map(Arc::new);
                if let (Some(asked), Some(taken)) = (asked, recording.as_mut()) {
                    taken.bytes += asked.size() + answer.as_ref().map_or(0, |answer| answer.size());
                    taken.exchanges.push((asked, answer.clone()));
                    if taken.bytes > PAGE_BYTES {
                        *recording = None;
                    }
                }
                answer
            }
        }
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
        let copy = |answer: Arc<Answer>| Arc::new(answer.copied());
        Some(RecordedPage {
            facts: facts.clone(),
            now: now.to_owned(),
            cursor: cursor.map(str::to_owned),
            cursor_format,
            records,
            bytes,
            exchanges: exchanges.into_iter().map(|(request, answer)| (request, answer.map(copy))).collect(),
        })
    }

    /// The first request of a replay that the recording does not have.
    pub(super) fn strange_request(&self) -> Option<&str> {
        match &self.line {
            Line::Replay(replay) => replay.strange.as_deref(),
            Line::Live { .. } => None,
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
                self.strange.get_or_insert_with(|| request.shown());
                Err(SendError::Denied("the recorded page has no such request".to_owned()))
            }
        }
    }
}

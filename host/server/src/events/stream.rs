//! Events for one listener, as server-sent events
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use atlas_service::i18n::{Catalogue, Lang};
use axum::response::sse;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::journal::Missed;
use super::{EventId, Happening, Journal};
use crate::texts::Texts;
use crate::view::LiveView;

/// Events that are taken from the journal at a time.
const TAKEN: usize = 64;
/// How long a browser waits until it asks again after the connection broke.
const RETRY: Duration = Duration::from_secs(1);

/// Which events a listener asked for, from where on, and in which language.
pub(crate) struct Wanted {
    /// The last event that it had; none: only what happens from now on.
    pub(crate) seen: Option<EventId>,
    /// One scrap and its slices; none: all.
    pub(crate) scrap: Option<i64>,
    /// Its language.
    pub(crate) lang: Lang,
}

/// A line of a log.
#[derive(Serialize)]
struct LineView {
    #[serde(skip_serializing_if = "Option::is_none")]
    scrap_id: Option<i64>,
    texto: String,
}

/// Whether the database answers.
#[derive(Serialize)]
struct StoreView {
    responde: bool,
}

struct Listener {
    journal: Arc<Journal>,
    texts: Arc<Texts>,
    wanted: Wanted,
    seen: EventId,
    woken: tokio::sync::watch::Receiver<u64>,
    ready: VecDeque<sse::Event>,
    stop: CancellationToken,
}

/// Streams every event after the last one that the listener received. Sends `reset` where some are
/// no longer kept, so that it reloads its state. Ends with `stop`.
pub(crate) fn stream(
    journal: Arc<Journal>,
    texts: Arc<Texts>,
    wanted: Wanted,
    stop: CancellationToken,
) -> impl Stream<Item = Result<sse::Event, Infallible>> {
    let woken = journal.listen();
    let seen = wanted.seen.unwrap_or_else(|| journal.last());
    // So that a browser knows its place before anything happens, and asks again soon.
    let hello = sse::Event::default().event("hello").id(seen.to_string()).retry(RETRY).data("{}");
    let ready = VecDeque::from([hello]);
    let listener = Listener { journal, texts, wanted, seen, woken, ready, stop };
    stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok(event), listener))
    })
}

impl Listener {
    async fn next(&mut self) -> Option<sse::Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            // Before the journal is read: what is added meanwhile wakes at once.
            self.woken.borrow_and_update();
            self.take();
            if !self.ready.is_empty() {
                continue;
            }
            if self.journal.last() != self.seen {
                // There was nothing for this listener among those.
                continue;
            }
            tokio::select! {
                () = self.stop.cancelled() => return None,
                woken = self.woken.changed() => woken.ok()?,
            }
        }
    }

    fn take(&mut self) {
        match self.journal.since(self.seen, TAKEN) {
            Missed::Lost(now) => {
                self.seen = now;
                self.ready.push_back(sse::Event::default().event("reset").id(now.to_string()).data("{}"));
            }
            Missed::Events(events) => {
                for (place, happening) in events {
                    self.seen = place;
                    if self.wants(&happening) {
                        self.ready.push_back(self.shown(&happening).id(place.to_string()));
                    }
                }
            }
        }
    }

    fn wants(&self, happening: &Happening) -> bool {
        let Some(wanted) = self.wanted.scrap else { return true };
        match happening {
            Happening::Scrap(live) => live.scrap.id == wanted || live.scrap.slice_of == Some(wanted),
            Happening::Line { scrap_id, .. } => *scrap_id == Some(wanted),
            Happening::Connector { .. } => false,
            Happening::Store { .. } => true,
        }
    }

    fn shown(&self, happening: &Happening) -> sse::Event {
        let texts: &Catalogue = self.texts.of(self.wanted.lang);
        let line = |scrap_id, notice| json(&LineView { scrap_id, texto: texts.text(notice) });
        match happening {
            Happening::Scrap(live) => sse::Event::default().event("scrap").data(json(&LiveView::of(live, texts))),
            Happening::Line { scrap_id, notice } => sse::Event::default().event("line").data(line(*scrap_id, notice)),
            Happening::Store { answers } => {
                sse::Event::default().event("store").data(json(&StoreView { responde: *answers }))
            }
            Happening::Connector { notice } => sse::Event::default().event("connector").data(line(None, notice)),
        }
    }
}

/// JSON on one line, which is what an event's data has to be.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("{{\"error\":\"{error}\"}}"))
}

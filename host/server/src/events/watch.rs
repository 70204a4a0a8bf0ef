//! Polls the database twice a second for scraps that have changed, so that listeners see changes
//! made by this process, by another host or by a command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::{Scrap, ScrapState};
use atlas_service::{Atlas, Failure, paced};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Happening, Journal, Live, Runs};

/// Pause between two polls, and after one that failed: well within the time for which a poll still
/// lists scraps that have ended.
const LOOK: Duration = Duration::from_millis(500);
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Time limit of one poll; beyond it, listeners see the database as not answering.
const LOOK_MAX: Duration = Duration::from_secs(5);
/// Scraps that one look reads.
const SCRAPS_MAX: i64 = 1_000;
/// Length of the queue of scraps that were just changed here and are to be polled at once.
const ASKED_MAX: usize = 1_024;

/// A scrap as listeners last received it.
struct LastSent {
    live: Live,
    at: Instant,
    /// Since when it was seen running, and how much of it was done then.
    since: (Instant, f64),
    /// Whether the last look saw it.
    seen: bool,
}

/// Polls the database for changed scraps, and sends them to listeners.
pub(crate) struct Watch {
    journal: Arc<Journal>,
    runs: Arc<Runs>,
    asked: mpsc::Sender<i64>,
}

impl Watch {
    /// Begins to look, until `stop`.
    pub(crate) fn begin(
        atlas: Arc<Atlas>,
        journal: Arc<Journal>,
        runs: Arc<Runs>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let (asked, mut asks) = mpsc::channel(ASKED_MAX);
        let watch = Arc::new(Self { journal, runs, asked });
        let looking = Arc::clone(&watch);
        tokio::spawn(async move {
            let mut known = BTreeMap::new();
            let mut newest = None;
            let mut pause = Duration::ZERO;
            let mut answers = true;
            loop {
                let mut ids = BTreeSet::new();
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(pause) => {}
                    Some(id) = asks.recv() => { ids.insert(id); }
                }
                while let Ok(id) = asks.try_recv() {
                    ids.insert(id);
                }
                let look = looking.look(&atlas, &mut known, &mut newest, ids);
                let looked = tokio::time::timeout(LOOK_MAX, look).await;
                // Changes that this poll missed reach listeners with the first poll that succeeds.
                let answered = match looked {
                    Ok(Ok(())) => true,
                    Ok(Err(error)) => {
                        tracing::debug!(causes = ?error.causes, "scraps could not be watched");
                        false
                    }
                    Err(_) => {
                        tracing::debug!("scraps could not be watched: the database does not answer");
                        false
                    }
                };
                pause = if answered { LOOK } else { LOOK_AGAIN };
                if answered != answers {
                    looking.journal.tell(Happening::Store { answers: answered });
                    answers = answered;
                }
            }
        });
        watch
    }

    /// Polls a scrap now, after a request of this server has changed it.
    pub(crate) fn look_at(&self, scrap_id: i64) {
        // Dropped where the queue is full: the next poll sees the scrap.
        let _ = self.asked.try_send(scrap_id);
    }

    async fn look(
        &self,
        atlas: &Atlas,
        known: &mut BTreeMap<i64, LastSent>,
        newest: &mut Option<i64>,
        mut ids: BTreeSet<i64>,
    ) -> Result<(), Failure> {
        let after = match *newest {
            Some(newest) => newest,
            None => atlas.newest_scrap().await?,
        };
        let scraps = atlas.watch_scraps(after, SCRAPS_MAX).await?;
        *newest = Some(scraps.iter().map(|scrap| scrap.id).max().unwrap_or(after).max(after));
        for told in known.values_mut() {
            told.seen = false;
        }
        let mut wholes = BTreeSet::new();
        for scrap in scraps {
            ids.remove(&scrap.id);
            // The state of a divided scrap is computed from its slices, after them.
            if scrap.slices > 0 {
                wholes.insert(scrap.id);
                continue;
            }
            let whole = scrap.slice_of;
            if self.tell_if_changed(known, scrap, true) {
                wholes.extend(whole);
            }
        }
        // Scraps that were running and have left the listing, and those that were asked for.
        ids.extend(known.iter().filter(|(_, told)| !told.seen && told.live.scrap.slices == 0).map(|(id, _)| *id));
        for id in ids {
            let Some(scrap) = atlas.find_scrap(id).await? else { continue };
            let whole = scrap.slice_of;
            if self.tell_if_changed(known, scrap, false) {
                wholes.extend(whole);
            }
        }
        for id in wholes {
            if let Some(scrap) = atlas.find_scrap(id).await? {
                self.tell_if_changed(known, scrap, false);
            }
        }
        // A scrap that has ended and left the listing does not change by itself.
        known.retain(|_, told| told.live.scrap.state == ScrapState::Executando || told.seen);
        Ok(())
    }

    /// Sends listeners a scrap unless they have received it in this state. `seen` says that the
    /// poll's own listing had it, rather than a query for this scrap alone.
    fn tell_if_changed(&self, known: &mut BTreeMap<i64, LastSent>, scrap: Scrap, seen: bool) -> bool {
        let id = scrap.id;
        let lately = self.runs.lately(id);
        let runs = scrap.state == ScrapState::Executando;
        let before = known.get(&id);
        let passed = before.map(|told| told.at.elapsed().as_secs_f64().max(0.001));
        let read = before.map_or(0, |told| scrap.counts.lidos - told.live.scrap.counts.lidos);
        let rate = passed.filter(|_| runs).map_or(0.0, |passed| {
            let earlier = before.map_or(0.0, |told| told.live.rate);
            paced(earlier, read as f64 / passed, passed)
        });
        let share = share_done(&scrap);
        let since = before.filter(|told| told.live.scrap.state == scrap.state).map(|told| told.since);
        let since = since.unwrap_or((Instant::now(), share));
        let left_s = if runs { time_left(since, share) } else { None };
        let (page_ms, throttled_until, attempts) = (lately.page_ms, lately.throttled_until, lately.attempts);
        let live = Live { scrap, rate, page_ms, left_s, throttled_until, attempts };
        let is_new = before.is_none_or(|told| told.live != live);
        if is_new {
            self.journal.tell(Happening::Scrap(Box::new(live.clone())));
        }
        known.insert(id, LastSent { live, at: Instant::now(), since, seen });
        is_new
    }
}

/// How much of a scrap is done: by records where the source declared how many, else by the pages
/// that are known.
fn share_done(scrap: &Scrap) -> f64 {
    let share = match scrap.total_records {
        Some(total) if total > 0 => scrap.counts.lidos as f64 / total as f64,
        _ => scrap.pages as f64 / (scrap.pages + scrap.frontier).max(1) as f64,
    };
    share.min(1.0)
}

/// How long it still takes at the pace since it was seen first.
fn time_left((began, share_then): (Instant, f64), share: f64) -> Option<f64> {
    let done = share - share_then;
    (done > 0.0).then(|| began.elapsed().as_secs_f64() * (1.0 - share) / done)
}

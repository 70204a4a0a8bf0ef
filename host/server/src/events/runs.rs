//! The progress of this process's runs that is not in the database: time per page, waits, attempts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::Notice;
use atlas_service::zone::Zone;
use atlas_service::{Complaints, Event, Observer, Saying};
use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::Mutex;

use super::{Happening, Journal};
use crate::metrics::Metrics;

/// Runs whose progress is kept, at most: those that were heard of last.
const RUNS_KEPT: usize = 100;
/// The shortest wait before the next attempt that is shown beside a scrap's state.
const WAIT_SHOWN: Duration = Duration::from_secs(2);

/// A run's progress since it was last queried.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Lately {
    /// Mean time of the pages since then.
    pub(super) page_ms: Option<f64>,
    /// Until when requests wait.
    pub(super) throttled_until: Option<String>,
    /// Failed attempts, over the whole run.
    pub(super) attempts: u64,
}

#[derive(Default)]
struct Run {
    pages: u32,
    pages_took: Duration,
    attempts: u64,
    throttled_until: Option<DateTime<Utc>>,
    complaints: Complaints,
    /// When it was heard of last.
    heard: Option<Instant>,
}

/// The runs of this process.
pub(crate) struct Runs {
    journal: Arc<Journal>,
    metrics: Arc<Metrics>,
    zone: Zone,
    by_scrap: Mutex<BTreeMap<i64, Run>>,
}

impl Runs {
    pub(crate) fn new(journal: Arc<Journal>, metrics: Arc<Metrics>, zone: Zone) -> Self {
        Self { journal, metrics, zone, by_scrap: Mutex::default() }
    }

    /// Makes the observer of a scrap that is about to run, and forgets its earlier run's progress.
    pub(crate) fn watch(self: &Arc<Self>, scrap_id: i64) -> Arc<dyn Observer> {
        self.change(scrap_id, |run| *run = Run::default());
        Arc::new(RunObserver { runs: Arc::clone(self), scrap_id })
    }

    /// Tells listeners a line of a scrap's log.
    pub(crate) fn say(&self, scrap_id: i64, notice: Notice) {
        self.journal.tell(Happening::Line { scrap_id: Some(scrap_id), notice });
    }

    /// Takes a run's progress since the last call; the default where the scrap does not run here.
    pub(super) fn lately(&self, scrap_id: i64) -> Lately {
        let mut runs = self.by_scrap.lock();
        let Some(run) = runs.get_mut(&scrap_id) else { return Lately::default() };
        let (pages, took) = (std::mem::take(&mut run.pages), std::mem::take(&mut run.pages_took));
        let page_ms = (pages > 0).then(|| took.as_secs_f64() * 1_000.0 / f64::from(pages));
        let throttled = run.throttled_until.filter(|until| *until > Utc::now());
        Lately {
            page_ms,
            throttled_until: throttled.map(|until| until.to_rfc3339_opts(SecondsFormat::Secs, true)),
            attempts: run.attempts,
        }
    }

    fn change<T>(&self, scrap_id: i64, change: impl FnOnce(&mut Run) -> T) -> T {
        let mut runs = self.by_scrap.lock();
        if !runs.contains_key(&scrap_id) && runs.len() >= RUNS_KEPT {
            let oldest = runs.iter().min_by_key(|(_, run)| run.heard).map(|(id, _)| *id);
            oldest.and_then(|id| runs.remove(&id));
        }
        let run = runs.entry(scrap_id).or_default();
        run.heard = Some(Instant::now());
        change(run)
    }
}

struct RunObserver {
    runs: Arc<Runs>,
    scrap_id: i64,
}

impl Observer for RunObserver {
    fn on(&self, event: Event<'_>) {
        let runs = &self.runs;
        runs.metrics.observe(&event);
        match &event {
            Event::Page { elapsed, .. } => runs.change(self.scrap_id, |run| {
                run.pages += 1;
                run.pages_took += *elapsed;
            }),
            Event::Attempt { wait, .. } => {
                let until = Utc::now() + *wait;
                runs.change(self.scrap_id, |run| {
                    run.attempts += 1;
                    run.throttled_until = run.throttled_until.max(Some(until).filter(|_| *wait >= WAIT_SHOWN));
                });
            }
            Event::NotReady { wait, .. } if *wait < WAIT_SHOWN => {}
            Event::NotReady { wait, .. } | Event::Throttled { wait, .. } => {
                let until = Utc::now() + *wait;
                runs.change(self.scrap_id, |run| run.throttled_until = run.throttled_until.max(Some(until)));
            }
            // Kept, and not told to listeners: a connector may say a thousand things of each page.
            Event::Logged { .. } => return,
            _ => {}
        }
        if let Some(saying) = Saying::of(&event, runs.zone)
            && (!saying.is_complaint || runs.change(self.scrap_id, |run| run.complaints.may_tell()))
        {
            runs.say(self.scrap_id, saying.notice);
        }
    }
}

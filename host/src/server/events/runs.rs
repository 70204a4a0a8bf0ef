//! What this process's runs say of themselves, beyond what the database has.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Happening, Journal};
use crate::notice;
use crate::notice::Notice;
use crate::pipeline::{Event, Observer};
use crate::server::metrics::Metrics;

/// Scraps whose lines are kept: those that ran last. With lines as long as they may be, all together are 40 MB.
const LOGS_KEPT: usize = 100;
/// Lines of one scrap that are kept.
const LINES_KEPT: usize = 200;
/// The shortest wait before the next attempt that is shown beside a scrap's state.
const WAIT_SHOWN: Duration = Duration::from_secs(2);
/// The shortest time between two lines about the same outage, or the same wait.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(1);

/// A line of a scrap's log.
#[derive(Debug, Clone)]
pub(in crate::server) struct LogLine {
    /// When (RFC 3339).
    pub(in crate::server) at: String,
    /// What to say.
    pub(in crate::server) notice: Notice,
}

/// What a run came to since it was asked last.
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
    complained: Option<Instant>,
    lines: VecDeque<LogLine>,
    /// When it was heard of last.
    heard: Option<Instant>,
}

/// The runs of this process.
pub(in crate::server) struct Runs {
    journal: Arc<Journal>,
    metrics: Arc<Metrics>,
    by_scrap: Mutex<BTreeMap<i64, Run>>,
}

impl Runs {
    pub(in crate::server) fn new(journal: Arc<Journal>, metrics: Arc<Metrics>) -> Self {
        Self { journal, metrics, by_scrap: Mutex::default() }
    }

    /// Who watches a scrap that is about to run.
    pub(in crate::server) fn watch(self: &Arc<Self>, scrap_id: i64) -> Arc<dyn Observer> {
        self.change(scrap_id, |run| *run = Run { lines: std::mem::take(&mut run.lines), ..Run::default() });
        Arc::new(RunObserver { runs: Arc::clone(self), scrap_id })
    }

    /// What is kept of a scrap's log, the oldest line first.
    pub(in crate::server) fn lines(&self, scrap_id: i64) -> Vec<LogLine> {
        let runs = self.by_scrap.lock().unwrap_or_else(PoisonError::into_inner);
        runs.get(&scrap_id).map(|run| run.lines.iter().cloned().collect()).unwrap_or_default()
    }

    /// Adds a line to a scrap's log, and tells listeners.
    pub(in crate::server) fn say(&self, scrap_id: i64, notice: Notice) {
        self.keep(scrap_id, &notice);
        self.journal.tell(Happening::Line { scrap_id: Some(scrap_id), notice });
    }

    fn keep(&self, scrap_id: i64, notice: &Notice) {
        let line = LogLine { at: Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true), notice: notice.clone() };
        self.change(scrap_id, |run| {
            run.lines.push_back(line);
            if run.lines.len() > LINES_KEPT {
                run.lines.pop_front();
            }
        });
    }

    /// How a scrap's run goes; none: it does not run here.
    pub(super) fn lately(&self, scrap_id: i64) -> Lately {
        let mut runs = self.by_scrap.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut runs = self.by_scrap.lock().unwrap_or_else(PoisonError::into_inner);
        if !runs.contains_key(&scrap_id) && runs.len() >= LOGS_KEPT {
            let oldest = runs.iter().min_by_key(|(_, run)| run.heard).map(|(id, _)| *id);
            oldest.and_then(|id| runs.remove(&id));
        }
        let run = runs.entry(scrap_id).or_default();
        run.heard = Some(Instant::now());
        change(run)
    }

    /// Whether it is time to tell of a wait or an outage again.
    fn may_complain(&self, scrap_id: i64) -> bool {
        self.change(scrap_id, |run| {
            let due = run.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_PAUSE);
            if due {
                run.complained = Some(Instant::now());
            }
            due
        })
    }
}

struct RunObserver {
    runs: Arc<Runs>,
    scrap_id: i64,
}

impl RunObserver {
    fn say(&self, notice: Notice) {
        self.runs.say(self.scrap_id, notice);
    }
}

impl Observer for RunObserver {
    fn on(&self, event: Event<'_>) {
        self.runs.metrics.observe(&event);
        match event {
            // The database says as much, and once for many.
            Event::Queued(_) | Event::Inserted | Event::Written { .. } => {}
            Event::Page { elapsed, .. } => self.runs.change(self.scrap_id, |run| {
                run.pages += 1;
                run.pages_took += elapsed;
            }),
            Event::Attempt { attempt, of, wait, reason } => {
                let until = Utc::now() + wait;
                self.runs.change(self.scrap_id, |run| {
                    run.attempts += 1;
                    run.throttled_until = run.throttled_until.max(Some(until).filter(|_| wait >= WAIT_SHOWN));
                });
                let wait = format!("{:.1}", wait.as_secs_f64());
                self.say(notice!("web-line-attempt", attempt = attempt, of = of, wait = wait, reason = reason));
            }
            Event::Rejected { code, reason } => {
                self.say(notice!("web-line-rejected", code = code, reason = reason));
            }
            // Kept, and not told to listeners: a connector may say a thousand things of each page.
            Event::Logged { line } => self.runs.keep(self.scrap_id, &notice!("web-line-connector", line = line)),
            Event::SecondLook => self.say(notice!("run-second-look")),
            Event::SweepAgain { sweep } => self.say(notice!("run-sweep-again", sweep = sweep)),
            Event::Throttled { reason, wait } => {
                let until = Utc::now() + wait;
                self.runs.change(self.scrap_id, |run| run.throttled_until = run.throttled_until.max(Some(until)));
                if self.runs.may_complain(self.scrap_id) {
                    let until = (chrono::Local::now() + wait).format("%H:%M:%S");
                    let wait = format!("{:.0}", wait.as_secs_f64().ceil());
                    self.say(notice!("run-throttled", reason = reason, wait = wait, until = until));
                }
            }
            Event::StoreWaiting { reason, wait } => {
                if self.runs.may_complain(self.scrap_id) {
                    let wait = format!("{:.1}", wait.as_secs_f64());
                    self.say(notice!("run-store-waiting", reason = reason, wait = wait));
                }
            }
        }
    }
}

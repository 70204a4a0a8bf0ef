//! A scrap's history: the lines that its runs logged, and their pace, kept in the database so that
//! every host shows the same.
//!
//! A [`Recorder`] stands between a run and its observers. It keeps what is new in memory,
//! bounded like the history itself, and writes it down every [`EVERY`], when a reader of this
//! process asks, and when the run ends. It never holds a run up: a database that does not answer
//! gets later what is in memory then.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use atlas_model::{HistoryPlace, LINES_KEPT, LogLine, Notice, POINTS_KEPT, PacePoint, notice};
use atlas_pipeline::{Event, Observer};
use atlas_store::{Store, StoreError};
use chrono::{DateTime, Utc};
use parking_lot::{Mutex, MutexGuard};

use super::atlas::Atlas;
use super::failure::Failure;
use crate::zone::Zone;

/// How often what is new is written down, and a point of the pace is taken.
const EVERY: Duration = Duration::from_secs(2);
/// How long writing down may take when a run ends, or a reader waits.
const WRITE_MAX: Duration = Duration::from_secs(2);
/// Over how many seconds a pace is a mean: pages come in bursts.
const PACE_SPAN: f64 = 4.0;
/// The shortest time between two lines about the same outage, or the same wait.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(1);
/// Characters of an argument of a line that is kept.
const ARGUMENT_KEPT: usize = 400;

/// A run's event as a line of its scrap's log.
#[derive(Debug)]
pub struct Saying {
    /// The line.
    pub notice: Notice,
    /// Whether it may come many times a second, so that it is throttled by [`Complaints`].
    pub is_complaint: bool,
}

impl Saying {
    /// The line of an event, if it is worth one.
    pub fn of(event: &Event<'_>, zone: Zone) -> Option<Self> {
        let said = |notice| Some(Self { notice, is_complaint: false });
        let complaint = |notice| Some(Self { notice, is_complaint: true });
        match event {
            Event::Attempt { attempt, of, wait, reason } => {
                let wait = format!("{:.1}", wait.as_secs_f64());
                said(notice!("web-line-attempt", attempt = attempt, of = of, wait = wait, reason = reason))
            }
            Event::NotReady { tried, of, wait, reason } => {
                let wait = format!("{:.1}", wait.as_secs_f64());
                said(notice!("web-line-not-ready", tried = tried, of = of, wait = wait, reason = reason))
            }
            Event::Rejected { code, reason } => said(notice!("web-line-rejected", code = code, reason = reason)),
            Event::Logged { line } => said(notice!("web-line-connector", line = line)),
            Event::SecondLook => said(notice!("run-second-look")),
            Event::SweepAgain { sweep } => said(notice!("run-sweep-again", sweep = sweep)),
            Event::Throttled { reason, wait } => {
                let until = zone.local(Utc::now() + *wait).format("%H:%M:%S");
                let wait = format!("{:.0}", wait.as_secs_f64().ceil());
                complaint(notice!("run-throttled", reason = reason, wait = wait, until = until))
            }
            Event::StoreWaiting { reason, wait } => {
                let wait = format!("{:.1}", wait.as_secs_f64());
                complaint(notice!("run-store-waiting", reason = reason, wait = wait))
            }
            Event::Queued(_) | Event::Inserted | Event::Written { .. } | Event::Page { .. } => None,
        }
    }
}

/// Lets one complaint through at a time.
#[derive(Debug, Default)]
pub struct Complaints(Option<Instant>);

impl Complaints {
    /// Whether it is time to tell of a wait or an outage again.
    pub fn may_tell(&mut self) -> bool {
        let due = self.0.is_none_or(|last| last.elapsed() >= COMPLAINT_PAUSE);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// The pace, given the one before and what came since: it decays as time passes, so that a burst is
/// neither a peak nor forgotten.
pub fn paced(earlier: f64, lately: f64, seconds: f64) -> f64 {
    let weight = 1.0 - (-seconds / PACE_SPAN).exp();
    let pace = earlier + weight * (lately - earlier);
    // Below what is shown.
    if pace < 0.05 { 0.0 } else { pace }
}

/// A line of a scrap's log, to be read.
#[derive(Debug, Clone)]
pub struct HistoryLine {
    /// When.
    pub at: DateTime<Utc>,
    /// What to say.
    pub notice: Notice,
}

/// How a scrap went for a moment, to be read.
#[derive(Debug, Clone, Copy)]
pub struct HistoryPoint {
    /// When.
    pub at: DateTime<Utc>,
    /// Records a second.
    pub rate: f64,
    /// Mean time of a page in milliseconds, where one came.
    pub page_ms: Option<f64>,
}

/// The observer of one run: forwards its events, and records them as history.
pub(super) struct Recorder {
    scrap_id: i64,
    zone: Zone,
    watching: Arc<dyn Observer>,
    fresh: Mutex<Fresh>,
    /// The next numbers of lines and points in the database, once known. The task that holds the
    /// lock writes.
    place: tokio::sync::Mutex<Option<HistoryPlace>>,
}

/// Lines and points that are not in the database yet.
struct Fresh {
    lines: Tail<Notice>,
    points: Tail<Pace>,
    complaints: Complaints,
    /// Since the last point: records, pages, and the time that those took.
    read: i64,
    pages: u32,
    pages_took: Duration,
    /// The pace at the last point, and when that was.
    rate: f64,
    since: Instant,
}

impl Default for Fresh {
    fn default() -> Self {
        Self {
            lines: Tail::default(),
            points: Tail::default(),
            complaints: Complaints::default(),
            read: 0,
            pages: 0,
            pages_took: Duration::ZERO,
            rate: 0.0,
            since: Instant::now(),
        }
    }
}

/// A number, a time in milliseconds since 1970, and what came then.
type Numbered<T> = (u64, i64, T);
/// Records a second, and the mean time of a page in milliseconds.
type Pace = (f64, Option<f64>);

/// The last of what came, each with its number and its time in milliseconds since 1970.
struct Tail<T> {
    came: u64,
    kept: VecDeque<Numbered<T>>,
}

impl<T> Default for Tail<T> {
    fn default() -> Self {
        Self { came: 0, kept: VecDeque::new() }
    }
}

impl<T> Tail<T> {
    /// Adds one; the oldest beyond `most` goes.
    fn push(&mut self, most: i64, value: T) {
        self.kept.push_back((self.came, Utc::now().timestamp_millis(), value));
        self.came += 1;
        if self.kept.len() as i64 > most {
            self.kept.pop_front();
        }
    }

    /// Lets go of all up to the one with this number.
    fn written(&mut self, last: Option<u64>) {
        while self.kept.front().is_some_and(|(number, ..)| Some(*number) <= last) {
            self.kept.pop_front();
        }
    }

    fn last(&self) -> Option<u64> {
        self.kept.back().map(|(number, ..)| *number)
    }
}

impl Recorder {
    pub(super) fn new(scrap_id: i64, zone: Zone, watching: Arc<dyn Observer>) -> Arc<Self> {
        let (fresh, place) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { scrap_id, zone, watching, fresh, place })
    }

    /// Adds a line to the scrap's log.
    pub(super) fn say(&self, mut notice: Notice) {
        for text in notice.args.values_mut() {
            if let Some((end, _)) = text.char_indices().nth(ARGUMENT_KEPT) {
                text.truncate(end);
                text.push('…');
            }
        }
        self.fresh().lines.push(LINES_KEPT, notice);
    }

    fn fresh(&self) -> MutexGuard<'_, Fresh> {
        self.fresh.lock()
    }

    /// Takes points and writes down what is new, until this is dropped.
    pub(super) async fn keep(&self, store: &dyn Store) -> Infallible {
        loop {
            tokio::time::sleep(EVERY).await;
            self.take_point();
            self.write(store).await;
        }
    }

    /// Takes a point of the time since the one before.
    pub(super) fn take_point(&self) {
        let fresh = &mut *self.fresh();
        let seconds = fresh.since.elapsed().as_secs_f64().max(0.001);
        fresh.since = Instant::now();
        let (read, pages) = (std::mem::take(&mut fresh.read), std::mem::take(&mut fresh.pages));
        let took = std::mem::take(&mut fresh.pages_took);
        fresh.rate = paced(fresh.rate, read as f64 / seconds, seconds);
        let page_ms = (pages > 0).then(|| took.as_secs_f64() * 1_000.0 / f64::from(pages));
        fresh.points.push(POINTS_KEPT, (fresh.rate, page_ms));
    }

    /// Writes new lines and points to the database, within [`WRITE_MAX`]. Those that it did not
    /// take stay in memory for the next time.
    pub(super) async fn write(&self, store: &dyn Store) {
        match tokio::time::timeout(WRITE_MAX, self.written(store)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(%error, scrap = self.scrap_id, "the scrap's history was not kept"),
            Err(_) => tracing::debug!(scrap = self.scrap_id, "the scrap's history was not kept in time"),
        }
    }

    async fn written(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut place = self.place.lock().await;
        let begin = match *place {
            Some(begin) => begin,
            None => match store.open_history(self.scrap_id).await? {
                Some(begin) => *place.insert(begin),
                None => return Ok(()),
            },
        };
        let (lines, points, last) = {
            let fresh = self.fresh();
            let line = |(ordem, (_, em, notice)): (i64, &Numbered<Notice>)| {
                let aviso = serde_json::to_string(notice).unwrap_or_default();
                LogLine { ordem, em: *em, aviso }
            };
            let point = |(ordem, (_, em, (por_segundo, pagina_ms))): (i64, &Numbered<Pace>)| PacePoint {
                ordem,
                em: *em,
                por_segundo: *por_segundo,
                pagina_ms: *pagina_ms,
            };
            let lines: Vec<LogLine> = (begin.linhas..).zip(&fresh.lines.kept).map(line).collect();
            let points: Vec<PacePoint> = (begin.pontos..).zip(&fresh.points.kept).map(point).collect();
            (lines, points, (fresh.lines.last(), fresh.points.last()))
        };
        if lines.is_empty() && points.is_empty() {
            return Ok(());
        }
        let next = HistoryPlace {
            linhas: begin.linhas + lines.len() as i64,
            pontos: begin.pontos + points.len() as i64,
            ..begin
        };
        store.add_history(begin.cliente_id, self.scrap_id, &lines, &points, every(next.pontos)).await?;
        *place = Some(next);
        let fresh = &mut *self.fresh();
        fresh.lines.written(last.0);
        fresh.points.written(last.1);
        Ok(())
    }
}

/// The factor by which so many points are thinned out: the least power of two that leaves no more
/// than may be kept.
fn every(points: i64) -> i64 {
    let mut every = 1;
    while points / every > POINTS_KEPT {
        every *= 2;
    }
    every
}

impl Observer for Recorder {
    fn on(&self, event: Event<'_>) {
        if let Event::Page { counts, elapsed, .. } = &event {
            let fresh = &mut *self.fresh();
            fresh.read += counts.lidos;
            fresh.pages += 1;
            fresh.pages_took += *elapsed;
        }
        if let Some(saying) = Saying::of(&event, self.zone)
            && (!saying.is_complaint || self.fresh().complaints.may_tell())
        {
            self.say(saying.notice);
        }
        self.watching.on(event);
    }
}

/// The runs of this process that are recorded.
#[derive(Default)]
pub(super) struct Recorders(Mutex<Vec<Weak<Recorder>>>);

impl Recorders {
    pub(super) fn add(&self, recorder: &Arc<Recorder>) {
        let mut all = self.0.lock();
        all.retain(|recorder| recorder.strong_count() > 0);
        all.push(Arc::downgrade(recorder));
    }

    fn of(&self, scrap_id: i64) -> Option<Arc<Recorder>> {
        let all = self.0.lock();
        all.iter().filter_map(Weak::upgrade).find(|recorder| recorder.scrap_id == scrap_id)
    }
}

impl Atlas {
    /// What is kept of a scrap's log and of its pace, the oldest first.
    pub async fn history(
        &self,
        cliente_id: i32,
        scrap_id: i64,
    ) -> Result<(Vec<HistoryLine>, Vec<HistoryPoint>), Failure> {
        if let Some(recorder) = self.recorders.of(scrap_id) {
            recorder.write(self.store().as_ref()).await;
        }
        let kept = self.store().history(cliente_id, scrap_id).await;
        let (lines, points) = kept.map_err(|error| Failure::store("op-browse", &error))?;
        let line = |line: LogLine| {
            // One that a later version wrote in another way is left out.
            Some(HistoryLine {
                at: DateTime::from_timestamp_millis(line.em)?,
                notice: serde_json::from_str(&line.aviso).ok()?,
            })
        };
        let point = |point: PacePoint| {
            let at = DateTime::from_timestamp_millis(point.em)?;
            Some(HistoryPoint { at, rate: point.por_segundo, page_ms: point.pagina_ms })
        };
        Ok((lines.into_iter().filter_map(line).collect(), points.into_iter().filter_map(point).collect()))
    }
}

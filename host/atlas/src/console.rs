//! A run as it goes. On a terminal: page lines above, and below them what is updated in place: the
//! record queued last, the rows inserted, and pages, records, rate and time left. Elsewhere: plain
//! lines.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atlas_model::{Counts, Notice, notice};
use atlas_service::i18n::Catalogue;
use atlas_service::zone::Zone;
use atlas_service::{Announcement, Event, Exit, Observer};
use chrono::Utc;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use super::output::Output;
use super::terminal;

/// Shortest time between two redraws of the part that is updated in place.
const REDRAW: Duration = Duration::from_millis(100);
/// The shortest time between two lines about a database that does not answer.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(1);
/// Digits of a hash that are shown.
const HASH_SHOWN: usize = 8;

/// The console of one process, for all of its runs.
pub(super) struct Console<'a> {
    output: &'a Output,
    bars: Option<MultiProgress>,
    /// Whether lines say which scrap they are of.
    several: bool,
    /// The zone that times are shown in.
    zone: Zone,
    exits: Mutex<HashMap<i64, Exit>>,
}

impl<'a> Console<'a> {
    pub(super) fn new(output: &'a Output, several: bool, zone: Zone) -> Self {
        let live = !output.quiet && std::io::stderr().is_terminal();
        Self { output, bars: live.then(MultiProgress::new), several, zone, exits: Mutex::new(HashMap::new()) }
    }

    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.output.catalogue
    }

    /// Prints a line above whatever is updated in place.
    pub(super) fn say(&self, text: &str) {
        if !self.output.quiet {
            self.suspend(|| terminal::error_line(text));
        }
    }

    /// Does something that prints, with the bars out of its way.
    pub(super) fn suspend(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }

    /// What a run is about to do, and where it writes.
    pub(super) fn announce(&self, announcement: &Announcement, retries: u32, batch: usize, table_existed: bool) {
        let scrap = &announcement.scrap;
        let mut notices = vec![notice!("run-starting", client = scrap.cliente_id, route = scrap.rota)];
        if let Some((from, to)) = &scrap.period {
            notices.push(notice!("run-period", from = from, to = to));
        }
        notices.extend(announcement.bound.clone());
        notices.push(notice!("run-settings", retries = retries, batch = batch));
        notices.push(notice!("run-database", location = announcement.location, id = scrap.id));
        notices.push(notice!("run-table"));
        notices.push(if table_existed { notice!("run-table-exists") } else { notice!("run-table-created") });
        if scrap.pages > 0 {
            notices.push(notice!("run-resumed", pages = scrap.pages, read = scrap.counts.lidos));
        }
        for notice in notices {
            self.say(&self.output.text(&notice));
        }
    }

    /// A handle for printing lines from elsewhere, above the part that is updated in place.
    pub(super) fn lines(&self) -> Lines {
        Lines { texts: Catalogue::new(self.output.catalogue.lang()), bars: self.bars.clone(), quiet: self.output.quiet }
    }

    /// The observer of one scrap's run.
    pub(super) fn scrap(&self, id: i64) -> ScrapConsole {
        let bar = |template: &str| {
            self.bars.as_ref().map(|bars| {
                let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner());
                bars.add(ProgressBar::new_spinner().with_style(style))
            })
        };
        ScrapConsole {
            texts: Catalogue::new(self.output.catalogue.lang()),
            zone: self.zone,
            prefix: if self.several { format!("[{id}] ") } else { String::new() },
            bars: self.bars.clone(),
            queued: bar("{msg}"),
            inserted: bar("{msg}"),
            progress: bar("{spinner} {msg}"),
            quiet: self.output.quiet,
            verbose: self.output.verbose,
            began: Instant::now(),
            drawn_ms: AtomicU64::new(0),
            rows: AtomicI64::new(0),
            seen: Mutex::new(Seen::default()),
            complained: Mutex::new(None),
        }
    }

    pub(super) fn set_exit(&self, id: i64, exit: Exit) {
        self.exits.lock().insert(id, exit);
    }

    pub(super) fn exit_of(&self, id: i64) -> Exit {
        let exits = self.exits.lock();
        exits.get(&id).copied().unwrap_or(Exit::Done)
    }

    pub(super) fn finish(&self) {
        if let Some(bars) = &self.bars {
            // Bars that cannot be cleared stay on the screen, which does no harm.
            let _ = bars.clear();
        }
    }
}

/// A way to print lines while runs go on.
pub(super) struct Lines {
    pub(super) texts: Catalogue,
    bars: Option<MultiProgress>,
    quiet: bool,
}

impl Lines {
    pub(super) fn say(&self, line: &str) {
        if !self.quiet {
            self.suspend(|| terminal::error_line(line));
        }
    }

    pub(super) fn suspend(&self, print: impl FnOnce()) {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

/// Totals over the pages so far.
#[derive(Default)]
struct Seen {
    pages: i64,
    records: i64,
    frontier: i64,
    total: Option<i64>,
}

/// The observer of one scrap's run, which prints its progress.
pub(super) struct ScrapConsole {
    texts: Catalogue,
    zone: Zone,
    prefix: String,
    bars: Option<MultiProgress>,
    queued: Option<ProgressBar>,
    inserted: Option<ProgressBar>,
    progress: Option<ProgressBar>,
    quiet: bool,
    verbose: bool,
    began: Instant,
    /// When the bars were drawn last, in milliseconds since `began`.
    drawn_ms: AtomicU64,
    rows: AtomicI64,
    seen: Mutex<Seen>,
    /// When a line about the database was printed last.
    complained: Mutex<Option<Instant>>,
}

impl ScrapConsole {
    fn say(&self, notice: &Notice) {
        if self.quiet {
            return;
        }
        let line = format!("{}{}", self.prefix, self.texts.text(notice));
        match &self.bars {
            Some(bars) => bars.suspend(|| terminal::error_line(&line)),
            None => terminal::error_line(&line),
        }
    }

    /// Whether it is time to draw what is updated in place: not for each of thousands of records a
    /// second.
    fn is_due(&self) -> bool {
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let drawn = self.drawn_ms.load(Ordering::Relaxed);
        let due = now.saturating_sub(drawn) >= u64::try_from(REDRAW.as_millis()).unwrap_or(0);
        due && self.drawn_ms.compare_exchange(drawn, now, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    fn is_time_to_complain(&self) -> bool {
        let mut last = self.complained.lock();
        let due = last.is_none_or(|last| last.elapsed() >= COMPLAINT_PAUSE);
        if due {
            *last = Some(Instant::now());
        }
        due
    }

    fn on_page(&self, number: i64, frontier: i64, counts: &Counts, total: Option<i64>, elapsed: Duration) {
        let rate = counts.lidos as f64 / elapsed.as_secs_f64().max(0.001);
        self.say(&notice!(
            "run-page",
            number = number,
            seconds = seconds(elapsed),
            records = counts.lidos,
            rate = format!("{rate:.1}")
        ));
        let mut seen = self.seen.lock();
        seen.pages += 1;
        seen.records += counts.lidos;
        seen.frontier = frontier;
        seen.total = total.or(seen.total);
        self.draw(&seen);
    }

    fn draw(&self, seen: &Seen) {
        let Some(progress) = &self.progress else {
            return;
        };
        let elapsed = self.began.elapsed().as_secs_f64().max(0.001);
        let rate = seen.records as f64 / elapsed;
        // By records where the source declared how many, else by the pages that are known.
        let share = match seen.total {
            Some(total) if total > 0 => seen.records as f64 / total as f64,
            _ => seen.pages as f64 / (seen.pages + seen.frontier).max(1) as f64,
        };
        let left = if share > 0.0 { elapsed * (1.0 - share.min(1.0)) / share } else { 0.0 };
        let notice = notice!(
            "run-progress",
            pages = seen.pages,
            known = seen.pages + seen.frontier,
            records = seen.records,
            rate = format!("{rate:.1}"),
            left = seconds(Duration::from_secs_f64(left.min(1e9)))
        );
        progress.set_message(format!("{}{}", self.prefix, self.texts.text(&notice)));
        progress.tick();
    }

    pub(super) fn finish(&self) {
        for bar in [&self.queued, &self.inserted, &self.progress].into_iter().flatten() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for ScrapConsole {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Queued(hash) => {
                let shown = hash.get(..HASH_SHOWN).unwrap_or(hash);
                if self.verbose {
                    self.say(&notice!("run-queued", hash = shown));
                } else if let Some(bar) = self.queued.as_ref().filter(|_| self.is_due()) {
                    bar.set_message(self.texts.text(&notice!("run-queued", hash = shown)));
                    let rows = self.rows.load(Ordering::Relaxed);
                    if let Some(bar) = &self.inserted {
                        bar.set_message(self.texts.text(&notice!("run-inserted", rows = rows)));
                    }
                }
            }
            Event::Inserted => {
                let rows = self.rows.fetch_add(1, Ordering::Relaxed) + 1;
                if self.verbose {
                    self.say(&notice!("run-inserted", rows = rows));
                } else if let Some(bar) = self.inserted.as_ref().filter(|_| self.is_due()) {
                    bar.set_message(self.texts.text(&notice!("run-inserted", rows = rows)));
                }
            }
            // The program's own log shows what connectors say.
            Event::Written { .. } | Event::Logged { .. } => {}
            Event::Page { number, frontier, counts, total_records, elapsed } => {
                self.on_page(number, frontier, &counts, total_records, elapsed)
            }
            Event::Attempt { attempt, of, wait, reason } => {
                let wait = format!("{:.1}", wait.as_secs_f64());
                self.say(&notice!("run-attempt", attempt = attempt, of = of, wait = wait));
                self.say(&notice!("run-attempt-reason", reason = reason));
            }
            Event::NotReady { tried, of, wait, reason } => {
                let wait = format!("{:.1}", wait.as_secs_f64());
                self.say(&notice!("run-not-ready", tried = tried, of = of, wait = wait));
                self.say(&notice!("run-attempt-reason", reason = reason));
            }
            Event::Rejected { code, reason } => {
                let text = self.texts.text(&Notice::new(&format!("rejected-{code}")));
                self.say(&notice!("run-rejected", text = text, reason = reason));
            }
            Event::SecondLook => self.say(&notice!("run-second-look")),
            Event::SweepAgain { sweep } => self.say(&notice!("run-sweep-again", sweep = sweep)),
            // Every page waits for the same budget; one line tells of it.
            Event::Throttled { .. } if !self.is_time_to_complain() => {}
            Event::Throttled { reason, wait } => {
                let until = self.zone.local(Utc::now() + wait).format("%H:%M:%S");
                self.say(&notice!(
                    "run-throttled",
                    reason = reason,
                    wait = format!("{:.0}", wait.as_secs_f64().ceil()),
                    until = until
                ));
            }
            // Every writer meets the same outage; one line tells of it.
            Event::StoreWaiting { .. } if !self.is_time_to_complain() => {}
            Event::StoreWaiting { reason, wait } => {
                let wait = format!("{:.1}", wait.as_secs_f64());
                self.say(&notice!("run-store-waiting", reason = reason, wait = wait));
            }
        }
    }
}

/// `2s`, `1m05s`; below ten seconds with a tenth where there is one.
fn seconds(time: Duration) -> String {
    let tenths = (time.as_secs_f64() * 10.0).round();
    match time.as_secs() {
        0..10 if tenths % 10.0 == 0.0 => format!("{:.0}s", tenths / 10.0),
        0..10 => format!("{:.1}s", tenths / 10.0),
        10..60 => format!("{}s", time.as_secs()),
        60..3600 => format!("{}m{:02}s", time.as_secs() / 60, time.as_secs() % 60),
        _ => format!("{}h{:02}m", time.as_secs() / 3600, time.as_secs() / 60 % 60),
    }
}

/// Keeps the type checker's promise that observers may be shared.
const _: fn(Arc<ScrapConsole>) -> Arc<dyn Observer> = |console| console;

//! Dispatches pages, decides when the run ends, and takes the second look at the source.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use atlas_model::{ClientUsage, CursorId, Kept, Limits, PageKey, Standing};
use atlas_store::{Fault, Store, StoreError};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::frontier::{Frontier, WINDOW};
use super::job::{End, Job, Reservation, RunSettings};
use super::ledger::Ledger;
use super::page::{self, Ahead, PageReport, PageStop, PageTask, Shared};
use super::page_source::PageSource;
use super::patience::answered;
use super::progress::{Event, Observer};
use super::queue;
use super::second_look::SecondLook;
use super::seen::Seen;
use super::writer::Writer;

/// Pages that are begun and not yet checkpointed: in flight, waiting to be tried again, or waiting
/// for the writers.
const OPEN_PAGES_MAX: usize = 512;
/// Pause between two checks of a run's lease, which bounds how soon it notices that its scrap was
/// cancelled or paused.
const LEASE_CHECK: Duration = Duration::from_millis(500);
/// Pages of a sweep with the very same records from which on the scrap gets a reservation.
const SAME_PAGES: i64 = 3;

/// Runs a scrap to its end. When this returns, no task of the run is left, and all fetched records
/// are durable unless the database itself failed. `stop` ends the run early: queued records are
/// still written.
pub async fn run(
    job: Job,
    settings: RunSettings,
    source: Arc<dyn PageSource>,
    store: Arc<dyn Store>,
    observer: Arc<dyn Observer>,
    stop: CancellationToken,
) -> End {
    let (queue, waiting) = queue::queue(settings.limits.queue_records, settings.limits.queue_bytes);
    let waiting = Arc::new(waiting);
    let mut writers = JoinSet::new();
    for _ in 0..store.writers(settings.batch) {
        let writer = Writer {
            store: Arc::clone(&store),
            lease: job.lease.clone(),
            observer: Arc::clone(&observer),
            batch: settings.batch,
            patience: settings.db_patience,
        };
        writers.spawn(writer.run(Arc::clone(&waiting)).in_current_span());
    }
    let (ahead, offers) = mpsc::channel(settings.concurrency);
    let sweep = job.scrap.sweep;
    let shared = Arc::new(Shared {
        ledger: Ledger::open(Arc::clone(&store), job.lease.clone(), settings.db_patience, Arc::clone(&observer)),
        slots: Arc::new(Semaphore::new(settings.concurrency)),
        frontier: Mutex::new(Frontier::new()),
        halt: stop.child_token(),
        pages_done: AtomicI64::new(job.scrap.pages),
        root_facts: Mutex::new(None),
        seen: Mutex::new(Seen::default()),
        ahead,
        queue,
        job,
        settings,
        source,
        store,
        observer,
    });
    let coordinator =
        Coordinator { shared, pages: JoinSet::new(), writers, offers, stop, sweep, left_over: false, end: None };
    coordinator.run().await
}

struct Coordinator {
    shared: Arc<Shared>,
    pages: JoinSet<Result<PageReport, PageStop>>,
    writers: JoinSet<Result<(), StoreError>>,
    offers: mpsc::Receiver<Ahead>,
    stop: CancellationToken,
    sweep: i32,
    /// Whether this run dropped a page from its window that is still in the store's frontier.
    left_over: bool,
    /// The first cause that ended the run; later ones follow from it and are ignored.
    end: Option<End>,
}

impl Coordinator {
    async fn run(mut self) -> End {
        let finished = self.sweep_until_still().await;
        let end = match (finished, self.end.take()) {
            // Pages were abandoned because the run was asked to stop; it had no other cause.
            (Ok(None), None) => End::Stopped,
            (_, Some(end)) => end,
            (Ok(Some(end)), None) => end,
            (Err(error), None) => End::Store(Arc::new(error)),
        };
        self.tear_down().await;
        match end {
            End::Store(error) if error.fault == Fault::LeaseLost => End::LeaseLost,
            end => end,
        }
    }

    /// Sweeps the source until it stands still, or its sweeps are used up. `None` if the run ended
    /// before that.
    async fn sweep_until_still(&mut self) -> Result<Option<End>, StoreError> {
        let client = self.shared.job.lease.cliente_id;
        let usage = self.shared.patiently(|| self.shared.store.usage(client)).await?;
        if let Some(end) = self.over_budget(usage).await? {
            return Ok(Some(end));
        }
        loop {
            let look = self.sweep().await?;
            if self.end.is_some() || self.shared.halt.is_cancelled() {
                return Ok(None);
            }
            let last_word = look.filter(|look| !look.moved || self.sweep > self.shared.settings.sweeps);
            if let Some(look) = last_word {
                return Ok(Some(self.conclude(&look).await?));
            }
            self.shared.observer.on(Event::SecondLook);
            self.sweep += 1;
            let (store, lease) = (&self.shared.store, &self.shared.job.lease);
            self.shared.patiently(|| store.open_sweep(lease, self.sweep)).await?;
            *self.shared.frontier() = Frontier::new();
        }
    }

    /// Fetches all pages in the present sweep's frontier. Returns the second look, if its first
    /// page was one and was fetched in this call.
    async fn sweep(&mut self) -> Result<Option<SecondLook>, StoreError> {
        let mut look = None;
        let mut lease_check = tokio::time::interval(LEASE_CHECK);
        lease_check.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let halt = self.shared.halt.clone();
        let asked_back = self.shared.job.asked_back.clone();
        loop {
            let halted = halt.is_cancelled();
            if !halted {
                self.fill_window().await?;
            }
            let asked = asked_back.is_cancelled();
            if asked && !halted && self.pages.is_empty() && (self.left_over || self.shared.frontier().has_next()) {
                self.ends(End::HandedBack);
                return Ok(look);
            }
            let may_open = !halted && !asked && self.pages.len() < OPEN_PAGES_MAX;
            let has_next = may_open && self.shared.frontier().has_next();
            if self.pages.is_empty() && !has_next {
                return Ok(look);
            }
            let slots = Arc::clone(&self.shared.slots);
            tokio::select! {
                Some(page) = self.pages.join_next() => match page {
                    Ok(Ok(report)) => {
                        let usage = report.receipt.usage;
                        if let Some(seen) = self.settle(report) {
                            look = Some(seen);
                        }
                        if let Some(end) = self.over_budget(usage).await? {
                            self.ends(end);
                        }
                    }
                    Ok(Err(stop)) => self.stopped(stop),
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                Some(written) = self.writers.join_next() => match written {
                    // A writer ends before the queue is closed only because it failed.
                    Ok(result) => {
                        if let Err(error) = result {
                            self.ends(End::Store(Arc::new(error)));
                        }
                        self.pages.shutdown().await;
                    }
                    Err(panic) => std::panic::resume_unwind(panic.into_panic()),
                },
                Some(offer) = self.offers.recv(), if may_open => self.take_offer(offer),
                Ok(slot) = slots.acquire_owned(), if has_next => self.open_next(slot).await?,
                () = halt.cancelled(), if !halted => {}
                () = asked_back.cancelled(), if !asked => {}
                _ = lease_check.tick() => {
                    match answered(self.shared.store.standing(&self.shared.job.lease)).await {
                        Ok(Standing::Lost) => self.ends(End::LeaseLost),
                        Ok(Standing::AskedToPause) => self.ends(End::Paused),
                        Err(error) if error.fault == Fault::Displaced => self.ends(End::Store(Arc::new(error))),
                        // If the database does not answer, the writers wait for it or end the run.
                        Ok(Standing::Held) | Err(_) => {}
                    }
                }
            }
        }
    }

    async fn fill_window(&mut self) -> Result<(), StoreError> {
        let wanted = self.shared.frontier().wants();
        if let Some(after) = wanted {
            let (store, lease) = (&self.shared.store, &self.shared.job.lease);
            let reading = self.shared.patiently(|| store.pending(lease, self.sweep, after, WINDOW));
            let cursors = reading.instrument(tracing::info_span!("store", operation = "pending")).await?;
            self.shared.frontier().fill(cursors);
        }
        Ok(())
    }

    async fn open_next(&mut self, slot: OwnedSemaphorePermit) -> Result<(), StoreError> {
        if self.shared.job.asked_back.is_cancelled() {
            return Ok(());
        }
        let next = self.shared.frontier().next();
        let Some(cursor) = next else { return Ok(()) };
        let before = match cursor.id {
            CursorId::ROOT if self.sweep > 0 => {
                let page = PageKey { sweep: self.sweep - 1, cursor: CursorId::ROOT };
                self.shared.patiently(|| self.shared.store.page_facts(&self.shared.job.lease, page)).await?
            }
            _ => None,
        };
        let task = PageTask { sweep: self.sweep, cursor, parent: None, before };
        self.begin(task, slot);
        Ok(())
    }

    /// Fetches a page ahead of its parent's checkpoint, if there is a slot for it right now.
    fn take_offer(&mut self, offer: Ahead) {
        // The slot may have been asked back in the same poll in which the offer came.
        if self.shared.job.asked_back.is_cancelled() {
            return;
        }
        // An offer that waited until its parent was durable is stale: the page is in the store now,
        // and may be done, and its sweep over.
        if *offer.parent.checkpointed.borrow() {
            return;
        }
        let Ok(slot) = self.shared.slots.clone().try_acquire_owned() else {
            return;
        };
        if !self.shared.frontier().run_ahead(offer.cursor.id) {
            return;
        }
        let task = PageTask { sweep: self.sweep, cursor: offer.cursor, parent: Some(offer.parent), before: None };
        self.begin(task, slot);
    }

    /// Starts the task of a page, which has a span of its own below the scrap's.
    fn begin(&mut self, task: PageTask, slot: OwnedSemaphorePermit) {
        let span = tracing::info_span!("page", sweep = task.sweep, depth = task.cursor.depth);
        self.pages.spawn(page::run(Arc::clone(&self.shared), task, slot).instrument(span));
    }

    /// Ends a run whose client has more rows or bytes in the database than its limits allow. Counts
    /// them anew first, since rows may have been deleted by hand.
    async fn over_budget(&self, usage: ClientUsage) -> Result<Option<End>, StoreError> {
        let limits = &self.shared.settings.limits;
        let Some((kept, ..)) = over(limits, usage) else { return Ok(None) };
        let client = self.shared.job.lease.cliente_id;
        let counted = self.shared.patiently(|| self.shared.store.recount(client, kept)).await?;
        Ok(over(limits, counted).map(|(_, name, value)| End::Limit { name, value }))
    }

    fn settle(&mut self, report: PageReport) -> Option<SecondLook> {
        let limits = &self.shared.settings.limits;
        let over = |name, value: u64, found: i64| (found.unsigned_abs() > value).then_some(End::Limit { name, value });
        let limit = over("frontier", limits.frontier, report.receipt.frontier)
            .or_else(|| over("frontier_bytes", limits.frontier_bytes, report.receipt.frontier_bytes))
            .or_else(|| over("pages", limits.pages, report.receipt.pages));
        if let Some(end) = limit {
            self.ends(end);
        }
        let mut frontier = self.shared.frontier();
        frontier.done(report.id);
        if report.named_any {
            frontier.grew();
        }
        drop(frontier);
        if report.look.as_ref().is_some_and(|look| look.moved) && self.sweep <= self.shared.settings.sweeps {
            self.shared.observer.on(Event::SweepAgain { sweep: self.sweep });
        }
        report.look
    }

    fn stopped(&mut self, stop: PageStop) {
        match stop {
            PageStop::Ends(end) => self.ends(end),
            PageStop::Halted => self.left_over = true,
            PageStop::TornDown => {}
        }
    }

    /// Ends the run: nothing more is fetched, what is fetched is still written.
    fn ends(&mut self, end: End) {
        self.end.get_or_insert(end);
        self.shared.halt.cancel();
    }

    /// Decides how a run ends whose frontier is empty after the second look: done, or done with
    /// reservations.
    async fn conclude(&self, look: &SecondLook) -> Result<End, StoreError> {
        let lease = &self.shared.job.lease;
        // A scrap must not count as done if its database file was deleted or replaced.
        self.shared.store.in_place().await?;
        let mut reservations = Vec::new();
        let scrap = self.shared.patiently(|| self.shared.store.scrap(lease.scrap_id)).await?;
        let rejected = scrap.map_or(0, |s| s.counts.rejeitados);
        if rejected > 0 {
            reservations.push(Reservation::Rejected { records: rejected });
        }
        if look.moved && !look.handed_out {
            reservations.push(Reservation::Moving { differs: look.differs, before: look.before, after: look.after });
        }
        // The last sweep that took records. The present one was the second look, a single page.
        for sweep in (0..self.sweep).rev() {
            let facts = self.shared.patiently(|| self.shared.store.sweep_facts(lease, sweep)).await?;
            if facts.pages == 0 {
                continue;
            }
            if let Some(declared) = look.after.filter(|total| !look.moved && *total != facts.lidos) {
                reservations.push(Reservation::TotalOff { declared, read: facts.lidos });
            }
            if facts.same_content >= SAME_PAGES {
                reservations.push(Reservation::SamePages { pages: facts.same_content });
            }
            // Pages that are the same have the same records: that is said already.
            let same = facts.same_content >= SAME_PAGES;
            let repeated = self.shared.seen().repeated_in(sweep);
            if let Some(declared) =
                look.after.filter(|total| !look.moved && *total == facts.lidos && repeated > 0 && !same)
            {
                reservations.push(Reservation::Repeated { repeated, read: facts.lidos, declared });
            }
            break;
        }
        Ok(if reservations.is_empty() { End::Done } else { End::DoneWithReservations(reservations) })
    }

    /// Ends all tasks of the run: aborts the pages, which drops the queue's last sender, and waits
    /// for the writers, which end once they have written the rest of the queue.
    async fn tear_down(mut self) {
        self.pages.shutdown().await;
        drop(self.stop);
        drop(self.shared);
        while self.writers.join_next().await.is_some() {}
    }
}

/// The first limit that a client exceeds: the kind of rows, the limit's name and its value.
fn over(limits: &Limits, usage: ClientUsage) -> Option<(Kept, &'static str, u64)> {
    let over = client_budgets(limits, usage).into_iter().find(|budget| budget.used > budget.most);
    over.map(|budget| (budget.kept, budget.name, budget.most))
}

/// A limit on the rows or bytes kept for a client, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientBudget {
    /// What is kept.
    pub kept: Kept,
    /// The limit's name.
    pub name: &'static str,
    /// How much may be kept, in rows or bytes.
    pub most: u64,
    /// How much is.
    pub used: u64,
}

/// Every budget of what is kept for a client.
pub fn client_budgets(limits: &Limits, usage: ClientUsage) -> [ClientBudget; 6] {
    let budget = |kept, name, most, used: i64| ClientBudget { kept, name, most, used: used.max(0).unsigned_abs() };
    [
        budget(Kept::Rejects, "client_rejects", limits.client_rejects, usage.rejects),
        budget(Kept::Rejects, "client_reject_bytes", limits.client_reject_bytes, usage.reject_bytes),
        budget(Kept::Cursors, "client_cursors", limits.client_cursors, usage.cursors),
        budget(Kept::Cursors, "client_cursor_bytes", limits.client_cursor_bytes, usage.cursor_bytes),
        budget(Kept::Records, "client_records", limits.client_records, usage.records),
        budget(Kept::Records, "client_record_bytes", limits.client_record_bytes, usage.record_bytes),
    ]
}

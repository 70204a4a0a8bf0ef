//! One page's life: fetched, tried again if need be, checked and hashed, begun, queued, and
//! checkpointed once all of its records are durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use atlas_model::{Checkpoint, CursorId, LedgerReceipt, NextCursor, PageEnd, PageFacts, PageKey, PendingCursor};
use atlas_store::{Store, StoreError};
use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::frontier::Frontier;
use super::job::{End, Job, RunSettings};
use super::ledger::{Ledger, LedgerError};
use super::page_source::{FetchFailure, FetchedPage, Fetcher, PageSource};
use super::patience::patiently;
use super::progress::{Event, Observer};
use super::queue::{PageTally, QueueSender, Record, Room};
use super::record::{Checked, CheckedPage, RecordChecker};
use super::retry::LONGEST_WAIT;
use super::second_look::{SecondLook, branches};
use super::seen::Seen;

/// Pages of a chain in a row with the very same records that end a run: the source does not get on.
const REPEATED_PAGES_MAX: i32 = 3;
/// From this many bytes of records on, checking and hashing go where blocking is allowed.
const LARGE_PAGE: usize = 256 * 1024;

/// The state that all pages of a run share.
pub(super) struct Shared {
    pub(super) job: Job,
    pub(super) settings: RunSettings,
    pub(super) source: Arc<dyn PageSource>,
    pub(super) store: Arc<dyn Store>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) queue: QueueSender,
    pub(super) ledger: Ledger,
    /// One permit for each page in flight.
    pub(super) slots: Arc<Semaphore>,
    pub(super) frontier: Mutex<Frontier>,
    /// Cancelled to stop fetching; fetched records are still written.
    pub(super) halt: CancellationToken,
    /// Pages that name one page more, before they are durable themselves.
    pub(super) ahead: mpsc::Sender<Ahead>,
    /// The scrap's checkpointed pages, as observers count them.
    pub(super) pages_done: AtomicI64,
    /// The first page's facts, for the pages that it names.
    pub(super) root_facts: Mutex<Option<PageFacts>>,
    /// The records that this process has read in the present sweep.
    pub(super) seen: Mutex<Seen>,
}

/// A page that may be fetched before its parent is durable. Its own records wait for the parent's
/// checkpoint.
pub(super) struct Ahead {
    pub(super) cursor: PendingCursor,
    pub(super) parent: Parent,
}

/// The parent of a page that runs ahead, as far as that page needs to know it.
#[derive(Clone)]
pub(super) struct Parent {
    /// Becomes true at the checkpoint; closes without it if the parent fails.
    pub(super) checkpointed: watch::Receiver<bool>,
    pub(super) content: Option<[u8; 32]>,
    pub(super) repeats: i32,
}

/// A page to be fetched.
pub(super) struct PageTask {
    pub(super) sweep: i32,
    pub(super) cursor: PendingCursor,
    /// Only for a page that runs ahead.
    pub(super) parent: Option<Parent>,
    /// The same page's facts one sweep before; only for the first page of a later sweep.
    pub(super) before: Option<PageFacts>,
}

/// A page that is checkpointed.
pub(super) struct PageReport {
    pub(super) id: CursorId,
    pub(super) receipt: LedgerReceipt,
    pub(super) named_any: bool,
    /// Only for the first page of a later sweep: whether the source had moved, and what it
    /// declared.
    pub(super) look: Option<SecondLook>,
}

/// Why a page was not checkpointed.
pub(super) enum PageStop {
    /// The run was halted before the page was fetched; it stays in the frontier.
    Halted,
    /// The page ends the run.
    Ends(End),
    /// The writers or the ledger have ended; the task that failed reports why.
    TornDown,
}

impl From<LedgerError> for PageStop {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Store(error) => Self::Ends(End::Store(error)),
            LedgerError::Closed => Self::TornDown,
        }
    }
}

impl From<StoreError> for PageStop {
    fn from(error: StoreError) -> Self {
        Self::Ends(End::Store(Arc::new(error)))
    }
}

impl Shared {
    pub(super) fn frontier(&self) -> MutexGuard<'_, Frontier> {
        self.frontier.lock()
    }

    pub(super) fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock()
    }

    /// A call of the store that may be repeated.
    pub(super) async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        call: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        patiently(self.settings.db_patience, self.observer.as_ref(), call).await
    }

    fn key(&self, sweep: i32, cursor: CursorId) -> PageKey {
        PageKey { sweep, cursor }
    }
}

/// Takes a page from its cursor to its checkpoint.
pub(super) async fn run(
    shared: Arc<Shared>,
    mut task: PageTask,
    slot: OwnedSemaphorePermit,
) -> Result<PageReport, PageStop> {
    let began = Instant::now();
    let (fetched, failed, slot) = fetch(&shared, &task.cursor, slot).await?;
    let FetchedPage { records, mut next, after_commit, total_records, fetched_by, held } = fetched;
    let id = task.cursor.id;
    let total_records = total_records.and_then(|total| i64::try_from(total).ok());
    let only_next = single_next(&next, &after_commit);
    if only_next.is_some_and(|cursor| CursorId::of(Some(cursor)) == id) {
        return Err(PageStop::Ends(End::Loop { cursor: task.cursor.cursor.unwrap_or_default() }));
    }
    let checked = check(&shared, &fetched_by, records, id == CursorId::ROOT).await;
    let mut facts = PageFacts {
        total_records,
        members: checked.members,
        content: checked.content,
        branches: branches(&next, !after_commit.is_empty(), !checked.records.is_empty()),
        repeats: 1,
    };

    let mut look = None;
    let mut end = PageEnd::Feita;
    if let Some(before) = &task.before {
        let seen = SecondLook::at(before, &facts, checked.records.is_empty());
        let moved = seen.moved;
        look = Some(seen);
        if !moved {
            next.clear();
            // Records whose content changed meanwhile are stored, since they are in hand, but are
            // no reason for another sweep.
            if before.content == checked.content || checked.records.is_empty() {
                end = PageEnd::Conferida;
            }
        } else if task.sweep > shared.settings.sweeps {
            // The sweeps are used up: store these records, and follow no cursor.
            next.clear();
        }
    }

    if look.as_ref().is_none_or(|look| look.moved) {
        note_seen(&shared, task.sweep, &checked.records);
    }
    facts.repeats = repeats(&shared, &task, checked.content).await?;
    if id == CursorId::ROOT {
        *shared.root_facts.lock() = Some(facts.clone());
    }
    let names_any = !next.is_empty() || !after_commit.is_empty();
    let (checkpointed, wait_for_checkpoint) = watch::channel(false);
    let only_next = single_next(&next, &after_commit).map(str::to_owned);
    let ends = chain_end(&shared, &task, &facts, names_any);
    let known = match &only_next {
        // Nothing is asked of the source behind a page that ends the run.
        Some(only) if ends.is_none() => offer_ahead(&shared, &task, only, &facts, wait_for_checkpoint).await?,
        _ => false,
    };
    // Wait for the parent's checkpoint: only then is this page in the store's frontier.
    if let Some(parent) = &mut task.parent
        && parent.checkpointed.wait_for(|done| *done).await.is_err()
    {
        return Err(PageStop::Halted);
    }
    if let Some(end) = ends {
        return Err(PageStop::Ends(end));
    }
    if let Some(only) = only_next.filter(|_| known) {
        refuse_loop(&shared, &task, only).await?;
    }

    let page = shared.key(task.sweep, id);
    let records = if end == PageEnd::Feita { checked.records } else { Vec::new() };
    let records: Vec<Record> = (0..).zip(records).map(|(at, record)| queue_record(at, record)).collect();
    let room = shared.queue.reserve(&records).await.map_err(|_| PageStop::TornDown)?;
    // The next page may be fetched while this one waits for the disk.
    drop(slot);
    if !records.is_empty() {
        shared.ledger.begin(page).await?;
    }
    let begun_before = task.cursor.begun || task.sweep > 0;
    let tally = Arc::new(PageTally::new(page, task.cursor.cursor, begun_before, records.len()));
    enqueue(&shared, records, &tally, room).await?;

    let counts = tally.counts().await;
    let next = next_cursors(next, after_commit);
    let named_any = !next.is_empty();
    let receipt = shared
        .ledger
        .checkpoint(Checkpoint {
            page,
            end,
            depth: task.cursor.depth,
            counts,
            attempts: i32::try_from(failed + 1).unwrap_or(i32::MAX),
            facts,
            connector_sha256: fetched_by.sha256.clone(),
            next,
            row_bytes: tally.row_bytes(),
        })
        .await?;
    // The cursors are in the database.
    drop(held);
    // The page that ran ahead may have been dropped.
    let _ = checkpointed.send(true);
    let elapsed = began.elapsed();
    tracing::debug!(scrap = shared.job.lease.scrap_id, ms = elapsed.as_secs_f64() * 1000.0, "page");
    if end == PageEnd::Feita {
        shared.observer.on(Event::Page {
            // Not the receipt's: pages that were checkpointed together have one receipt.
            number: shared.pages_done.fetch_add(1, Ordering::Relaxed) + 1,
            frontier: receipt.frontier,
            counts,
            total_records,
            elapsed,
        });
    }
    Ok(PageReport { id, receipt, named_any, look })
}

/// Fetches a page, with a fresh instance for each attempt, and counts those that failed. While it
/// waits it holds no slot.
async fn fetch(
    shared: &Arc<Shared>,
    cursor: &PendingCursor,
    mut slot: OwnedSemaphorePermit,
) -> Result<(FetchedPage, u32, OwnedSemaphorePermit), PageStop> {
    let of = shared.settings.retry.attempts();
    // Failed attempts and answers that nothing is ready, together, are bounded.
    let (mut attempt, mut failed) = (1, 0);
    // Whether an attempt was not counted: that is so once at most.
    let mut spared = false;
    loop {
        let fetching = shared.source.fetch(cursor.cursor.as_deref());
        let fetched = tokio::select! {
            biased;
            () = shared.halt.cancelled() => return Err(PageStop::Halted),
            fetched = fetching.instrument(tracing::info_span!("attempt", n = attempt)) => fetched,
        };
        let (reason, asked) = match fetched {
            Ok(page) => return Ok((page, failed, slot)),
            // The page stays in the frontier, and the attempt is not counted: the request for the
            // slot may have ended it.
            Err(FetchFailure::Passing { .. } | FetchFailure::NotReady { .. })
                if shared.job.asked_back.is_cancelled() =>
            {
                return Err(PageStop::Halted);
            }
            Err(FetchFailure::NotReady { reason, wait }) => {
                let wait = not_ready(shared, attempt, wait, reason)?;
                drop(slot);
                slot = wait_for_slot(shared, wait).await?;
                attempt += 1;
                continue;
            }
            Err(FetchFailure::Passing { reason, wait }) => (reason, Some(wait.unwrap_or_default())),
            Err(FetchFailure::AtOnce { reason, counts: false }) if !spared => {
                spared = true;
                tracing::debug!(scrap = shared.job.lease.scrap_id, reason, "the page is asked for again at once");
                continue;
            }
            Err(FetchFailure::AtOnce { reason, .. }) => (reason, None),
            Err(failure) => return Err(PageStop::Ends(end_of(failure))),
        };
        if attempt >= of {
            return Err(PageStop::Ends(End::AttemptsExhausted { attempts: attempt, reason }));
        }
        if let Some(asked) = asked.filter(|asked| *asked > LONGEST_WAIT) {
            return Err(PageStop::Ends(End::WaitTooLong { seconds: asked.as_secs(), reason }));
        }
        // The backoff comes on top of the wait that was asked for, which is often zero, or ends at
        // the same moment for many pages.
        let wait = asked.map_or(Duration::ZERO, |asked| asked + shared.settings.retry.backoff(attempt));
        shared.observer.on(Event::Attempt { attempt, of, wait, reason: &reason });
        drop(slot);
        slot = wait_for_slot(shared, wait).await?;
        attempt += 1;
        failed += 1;
    }
}

/// Reports that a page is not ready, and returns the wait until its next try. Fails once its tries
/// are used up, or the wait is too long.
fn not_ready(shared: &Shared, tried: u32, asked: Duration, reason: String) -> Result<Duration, PageStop> {
    let of = shared.settings.retry.attempts();
    if tried >= of {
        return Err(PageStop::Ends(End::NeverReady { tries: tried, reason }));
    }
    if asked > LONGEST_WAIT {
        return Err(PageStop::Ends(End::WaitTooLong { seconds: asked.as_secs(), reason }));
    }
    let wait = asked + shared.settings.retry.backoff(tried);
    shared.observer.on(Event::NotReady { tried, of, wait, reason: &reason });
    Ok(wait)
}

async fn wait_for_slot(shared: &Arc<Shared>, wait: Duration) -> Result<OwnedSemaphorePermit, PageStop> {
    tokio::select! {
        biased;
        () = shared.halt.cancelled() => Err(PageStop::Halted),
        () = shared.job.asked_back.cancelled() => Err(PageStop::Halted),
        slot = async {
            tokio::time::sleep(wait).await;
            shared.slots.clone().acquire_owned().await
        } => slot.map_err(|_| PageStop::TornDown),
    }
}

fn end_of(failure: FetchFailure) -> End {
    match failure {
        FetchFailure::Passing { reason, .. } | FetchFailure::AtOnce { reason, .. } => {
            End::AttemptsExhausted { attempts: 1, reason }
        }
        FetchFailure::NotReady { reason, .. } => End::NeverReady { tries: 1, reason },
        FetchFailure::Unauthorized(reason) => End::Unauthorized(reason),
        FetchFailure::Quota { reason, until } => End::Quota { reason, until },
        FetchFailure::InvalidResponse(reason) | FetchFailure::Fatal(reason) => End::SourceFailed(reason),
        FetchFailure::NotGranted(reason) => End::NotGranted(reason),
        FetchFailure::HeadersNotGranted { api, headers } => End::HeadersNotGranted { api, headers },
        FetchFailure::AddressRefused { host, address, class, grantable } => {
            End::AddressRefused { host, address, class, grantable }
        }
        FetchFailure::Untrusted(reason) => End::Untrusted(reason),
        FetchFailure::Mistake(reason) => End::ConnectorMistake(reason),
        FetchFailure::Crashed(reason) => End::ConnectorCrashed(reason),
        FetchFailure::Held(held) => End::VersionHeld(held),
        FetchFailure::Limit { name, value } => End::Limit { name, value },
    }
}

/// Checks and hashes a page's records, away from the workers if there is much to do.
async fn check(shared: &Arc<Shared>, fetcher: &Fetcher, records: Vec<Bytes>, with_members: bool) -> CheckedPage {
    let job = &shared.job;
    let mut checker = RecordChecker::new(
        job.lease.cliente_id,
        &job.lease.origem,
        shared.settings.record_limits(),
        fetcher.key.clone(),
        fetcher.unhashed.clone(),
    );
    let size: usize = records.iter().map(Bytes::len).sum();
    if size < LARGE_PAGE {
        return checker.check(records, with_members);
    }
    match tokio::task::spawn_blocking(move || checker.check(records, with_members)).await {
        Ok(checked) => checked,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// The next cursor of a page that names exactly one, and none for after its commit.
fn single_next<'a>(next: &'a [String], after_commit: &[String]) -> Option<&'a str> {
    match (next, after_commit) {
        ([only], []) => Some(only),
        _ => None,
    }
}

/// How many pages of this page's chain in a row carried the very same records, or none at all,
/// itself included.
async fn repeats(shared: &Arc<Shared>, task: &PageTask, content: Option<[u8; 32]>) -> Result<i32, PageStop> {
    let Some(parent) = task.cursor.parent else { return Ok(1) };
    let (parents_content, parents_repeats) = match &task.parent {
        Some(parent) => (parent.content, parent.repeats),
        None => match facts_of(shared, task.sweep, parent).await? {
            Some(facts) => (facts.content, facts.repeats),
            None => return Ok(1),
        },
    };
    Ok(if parents_content == content { parents_repeats.saturating_add(1) } else { 1 })
}

async fn facts_of(shared: &Arc<Shared>, sweep: i32, id: CursorId) -> Result<Option<PageFacts>, StoreError> {
    if id == CursorId::ROOT {
        // Most pages of a wide source have the first page for a parent.
        let known = shared.root_facts.lock().clone();
        if known.is_some() {
            return Ok(known);
        }
    }
    let page = shared.key(sweep, id);
    let facts = shared.patiently(|| shared.store.page_facts(&shared.job.lease, page)).await?;
    if id == CursorId::ROOT {
        *shared.root_facts.lock() = facts.clone();
    }
    Ok(facts)
}

/// The end of a run that goes round in circles: at a page that repeats its ancestors' records too
/// often, or follows on too many without records and names a next one all the same.
fn chain_end(shared: &Shared, task: &PageTask, facts: &PageFacts, names_any: bool) -> Option<End> {
    match facts.content {
        Some(_) if facts.repeats >= REPEATED_PAGES_MAX => {
            let cursor = task.cursor.cursor.clone().unwrap_or_default();
            Some(End::Repeating { pages: facts.repeats, cursor })
        }
        None if names_any && facts.repeats.unsigned_abs() > shared.settings.limits.empty_pages => {
            Some(End::EmptyPages { pages: facts.repeats })
        }
        _ => None,
    }
}

/// Offers the one next page for fetching ahead of this page's checkpoint. Returns whether it is
/// known already.
async fn offer_ahead(
    shared: &Arc<Shared>,
    task: &PageTask,
    next: &str,
    facts: &PageFacts,
    checkpointed: watch::Receiver<bool>,
) -> Result<bool, PageStop> {
    let id = CursorId::of(Some(next));
    if shared.frontier().knows(id) {
        return Ok(true);
    }
    let key = shared.key(task.sweep, id);
    if shared.patiently(|| shared.store.knows(&shared.job.lease, key)).await? {
        return Ok(true);
    }
    let ahead = Ahead {
        cursor: PendingCursor {
            order: 0,
            id,
            cursor: Some(next.to_owned()),
            parent: Some(task.cursor.id),
            depth: task.cursor.depth + 1,
            begun: false,
        },
        parent: Parent { checkpointed, content: facts.content, repeats: facts.repeats },
    };
    // If the coordinator cannot take the offer now, the page comes out of the frontier like any
    // other.
    let _ = shared.ahead.try_send(ahead);
    Ok(false)
}

/// Fails if a page's only next cursor is the page itself or one of its ancestors.
async fn refuse_loop(shared: &Arc<Shared>, task: &PageTask, next: String) -> Result<(), PageStop> {
    let id = CursorId::of(Some(&next));
    let ancestor = match task.cursor.depth {
        0 => false,
        1 => task.cursor.parent == Some(id),
        _ => {
            let page = shared.key(task.sweep, task.cursor.id);
            shared.patiently(|| shared.store.is_ancestor(&shared.job.lease, id, page)).await?
        }
    };
    if ancestor {
        return Err(PageStop::Ends(End::Loop { cursor: next }));
    }
    Ok(())
}

fn note_seen(shared: &Shared, sweep: i32, records: &[Checked]) {
    let mut seen = shared.seen();
    for record in records {
        if let Checked::Good { hash, .. } = record {
            seen.note(sweep, hash);
        }
    }
}

fn queue_record(position: i64, record: Checked) -> Record {
    match record {
        Checked::Good { payload, hash } => Record::Good { position, payload, hash },
        Checked::Bad { content, rejection } => {
            Record::Bad { position, content, code: rejection.code(), reason: rejection.to_string() }
        }
    }
}

async fn enqueue(
    shared: &Arc<Shared>,
    records: Vec<Record>,
    tally: &Arc<PageTally>,
    mut room: Room,
) -> Result<(), PageStop> {
    for record in records {
        if let Record::Good { hash, .. } = &record {
            shared.observer.on(Event::Queued(hash));
        }
        shared.queue.send(record, tally, &mut room).await.map_err(|_| PageStop::TornDown)?;
    }
    Ok(())
}

/// The cursors that a page named, each once.
fn next_cursors(next: Vec<String>, after_commit: Vec<String>) -> Vec<NextCursor> {
    next.into_iter().chain(after_commit).map(|cursor| NextCursor { id: CursorId::of(Some(&cursor)), cursor }).collect()
}

//! The queue between pages and writers, bounded in records and in bytes. When it is full, pages
//! wait; no record is ever dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use atlas_model::{Counts, PageKey};
use bytes::Bytes;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

/// How long a writer waits for a batch to fill up, once it has a record. Long enough for the next
/// page of a quick source to arrive, and short enough not to be noticed by a slow one.
const LINGER: Duration = Duration::from_millis(3);

/// A record on its way to a writer.
pub(super) struct Queued {
    pub(super) record: Record,
    /// The page that it counts for.
    pub(super) page: Arc<PageTally>,
    _room: OwnedSemaphorePermit,
}

/// A record, and the table that it goes into.
pub(super) enum Record {
    /// Into `dados_raw`.
    Good { position: i64, payload: Bytes, hash: String },
    /// Into `dados_rejeitados`.
    Bad { position: i64, content: Bytes, code: &'static str, reason: String },
}

impl Record {
    fn size(&self) -> usize {
        match self {
            Self::Good { payload, .. } => payload.len(),
            Self::Bad { content, .. } => content.len(),
        }
    }
}

/// The counts of a page's records, which the writers fill in.
pub(super) struct PageTally {
    pub(super) page: PageKey,
    pub(super) cursor: Option<String>,
    /// Whether rows that are there already are most likely this page's own.
    pub(super) begun_before: bool,
    remaining: AtomicUsize,
    inserted: AtomicI64,
    duplicates: AtomicI64,
    found_again: AtomicI64,
    rejected: AtomicI64,
    row_bytes: AtomicI64,
    all_durable: CancellationToken,
}

/// The outcome of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Inserted,
    Duplicate,
    FoundAgain,
    Rejected,
}

impl PageTally {
    pub(super) fn new(page: PageKey, cursor: Option<String>, begun_before: bool, records: usize) -> Self {
        let tally = Self {
            page,
            cursor,
            begun_before,
            remaining: AtomicUsize::new(records),
            inserted: AtomicI64::new(0),
            duplicates: AtomicI64::new(0),
            found_again: AtomicI64::new(0),
            rejected: AtomicI64::new(0),
            row_bytes: AtomicI64::new(0),
            all_durable: CancellationToken::new(),
        };
        if records == 0 {
            tally.all_durable.cancel();
        }
        tally
    }

    /// One record of so many bytes is durable.
    pub(super) fn settle(&self, fate: Fate, bytes: usize) {
        // A row that a later sweep finds again was counted by an earlier one.
        if fate == Fate::Inserted || fate == Fate::FoundAgain && self.page.sweep == 0 {
            self.row_bytes.fetch_add(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
        }
        let counter = match fate {
            Fate::Inserted => &self.inserted,
            Fate::Duplicate => &self.duplicates,
            Fate::FoundAgain => &self.found_again,
            Fate::Rejected => &self.rejected,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        // Release, and acquire below: a thread that sees zero sees every count.
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_durable.cancel();
        }
    }

    /// The bytes of the records that are rows because of this page, once every record is durable.
    pub(super) fn row_bytes(&self) -> i64 {
        self.row_bytes.load(Ordering::Acquire)
    }

    /// Waits until every record is durable, and gives the counts.
    pub(super) async fn counts(&self) -> Counts {
        self.all_durable.cancelled().await;
        let count = |counter: &AtomicI64| counter.load(Ordering::Acquire);
        let mut counts = Counts {
            lidos: 0,
            inseridos: count(&self.inserted),
            duplicados: count(&self.duplicates),
            reencontrados: count(&self.found_again),
            rejeitados: count(&self.rejected),
        };
        counts.lidos = counts.inseridos + counts.duplicados + counts.reencontrados + counts.rejeitados;
        counts
    }
}

/// The pages' end of the queue.
///
/// Both bounds are one: a record weighs its bytes, or its share of the queue if that is more. So as
/// many records fit as there may be, and no more bytes than there may be, and a page that waits for
/// room waits for one thing alone.
#[derive(Clone)]
pub(super) struct QueueSender {
    records: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
    room_max: u32,
    share: u32,
}

/// The writers' end.
pub(super) struct QueueReceiver {
    records: Mutex<mpsc::Receiver<Queued>>,
}

/// Room in the queue that a page holds for records that it has not put in yet.
pub(super) struct Room(Option<OwnedSemaphorePermit>);

/// A queue of at most so many records and bytes.
pub(super) fn queue(records_max: usize, bytes_max: usize) -> (QueueSender, QueueReceiver) {
    let room_max = u32::try_from(bytes_max).unwrap_or(u32::MAX).max(1);
    let share = room_max.div_ceil(u32::try_from(records_max).unwrap_or(u32::MAX).max(1));
    let (sender, receiver) = mpsc::channel(records_max.max(1));
    let room = Arc::new(Semaphore::new(room_max as usize));
    let sender = QueueSender { records: sender, room, room_max, share };
    let receiver = QueueReceiver { records: Mutex::new(receiver) };
    (sender, receiver)
}

/// The writers are gone: one of them failed, and says why itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct QueueClosed;

impl QueueSender {
    /// Waits until there is room for all of a page's records; for a page that is larger than the
    /// queue, until it is empty.
    pub(super) async fn reserve(&self, records: &[Record]) -> Result<Room, QueueClosed> {
        let weight = records.iter().fold(0_u32, |sum, record| sum.saturating_add(self.weight(record)));
        Ok(Room(Some(self.acquire(weight.min(self.room_max)).await?)))
    }

    /// Puts a record in. Waits for room only where the page is larger than the queue.
    pub(super) async fn send(
        &self,
        record: Record,
        page: &Arc<PageTally>,
        Room(reserved): &mut Room,
    ) -> Result<(), QueueClosed> {
        let weight = self.weight(&record);
        let own = reserved.as_mut().and_then(|reserved| reserved.split(weight as usize));
        let room = match own {
            Some(room) => room,
            None => {
                // The rest of the reservation is released first: a page that waits ahead of this
                // one may need the whole queue.
                *reserved = None;
                self.acquire(weight).await?
            }
        };
        let queued = Queued { record, page: Arc::clone(page), _room: room };
        self.records.send(queued).await.map_err(|_| QueueClosed)
    }

    /// A record larger than the whole queue may have all of it.
    fn weight(&self, record: &Record) -> u32 {
        u32::try_from(record.size()).unwrap_or(u32::MAX).clamp(self.share, self.room_max)
    }

    async fn acquire(&self, weight: u32) -> Result<OwnedSemaphorePermit, QueueClosed> {
        self.room.clone().acquire_many_owned(weight).await.map_err(|_| QueueClosed)
    }
}

impl QueueReceiver {
    /// Up to `max` records: what there is, and what comes within a moment. Empty when the queue is
    /// closed and drained.
    pub(super) async fn batch(&self, max: usize) -> Vec<Queued> {
        let mut batch = Vec::with_capacity(max.min(1024));
        // One writer gathers at a time, or each would get a part of what could have been one batch.
        let mut records = self.records.lock().await;
        records.recv_many(&mut batch, max).await;
        if batch.is_empty() || batch.len() == max {
            return batch;
        }
        let deadline = tokio::time::Instant::now() + LINGER;
        while batch.len() < max {
            let room = max - batch.len();
            match tokio::time::timeout_at(deadline, records.recv_many(&mut batch, room)).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atlas_model::CursorId;

    fn tally(records: usize) -> Arc<PageTally> {
        let page = PageKey { sweep: 0, cursor: CursorId::ROOT };
        Arc::new(PageTally::new(page, None, false, records))
    }

    fn record(size: usize) -> Record {
        Record::Good { position: 0, payload: Bytes::from(vec![b'x'; size]), hash: String::new() }
    }

    #[tokio::test]
    async fn a_full_queue_makes_the_sender_wait_and_drops_nothing() {
        for (records_max, bytes_max) in [(2, 1_000), (100, 20)] {
            let (sender, receiver) = queue(records_max, bytes_max);
            let page = tally(50);
            let sending = tokio::spawn(async move {
                for _ in 0..50 {
                    let mut room = sender.reserve(&[record(10)]).await.expect("the receiver is there");
                    sender.send(record(10), &page, &mut room).await.expect("the receiver is there");
                }
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(!sending.is_finished(), "the queue had room for everything");
            let mut received = 0;
            while received < 50 {
                received += receiver.batch(7).await.len();
            }
            assert_eq!(received, 50);
            assert!(receiver.batch(7).await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_record_larger_than_the_queue_passes_alone() {
        let (sender, receiver) = queue(10, 100);
        let page = tally(1);
        let mut room = sender.reserve(&[record(5_000)]).await.expect("the receiver is there");
        sender.send(record(5_000), &page, &mut room).await.expect("the receiver is there");
        assert_eq!(receiver.batch(10).await.len(), 1);
    }

    #[tokio::test]
    async fn pages_larger_than_the_queue_pass_beside_small_ones() {
        let (sender, receiver) = queue(10, 100);
        let mut sending = tokio::task::JoinSet::new();
        for records in [1_000, 3, 700, 1, 25] {
            let (sender, page) = (sender.clone(), tally(records));
            sending.spawn(async move {
                let all: Vec<Record> = (0..records).map(|n| record(n % 30)).collect();
                let mut room = sender.reserve(&all).await.expect("the receiver is there");
                for record in all {
                    sender.send(record, &page, &mut room).await.expect("the receiver is there");
                }
            });
        }
        drop(sender);
        let mut received = 0;
        loop {
            let batch = tokio::time::timeout(Duration::from_secs(20), receiver.batch(7))
                .await
                .expect("they hold each other up");
            received += batch.len();
            if batch.is_empty() {
                break;
            }
        }
        assert_eq!(received, 1_729);
    }

    #[tokio::test]
    async fn a_page_that_has_room_holds_up_whoever_has_none() {
        let (sender, receiver) = queue(10, 1_000);
        let first = sender.reserve(&[record(600)]).await.expect("the receiver is there");
        let waiting = tokio::spawn({
            let sender = sender.clone();
            async move { sender.reserve(&[record(600)]).await.is_ok() }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!waiting.is_finished());
        drop(first);
        assert!(waiting.await.expect("no panic"));
        drop(receiver);
    }

    #[tokio::test]
    async fn the_counts_are_there_once_every_record_is_durable() {
        let page = tally(3);
        page.settle(Fate::Inserted, 5);
        page.settle(Fate::Duplicate, 7);
        let waiting = tokio::spawn({
            let page = Arc::clone(&page);
            async move { page.counts().await }
        });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert!(!waiting.is_finished());
        page.settle(Fate::Rejected, 9);
        let counts = waiting.await.expect("no panic");
        assert!(counts.add_up());
        assert_eq!((counts.lidos, counts.inseridos, counts.duplicados, counts.rejeitados), (3, 1, 1, 1));
        assert_eq!(page.row_bytes(), 5, "of what became a row");
    }
}

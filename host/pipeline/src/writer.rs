//! From the queue into the table.
//!
//! A batch is one transaction, sorted by hash so that writers of overlapping batches take their
//! locks in one order. A record that the database refuses is found by halving and kept among the
//! rejected: it never takes its batch with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::{Lease, RecordRow, RejectedRow};
use atlas_store::{Fault, Store, StoreError};
use tracing::Instrument;

use super::patience::{Patience, answered, patiently};
use super::progress::{Event, Observer};
use super::queue::{Fate, QueueReceiver, Queued, Record};

/// The code of a record that the database itself refused.
const REFUSED_BY_DATABASE: &str = "database";
/// The code of a record that the database dropped without an error.
const NOT_KEPT: &str = "not_kept";

/// How often the database must refuse a record alone, and take another each time, before a refusal
/// that passes as a rule is held to be about the record.
const REFUSALS: u32 = 3;

/// A writer: takes batches from the queue and inserts them.
pub(super) struct Writer {
    pub(super) store: Arc<dyn Store>,
    pub(super) lease: Lease,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) batch: usize,
    /// How long the database may be gone.
    pub(super) patience: Duration,
}

impl Writer {
    /// Writes until the queue is closed and drained.
    pub(super) async fn run(self, queue: Arc<QueueReceiver>) -> Result<(), StoreError> {
        loop {
            let batch = queue.batch(self.batch).await;
            if batch.is_empty() {
                return Ok(());
            }
            let (mut good, bad): (Vec<&Queued>, Vec<&Queued>) =
                batch.iter().partition(|q| matches!(q.record, Record::Good { .. }));
            good.sort_by(|a, b| hash_of(a).cmp(hash_of(b)));
            if !good.is_empty() {
                self.write(&good).await?;
            }
            if !bad.is_empty() {
                self.keep_rejected(&bad).await?;
            }
        }
    }

    /// Writes a sorted batch, halving it where the database refuses it.
    async fn write(&self, batch: &[&Queued]) -> Result<(), StoreError> {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            let span = tracing::info_span!("store", operation = "insert", records = part.len());
            match self.insert(part).instrument(span).await {
                Ok(()) => {}
                Err(error) if !self.is_a_records_fault(&error).await => return Err(error),
                Err(error) => match part {
                    [record] => self.refuse(record, &error).await?,
                    _ => {
                        let (left, right) = part.split_at(part.len() / 2);
                        parts.push(right);
                        parts.push(left);
                    }
                },
            }
        }
        Ok(())
    }

    /// Whether one of the records caused an error, whatever the database calls it: the same
    /// statement then accepts a harmless record. Errors that are known to be about a record need no
    /// such trial.
    async fn is_a_records_fault(&self, error: &StoreError) -> bool {
        match error.fault {
            Fault::Poison | Fault::NotKept | Fault::Collision => true,
            Fault::Other | Fault::Schema | Fault::Missing => {
                let tried = patiently(self.patience, self.observer.as_ref(), || self.store.try_insert(&self.lease));
                tried.await.is_ok()
            }
            _ => false,
        }
    }

    /// Whether the database accepts a harmless record now.
    async fn takes_another(&self) -> bool {
        answered(self.store.try_insert(&self.lease)).await.is_ok()
    }

    async fn insert(&self, part: &[&Queued]) -> Result<(), StoreError> {
        let rows: Vec<RecordRow<'_>> = part.iter().map(|queued| row_of(queued)).collect();
        let mut patience = Patience::new(self.patience);
        let began = Instant::now();
        let mut refusals = 0;
        let inserted = loop {
            match answered(self.store.insert(&self.lease, &rows)).await {
                Ok(inserted) => break inserted,
                Err(error) if error.may_be_a_records() && self.takes_another().await => {
                    refusals += 1;
                    // Halving a batch does not give up a record yet.
                    if part.len() > 1 || refusals >= REFUSALS {
                        return Err(error.of_the_data());
                    }
                    patience.wait(error, self.observer.as_ref()).await?;
                }
                Err(error) => patience.wait(error, self.observer.as_ref()).await?,
            }
        };
        let bytes = rows.iter().map(|row| row.payload.len()).sum();
        self.observer.on(Event::Written { records: rows.len(), bytes, elapsed: began.elapsed() });
        for ((queued, row), inserted) in part.iter().zip(&rows).zip(inserted) {
            let fate = match inserted {
                true => Fate::Inserted,
                // After a lost answer, a row that is there is most likely from our own attempt,
                // whose COMMIT succeeded.
                false if queued.page.begun_before || patience.outcome_was_unknown() => Fate::FoundAgain,
                false => Fate::Duplicate,
            };
            if inserted {
                self.observer.on(Event::Inserted);
            }
            queued.page.settle(fate, row.payload.len());
        }
        Ok(())
    }

    /// Keeps a record that the database refused.
    async fn refuse(&self, queued: &Queued, error: &StoreError) -> Result<(), StoreError> {
        let Record::Good { position, payload, .. } = &queued.record else {
            return Ok(());
        };
        let (code, reason) = match error.fault {
            Fault::NotKept => (NOT_KEPT, error.detail().to_owned()),
            _ => (REFUSED_BY_DATABASE, error.database_message()),
        };
        self.reject(&[(queued, *position, code, &reason, payload)]).await
    }

    async fn keep_rejected(&self, batch: &[&Queued]) -> Result<(), StoreError> {
        let rejected: Vec<_> = batch
            .iter()
            .filter_map(|queued| match &queued.record {
                Record::Bad { position, content, code, reason } => {
                    Some((*queued, *position, *code, reason.as_str(), content))
                }
                Record::Good { .. } => None,
            })
            .collect();
        self.reject(&rejected).await
    }

    async fn reject(&self, rejected: &[(&Queued, i64, &str, &str, &bytes::Bytes)]) -> Result<(), StoreError> {
        let rows: Vec<RejectedRow<'_>> = rejected
            .iter()
            .map(|(queued, position, code, reason, content)| RejectedRow {
                page: queued.page.page,
                cursor: queued.page.cursor.as_deref(),
                position: *position,
                code,
                reason,
                content,
            })
            .collect();
        let rejecting = patiently(self.patience, self.observer.as_ref(), || self.store.reject(&self.lease, &rows));
        let span = tracing::info_span!("store", operation = "reject", records = rows.len());
        rejecting.instrument(span).await?;
        for (queued, _, code, reason, content) in rejected {
            self.observer.on(Event::Rejected { code, reason });
            queued.page.settle(Fate::Rejected, content.len());
        }
        Ok(())
    }
}

fn hash_of(queued: &Queued) -> &str {
    match &queued.record {
        Record::Good { hash, .. } => hash,
        Record::Bad { .. } => "",
    }
}

fn row_of(queued: &Queued) -> RecordRow<'_> {
    match &queued.record {
        Record::Good { payload, hash, .. } => RecordRow {
            // Checked to be UTF-8 when it was hashed.
            payload: simdutf8::basic::from_utf8(payload).unwrap_or_default(),
            hash,
        },
        Record::Bad { .. } => RecordRow { payload: "", hash: "" },
    }
}

//! Groups begin marks and checkpoints into transactions: while one is under way, requests gather,
//! and the next one takes them all. A slow disk thus gets few flushes, and a quick one is not
//! waited for.

use std::sync::Arc;
use std::time::Duration;

use atlas_model::{Checkpoint, Lease, LedgerReceipt, PageKey};
use atlas_store::{Store, StoreError};
use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::patience::patiently;
use super::progress::Observer;

/// Requests in one transaction, and waiting for the next.
const GROUP_MAX: usize = 256;

type Reply = oneshot::Sender<Result<LedgerReceipt, Arc<StoreError>>>;

enum Request {
    Begin(PageKey, Reply),
    Checkpoint(Box<Checkpoint>, Reply),
}

/// The handle with which pages enter begin marks and checkpoints.
#[derive(Clone)]
pub(super) struct Ledger {
    requests: mpsc::Sender<Request>,
}

/// Why an entry was not made.
#[derive(Debug, Clone)]
pub(super) enum LedgerError {
    Store(Arc<StoreError>),
    /// The run is being torn down.
    Closed,
}

impl Ledger {
    /// Opens the ledger of a lease, for a database that may be gone for so long; it closes when the
    /// last handle to it is dropped.
    pub(super) fn open(store: Arc<dyn Store>, lease: Lease, patience: Duration, observer: Arc<dyn Observer>) -> Self {
        let (requests, waiting) = mpsc::channel(GROUP_MAX);
        tokio::spawn(keep(store, lease, patience, observer, waiting).in_current_span());
        Self { requests }
    }

    /// Marks a page as begun; durable when this returns.
    pub(super) async fn begin(&self, page: PageKey) -> Result<(), LedgerError> {
        self.enter(|reply| Request::Begin(page, reply)).await.map(drop)
    }

    /// Checkpoints a page; durable when this returns.
    pub(super) async fn checkpoint(&self, checkpoint: Checkpoint) -> Result<LedgerReceipt, LedgerError> {
        self.enter(|reply| Request::Checkpoint(Box::new(checkpoint), reply)).await
    }

    async fn enter(&self, request: impl FnOnce(Reply) -> Request) -> Result<LedgerReceipt, LedgerError> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| LedgerError::Closed)?;
        answer.await.map_err(|_| LedgerError::Closed)?.map_err(LedgerError::Store)
    }
}

async fn keep(
    store: Arc<dyn Store>,
    lease: Lease,
    patience: Duration,
    observer: Arc<dyn Observer>,
    mut waiting: mpsc::Receiver<Request>,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while waiting.recv_many(&mut group, GROUP_MAX).await > 0 {
        let mut replies = Vec::with_capacity(group.len());
        let mut begun = Vec::new();
        let mut done = Vec::new();
        for request in group.drain(..) {
            match request {
                Request::Begin(page, reply) => {
                    begun.push(page);
                    replies.push(reply);
                }
                Request::Checkpoint(checkpoint, reply) => {
                    done.push(*checkpoint);
                    replies.push(reply);
                }
            }
        }
        // Repeating it after a lost answer changes nothing, so patience is all that is needed.
        let entering = patiently(patience, observer.as_ref(), || store.ledger(&lease, &begun, &done));
        let span = tracing::info_span!("store", operation = "ledger", begun = begun.len(), done = done.len());
        let outcome = entering.instrument(span).await.map_err(Arc::new);
        for reply in replies {
            // The page may have been dropped meanwhile; its entry is made all the same.
            let _ = reply.send(outcome.clone());
        }
    }
}

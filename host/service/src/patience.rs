//! How long calls to a database that does not answer are retried.

use std::time::{Duration, Instant};

use atlas_pipeline::{Observer, patiently};
use atlas_store::{Fault, StoreError};
use tokio_util::sync::CancellationToken;

/// Retry window for recording a run's result after the `db_patience` setting is used up.
pub(super) const LAST_PATIENCE: Duration = Duration::from_secs(3);

/// How long a run retries a call to a database that does not answer: until a deadline, or shortly
/// after `stop`.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) until: Instant,
    pub(super) stop: &'a CancellationToken,
    /// Receives the waits as events.
    pub(super) observer: &'a dyn Observer,
}

impl Patience<'_> {
    pub(super) async fn wait<T, F: Future<Output = Result<T, StoreError>>>(
        self,
        call: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        let stopped = async {
            self.stop.cancelled().await;
            tokio::time::sleep(LAST_PATIENCE).await;
        };
        tokio::select! {
            biased;
            done = patiently(self.until.saturating_duration_since(Instant::now()), self.observer, call) => done,
            () = stopped => {
                let why = "it does not answer, and the run is to stop";
                Err(StoreError::new(Fault::Unavailable, "wait for the database", why))
            }
        }
    }
}

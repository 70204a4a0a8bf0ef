//! Work on whole files, off the async workers: reading, hashing, verifying, parsing, loading
//! compiled code. Work on a blocking thread cannot be cancelled, so it holds a permit until it has
//! returned, even if its caller was dropped. Otherwise a file that is replaced all the time would
//! be in memory once for each blocking thread.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};

/// Files that are worked on at the same time. Each step may hold one of `component_bytes`, or its
/// compiled code; two, so that a large one does not hold a small one up.
const FILES_AT_ONCE: usize = 2;

/// Permits for work on files, shared by all loads of one loader.
#[derive(Debug, Clone)]
pub struct BlockingWork {
    permits: Arc<Semaphore>,
}

/// Held for as long as the work goes on.
pub(crate) struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Default for BlockingWork {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(FILES_AT_ONCE)) }
    }
}

impl BlockingWork {
    /// Waits for a permit, and does this where blocking is allowed. Dropping the future ends the
    /// wait, not the work.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        self.run_and_hand_on(|permit| {
            let done = work();
            drop(permit);
            done
        })
        .await
    }

    /// The same, for work that leaves something to be done after it: the permit goes along with
    /// that.
    pub(crate) async fn run_and_hand_on<T: Send + 'static>(
        &self,
        work: impl FnOnce(Permit) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // The semaphore is never closed.
        let permit = Permit { _permit: Arc::clone(&self.permits).acquire_owned().await.ok() };
        spawn_blocking(move || work(permit)).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn work_that_nobody_wants_any_more_counts_until_it_has_returned() {
        let blocking = BlockingWork::default();
        let (begun, has_begun) = mpsc::sync_channel(FILES_AT_ONCE);
        let (let_go, held) = mpsc::sync_channel::<()>(FILES_AT_ONCE);
        let held = Arc::new(std::sync::Mutex::new(held));
        for _ in 0..FILES_AT_ONCE {
            let (blocking, begun, held) = (blocking.clone(), begun.clone(), Arc::clone(&held));
            let attempt = tokio::spawn(async move {
                let work = move || {
                    begun.send(()).unwrap();
                    held.lock().unwrap().recv().unwrap();
                };
                blocking.run(work).await
            });
            while has_begun.try_recv().is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            attempt.abort();
            assert!(attempt.await.unwrap_err().is_cancelled());
        }
        let third = blocking.run(|| ());
        assert!(tokio::time::timeout(Duration::from_millis(50), third).await.is_err(), "a third file is worked on");
        let_go.send(()).unwrap();
        blocking.run(|| ()).await.unwrap();
        let_go.send(()).unwrap();
    }
}

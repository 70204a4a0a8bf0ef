//! The meters of a call: the CPU time and the memory that a guest uses.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::ready;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::limit::LimitReached;
use super::share::Turnstile;

/// What a call has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// CPU time of the guest, and of the host for it.
    pub cpu: Duration,
    /// The most memory that the instance held, in bytes.
    pub peak_memory: usize,
}

/// The meters of a call. Shared, so that its caller can read them even if it does not end by
/// itself.
#[derive(Clone)]
pub(crate) struct Meters {
    pub(crate) cpu: Arc<CpuMeter>,
    pub(crate) peak_memory: Arc<AtomicUsize>,
}

impl Meters {
    pub(crate) fn read(&self) -> Spent {
        Spent { cpu: self.cpu.charged(), peak_memory: self.peak_memory.load(Ordering::Relaxed) }
    }
}

/// Meter of a call's CPU time: the time that its thread uses while the call's future is polled.
/// That is guest code and the host's work for it; time that is awaited does not count, nor does
/// time that the system gives the core to other threads. Shared, because the call borrows the
/// store: the future that polls it writes here, and the epoch callback reads.
pub(crate) struct CpuMeter {
    limit: Duration,
    spent_ns: AtomicU64,
    /// The thread's CPU time when the present poll began; [`NOT_POLLED`] between polls.
    poll_began_ns: AtomicU64,
}

const NOT_POLLED: u64 = u64::MAX;

/// CPU time of this thread, in nanoseconds.
pub(crate) fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

impl CpuMeter {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, spent_ns: AtomicU64::new(0), poll_began_ns: AtomicU64::new(NOT_POLLED) }
    }

    /// The time that finished polls have used. May be called on any thread.
    pub(crate) fn charged(&self) -> Duration {
        Duration::from_nanos(self.spent_ns.load(Ordering::Relaxed))
    }

    /// The time used so far. Within a poll, to be called on the thread that polls.
    fn spent(&self) -> Duration {
        let began = self.poll_began_ns.load(Ordering::Relaxed);
        let current = if began == NOT_POLLED { 0 } else { thread_ns().saturating_sub(began) };
        Duration::from_nanos(self.spent_ns.load(Ordering::Relaxed) + current)
    }

    /// Fails once the limit is spent. To be called like [`Self::spent`].
    pub(crate) fn check(&self) -> Result<(), LimitReached> {
        if self.spent() > self.limit {
            let value = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
            return Err(LimitReached { name: "guest_cpu_ms", value });
        }
        Ok(())
    }

    /// Runs a call, taking its turn each time that it is polled, and charging it for the time that
    /// it is.
    pub(crate) async fn charge<T>(&self, mut turnstile: Turnstile, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        std::future::poll_fn(|context| {
            let _turn = ready!(turnstile.poll_turn(context));
            let began = thread_ns();
            self.poll_began_ns.store(began, Ordering::Relaxed);
            let polled = call.as_mut().poll(context);
            self.poll_began_ns.store(NOT_POLLED, Ordering::Relaxed);
            self.spent_ns.fetch_add(thread_ns().saturating_sub(began), Ordering::Relaxed);
            polled
        })
        .await
    }
}

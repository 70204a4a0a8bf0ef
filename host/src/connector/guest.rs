//! One instance at work: what it holds, what it may use up, and what it has used.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use wasmtime::component::ResourceTable;
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::engine::ConnectorEngine;
use super::exchange::GuestHttp;
use crate::limits::Limits;

/// Handles that a guest may hold at once: responses and selections.
const HANDLES_MAX: usize = 10_000;

/// A limit that a guest went past. Travels inside the trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit {name} ({value})")]
pub(super) struct LimitReached {
    pub(super) name: &'static str,
    pub(super) value: u64,
}

/// What an instance holds in the host.
pub(super) struct Guest {
    pub(super) table: ResourceTable,
    pub(super) http: Option<GuestHttp>,
    pub(super) log: GuestLog,
    /// Records that one selection may have.
    pub(super) records_max: usize,
    memory: GuestMemory,
    cpu: Arc<CpuMeter>,
}

impl Guest {
    /// A store for one call, under all limits.
    pub(super) fn store(
        engine: &ConnectorEngine,
        limits: &Limits,
        route: &str,
        http: Option<GuestHttp>,
    ) -> Store<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let guest = Self {
            table,
            http,
            log: GuestLog::new(route, limits),
            records_max: limits.records_per_page,
            memory: GuestMemory { used: 0, limit: limits.guest_memory, reached: false },
            cpu: Arc::new(CpuMeter::new(Duration::from_millis(limits.guest_cpu_ms))),
        };
        let mut store = Store::new(engine.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            let cpu = &context.data().cpu;
            if cpu.spent() > cpu.limit {
                return Err(LimitReached {
                    name: "guest_cpu_ms",
                    value: u64::try_from(cpu.limit.as_millis()).unwrap_or(u64::MAX),
                }
                .into());
            }
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }

    /// The memory limit, if it is what stopped the guest. A guest that is refused memory traps in ways of its own.
    pub(super) fn memory_limit_reached(&self) -> Option<LimitReached> {
        self.memory.reached.then_some(LimitReached { name: "guest_memory", value: self.memory.limit as u64 })
    }

    /// The meter to run the call under.
    pub(super) fn cpu(&self) -> Arc<CpuMeter> {
        Arc::clone(&self.cpu)
    }
}

/// The sum of an instance's memories. wasmtime's own `StoreLimits` caps each of them, not their sum.
struct GuestMemory {
    used: usize,
    limit: usize,
    reached: bool,
}

impl ResourceLimiter for GuestMemory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let used = self.used.saturating_add(desired.saturating_sub(current));
        if used > self.limit {
            self.reached = true;
            return Ok(false);
        }
        self.used = used;
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // The pool has the limit.
        Ok(true)
    }
}

/// CPU time of guest code: the time during which the call's future is being polled, which leaves out whatever it awaits.
/// Shared, because the call borrows the store: the future that polls it writes here, and the epoch callback reads.
pub(super) struct CpuMeter {
    base: Instant,
    limit: Duration,
    spent_ns: AtomicU64,
    /// When the present poll began, in nanoseconds from `base`; [`NOT_POLLED`] between polls.
    poll_began_ns: AtomicU64,
}

const NOT_POLLED: u64 = u64::MAX;

impl CpuMeter {
    fn new(limit: Duration) -> Self {
        Self { base: Instant::now(), limit, spent_ns: AtomicU64::new(0), poll_began_ns: AtomicU64::new(NOT_POLLED) }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(NOT_POLLED - 1)
    }

    fn spent(&self) -> Duration {
        let began = self.poll_began_ns.load(Ordering::Relaxed);
        let current = if began == NOT_POLLED { 0 } else { self.now_ns().saturating_sub(began) };
        Duration::from_nanos(self.spent_ns.load(Ordering::Relaxed) + current)
    }

    /// Runs a call, charging it for the time that it is polled.
    pub(super) async fn charge<T>(&self, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        std::future::poll_fn(|context| {
            let began = self.now_ns();
            self.poll_began_ns.store(began, Ordering::Relaxed);
            let polled = call.as_mut().poll(context);
            self.poll_began_ns.store(NOT_POLLED, Ordering::Relaxed);
            self.spent_ns.fetch_add(self.now_ns().saturating_sub(began), Ordering::Relaxed);
            polled
        })
        .await
    }
}

/// What a connector logs, cut at its limits.
pub(super) struct GuestLog {
    route: String,
    bytes_left: usize,
    lines_left: usize,
    cut: bool,
}

impl GuestLog {
    fn new(route: &str, limits: &Limits) -> Self {
        Self { route: route.to_owned(), bytes_left: limits.log_bytes, lines_left: limits.log_lines, cut: false }
    }

    /// Takes no line from here on.
    pub(super) fn discard(&mut self) {
        self.cut = true;
    }

    /// Adds a line. Control characters are shown as escapes, so that a connector cannot write to somebody's terminal.
    pub(super) fn line(&mut self, level: tracing::Level, message: &str) {
        if self.cut {
            return;
        }
        if self.lines_left == 0 || message.len() > self.bytes_left {
            self.cut = true;
            tracing::warn!(rota = %self.route, "the connector's log is cut here (limits log_bytes, log_lines)");
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= message.len();
        let message = message.escape_debug();
        match level {
            tracing::Level::ERROR => tracing::error!(rota = %self.route, "{message}"),
            tracing::Level::WARN => tracing::warn!(rota = %self.route, "{message}"),
            tracing::Level::INFO => tracing::info!(rota = %self.route, "{message}"),
            _ => tracing::debug!(rota = %self.route, "{message}"),
        }
    }
}

//! The state of one running instance: its handles, its limits and its meters.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::ready;
use std::time::Duration;

use atlas_http::{Endpoint, Waiting};
use atlas_model::Limits;
use atlas_model::notice::printable;
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::engine::ConnectorEngine;
use super::exchange::GuestHttp;
use super::imports::HeldSelection;
use super::said::LogLine;
use super::share::{GuestMemory, PageShare, Turnstile};
use super::wasi::Wasi;

/// Handles that a guest may hold at once: responses and selections.
const HANDLES_MAX: usize = 10_000;
/// Bytes from which on work for a guest hands the other tasks of its thread to another one, since
/// they should not wait for so long.
const LARGE_BODY: usize = 256 * 1024;

/// Bytes of a guest's last error line that are shown with a trap.
const LAST_ERROR_MAX: usize = 500;

/// The end of wasmtime's error where a guest hands over more than `call_bytes`.
const HANDED_OVER_TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";
/// What an element of a table takes at the most: a pointer.
const TABLE_ELEMENT: usize = size_of::<u64>();

/// A limit that a guest went past. Travels inside the trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit {name} ({value})")]
pub(super) struct LimitReached {
    pub(super) name: &'static str,
    pub(super) value: u64,
}

/// The host's data of one instance.
pub(super) struct Guest {
    pub(super) table: ResourceTable,
    pub(super) http: Option<GuestHttp>,
    pub(super) log: GuestLog,
    /// Time and random numbers, for a guest that asks WASI for them.
    pub(super) wasi: Wasi,
    /// Records that all selections which the guest holds may have together: a page cannot have more
    /// in any case.
    pub(super) records_max: usize,
    /// Records that they have.
    records_held: usize,
    /// Bytes that it may hand over in one call.
    call_bytes: usize,
    memory: GuestMemory,
    cpu: Arc<CpuMeter>,
}

impl Guest {
    /// A store for one call, under all limits.
    pub(super) fn store(
        engine: &ConnectorEngine,
        limits: &Limits,
        share: &PageShare,
        route: &str,
        http: Option<GuestHttp>,
        wasi: Wasi,
    ) -> Store<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let guest = Self {
            table,
            http,
            log: GuestLog::new(route, limits),
            wasi,
            records_max: limits.records_per_page,
            records_held: 0,
            call_bytes: limits.call_bytes,
            memory: share.memory(limits.guest_memory),
            cpu: Arc::new(CpuMeter::new(Duration::from_millis(limits.guest_cpu_ms))),
        };
        let mut store = Store::new(engine.engine(), guest);
        store.limiter(|guest| &mut guest.memory);
        store.set_hostcall_fuel(limits.call_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            context.data().cpu.check()?;
            Ok(UpdateDeadline::Yield(1))
        });
        store
    }

    /// How many records it may select now.
    pub(super) fn records_left(&self) -> usize {
        self.records_max.saturating_sub(self.records_held)
    }

    /// Adds a selection to the guest's handles. Its records count for as long as the guest holds
    /// it.
    pub(super) fn hold(&mut self, records: Vec<Bytes>) -> wasmtime::Result<Resource<HeldSelection>> {
        let count = records.len();
        let selection = self.table.push(HeldSelection { records: records.into_boxed_slice() })?;
        self.records_held += count;
        Ok(selection)
    }

    /// Takes a selection back.
    pub(super) fn take_back(
        &mut self,
        selection: Resource<HeldSelection>,
    ) -> Result<HeldSelection, ResourceTableError> {
        let held = self.table.delete(selection)?;
        self.records_held -= held.records.len();
        Ok(held)
    }

    /// Does work for the guest on the thread that polls its call, and so within its turn and
    /// charged to its CPU time (see [`CpuMeter::charge`]). From [`LARGE_BODY`] on, another thread
    /// takes over the other tasks of this one.
    pub(super) fn work<T>(&self, size: usize, work: impl FnOnce() -> T) -> wasmtime::Result<T> {
        let done = if size < LARGE_BODY { work() } else { tokio::task::block_in_place(work) };
        // Checked here: this work may have used up the limit, and a guest that only makes host
        // calls checks no clock.
        self.cpu.check()?;
        Ok(done)
    }

    /// Its memory, and the limit that it was refused more for.
    pub(super) fn memory(&self) -> &GuestMemory {
        &self.memory
    }

    /// The limit that caused a trap. That a guest handed over too much shows only in the text of
    /// wasmtime's error, and a guest that is refused memory traps in a way of its own.
    pub(super) fn limit_reached(&self, trap: &wasmtime::Error) -> Option<LimitReached> {
        if let Some(limit) = trap.downcast_ref::<LimitReached>() {
            return Some(*limit);
        }
        if trap.root_cause().to_string().ends_with(HANDED_OVER_TOO_MUCH) {
            return Some(LimitReached { name: "call_bytes", value: self.call_bytes as u64 });
        }
        self.memory.limit_reached()
    }

    /// The meter to run the call under.
    pub(super) fn cpu(&self) -> Arc<CpuMeter> {
        Arc::clone(&self.cpu)
    }
}

impl ResourceLimiter for GuestMemory {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.take(desired.saturating_sub(current)))
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Growth that the table's own limit or the pool's refuses is not counted.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.take(desired.saturating_sub(current).saturating_mul(TABLE_ELEMENT)))
    }
}

/// Meter of a call's CPU time: the time that its thread uses while the call's future is polled.
/// That is guest code and the host's work for it; time that is awaited does not count, nor does
/// time that the system gives the core to other threads. Shared, because the call borrows the
/// store: the future that polls it writes here, and the epoch callback reads.
pub(super) struct CpuMeter {
    limit: Duration,
    spent_ns: AtomicU64,
    /// The thread's CPU time when the present poll began; [`NOT_POLLED`] between polls.
    poll_began_ns: AtomicU64,
}

const NOT_POLLED: u64 = u64::MAX;

/// CPU time of this thread, in nanoseconds.
fn thread_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + nanos
}

impl CpuMeter {
    fn new(limit: Duration) -> Self {
        Self { limit, spent_ns: AtomicU64::new(0), poll_began_ns: AtomicU64::new(NOT_POLLED) }
    }

    /// The time that finished polls have used. May be called on any thread.
    pub(super) fn charged(&self) -> Duration {
        Duration::from_nanos(self.spent_ns.load(Ordering::Relaxed))
    }

    /// The time used so far. Within a poll, to be called on the thread that polls.
    fn spent(&self) -> Duration {
        let began = self.poll_began_ns.load(Ordering::Relaxed);
        let current = if began == NOT_POLLED { 0 } else { thread_ns().saturating_sub(began) };
        Duration::from_nanos(self.spent_ns.load(Ordering::Relaxed) + current)
    }

    /// Fails once the limit is spent. To be called like [`Self::spent`].
    fn check(&self) -> Result<(), LimitReached> {
        if self.spent() > self.limit {
            let value = u64::try_from(self.limit.as_millis()).unwrap_or(u64::MAX);
            return Err(LimitReached { name: "guest_cpu_ms", value });
        }
        Ok(())
    }

    /// Runs a call, taking its turn each time that it is polled, and charging it for the time that
    /// it is.
    pub(super) async fn charge<T>(&self, mut turnstile: Turnstile, call: impl Future<Output = T>) -> T {
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

/// A standard stream that a guest may write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stdio {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A line of a standard stream is logged when it is this long, if it has no end before.
const STDIO_LINE_MAX: usize = 4 * 1024;

/// What a connector logs, cut at its limits.
pub(super) struct GuestLog {
    route: String,
    /// `log_bytes` and `log_lines`, and what is left of them.
    limits: (usize, usize),
    bytes_left: usize,
    lines_left: usize,
    cut: bool,
    /// What was written to standard output and standard error since the last end of a line.
    unfinished: [Vec<u8>; 2],
    /// The observer that gets each line beside the program's own log, and the endpoint whose
    /// secrets are redacted in it.
    heard_by: Option<(Arc<dyn Waiting>, Endpoint)>,
    /// Lines that are kept instead of being logged; none: they are logged.
    kept: Option<Vec<LogLine>>,
    /// The beginning of the last line that was logged as an error or written to standard error.
    last_error: Option<String>,
}

impl GuestLog {
    fn new(route: &str, limits: &Limits) -> Self {
        Self {
            route: route.to_owned(),
            limits: (limits.log_bytes, limits.log_lines),
            bytes_left: limits.log_bytes,
            lines_left: limits.log_lines,
            cut: false,
            unfinished: [Vec::new(), Vec::new()],
            heard_by: None,
            kept: None,
            last_error: None,
        }
    }

    /// Keeps each line from here on instead of logging it, for the parent process to log.
    pub(super) fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// The lines that were kept, the last ones too, which no line break ended.
    pub(super) fn kept(&mut self) -> Vec<LogLine> {
        self.finish_line(Stdio::Out);
        self.finish_line(Stdio::Err);
        self.kept.take().unwrap_or_default()
    }

    /// Takes the lines that another process kept of a call.
    pub(super) fn take_over(route: &str, limits: &Limits, lines: Vec<LogLine>) {
        let mut log = Self::new(route, limits);
        for LogLine { level, text } in lines {
            log.line(level.parse().unwrap_or(tracing::Level::WARN), &text);
        }
    }

    /// Passes each line on to an observer from here on, without this endpoint's secrets: a guest
    /// knows those among its settings.
    pub(super) fn tell(&mut self, whom: Arc<dyn Waiting>, endpoint: Endpoint) {
        self.heard_by = Some((whom, endpoint));
    }

    /// Takes what a guest wrote to a standard stream: each line of it becomes a line of the log.
    pub(super) fn write(&mut self, stdio: Stdio, contents: &[u8]) {
        for piece in contents.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(STDIO_LINE_MAX) {
                let unfinished = &mut self.unfinished[stdio as usize];
                unfinished.extend_from_slice(piece);
                if piece.ends_with(b"\n") || unfinished.len() >= STDIO_LINE_MAX {
                    self.finish_line(stdio);
                }
            }
        }
    }

    fn finish_line(&mut self, stdio: Stdio) {
        let line = std::mem::take(&mut self.unfinished[stdio as usize]);
        let text = String::from_utf8_lossy(&line);
        let level = match stdio {
            Stdio::Out => tracing::Level::INFO,
            Stdio::Err => tracing::Level::WARN,
        };
        if !line.is_empty() {
            self.line(level, text.trim_end_matches(['\r', '\n']));
        }
    }

    /// Takes no line from here on.
    pub(super) fn discard(&mut self) {
        self.cut = true;
    }

    /// The guest's last error line, to go with a trap, which has no message itself.
    pub(super) fn last_error(&mut self) -> Option<String> {
        self.finish_line(Stdio::Err);
        self.last_error.take()
    }

    /// Adds a line. Control characters are escaped, so that a connector cannot control the
    /// operator's terminal.
    pub(super) fn line(&mut self, level: tracing::Level, message: &str) {
        let message = match &self.heard_by {
            Some((_, endpoint)) => &endpoint.redact(message.to_owned()),
            None => message,
        };
        // Rust's own hook for panics ends with a note on backtraces.
        let is_error = level <= tracing::Level::WARN && !message.trim().is_empty() && !message.starts_with("note: ");
        if is_error {
            self.last_error = Some(printable(&message[..message.floor_char_boundary(LAST_ERROR_MAX)]));
        }
        if self.cut {
            return;
        }
        if self.lines_left == 0 || message.len() > self.bytes_left {
            self.cut = true;
            let (bytes, lines) = self.limits;
            tracing::warn!(
                rota = %self.route,
                "the connector's log is cut here: limits log_bytes ({bytes}) and log_lines ({lines}) of a page, which [limits] of \
                 atlas.toml raises"
            );
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= message.len();
        if let Some(kept) = &mut self.kept {
            kept.push(LogLine { level: level.to_string(), text: message.to_owned() });
            return;
        }
        let message = printable(message);
        if let Some((whom, _)) = self.heard_by.as_ref().filter(|_| level <= tracing::Level::INFO) {
            whom.logged(&message);
        }
        match level {
            tracing::Level::ERROR => tracing::error!(rota = %self.route, "{message}"),
            tracing::Level::WARN => tracing::warn!(rota = %self.route, "{message}"),
            tracing::Level::INFO => tracing::info!(rota = %self.route, "{message}"),
            _ => tracing::debug!(rota = %self.route, "{message}"),
        }
    }
}

/// Logs the last lines of a guest that it did not end with a line break.
impl Drop for GuestLog {
    fn drop(&mut self) {
        self.finish_line(Stdio::Out);
        self.finish_line(Stdio::Err);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::super::load::TrustPolicy;
    use super::super::share::{SharePlan, Shares};
    use super::super::testing::{load, loader, scrap, wasi_guest};
    use super::*;

    /// A guest's store under these limits.
    fn store(engine: &ConnectorEngine, limits: &Limits) -> Store<Guest> {
        Guest::store(engine, limits, &engine.share(None, "teste"), "teste", None, Wasi::of_describe())
    }

    #[tokio::test]
    async fn records_count_for_as_long_as_their_selection_is_held() {
        let limits = Limits { records_per_page: 5, ..Limits::default() };
        let mut store = store(&loader(TrustPolicy::default()).engine, &limits);
        let guest = store.data_mut();
        let first = guest.hold(vec![Bytes::new(); 3]).unwrap();
        assert_eq!(guest.records_left(), 2);
        let second = guest.hold(vec![Bytes::new(); 2]).unwrap();
        assert_eq!(guest.records_left(), 0);
        assert_eq!(guest.take_back(first).unwrap().records.len(), 3);
        assert_eq!(guest.records_left(), 3);
        guest.take_back(second).unwrap();
        assert_eq!(guest.records_left(), 5);
    }

    #[tokio::test]
    async fn a_guest_that_hands_over_too_much_at_once_is_told_by_the_limits_name() {
        let loader = loader(TrustPolicy::default());
        let connector = load(&loader, "relogio.wasm", &wasi_guest()).await.unwrap();
        // What it writes to its standard output is longer.
        let mut store = store(&loader.engine, &Limits { call_bytes: 50, ..Limits::default() });
        let trap = connector.contract.fetch_page(&mut store, &scrap(), None).await.err().unwrap();
        assert_eq!(store.data().limit_reached(&trap), Some(LimitReached { name: "call_bytes", value: 50 }));
    }

    #[test]
    fn the_elements_of_tables_are_memory_like_any_other() {
        let share = Shares::new(SharePlan { instances: 1, cores: 1, memory: 0 }).of(None, "teste");
        let mut memory = share.memory(100 * TABLE_ELEMENT);
        assert!(memory.table_growing(0, 60, None).unwrap());
        assert!(!memory.table_growing(60, 1000, Some(999)).unwrap(), "the table's own limit");
        assert_eq!(memory.limit_reached(), None);
        assert!(memory.table_growing(0, 40, Some(999)).unwrap(), "another table");
        assert!(!memory.memory_growing(0, 1, None).unwrap());
        assert_eq!(memory.limit_reached().map(|limit| limit.name), Some("guest_memory"));
        assert_eq!(memory.peak().load(Ordering::Relaxed), 100 * TABLE_ELEMENT);
    }

    /// Uses up so much of this thread's CPU time.
    fn burn(time: Duration) {
        let until = Duration::from_nanos(thread_ns()) + time;
        while Duration::from_nanos(thread_ns()) < until {
            std::hint::spin_loop();
        }
    }

    #[tokio::test]
    async fn what_the_host_does_for_a_guest_takes_its_turn_and_its_cpu_time() {
        let engine = loader(TrustPolicy::default()).engine;
        let limits = Limits { guest_cpu_ms: 100, ..Limits::default() };
        for size in [0, LARGE_BODY] {
            let share = Shares::new(SharePlan { instances: 1, cores: 2, memory: 0 }).of(None, "teste");
            let store = Guest::store(&engine, &limits, &share, "teste", None, Wasi::of_describe());
            let (cpu, turnstile, mut other) = (store.data().cpu(), share.turnstile(), share.turnstile());
            let call = async move {
                let guest = store.data();
                let first = guest.work(size, || {
                    burn(Duration::from_millis(20));
                    other.poll_turn(&mut Context::from_waker(Waker::noop())).is_ready()
                });
                (first, guest.work(size, || burn(Duration::from_millis(100))))
            };
            let charged = engine.run(async move { (cpu.charge(turnstile, call).await, cpu.charged()) });
            let ((others_turn, too_much), spent) = charged.await.unwrap();
            assert!(!others_turn.unwrap(), "another guest of the same owner had a turn meanwhile");
            let limit = too_much.err().and_then(|trap| trap.downcast_ref::<LimitReached>().copied());
            assert_eq!(limit, Some(LimitReached { name: "guest_cpu_ms", value: 100 }));
            assert!(spent >= Duration::from_millis(120), "{spent:?}");
        }
    }
}

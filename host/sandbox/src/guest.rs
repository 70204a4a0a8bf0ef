//! The state of one running instance: its handles, its limits and its meters.

use std::sync::Arc;
use std::time::Duration;

use atlas_model::Limits;
use bytes::Bytes;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime::{ResourceLimiter, Store, UpdateDeadline};

use super::engine::ConnectorEngine;
use super::held::HeldSelection;
use super::limit::LimitReached;
use super::line::GuestHttp;
use super::log::GuestLog;
use super::meter::{CpuMeter, Meters};
use super::share::{GuestMemory, PageShare};
use super::wasi::Wasi;

/// Handles that a guest may hold at once: responses and selections.
const HANDLES_MAX: usize = 10_000;
/// Bytes from which on work for a guest hands the other tasks of its thread to another one, since
/// they should not wait for so long.
const LARGE_BODY: usize = 256 * 1024;

/// The end of wasmtime's error where a guest hands over more than `call_bytes`.
const HANDED_OVER_TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";
/// What an element of a table takes at the most: a pointer.
const TABLE_ELEMENT: usize = size_of::<u64>();

/// The host's data of one instance.
pub(crate) struct Guest {
    pub(crate) table: ResourceTable,
    pub(crate) http: Option<GuestHttp>,
    pub(crate) log: GuestLog,
    /// Time and random numbers, for a guest that asks WASI for them.
    pub(crate) wasi: Wasi,
    /// Records that all selections which the guest holds may have together: a page cannot have more
    /// in any case.
    pub(crate) records_max: usize,
    /// Records that they have.
    records_held: usize,
    /// Bytes that it may hand over in one call.
    call_bytes: usize,
    memory: GuestMemory,
    cpu: Arc<CpuMeter>,
}

impl Guest {
    /// A store for one call, under all limits.
    pub(crate) fn store(
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
    pub(crate) fn records_left(&self) -> usize {
        self.records_max.saturating_sub(self.records_held)
    }

    /// Adds a selection to the guest's handles. Its records count for as long as the guest holds
    /// it.
    pub(crate) fn hold(&mut self, records: Vec<Bytes>) -> wasmtime::Result<Resource<HeldSelection>> {
        let count = records.len();
        let selection = self.table.push(HeldSelection { records: records.into_boxed_slice() })?;
        self.records_held += count;
        Ok(selection)
    }

    /// Takes a selection back.
    pub(crate) fn take_back(
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
    pub(crate) fn work<T>(&self, size: usize, work: impl FnOnce() -> T) -> wasmtime::Result<T> {
        let done = if size < LARGE_BODY { work() } else { tokio::task::block_in_place(work) };
        // Checked here: this work may have used up the limit, and a guest that only makes host
        // calls checks no clock.
        self.cpu.check()?;
        Ok(done)
    }

    /// The limit that caused a trap. That a guest handed over too much shows only in the text of
    /// wasmtime's error, and a guest that is refused memory traps in a way of its own.
    pub(crate) fn limit_reached(&self, trap: &wasmtime::Error) -> Option<LimitReached> {
        if let Some(limit) = trap.downcast_ref::<LimitReached>() {
            return Some(*limit);
        }
        if trap.root_cause().to_string().ends_with(HANDED_OVER_TOO_MUCH) {
            return Some(LimitReached { name: "call_bytes", value: self.call_bytes as u64 });
        }
        self.memory.limit_reached()
    }

    /// The meter to run the call under.
    pub(crate) fn cpu(&self) -> Arc<CpuMeter> {
        Arc::clone(&self.cpu)
    }

    /// The meters of the call.
    pub(crate) fn meters(&self) -> Meters {
        Meters { cpu: self.cpu(), peak_memory: self.memory.peak() }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::task::{Context, Waker};

    use atlas_testing::guests::wasi_guest;

    use super::super::meter::thread_ns;
    use super::super::share::{SharePlan, Shares};
    use super::super::testing::{load, loader, scrap};
    use super::*;

    /// A guest's store under these limits.
    fn store(engine: &ConnectorEngine, limits: &Limits) -> Store<Guest> {
        Guest::store(engine, limits, &engine.share(None, "teste"), "teste", None, Wasi::of_describe())
    }

    #[tokio::test]
    async fn records_count_for_as_long_as_their_selection_is_held() {
        let limits = Limits { records_per_page: 5, ..Limits::default() };
        let mut store = store(&loader().engine, &limits);
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
        let loader = loader();
        let component = load(&loader, &wasi_guest()).await.unwrap();
        // What it writes to its standard output is longer.
        let mut store = store(&loader.engine, &Limits { call_bytes: 50, ..Limits::default() });
        let trap = component.linked.contract.fetch_page(&mut store, &scrap(), None).await.err().unwrap();
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
        let engine = loader().engine;
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

//! The one wasmtime engine for all connectors: compiles them, pools their instances, and advances
//! their epochs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio_util::task::AbortOnDropHandle;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmFeatures};

use super::proposals;
use super::share::{PageShare, SharePlan, Shares};

/// Interval of the epochs: the grain of guests' CPU limit, and how soon a busy guest lets others
/// run.
const TICK: Duration = Duration::from_millis(2);
/// Instances at the same time, over all scraps of the process; one client or connector may have
/// half of them, and pages beyond wait. Each reserves address space, not memory.
pub const INSTANCES: u32 = 128;
/// Threads that run guest code, for each core. More than one, so that a page that has little to do
/// finds a thread while others keep theirs busy: the system then shares the cores out, by what each
/// thread has used.
const THREADS_PER_CORE: usize = 4;
/// How far guests' threads stand back (0 to 19, as nice(2) has it): reading answers and writing
/// records come first, and a guest has what is left, a quarter of a busy core at the least.
const NICENESS: i32 = 5;
/// Threads that stand in for those that go through a large body, for each core: one for each.
const STAND_INS_PER_CORE: usize = THREADS_PER_CORE;
/// Core modules within one component: Python guests have dozens.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
const MEMORIES_PER_COMPONENT: u32 = 8;
const TABLES_PER_COMPONENT: u32 = 16;
/// JavaScript and Python guests have tables of 100,000 elements and more.
const TABLE_ELEMENTS: usize = 400_000;
/// Bytes of an instance's own structures, without its memory: Python guests need megabytes.
const INSTANCE_SIZE: usize = 8 * 1024 * 1024;
/// How far a memory's first and last byte of data may lie apart for all that is between them to
/// become part of the compiled code, however little of it is data; past it, at least half has to
/// be. By default wasmtime takes 16 MiB for granted: a module of two bytes then becomes 16 MiB of
/// code. What it saves is the copying of data into each new instance. JavaScript and Python guests
/// are dense enough without it (half of 0.5 MiB, nearly all of 11 MiB), and a sparse mebibyte is
/// copied in no time.
const SPARSE_IMAGE: u64 = 1024 * 1024;
/// A guest's call stack; deeper recursion is a trap.
const GUEST_STACK: usize = 1024 * 1024;

/// The engine, the thread that drives its epochs, and the threads that guests run on.
///
/// Guests have threads of their own, so that one that keeps a thread busy holds up neither the
/// reading of answers nor the writing of records; what they ask of the host runs on the host's
/// threads.
pub struct ConnectorEngine {
    engine: Engine,
    running: Arc<AtomicBool>,
    shares: Shares,
    /// Always there but while this is being dropped.
    guests: Option<Runtime>,
    host: Handle,
    largest_guest: usize,
}

impl ConnectorEngine {
    /// Sets the engine up, within a runtime: the one that the host's own work runs on. No guest's
    /// memories may be larger than `largest_guest` bytes, nor all guests' larger than `host_guests`
    /// (see `SharePlan::memory`). Fails where the machine refuses the address space.
    pub fn new(largest_guest: usize, host_guests: usize) -> wasmtime::Result<Self> {
        Self::with_instances(INSTANCES, largest_guest, host_guests)
    }

    /// The same with room for one instance: what a child process needs, which makes one call.
    pub(crate) fn for_one(largest_guest: usize, host_guests: usize) -> wasmtime::Result<Self> {
        Self::with_instances(1, largest_guest, host_guests)
    }

    fn with_instances(instances: u32, largest_guest: usize, host_guests: usize) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(instances)
            .total_core_instances(instances * CORE_INSTANCES_PER_COMPONENT)
            .total_memories(instances * MEMORIES_PER_COMPONENT)
            .total_tables(instances * TABLES_PER_COMPONENT)
            .total_stacks(instances)
            .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
            .max_memories_per_component(MEMORIES_PER_COMPONENT)
            .max_tables_per_component(TABLES_PER_COMPONENT)
            .max_component_instance_size(INSTANCE_SIZE)
            .max_core_instance_size(INSTANCE_SIZE)
            .table_elements(TABLE_ELEMENTS)
            .max_memory_size(largest_guest);
        let mut config = config(largest_guest);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let guests = tokio::runtime::Builder::new_multi_thread()
            .thread_name("atlas-guest")
            .worker_threads(cores * THREADS_PER_CORE)
            .max_blocking_threads(cores * STAND_INS_PER_CORE)
            .enable_time()
            .on_thread_start(step_back)
            .build()?;
        let plan = SharePlan { instances: instances as usize, cores, memory: host_guests };
        let running = Arc::new(AtomicBool::new(true));
        let clock = (engine.weak(), Arc::clone(&running));
        // A thread of its own: guests may keep every worker busy, and time must pass all the same.
        std::thread::Builder::new().name("atlas-epochs".to_owned()).spawn(move || {
            let (engine, running) = clock;
            while running.load(Ordering::Relaxed) {
                std::thread::sleep(TICK);
                let Some(engine) = engine.upgrade() else {
                    return;
                };
                engine.increment_epoch();
            }
        })?;
        Ok(Self {
            engine,
            running,
            shares: Shares::new(plan),
            guests: Some(guests),
            host: Handle::current(),
            largest_guest,
        })
    }

    /// The share of a route's pages for a client; without a client, of a call of `describe`.
    pub fn share(&self, client: Option<i32>, route: &str) -> PageShare {
        self.shares.of(client, route)
    }

    /// Runs a call of a guest on the guests' threads. Dropping the future abandons the call.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> wasmtime::Result<T> {
        let guests = self.guests.as_ref().ok_or_else(|| wasmtime::format_err!("the engine is being closed"))?;
        Ok(AbortOnDropHandle::new(guests.spawn(call)).await?)
    }

    /// The most memory that a guest may have here: what is compiled depends on it.
    pub(crate) fn largest_guest(&self) -> usize {
        self.largest_guest
    }

    /// Where the host's own work for guests runs.
    pub fn host(&self) -> &Handle {
        &self.host
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// Lowers this thread's priority below the host's own threads.
#[cfg(unix)]
fn step_back() {
    // On Linux the niceness is a thread's own; elsewhere it is the process's, and the host's
    // threads would gain nothing.
    if cfg!(target_os = "linux")
        && let Err(error) = rustix::process::nice(NICENESS)
    {
        tracing::debug!(%error, "guests' threads do not stand back");
    }
}

#[cfg(not(unix))]
fn step_back() {}

/// All that decides what code the compiler makes.
fn config(guest_memory: usize) -> Config {
    let mut config = Config::new();
    // wasmtime's own defaults are turned off: our list alone decides.
    config.wasm_features(WasmFeatures::all(), false).wasm_features(proposals::of_the_engine(), true);
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .concurrency_support(false)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(GUEST_STACK * 2)
        // What the pool reserves for each memory, instead of 4 GiB: no guest may grow past its
        // limit in any case.
        .memory_reservation(guest_memory as u64)
        .memory_guaranteed_dense_image_size(SPARSE_IMAGE)
        .memory_guard_size(64 * 1024);
    config
}

/// An engine that compiles for [`ConnectorEngine`] and runs nothing, so it reserves no pool.
pub(crate) fn compiler(guest_memory: usize) -> wasmtime::Result<Engine> {
    Engine::new(&config(guest_memory))
}

impl Drop for ConnectorEngine {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        if let Some(guests) = self.guests.take() {
            // Guests that still run are abandoned; waiting for them is not allowed where this may
            // be dropped.
            guests.shutdown_background();
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::getpriority_process;

    use super::*;
    use atlas_model::Limits;

    #[tokio::test]
    async fn guests_stand_back_and_the_host_does_not() {
        let limits = Limits::default();
        let own = getpriority_process(None).unwrap();
        let engine = ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap();
        // On Linux it is the asking thread's.
        let guests = engine.run(async { getpriority_process(None).unwrap() }).await.unwrap();
        assert_eq!(guests, (own + NICENESS).min(19));
        assert_eq!(getpriority_process(None).unwrap(), own);
    }
}

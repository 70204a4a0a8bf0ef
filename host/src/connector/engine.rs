//! One engine for all connectors: it compiles them, holds the pool that their instances come from, and lets time pass for
//! them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use wasmtime::{Config, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig};

use crate::limits::Limits;

/// How often time passes for guests: the grain of their CPU limit, and how soon a busy guest lets others run.
pub(super) const TICK: Duration = Duration::from_millis(10);
/// Instances at the same time, over all scraps of the process. Each reserves address space, not memory.
/// Whoever wants one more waits.
const INSTANCES: u32 = 64;
/// Core modules within one component: Python guests have dozens.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
const MEMORIES_PER_COMPONENT: u32 = 8;
const TABLES_PER_COMPONENT: u32 = 16;
/// JavaScript and Python guests have tables of 100,000 elements and more.
const TABLE_ELEMENTS: usize = 400_000;
/// What describes an instance, not its memory: Python guests need megabytes.
const INSTANCE_SIZE: usize = 8 * 1024 * 1024;
/// A guest's call stack; deeper recursion is a trap.
const GUEST_STACK: usize = 1024 * 1024;

/// The engine and the thread that drives its epochs.
pub struct ConnectorEngine {
    engine: Engine,
    running: Arc<AtomicBool>,
    instances: Semaphore,
}

impl ConnectorEngine {
    /// Sets the engine up. Fails where the machine refuses the address space.
    pub fn new(limits: &Limits) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(INSTANCES)
            .total_core_instances(INSTANCES * CORE_INSTANCES_PER_COMPONENT)
            .total_memories(INSTANCES * MEMORIES_PER_COMPONENT)
            .total_tables(INSTANCES * TABLES_PER_COMPONENT)
            .total_stacks(INSTANCES)
            .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
            .max_memories_per_component(MEMORIES_PER_COMPONENT)
            .max_tables_per_component(TABLES_PER_COMPONENT)
            .max_component_instance_size(INSTANCE_SIZE)
            .max_core_instance_size(INSTANCE_SIZE)
            .table_elements(TABLE_ELEMENTS)
            .max_memory_size(limits.guest_memory);
        let mut config = config(limits.guest_memory);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
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
        Ok(Self { engine, running, instances: Semaphore::new(INSTANCES as usize) })
    }

    /// A place in the pool, to be held while an instance lives. `None` only if the semaphore were closed, which it never is.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.instances.acquire().await.ok()
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }
}

/// All that decides what code the compiler makes.
fn config(guest_memory: usize) -> Config {
    let mut config = Config::new();
    config
        .cranelift_opt_level(OptLevel::Speed)
        .epoch_interruption(true)
        .concurrency_support(false)
        .wasm_component_model(true)
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(GUEST_STACK * 2)
        // What the pool reserves for each memory, instead of 4 GiB: no guest may grow past its limit in any case.
        .memory_reservation(guest_memory as u64)
        .memory_guard_size(64 * 1024);
    config
}

/// An engine that compiles for [`ConnectorEngine`] and runs nothing, so it reserves no pool.
pub(super) fn compiler(guest_memory: usize) -> wasmtime::Result<Engine> {
    Engine::new(&config(guest_memory))
}

impl Drop for ConnectorEngine {
    fn drop(&mut self) {
        self.running.store(false, Ordering::Relaxed);
    }
}

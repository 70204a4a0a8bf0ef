//! The child's side: sets its own limits, reads its task, does it, and reports the outcome.

use std::io::{self, Write as _, stderr, stdin, stdout};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getppid, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::super::cache;
use super::super::contract::{self, ContractPre};
use super::super::describe::describe;
use super::super::engine::{self, ConnectorEngine};
use super::super::guest::Guest;
use super::super::line::GuestHttp;
use super::super::proposals::{self, Invalid};
use super::super::wasi::Wasi;
use super::exchange::RemoteLine;
use super::parent::COMPILED_BYTES_MAX;
use super::protocol::{PageFacts, Task, Word, Work, from_json, read_frame, to_json, write_frame};

/// Bytes of a task as JSON: settings and a cursor are its longest parts.
const TASK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Pause between two checks of the child that its parent is alive.
const PARENT_LOOK: Duration = Duration::from_secs(1);

/// Runs the child's work. The error is to be printed before the process ends.
///
/// `cpu_s` seconds of CPU time are for compiling, `calls_s` more for calls of the guest; `memory`
/// bytes are for all of it.
pub fn run(cpu_s: u64, calls_s: u64, memory: u64) -> Result<(), String> {
    let all_s = cpu_s.saturating_add(calls_s);
    limit_self(cpu_s, all_s, memory).map_err(|e| format!("the child could not limit itself: {e}"))?;
    end_with_parent().map_err(|e| e.to_string())?;
    let said = work(|| allow_cpu(all_s)).map_err(|e| e.to_string())?;
    let said = to_json(&said).map_err(|e| e.to_string())?;
    // Written last, without waiting for threads of the guest: the process ends after it.
    stderr().write_all(&said).map_err(|e| e.to_string())
}

fn work(is_compiled: impl FnOnce() -> io::Result<()>) -> io::Result<Word> {
    let mut from = stdin().lock();
    let task: Task = from_json(&read_frame(&mut from, TASK_BYTES_MAX)?)?;
    let given = read_frame(&mut from, task.limits.component_bytes.max(COMPILED_BYTES_MAX))?;
    let modules = (0..task.modules).map(|_| read_frame(&mut from, COMPILED_BYTES_MAX));
    let modules = modules.collect::<io::Result<Vec<_>>>()?;
    drop(from);
    let code = match &task.work {
        Work::Describe => given,
        Work::Compile | Work::Module | Work::Page(_) => match compile(&task, &given) {
            Ok(code) => code,
            Err(why) => return Ok(why),
        },
    };
    if matches!(task.work, Work::Compile | Work::Module) {
        write_frame(&mut stdout().lock(), &code)?;
        close_stdout()?;
    }
    if matches!(task.work, Work::Module) {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let cpu_ms = spent.tv_sec.saturating_mul(1000).saturating_add(spent.tv_nsec / 1_000_000);
        return Ok(Word::ModuleCompiled { cpu_ms: u64::try_from(cpu_ms).unwrap_or(0) });
    }
    is_compiled()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let said = runtime.block_on(call(&task, code, modules));
    runtime.shutdown_background();
    Ok(said)
}

fn compile(task: &Task, given: &[u8]) -> Result<Vec<u8>, Word> {
    proposals::validate(given).map_err(|invalid| match invalid {
        Invalid::Uses(proposals) => Word::Uses(proposals),
        Invalid::Malformed(why) => Word::NotCompiled(why),
    })?;
    let failed = |error: wasmtime::Error| Word::NotCompiled(format!("{error:#}"));
    let engine = engine::compiler(task.largest_guest).map_err(failed)?;
    match task.work {
        Work::Module => engine.precompile_module(given),
        _ => engine.precompile_component(given),
    }
    .map_err(failed)
}

/// Ends this process once its parent is gone: a guest that sleeps uses no CPU time, and no parent
/// is left to kill it.
fn end_with_parent() -> io::Result<()> {
    let parent = getppid();
    let watch = move || {
        while getppid() == parent {
            std::thread::sleep(PARENT_LOOK);
        }
        std::process::exit(1);
    };
    std::thread::Builder::new().name("atlas-parent".to_owned()).spawn(watch).map(drop)
}

/// Closes standard output, over which the code was handed over, so that no guest code that runs
/// from here on can add to it.
fn close_stdout() -> io::Result<()> {
    let nowhere = std::fs::File::options().write(true).open("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nowhere)?)
}

async fn call(task: &Task, code: Vec<u8>, modules: Vec<Vec<u8>>) -> Word {
    let linked = async {
        let engine = ConnectorEngine::for_one(task.largest_guest, task.limits.host_guests)?;
        let component = cache::take_over(engine.engine(), &code)?;
        let taken = modules.iter().map(|module| cache::take_over_module(engine.engine(), module));
        let taken = taken.collect::<wasmtime::Result<Vec<_>>>()?;
        drop((code, modules));
        let contract = contract::link(engine.engine(), &component, &taken, task.contract.as_deref())?;
        Ok::<_, wasmtime::Error>((engine, contract))
    };
    let (engine, contract) = match linked.await {
        Ok(linked) => linked,
        Err(error) => return Word::NotLinked(format!("{error:#}")),
    };
    match &task.work {
        Work::Compile | Work::Module | Work::Describe => {
            Word::Described(Box::new(describe(&engine, &task.limits, &task.name, &contract).await))
        }
        Work::Page(facts) => {
            fetch(&engine, task, facts, contract).await;
            Word::PageReturned
        }
    }
}

/// Calls `fetch-page` once, and drops what it returns: the question is whether it returns.
async fn fetch(engine: &ConnectorEngine, task: &Task, facts: &PageFacts, contract: ContractPre) {
    let limits = &task.limits;
    let share = engine.share(None, &facts.route);
    let place = share.place().await;
    let scrap = facts.scrap.at(&facts.route, &facts.now);
    let wasi = Wasi::of_page(&scrap, facts.cursor.as_deref());
    let line = RemoteLine { body_bytes: limits.body_bytes };
    let http = GuestHttp::new(Arc::new(line), limits);
    let mut store = Guest::store(engine, limits, &share, &facts.route, Some(http), wasi);
    store.data_mut().log.discard();
    let (cpu, turnstile, cursor) = (store.data().cpu(), share.turnstile(), facts.cursor.clone());
    let contract = Arc::clone(&contract);
    let call = engine.run(async move {
        let _place = place;
        let _ = cpu.charge(turnstile, contract.fetch_page(&mut store, &scrap, cursor)).await;
    });
    // A call that has not returned by then has not crashed the process either.
    let _ = tokio::time::timeout(Duration::from_millis(limits.page_wall_ms), call).await;
}

/// Limits CPU time (at `cpu_s` the system sends a signal that ends the process, at `all_s` it
/// kills),
/// memory (what a process can write to: reserved addresses cost nothing), and no core file, which
/// would hold a third party's code.
fn limit_self(cpu_s: u64, all_s: u64, memory: u64) -> rustix::io::Result<()> {
    let limits = [(Resource::Cpu, cpu_s, all_s + 1), (Resource::Data, memory, memory), (Resource::Core, 0, 0)];
    for (resource, soft, hard) in limits {
        setrlimit(resource, Rlimit { current: Some(soft), maximum: Some(hard) })?;
    }
    Ok(())
}

/// Raises the limit on CPU time for the guest's call, once compiling is over.
fn allow_cpu(all_s: u64) -> io::Result<()> {
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(all_s), maximum: Some(all_s + 1) })?)
}

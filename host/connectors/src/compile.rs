//! Compiles components and gets their descriptions. Both come from the cache if this installation
//! knows the component already, else from a child process ([`child`](super::child)).

use std::sync::Arc;

use atlas_http::{Answer, Request, SendError};
use atlas_model::Limits;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Module;
use wasmtime::component::Component;

use super::cache::{self, ComponentCache};
use super::child::{COMPILED_BYTES_MAX, Child, ChildError, Deadly, PageFacts, Program, Task, Word, Work};
use super::contract::ContractPre;
use super::describe::describe;
use super::engine::ConnectorEngine;
use super::guest::GuestLog;
use super::heavy::HeavyWork;
use super::proposals::{self, Invalid};
use super::said::{Description, Said, Unsaid};
use super::split::{self, CoreModule, Split};

/// Children that compile at the same time: each may use what [`Limits::compile_memory`] says.
const COMPILED_AT_ONCE: usize = 2;
/// Children that call `describe` at the same time. Each holds one guest's memory and its code.
const DESCRIBED_AT_ONCE: usize = 4;
/// The engine's message when the machine has no memory left.
const NO_MEMORY: &str = "Cannot allocate memory";

/// Why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CompileError {
    /// Compiling it went past a limit.
    #[error("compiling it took more than the limit {name} ({value})")]
    Limit { name: &'static str, value: u64 },
    /// Compiling it used up the CPU time, and would again.
    #[error("compiling it took more than {seconds} s of CPU time")]
    TooSlow { seconds: u64 },
    /// It becomes more code than any connector needs.
    #[error("it becomes more than {limit} bytes of code")]
    TooLarge { limit: usize },
    /// It uses WebAssembly proposals that no connector may use: their names.
    #[error("it uses WebAssembly proposals that connectors cannot use: {0}")]
    Uses(String),
    /// The compiler refused it.
    #[error("{0}")]
    Failed(String),
    /// No fault of the component: the compiler could not do its work.
    #[error("{0}")]
    Hindered(String),
}

/// Why a component has no description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DescribeError {
    /// The call of `describe` failed.
    Unsaid(Unsaid),
    /// The call crashed the process that it ran in.
    Ended(Deadly),
    /// No fault of the component: the call could not be made.
    Hindered(String),
}

/// Where compiling happens.
#[derive(Debug, Clone)]
enum Place {
    /// In children of this program.
    Child(Program),
    /// In this process: for the tests of the library, which are another program and know no such
    /// command.
    Here,
    /// Nowhere: it is not known where this program is, and in this process no limit would hold.
    Nowhere,
}

/// Compiles components, and calls their `describe`.
#[derive(Clone)]
pub(super) struct Compiler {
    place: Place,
    limits: Limits,
    compiled_at_once: Arc<Semaphore>,
    described_at_once: Arc<Semaphore>,
}

/// A component, to be compiled.
pub(super) struct Source<'a> {
    pub(super) sha256: &'a str,
    pub(super) component: Bytes,
    /// The version of the contract that it was made for; none if it imports nothing of it.
    pub(super) contract: Option<String>,
    /// The file's name.
    pub(super) name: String,
}

/// Where the compiled code and the notes are kept, and what works on whole files.
pub(super) struct Tools<'a> {
    pub(super) engine: &'a Arc<ConnectorEngine>,
    pub(super) cache: &'a ComponentCache,
    pub(super) heavy: &'a HeavyWork,
}

/// A compiled component, whose description may still be on its way.
pub(super) struct Compiled {
    pub(super) component: Component,
    /// The modules that were taken out of it, in the order of its imports.
    pub(super) modules: Vec<Module>,
    description: Coming,
}

/// Where a description comes from.
enum Coming {
    /// The cache.
    Noted(Box<Said>),
    /// From a child that is calling `describe`.
    Child(Box<Child>, OwnedSemaphorePermit),
    /// From a call in this process.
    Here,
}

impl Compiler {
    /// Compiles in children of this program.
    pub(super) fn new(limits: &Limits) -> Self {
        let place = match Program::own() {
            _ if cfg!(test) => Place::Here,
            Some(program) => Place::Child(program),
            None => Place::Nowhere,
        };
        let [compiled_at_once, described_at_once] =
            [COMPILED_AT_ONCE, DESCRIBED_AT_ONCE].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { place, limits: *limits, compiled_at_once, described_at_once }
    }

    /// Gives the compiled component: the copy if there is one, else compiled now, and kept.
    pub(super) async fn compile(&self, tools: &Tools<'_>, source: &Source<'_>) -> Result<Compiled, CompileError> {
        let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
        let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
        let (seconds, whole) = (self.limits.compile_cpu_s, source.component.clone());
        let found = tools.heavy.run(move || {
            let copy = cache.find(engine.engine(), &sha256);
            // CPU time that was not enough once is not tried again, nor is less.
            let too_slow = |tried: &u64| copy.is_none() && seconds <= *tried;
            if cache.too_slow(engine.engine(), &sha256).filter(too_slow).is_some() {
                return Err(CompileError::TooSlow { seconds });
            }
            let copy = copy.map(|component| (component, cache.description(engine.engine(), &sha256)));
            Ok((split::split(&whole), copy))
        });
        let (Split { component, modules }, copy) = found.await.map_err(|e| failed(&e))??;
        let compiled = async {
            let (modules, cpu_s) = self.modules(tools, source, modules).await?;
            match copy {
                Some((component, Some(said))) => {
                    Ok(Compiled { component, modules, description: Coming::Noted(Box::new(said)) })
                }
                Some((component, None)) => self.describe_copy(tools, source, component, modules).await,
                None => self.compile_anew(tools, source, &component, modules, cpu_s).await,
            }
        };
        let compiled = compiled.await;
        if let Err(CompileError::TooSlow { seconds }) = compiled {
            let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
            let noted = tools.heavy.run(move || cache.note_too_slow(engine.engine(), &sha256, seconds));
            noted.await.map_err(|e| failed(&e))?;
        }
        compiled
    }

    /// The code of the modules that were taken out of a component, and the seconds of CPU time that
    /// are left for what remains of it. One that is not kept yet is compiled by a child that is
    /// given this module and nothing else, since its code becomes a part of other connectors too.
    async fn modules(
        &self,
        tools: &Tools<'_>,
        source: &Source<'_>,
        modules: Vec<CoreModule>,
    ) -> Result<(Vec<Module>, u64), CompileError> {
        let mut left_ms = self.limits.compile_cpu_s.saturating_mul(1000);
        let mut taken = Vec::with_capacity(modules.len());
        for module in modules {
            if let Some(copy) = find_module(tools, &module).await? {
                taken.push(copy);
                continue;
            }
            let _compiling = permit(&self.compiled_at_once).await?;
            // Another connector's load may have had it compiled meanwhile.
            if let Some(copy) = find_module(tools, &module).await? {
                taken.push(copy);
                continue;
            }
            let (code, spent_ms) = self.compile_module(tools, source, &module, left_ms.div_ceil(1000)).await?;
            left_ms = left_ms.saturating_sub(spent_ms);
            if left_ms == 0 {
                return Err(CompileError::TooSlow { seconds: self.limits.compile_cpu_s });
            }
            taken.push(keep_module(tools, module.sha256, code).await?);
        }
        let bytes = taken.iter().map(|module| {
            let code = module.image_range();
            (code.end as usize).saturating_sub(code.start as usize)
        });
        if bytes.sum::<usize>() > COMPILED_BYTES_MAX {
            return Err(CompileError::TooLarge { limit: COMPILED_BYTES_MAX });
        }
        Ok((taken, left_ms.div_ceil(1000)))
    }

    /// Compiles a core module; gives its code, and the milliseconds of CPU time that it took.
    async fn compile_module(
        &self,
        tools: &Tools<'_>,
        source: &Source<'_>,
        module: &CoreModule,
        cpu_s: u64,
    ) -> Result<(Vec<u8>, u64), CompileError> {
        let program = match &self.place {
            Place::Child(program) => program,
            Place::Here => return compile_module_here(tools.engine, &module.bytes).map(|code| (code, 0)),
            Place::Nowhere => return Err(nowhere()),
        };
        let task = self.task(Work::Module, tools.engine.largest_guest(), source).within(cpu_s);
        let refused = |error| self.compile_error(error);
        let mut child = Child::start(program, &task, &module.bytes, &[]).await.map_err(refused)?;
        let code = child.code().await.map_err(refused)?;
        match (code, child.last_word().await.map_err(refused)?) {
            (Some(code), Word::ModuleCompiled { cpu_ms }) => Ok((code, cpu_ms)),
            (_, word) => Err(not_compiled(word)),
        }
    }

    /// A copy whose description is not noted beside it.
    async fn describe_copy(
        &self,
        tools: &Tools<'_>,
        source: &Source<'_>,
        component: Component,
        modules: Vec<Module>,
    ) -> Result<Compiled, CompileError> {
        let program = match &self.place {
            Place::Child(program) => program,
            Place::Here => return Ok(Compiled { component, modules, description: Coming::Here }),
            Place::Nowhere => return Err(nowhere()),
        };
        let permit = permit(&self.described_at_once).await?;
        let copy = component.clone();
        let code = tools.heavy.run(move || copy.serialize()).await.map_err(|e| hindered(&e))?;
        let (code, with) = (code.map_err(|e| hindered(&e))?, code_of(tools, &modules).await?);
        let task = self.task(Work::Describe, tools.engine.largest_guest(), source).with(with.len());
        let child = Child::start(program, &task, &code, &with).await.map_err(|error| self.compile_error(error))?;
        Ok(Compiled { component, modules, description: Coming::Child(Box::new(child), permit) })
    }

    /// Compiles what is left of a component, within so many seconds of CPU time.
    async fn compile_anew(
        &self,
        tools: &Tools<'_>,
        source: &Source<'_>,
        left: &Bytes,
        modules: Vec<Module>,
        cpu_s: u64,
    ) -> Result<Compiled, CompileError> {
        let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
        // Held until the code is taken over: it is as large as what the child was given the memory
        // for.
        let compiling = permit(&self.compiled_at_once).await?;
        let compiled = match &self.place {
            Place::Child(program) => {
                let task = self.task(Work::Compile, tools.engine.largest_guest(), source).within(cpu_s);
                self.in_child(program, task, left, &code_of(tools, &modules).await?).await
            }
            Place::Here => compile_here(tools.engine, left).map(|code| (code, Coming::Here)),
            Place::Nowhere => Err(nowhere()),
        };
        let (code, description) = compiled?;
        let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
        let taken = tools.heavy.run_and_hand_on(move |permit| {
            let component = cache::take_over(engine.engine(), &code)?;
            // In the background, so that the load does not wait for the disk.
            tokio::task::spawn_blocking(move || {
                cache.keep(engine.engine(), &sha256, &code);
                drop(permit);
            });
            Ok::<_, wasmtime::Error>(component)
        });
        let component = taken.await.map_err(|e| failed(&e))?.map_err(|error| not_taken_over(format!("{error:#}")))?;
        drop(compiling);
        Ok(Compiled { component, modules, description })
    }

    async fn in_child(
        &self,
        program: &Program,
        task: Task,
        component: &[u8],
        modules: &[Vec<u8>],
    ) -> Result<(Vec<u8>, Coming), CompileError> {
        let task = task.with(modules.len());
        let refused = |error| self.compile_error(error);
        let mut child = Child::start(program, &task, component, modules).await.map_err(refused)?;
        if let Some(code) = child.code().await.map_err(refused)? {
            let permit = permit(&self.described_at_once).await?;
            return Ok((code, Coming::Child(Box::new(child), permit)));
        }
        Err(not_compiled(child.last_word().await.map_err(refused)?))
    }

    /// Repeats a call in a child of its own. `send` makes its requests. Gives the signal by which
    /// the guest ended that process, if it did; what the call returned is dropped. `Err`: the call
    /// could not be repeated.
    pub(super) async fn call_alone<F: Future<Output = Result<Arc<Answer>, SendError>>>(
        &self,
        engine: &ConnectorEngine,
        limits: &Limits,
        source: &Source<'_>,
        facts: PageFacts,
        send: impl FnMut(Request) -> F,
    ) -> Result<Option<Deadly>, ChildError> {
        let Place::Child(program) = &self.place else {
            return Err(ChildError::Hindered("there is no child process to repeat it in".to_owned()));
        };
        let task = Task { limits: *limits, ..self.task(Work::Page(facts), engine.largest_guest(), source) };
        let mut child = Child::start(program, &task, &source.component, &[]).await?;
        child.serve(send).await?;
        match child.last_word().await {
            Ok(Word::PageReturned) => Ok(None),
            Ok(word) => Err(ChildError::Hindered(format!("{word:?}"))),
            Err(ChildError::Ended(deadly)) => Ok(Some(deadly)),
            Err(error) => Err(error),
        }
    }

    fn task(&self, work: Work, largest_guest: usize, source: &Source<'_>) -> Task {
        let (contract, name) = (source.contract.clone(), source.name.clone());
        Task { largest_guest, limits: self.limits, contract, name, modules: 0, work }
    }

    fn compile_error(&self, error: ChildError) -> CompileError {
        let limits = &self.limits;
        match error {
            ChildError::OutOfTime => CompileError::TooSlow { seconds: limits.compile_cpu_s },
            ChildError::OutOfMemory => {
                CompileError::Limit { name: "compile_memory", value: limits.compile_memory as u64 }
            }
            // The wall time ran out, on a machine that may have been busy.
            ChildError::Late => CompileError::Limit { name: "compile_cpu_s", value: limits.compile_cpu_s },
            ChildError::TooLarge => CompileError::TooLarge { limit: COMPILED_BYTES_MAX },
            ChildError::Ended(deadly) => CompileError::Failed(format!("the compiler crashed ({})", deadly.name())),
            ChildError::GaveUp(why) => CompileError::Failed(why),
            ChildError::Hindered(why) => CompileError::Hindered(why),
        }
    }
}

impl Compiled {
    /// Waits for the component's description, and caches it if `describe` had to be called.
    pub(super) async fn description(
        self,
        limits: &Limits,
        tools: &Tools<'_>,
        source: &Source<'_>,
        contract: &ContractPre,
    ) -> Result<Said, DescribeError> {
        let Description { said, log } = match self.description {
            Coming::Noted(said) => return Ok(*said),
            Coming::Here => describe(tools.engine, limits, &source.name, contract).await,
            Coming::Child(child, _permit) => {
                match child.last_word().await.map_err(|error| not_described(error, limits))? {
                    Word::Described(description) => *description,
                    Word::NotLinked(why) | Word::NotCompiled(why) | Word::Uses(why) => {
                        return Err(DescribeError::Hindered(why));
                    }
                    Word::PageReturned | Word::ModuleCompiled { .. } => {
                        return Err(DescribeError::Hindered("it was asked something else".to_owned()));
                    }
                }
            }
        };
        GuestLog::take_over(&source.name, limits, log);
        let said = said.map_err(DescribeError::Unsaid)?;
        let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
        let noted = said.clone();
        // The load does not wait for the disk.
        tokio::task::spawn_blocking(move || cache.note_description(engine.engine(), &sha256, &noted));
        Ok(said)
    }
}

fn not_described(error: ChildError, limits: &Limits) -> DescribeError {
    let failed = |why: String| DescribeError::Unsaid(Unsaid::Failed(why));
    match error {
        ChildError::Ended(deadly) => DescribeError::Ended(deadly),
        ChildError::OutOfTime => failed(format!("limit guest_cpu_ms ({})", limits.guest_cpu_ms)),
        ChildError::OutOfMemory => failed(format!("limit compile_memory ({})", limits.compile_memory)),
        ChildError::Late => failed(format!("it took longer than {} ms (limit page_wall_ms)", limits.page_wall_ms)),
        ChildError::TooLarge => failed("it says more than is read".to_owned()),
        ChildError::GaveUp(why) => failed(why.replace(char::is_control, " ")),
        ChildError::Hindered(why) => DescribeError::Hindered(why),
    }
}

fn hindered(error: &dyn std::fmt::Display) -> CompileError {
    CompileError::Hindered(format!("{error:#}"))
}

/// The error for a child's last word where code was expected.
fn not_compiled(word: Word) -> CompileError {
    match word {
        Word::Uses(proposals) => CompileError::Uses(proposals),
        Word::NotCompiled(why) | Word::NotLinked(why) => CompileError::Failed(why),
        Word::Described(_) | Word::PageReturned | Word::ModuleCompiled { .. } => {
            CompileError::Hindered("the compiler gave no code".to_owned())
        }
    }
}

async fn find_module(tools: &Tools<'_>, module: &CoreModule) -> Result<Option<Module>, CompileError> {
    let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), module.sha256.clone());
    tools.heavy.run(move || cache.find_module(engine.engine(), &sha256)).await.map_err(|e| hindered(&e))
}

/// Takes over the code of a module, and keeps it.
async fn keep_module(tools: &Tools<'_>, sha256: String, code: Vec<u8>) -> Result<Module, CompileError> {
    let (engine, cache) = (Arc::clone(tools.engine), tools.cache.clone());
    let taken = tools.heavy.run(move || {
        let module = cache::take_over_module(engine.engine(), &code)?;
        cache.keep_module(engine.engine(), &sha256, &code);
        Ok::<_, wasmtime::Error>(module)
    });
    taken.await.map_err(|e| hindered(&e))?.map_err(|error| not_taken_over(format!("{error:#}")))
}

/// The code of the modules, for a child that is to call what they are a part of.
async fn code_of(tools: &Tools<'_>, modules: &[Module]) -> Result<Vec<Vec<u8>>, CompileError> {
    let modules = modules.to_vec();
    let code = tools.heavy.run(move || modules.iter().map(Module::serialize).collect::<Result<_, _>>());
    code.await.map_err(|e| hindered(&e))?.map_err(|e| hindered(&e))
}

/// Compiles in this process, as the child does.
fn compile_here(engine: &ConnectorEngine, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    validate_here(component)?;
    engine.engine().precompile_component(component).map_err(|error| CompileError::Failed(format!("{error:#}")))
}

fn compile_module_here(engine: &ConnectorEngine, module: &[u8]) -> Result<Vec<u8>, CompileError> {
    validate_here(module)?;
    engine.engine().precompile_module(module).map_err(|error| CompileError::Failed(format!("{error:#}")))
}

fn validate_here(bytes: &[u8]) -> Result<(), CompileError> {
    proposals::validate(bytes).map_err(|invalid| match invalid {
        Invalid::Uses(proposals) => CompileError::Uses(proposals),
        Invalid::Malformed(why) => CompileError::Failed(why),
    })
}

async fn permit(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, CompileError> {
    // Neither is ever closed.
    Arc::clone(of).acquire_owned().await.map_err(|closed| CompileError::Hindered(closed.to_string()))
}

fn nowhere() -> CompileError {
    CompileError::Hindered("it is not known where this program is".to_owned())
}

/// The error of code that the engine refused: too large for it, or the machine is out of memory.
fn not_taken_over(reason: String) -> CompileError {
    match reason.contains(NO_MEMORY) {
        true => CompileError::Hindered(reason),
        false => CompileError::Failed(reason),
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{DefaultHasher, Hash, Hasher};
    use std::path::PathBuf;

    use super::super::engine;
    use super::*;

    fn source(component: &str) -> Source<'static> {
        let component = Bytes::from(wat::parse_str(component).unwrap());
        Source { sha256: "00", component, contract: None, name: "teste.wasm".to_owned() }
    }

    #[tokio::test]
    async fn what_the_child_compiles_fits_the_engine_that_runs_it() {
        let limits = Limits::default();
        let hash = |engine: &wasmtime::Engine| {
            let mut hasher = DefaultHasher::new();
            engine.precompile_compatibility_hash().hash(&mut hasher);
            hasher.finish()
        };
        let running = ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap();
        assert_eq!(hash(running.engine()), hash(&engine::compiler(limits.guest_memory).unwrap()));
        let describing = ConnectorEngine::for_one(limits.guest_memory, limits.host_guests).unwrap();
        assert_eq!(hash(running.engine()), hash(describing.engine()));
    }

    #[tokio::test]
    async fn a_compiler_that_is_not_there_is_told() {
        let program = Program(PathBuf::from("/nowhere/atlas"));
        let compiler = Compiler::new(&Limits::default());
        let task = compiler.task(Work::Compile, 1 << 20, &source("(component)"));
        let refused = compiler.in_child(&program, task, b"", &[]).await.err().unwrap();
        assert!(matches!(refused, CompileError::Hindered(_)), "{refused:?}");
        assert!(refused.to_string().starts_with("the child process did not start"), "{refused}");
    }

    #[tokio::test]
    async fn nothing_is_compiled_in_this_process_because_the_program_was_not_found() {
        let limits = Limits::default();
        let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
        let compiler = Compiler { place: Place::Nowhere, ..Compiler::new(&limits) };
        let (cache, heavy) = (ComponentCache::open(None), HeavyWork::default());
        let tools = Tools { engine: &engine, cache: &cache, heavy: &heavy };
        let refused = compiler.compile(&tools, &source("(component)")).await.err();
        assert!(matches!(refused, Some(CompileError::Hindered(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn what_was_too_slow_is_tried_again_only_if_it_may_take_longer() {
        let limits = Limits::default();
        let folder = tempfile::tempdir().unwrap();
        let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
        let (compiler, heavy) = (Compiler::new(&limits), HeavyWork::default());
        let cache = ComponentCache::open(Some(&folder.path().join("cache")));
        let tools = Tools { engine: &engine, cache: &cache, heavy: &heavy };
        let seconds = limits.compile_cpu_s;
        cache.note_too_slow(engine.engine(), "00", seconds);
        let refused = compiler.compile(&tools, &source("(component)")).await.err();
        assert_eq!(refused, Some(CompileError::TooSlow { seconds }));
        cache.note_too_slow(engine.engine(), "00", seconds - 1);
        assert!(compiler.compile(&tools, &source("(component)")).await.is_ok());
    }

    #[tokio::test]
    async fn a_module_of_much_code_is_compiled_once_for_all_components_that_have_it() {
        let limits = Limits::default();
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("cache");
        let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
        let (compiler, heavy) = (Compiler::new(&limits), HeavyWork::default());
        let cache = ComponentCache::open(Some(&directory));
        let tools = Tools { engine: &engine, cache: &cache, heavy: &heavy };
        let kept = || {
            let entries = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap());
            let modules = entries.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "module"));
            let mut modules: Vec<_> =
                modules.map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap())).collect();
            modules.sort();
            modules
        };
        let module = format!("(core module $m (func (export \"f\") {}))", "(drop (i32.const 1))".repeat(50_000));
        let mut first = Vec::new();
        for (sha256, data) in [("00", "one"), ("01", "another")] {
            let text = format!(
                "(component (core module (memory 1) (data (i32.const 0) \"{data}\")) {module}
                    (core instance (instantiate $m)))"
            );
            let compiled = compiler.compile(&tools, &Source { sha256, ..source(&text) }).await.unwrap();
            assert_eq!(compiled.modules.len(), 1);
            if first.is_empty() {
                first = kept();
            }
            assert_eq!((kept().len(), kept()), (1, first.clone()), "{data}");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_child_that_gives_more_code_than_any_connector_needs_is_not_heard_to_the_end() {
        // It says what it was told, for ever.
        let program = Program(PathBuf::from("/usr/bin/yes"));
        let limits = Limits::default();
        let compiler = Compiler::new(&limits);
        let task = compiler.task(Work::Compile, limits.guest_memory, &source("(component)"));
        let refused = compiler.in_child(&program, task, b"", &[]).await.err().unwrap();
        assert_eq!(refused, CompileError::TooLarge { limit: COMPILED_BYTES_MAX });
    }

    #[test]
    fn bytes_of_data_that_lie_far_apart_do_not_become_all_that_is_between_them() {
        let sparse = "(core module (memory 256) (data (i32.const 0) \"x\") (data (i32.const 16000000) \"x\"))";
        let component = wat::parse_str(format!("(component {})", sparse.repeat(8))).unwrap();
        let compiler = engine::compiler(Limits::default().guest_memory).unwrap();
        let compiled = compiler.precompile_component(&component).unwrap();
        assert!(compiled.len() < 1024 * 1024, "{} bytes become {}", component.len(), compiled.len());
    }
}

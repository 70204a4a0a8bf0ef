//! From a component to code that runs here, and to what it says of itself. Both come from a copy
//! and the note beside it, if this installation knows the component already; else from a child
//! process ([`child`](super::child)).

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
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
use crate::limits::Limits;
use crate::source::{Answer, Request, SendError};

/// Children that compile at the same time: each may use what [`Limits::compile_memory`] says.
const COMPILED_AT_ONCE: usize = 2;
/// Children whose guest is asked what it is at the same time. Each holds one guest's memory and its
/// code.
const DESCRIBED_AT_ONCE: usize = 4;
/// What the engine says when the machine has no memory left.
const NO_MEMORY: &str = "Cannot allocate memory";

/// Why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum CompileError {
    /// It took more than it may.
    #[error("compiling it took more than the limit {name} ({value})")]
    Limit { name: &'static str, value: u64 },
    /// It used up the CPU time that it may have, which it would again.
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
    /// Nothing is known against it: the compiler could not do its work.
    #[error("{0}")]
    Hindered(String),
}

/// Why it is not known what a component says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum DescribeError {
    /// The call came to nothing.
    Unsaid(Unsaid),
    /// It ended the process that it was called in.
    Ended(Deadly),
    /// Nothing is known against it: the call could not be made.
    Hindered(String),
}

/// Where compiling happens.
#[derive(Debug, Clone)]
enum Place {
    /// In children of this program.
    Child(Program),
    /// In this process: for the tests of the library, which are another program and know no such command.
    Here,
    /// Nowhere: it is not known where this program is, and in this process no limit would hold.
    Nowhere,
}

/// Compiles components, and asks them what they are.
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
    description: Coming,
}

/// Where a description comes from.
enum Coming {
    /// It was noted.
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
        let seconds = self.limits.compile_cpu_s;
        let found = tools.heavy.run(move || match cache.find(engine.engine(), &sha256) {
            // What was not enough once is not tried again, nor is less.
            None => match cache.too_slow(engine.engine(), &sha256) {
                Some(tried) if seconds <= tried => Err(CompileError::TooSlow { seconds }),
                _ => Ok(None),
            },
            Some(component) => Ok(Some((component, cache.description(engine.engine(), &sha256)))),
        });
        match found.await.map_err(|e| failed(&e))?? {
            Some((component, Some(said))) => Ok(Compiled { component, description: Coming::Noted(Box::new(said)) }),
            Some((component, None)) => self.describe_copy(tools, component, source).await,
            None => self.compile_anew(tools, source).await,
        }
    }

    /// A copy whose description is not noted beside it.
    async fn describe_copy(
        &self,
        tools: &Tools<'_>,
        component: Component,
        source: &Source<'_>,
    ) -> Result<Compiled, CompileError> {
        let program = match &self.place {
            Place::Child(program) => program,
            Place::Here => return Ok(Compiled { component, description: Coming::Here }),
            Place::Nowhere => return Err(nowhere()),
        };
        let permit = permit(&self.described_at_once).await?;
        let hindered = |error: &dyn std::fmt::Display| CompileError::Hindered(format!("{error:#}"));
        let copy = component.clone();
        let code =
            tools.heavy.run(move || copy.serialize()).await.map_err(|e| hindered(&e))?.map_err(|e| hindered(&e))?;
        let task = self.task(Work::Describe, tools.engine.largest_guest(), source);
        let child = Child::start(program, &task, &code).await.map_err(|error| self.compile_error(error))?;
        Ok(Compiled { component, description: Coming::Child(Box::new(child), permit) })
    }

    async fn compile_anew(&self, tools: &Tools<'_>, source: &Source<'_>) -> Result<Compiled, CompileError> {
        let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
        // Held until the code is taken over: it is as large as what the child was given the memory for.
        let compiling = permit(&self.compiled_at_once).await?;
        let compiled = match &self.place {
            Place::Child(program) => self.in_child(program, tools.engine.largest_guest(), source).await,
            Place::Here => compile_here(tools.engine, &source.component).map(|code| (code, Coming::Here)),
            Place::Nowhere => Err(nowhere()),
        };
        let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
        let (code, description) = match compiled {
            Ok(compiled) => compiled,
            Err(error @ CompileError::TooSlow { seconds }) => {
                let noted = tools.heavy.run(move || cache.note_too_slow(engine.engine(), &sha256, seconds)).await;
                return Err(noted.err().map_or(error, |e| failed(&e)));
            }
            Err(error) => return Err(error),
        };
        let taken = tools.heavy.run_and_hand_on(move |permit| {
            let component = cache::take_over(engine.engine(), &code)?;
            // Nobody has to wait for the disk.
            tokio::task::spawn_blocking(move || {
                cache.keep(engine.engine(), &sha256, &code);
                drop(permit);
            });
            Ok::<_, wasmtime::Error>(component)
        });
        let component = taken.await.map_err(|e| failed(&e))?.map_err(|error| not_taken_over(format!("{error:#}")))?;
        drop(compiling);
        Ok(Compiled { component, description })
    }

    async fn in_child(
        &self,
        program: &Program,
        largest_guest: usize,
        source: &Source<'_>,
    ) -> Result<(Vec<u8>, Coming), CompileError> {
        let task = self.task(Work::Compile, largest_guest, source);
        let refused = |error| self.compile_error(error);
        let mut child = Child::start(program, &task, &source.component).await.map_err(refused)?;
        if let Some(code) = child.code().await.map_err(refused)? {
            let permit = permit(&self.described_at_once).await?;
            return Ok((code, Coming::Child(Box::new(child), permit)));
        }
        Err(match child.last_word().await.map_err(refused)? {
            Word::Uses(proposals) => CompileError::Uses(proposals),
            Word::NotCompiled(why) | Word::NotLinked(why) => CompileError::Failed(why),
            Word::Described(_) | Word::PageReturned => CompileError::Hindered("the compiler gave no code".to_owned()),
        })
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
        let mut child = Child::start(program, &task, &source.component).await?;
        child.serve(send).await?;
        match child.last_word().await {
            Ok(Word::PageReturned) => Ok(None),
            Ok(word) => Err(ChildError::Hindered(format!("{word:?}"))),
            Err(ChildError::Ended(deadly)) => Ok(Some(deadly)),
            Err(error) => Err(error),
        }
    }

    fn task(&self, work: Work, largest_guest: usize, source: &Source<'_>) -> Task {
        Task { largest_guest, limits: self.limits, contract: source.contract.clone(), name: source.name.clone(), work }
    }

    fn compile_error(&self, error: ChildError) -> CompileError {
        let limits = &self.limits;
        match error {
            ChildError::OutOfTime => CompileError::TooSlow { seconds: limits.compile_cpu_s },
            ChildError::OutOfMemory => {
                CompileError::Limit { name: "compile_memory", value: limits.compile_memory as u64 }
            }
            // On a busy machine: it might have been done.
            ChildError::Late => CompileError::Limit { name: "compile_cpu_s", value: limits.compile_cpu_s },
            ChildError::TooLarge => CompileError::TooLarge { limit: COMPILED_BYTES_MAX },
            ChildError::Ended(deadly) => CompileError::Failed(format!("the compiler crashed ({})", deadly.name())),
            ChildError::GaveUp(why) => CompileError::Failed(why),
            ChildError::Hindered(why) => CompileError::Hindered(why),
        }
    }
}

impl Compiled {
    /// What the component says of itself, once it is known. Noted, if it had to be asked.
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
                    Word::PageReturned => {
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

/// As the child compiles.
fn compile_here(engine: &ConnectorEngine, component: &[u8]) -> Result<Vec<u8>, CompileError> {
    proposals::validate(component).map_err(|invalid| match invalid {
        Invalid::Uses(proposals) => CompileError::Uses(proposals),
        Invalid::Malformed(why) => CompileError::Failed(why),
    })?;
    engine.engine().precompile_component(component).map_err(|error| CompileError::Failed(format!("{error:#}")))
}

async fn permit(of: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, CompileError> {
    // Neither is ever closed.
    Arc::clone(of).acquire_owned().await.map_err(|closed| CompileError::Hindered(closed.to_string()))
}

fn nowhere() -> CompileError {
    CompileError::Hindered("it is not known where this program is".to_owned())
}

/// The engine has no room for such a component, or the machine has none for anything.
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
        let refused = compiler.in_child(&program, 1 << 20, &source("(component)")).await.err().unwrap();
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

    #[cfg(unix)]
    #[tokio::test]
    async fn a_child_that_gives_more_code_than_any_connector_needs_is_not_heard_to_the_end() {
        // It says what it was told, for ever.
        let program = Program(PathBuf::from("/usr/bin/yes"));
        let limits = Limits::default();
        let compiler = Compiler::new(&limits);
        let refused = compiler.in_child(&program, limits.guest_memory, &source("(component)")).await.err().unwrap();
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

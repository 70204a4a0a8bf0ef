//! Compiles components and gets their descriptions. Both come from the cache if this installation
//! knows the component already, else from a child process ([`child`](super::child)).

mod error;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use atlas_model::Limits;
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::Module;
use wasmtime::component::Component;

use self::error::{CompileError, DescribeError, hindered, not_compiled, not_described, not_taken_over, nowhere};
use super::blocking::BlockingWork;
use super::cache::{self, ComponentCache};
use super::child::{COMPILED_BYTES_MAX, Child, ChildError, Deadly, PageFacts, Program, Task, Word, Work};
use super::contract::ContractPre;
use super::describe::describe;
use super::engine::ConnectorEngine;
use super::line::{GuestHttp, Line};
use super::log::GuestLog;
use super::proposals::{self, Invalid};
use super::raw_descriptor::{Described, RawDescriptor};
use super::split::{self, CoreModule, Split};

/// Children that compile at the same time: each may use what [`Limits::compile_memory`] says.
const COMPILED_AT_ONCE: usize = 2;
/// Children that call `describe` at the same time. Each holds one guest's memory and its code.
const DESCRIBED_AT_ONCE: usize = 4;

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
pub(crate) struct Compiler {
    place: Place,
    limits: Limits,
    compiled_at_once: Arc<Semaphore>,
    described_at_once: Arc<Semaphore>,
}

/// A component, to be loaded.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    /// Its SHA-256, lower-case hex.
    pub sha256: &'a str,
    /// Its bytes.
    pub component: Bytes,
    /// The version of the contract that it was made for; none if it imports nothing of it.
    pub contract: Option<String>,
    /// Its name in the log: the file's, or its route.
    pub name: String,
}

/// Where the compiled code and the notes are kept, and what works on whole files.
pub(crate) struct Tools<'a> {
    pub(crate) engine: &'a Arc<ConnectorEngine>,
    pub(crate) cache: &'a ComponentCache,
    pub(crate) blocking: &'a BlockingWork,
}

/// A compiled component, whose description may still be on its way.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    /// The modules that were taken out of it, in the order of its imports.
    pub(crate) modules: Vec<Module>,
    description: Coming,
}

/// Where a description comes from.
enum Coming {
    /// The cache.
    Noted(Box<RawDescriptor>),
    /// From a child that is calling `describe`.
    Child(Box<Child>, OwnedSemaphorePermit),
    /// From a call in this process.
    Here,
}

impl Compiler {
    /// Compiles in children of this program.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::at(Program::own().map_or(Place::Nowhere, Place::Child), limits)
    }

    /// Compiles in this process, where no limit holds but the engine's.
    pub(crate) fn in_this_process(limits: &Limits) -> Self {
        Self::at(Place::Here, limits)
    }

    fn at(place: Place, limits: &Limits) -> Self {
        let [compiled_at_once, described_at_once] =
            [COMPILED_AT_ONCE, DESCRIBED_AT_ONCE].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { place, limits: *limits, compiled_at_once, described_at_once }
    }

    /// Gives the compiled component: the copy if there is one, else compiled now, and kept.
    pub(crate) async fn compile(&self, tools: &Tools<'_>, source: &Source<'_>) -> Result<Compiled, CompileError> {
        let failed = |error: &dyn std::fmt::Display| CompileError::Failed(error.to_string());
        let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
        let (seconds, whole) = (self.limits.compile_cpu_s, source.component.clone());
        let found = tools.blocking.run(move || {
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
                Some((component, Some(raw))) => {
                    Ok(Compiled { component, modules, description: Coming::Noted(Box::new(raw)) })
                }
                Some((component, None)) => self.describe_copy(tools, source, component, modules).await,
                None => self.compile_anew(tools, source, &component, modules, cpu_s).await,
            }
        };
        let compiled = compiled.await;
        if let Err(CompileError::TooSlow { seconds }) = compiled {
            let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
            let noted = tools.blocking.run(move || cache.note_too_slow(engine.engine(), &sha256, seconds));
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
        let refused = |error| error::refused(error, &self.limits);
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
        let code = tools.blocking.run(move || copy.serialize()).await.map_err(|e| hindered(&e))?;
        let (code, with) = (code.map_err(|e| hindered(&e))?, code_of(tools, &modules).await?);
        let task = self.task(Work::Describe, tools.engine.largest_guest(), source).with(with.len());
        let child =
            Child::start(program, &task, &code, &with).await.map_err(|error| error::refused(error, &self.limits))?;
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
        let taken = tools.blocking.run_and_hand_on(move |permit| {
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
        let refused = |error| error::refused(error, &self.limits);
        let mut child = Child::start(program, &task, component, modules).await.map_err(refused)?;
        if let Some(code) = child.code().await.map_err(refused)? {
            let permit = permit(&self.described_at_once).await?;
            return Ok((code, Coming::Child(Box::new(child), permit)));
        }
        Err(not_compiled(child.last_word().await.map_err(refused)?))
    }

    /// Repeats a call in a child of its own. `line` makes its requests. Gives the signal by which
    /// the guest ended that process, if it did; what the call returned is dropped. `Err`: the call
    /// could not be repeated.
    pub(crate) async fn call_alone(
        &self,
        engine: &ConnectorEngine,
        limits: &Limits,
        source: &Source<'_>,
        facts: PageFacts,
        line: Arc<dyn Line>,
    ) -> Result<Option<Deadly>, ChildError> {
        let Place::Child(program) = &self.place else {
            return Err(ChildError::Hindered("there is no child process to repeat it in".to_owned()));
        };
        let task = Task { limits: *limits, ..self.task(Work::Page(facts), engine.largest_guest(), source) };
        let mut child = Child::start(program, &task, &source.component, &[]).await?;
        child.serve(&mut GuestHttp::new(line, limits)).await?;
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
}

impl Compiled {
    /// Waits for the component's description, and caches it if `describe` had to be called.
    pub(crate) async fn description(
        self,
        limits: &Limits,
        tools: &Tools<'_>,
        source: &Source<'_>,
        contract: &ContractPre,
    ) -> Result<RawDescriptor, DescribeError> {
        let Described { descriptor, log } = match self.description {
            Coming::Noted(raw) => return Ok(*raw),
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
        let raw = descriptor.map_err(DescribeError::Failed)?;
        let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), source.sha256.to_owned());
        let noted = raw.clone();
        // The load does not wait for the disk.
        tokio::task::spawn_blocking(move || cache.note_description(engine.engine(), &sha256, &noted));
        Ok(raw)
    }
}

async fn find_module(tools: &Tools<'_>, module: &CoreModule) -> Result<Option<Module>, CompileError> {
    let (engine, cache, sha256) = (Arc::clone(tools.engine), tools.cache.clone(), module.sha256.clone());
    tools.blocking.run(move || cache.find_module(engine.engine(), &sha256)).await.map_err(|e| hindered(&e))
}

/// Takes over the code of a module, and keeps it.
async fn keep_module(tools: &Tools<'_>, sha256: String, code: Vec<u8>) -> Result<Module, CompileError> {
    let (engine, cache) = (Arc::clone(tools.engine), tools.cache.clone());
    let taken = tools.blocking.run(move || {
        let module = cache::take_over_module(engine.engine(), &code)?;
        cache.keep_module(engine.engine(), &sha256, &code);
        Ok::<_, wasmtime::Error>(module)
    });
    taken.await.map_err(|e| hindered(&e))?.map_err(|error| not_taken_over(format!("{error:#}")))
}

/// The code of the modules, for a child that is to call what they are a part of.
async fn code_of(tools: &Tools<'_>, modules: &[Module]) -> Result<Vec<Vec<u8>>, CompileError> {
    let modules = modules.to_vec();
    let code = tools.blocking.run(move || modules.iter().map(Module::serialize).collect::<Result<_, _>>());
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

//! From a component's bytes to one that can be called: compiled, linked against the contract, and
//! described. The compiled code comes from the cache, or from a child process.

use std::sync::Arc;

use atlas_model::Limits;

use super::blocking::BlockingWork;
use super::cache::ComponentCache;
use super::child::{Deadly, PageFacts};
use super::compile::{Compiler, Source, Tools};
use super::contract::{self, ContractPre};
use super::engine::ConnectorEngine;
use super::error::ComponentError;
use super::inspect::{Inspected, inspect};
use super::line::Line;
use super::raw_descriptor::RawDescriptor;

/// A component that is compiled and linked, ready to be called.
#[derive(Clone)]
pub struct LinkedComponent {
    pub(crate) contract: ContractPre,
}

/// A component that can be called, and what it says of itself.
pub struct LoadedComponent {
    /// The component.
    pub linked: LinkedComponent,
    /// What `describe` returned, as untrusted as all that a guest returns.
    pub descriptor: RawDescriptor,
}

/// Loads components: the engine that they run on, the limits, and the compiler with its cache.
#[derive(Clone)]
pub struct ComponentLoader {
    pub(crate) engine: Arc<ConnectorEngine>,
    pub(crate) limits: Limits,
    cache: ComponentCache,
    compiler: Compiler,
    blocking: BlockingWork,
}

impl ComponentLoader {
    /// Loads for this engine. What is not in the cache is compiled in children of this program.
    pub fn new(engine: Arc<ConnectorEngine>, limits: &Limits, cache: ComponentCache) -> Self {
        Self::with(Compiler::new(limits), engine, limits, cache)
    }

    /// The same, but compiles in this process, where the child's limits do not hold: for tests of
    /// libraries alone, whose program is another and knows no such command.
    pub fn in_this_process(engine: Arc<ConnectorEngine>, limits: &Limits, cache: ComponentCache) -> Self {
        Self::with(Compiler::in_this_process(limits), engine, limits, cache)
    }

    fn with(compiler: Compiler, engine: Arc<ConnectorEngine>, limits: &Limits, cache: ComponentCache) -> Self {
        Self { engine, limits: *limits, cache, compiler, blocking: BlockingWork::default() }
    }

    /// The engine that its components run on.
    pub fn engine(&self) -> &ConnectorEngine {
        &self.engine
    }

    /// Where work on whole files is done.
    pub fn blocking(&self) -> &BlockingWork {
        &self.blocking
    }

    /// Looks at a component without compiling it, and refuses one that this engine has no memory
    /// for. Reads all of it: call it where blocking is allowed.
    pub fn inspect(&self, component: &[u8]) -> Result<Inspected, ComponentError> {
        let (inspected, limit) = (inspect(component)?, self.engine.largest_guest());
        match inspected.largest_memory {
            bytes if bytes > limit as u64 => Err(ComponentError::TooMuchMemory { bytes, limit }),
            _ => Ok(inspected),
        }
    }

    /// Compiles a component that was inspected, links it, and asks it what it is. Dropping the
    /// future ends its compilation, and what has not begun yet of the rest.
    pub async fn load(&self, source: &Source<'_>) -> Result<LoadedComponent, ComponentError> {
        let tools = Tools { engine: &self.engine, cache: &self.cache, blocking: &self.blocking };
        let compiled = self.compiler.compile(&tools, source).await?;
        let version = source.contract.as_deref();
        let contract = contract::link(self.engine.engine(), &compiled.component, &compiled.modules, version)
            .map_err(|error| ComponentError::DoesNotFit(format!("{error:#}")))?;
        let descriptor = compiled.description(&self.limits, &tools, source, &contract).await?;
        Ok(LoadedComponent { linked: LinkedComponent { contract }, descriptor })
    }

    /// Repeats a call of `fetch-page` in a child process of its own; `line` makes its requests, and
    /// what it returns is dropped. Gives the signal by which the guest ended that process, if it
    /// did. The error, in English, says why the call could not be repeated.
    pub async fn call_alone(
        &self,
        limits: &Limits,
        source: &Source<'_>,
        facts: PageFacts,
        line: Arc<dyn Line>,
    ) -> Result<Option<&'static str>, String> {
        let ended = self.compiler.call_alone(&self.engine, limits, source, facts, line).await;
        ended.map(|deadly| deadly.map(Deadly::name)).map_err(|error| error.to_string())
    }
}

//! Why a component was not compiled, or has no description.

use atlas_model::Limits;

use super::super::child::{COMPILED_BYTES_MAX, ChildError, Deadly, Word};
use super::super::error::ComponentError;
use super::super::raw_descriptor::NotDescribed;

/// The engine's message when the machine has no memory left.
const NO_MEMORY: &str = "Cannot allocate memory";

/// Why a component was not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CompileError {
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
pub(crate) enum DescribeError {
    /// The call of `describe` failed.
    Failed(NotDescribed),
    /// The call crashed the process that it ran in.
    Ended(Deadly),
    /// No fault of the component: the call could not be made.
    Hindered(String),
}

impl From<CompileError> for ComponentError {
    fn from(error: CompileError) -> Self {
        match error {
            CompileError::Limit { name, value } => Self::CompileLimit { name, value },
            CompileError::TooSlow { seconds } => Self::CompileLimit { name: "compile_cpu_s", value: seconds },
            CompileError::TooLarge { limit } => Self::CodeTooLarge { limit },
            CompileError::Uses(proposals) => Self::ForbiddenProposals(proposals),
            CompileError::Failed(reason) => Self::not_a_component(reason),
            CompileError::Hindered(reason) => Self::NotCompiled(reason),
        }
    }
}

impl From<DescribeError> for ComponentError {
    fn from(error: DescribeError) -> Self {
        match error {
            DescribeError::Failed(NotDescribed::Failed(reason)) => Self::DescribeFailed(reason),
            DescribeError::Failed(NotDescribed::TooLong(bytes)) => Self::LongDescription(bytes),
            DescribeError::Ended(deadly) => Self::DescribeEnded { signal: deadly.name() },
            DescribeError::Hindered(reason) => Self::NotCompiled(reason),
        }
    }
}

/// The error for a child that gave no code.
pub(super) fn refused(error: ChildError, limits: &Limits) -> CompileError {
    match error {
        ChildError::OutOfTime => CompileError::TooSlow { seconds: limits.compile_cpu_s },
        ChildError::OutOfMemory => CompileError::Limit { name: "compile_memory", value: limits.compile_memory as u64 },
        // The wall time ran out, on a machine that may have been busy.
        ChildError::Late => CompileError::Limit { name: "compile_cpu_s", value: limits.compile_cpu_s },
        ChildError::TooLarge => CompileError::TooLarge { limit: COMPILED_BYTES_MAX },
        ChildError::Ended(deadly) => CompileError::Failed(format!("the compiler crashed ({})", deadly.name())),
        ChildError::GaveUp(why) => CompileError::Failed(why),
        ChildError::Hindered(why) => CompileError::Hindered(why),
    }
}

/// The error for a child that gave no description.
pub(super) fn not_described(error: ChildError, limits: &Limits) -> DescribeError {
    let failed = |why: String| DescribeError::Failed(NotDescribed::Failed(why));
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

pub(super) fn hindered(error: &dyn std::fmt::Display) -> CompileError {
    CompileError::Hindered(format!("{error:#}"))
}

/// The error for a child's last word where code was expected.
pub(super) fn not_compiled(word: Word) -> CompileError {
    match word {
        Word::Uses(proposals) => CompileError::Uses(proposals),
        Word::NotCompiled(why) | Word::NotLinked(why) => CompileError::Failed(why),
        Word::Described(_) | Word::PageReturned | Word::ModuleCompiled { .. } => {
            CompileError::Hindered("the compiler gave no code".to_owned())
        }
    }
}

pub(super) fn nowhere() -> CompileError {
    CompileError::Hindered("it is not known where this program is".to_owned())
}

/// The error of code that the engine refused: too large for it, or the machine is out of memory.
pub(super) fn not_taken_over(reason: String) -> CompileError {
    match reason.contains(NO_MEMORY) {
        true => CompileError::Hindered(reason),
        false => CompileError::Failed(reason),
    }
}

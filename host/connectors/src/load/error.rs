//! Why a file is not a connector.

use std::fmt::Display;

use thiserror::Error;

use super::super::descriptor::DescriptorError;
use super::policy::Refused;
use super::trust::TrustError;

/// Why a file is not a connector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadError {
    /// It could not be read.
    #[error("the file could not be read: {0}")]
    Unreadable(String),
    /// It is a symbolic link that leads out of the folder of connectors.
    #[error("it is a symbolic link to {target}, outside the folder of connectors")]
    LinkLeadsOut {
        /// Where it leads.
        target: String,
    },
    /// It is too large.
    #[error("the file has {bytes} bytes, more than {limit} (limit component_bytes)")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: usize,
    },
    /// A pin or a signature that the operator demands is not satisfied.
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    /// A core module where a component is wanted.
    #[error("this is a core module, not a component")]
    CoreModule,
    /// Neither a component nor a core module.
    #[error("this is not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// Compiling it takes more than it may.
    #[error("compiling it took more than the limit {name} ({value})")]
    CompileLimit {
        /// The limit's name.
        name: &'static str,
        /// Its value.
        value: u64,
    },
    /// It becomes more code than any connector needs.
    #[error("compiled, it has more than {limit} bytes")]
    CodeTooLarge {
        /// How much it may become.
        limit: usize,
    },
    /// It could not be compiled here and now, through no known fault of the file.
    #[error("it could not be compiled: {0}")]
    NotCompiled(String),
    /// It uses WebAssembly proposals that no connector may use.
    #[error("it uses WebAssembly proposals that connectors cannot use: {0}")]
    ForbiddenProposals(String),
    /// It consists of more parts than any connector needs, and compiling or instantiating it could
    /// take for ever.
    #[error("it has {found} {part}, more than {limit}")]
    TooManyParts {
        /// Parts of which kind.
        part: &'static str,
        /// How many it has, as far as they were counted.
        found: u64,
        /// How many it may have.
        limit: u64,
    },
    /// It begins with more memory than any guest may have.
    #[error("it begins with {bytes} bytes of memory, more than the limit guest_memory ({limit})")]
    TooMuchMemory {
        /// The largest of its memories.
        bytes: u64,
        /// The limit.
        limit: usize,
    },
    /// It has imports that no connector may have.
    #[error("it imports what connectors cannot have: {0}")]
    ForbiddenImports(Refused),
    /// It was made for another version of the contract.
    #[error("it was made for atlas:connector@{found}; this host has {have}")]
    OtherVersion {
        /// Its version; several if it mixes them.
        found: String,
        /// Ours.
        have: String,
    },
    /// It lacks an export, or one has another type.
    #[error("it does not fit the contract: {0}")]
    DoesNotFit(String),
    /// `describe` failed.
    #[error("`describe` failed: {0}")]
    DescribeFailed(String),
    /// `describe` ended the process that it was called in.
    #[error("`describe` ended the process that it was called in ({signal})")]
    DescribeEnded {
        /// The signal's name.
        signal: &'static str,
    },
    /// What `describe` said cannot be used.
    #[error("its description was refused: {0}")]
    BadDescriptor(#[from] DescriptorError),
    /// Another file serves the same route.
    #[error("the route {route:?} is also claimed by {other}")]
    RouteTaken {
        /// The route.
        route: String,
        /// The other file's name.
        other: String,
    },
    /// It failed at a page that the version before it had fetched.
    #[error("it failed at a page that the present version had fetched: {0}")]
    FailedTrial(String),
}

impl LoadError {
    /// Whether the file's bytes alone caused the refusal, so that the same bytes would be refused
    /// again, whatever the signature beside them or the load of this machine.
    pub(crate) fn is_of_the_bytes(&self) -> bool {
        match self {
            Self::CoreModule
            | Self::NotAComponent(_)
            | Self::CodeTooLarge { .. }
            | Self::TooManyParts { .. }
            | Self::TooMuchMemory { .. }
            | Self::ForbiddenImports(_)
            | Self::ForbiddenProposals(_)
            | Self::DescribeEnded { .. }
            | Self::OtherVersion { .. }
            | Self::DoesNotFit(_)
            | Self::BadDescriptor(_) => true,
            Self::Unreadable(_)
            | Self::LinkLeadsOut { .. }
            | Self::TooLarge { .. }
            | Self::Untrusted(_)
            | Self::CompileLimit { .. }
            | Self::NotCompiled(_)
            // Other guests may have used the memory, or the time.
            | Self::DescribeFailed(_)
            | Self::RouteTaken { .. }
            | Self::FailedTrial(_) => false,
        }
    }

    /// The error for a file that is no component. The parser's reason may have several lines and
    /// quote the file, so it is put on one line, without control characters.
    pub(super) fn not_a_component(reason: impl Display) -> Self {
        let shown = reason.to_string().replace(char::is_control, " ");
        Self::NotAComponent(shown.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

//! Why a component cannot be called.

use std::fmt::{self, Display};

use super::raw_descriptor::TEXT_MAX;

/// Why a component cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComponentError {
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
    /// What `describe` returned has more bytes of text than any description needs.
    #[error("its description has {0} bytes of text, more than {most}", most = TEXT_MAX)]
    LongDescription(usize),
}

impl ComponentError {
    /// Whether the component's bytes alone caused the refusal, so that the same bytes would be
    /// refused again, whatever the load of this machine.
    pub fn is_of_the_bytes(&self) -> bool {
        match self {
            Self::CoreModule
            | Self::NotAComponent(_)
            | Self::CodeTooLarge { .. }
            | Self::TooManyParts { .. }
            | Self::TooMuchMemory { .. }
            | Self::ForbiddenImports(_)
            | Self::ForbiddenProposals(_)
            | Self::DescribeEnded { .. }
            | Self::LongDescription(_)
            | Self::OtherVersion { .. }
            | Self::DoesNotFit(_) => true,
            Self::CompileLimit { .. }
            | Self::NotCompiled(_)
            // Other guests may have used the memory, or the time.
            | Self::DescribeFailed(_) => false,
        }
    }

    /// The error for a file that is no component. The parser's reason may have several lines and
    /// quote the file, so it is put on one line, without control characters.
    pub fn not_a_component(reason: impl Display) -> Self {
        let shown = reason.to_string().replace(char::is_control, " ");
        Self::NotAComponent(shown.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// The origin of a refused import, which tells its author how to get rid of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ImportFamily {
    /// `wasi:http`
    Http,
    /// A granted package of another WASI than 0.2.
    OtherWasiVersion,
    /// Any other package of WASI.
    OtherWasi,
    /// Anything else.
    Foreign,
}

/// Every import that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused(Vec<(ImportFamily, String)>);

impl Refused {
    /// These, in the order of their families and names.
    pub(crate) fn new(mut imports: Vec<(ImportFamily, String)>) -> Self {
        imports.sort();
        Self(imports)
    }

    /// How many there are of a family.
    pub fn of(&self, family: ImportFamily) -> usize {
        self.0.iter().filter(|(of, _)| *of == family).count()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(|(_, name)| name.as_str()).collect();
        f.write_str(&names.join(", "))
    }
}

//! Why a file is not a connector.

use atlas_sandbox::ComponentError;
use thiserror::Error;

use super::super::descriptor::DescriptorError;
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
    /// It is no component that can be called.
    #[error(transparent)]
    Component(ComponentError),
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
            Self::Component(error) => error.is_of_the_bytes(),
            Self::BadDescriptor(_) => true,
            Self::Unreadable(_)
            | Self::LinkLeadsOut { .. }
            | Self::TooLarge { .. }
            | Self::Untrusted(_)
            | Self::RouteTaken { .. }
            | Self::FailedTrial(_) => false,
        }
    }
}

impl From<ComponentError> for LoadError {
    fn from(error: ComponentError) -> Self {
        match error {
            ComponentError::LongDescription(bytes) => DescriptorError::TooLong(bytes).into(),
            error => Self::Component(error),
        }
    }
}

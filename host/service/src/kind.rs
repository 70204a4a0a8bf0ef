//! What kinds of failures there are, and the exit codes that follow from them.

use atlas_model::Subject;

/// Exit codes, as the documents list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The command was used wrongly.
    Usage,
    /// Settings or database.
    Configuration,
    /// The credential is missing or was refused.
    Credential,
    /// The source failed; the scrap can be resumed.
    Source,
    /// Done, with reservations.
    Reservations,
    /// The connector is missing, was refused, or crashed.
    Connector,
    /// Interrupted; the scrap can be resumed.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Credential => 4,
            Self::Source => 5,
            Self::Reservations => 6,
            Self::Connector => 7,
            Self::Interrupted => 130,
        }
    }
}

/// What kind of failure it is. Exit code and HTTP status follow from it, and from what the failure
/// is about; neither depends on a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A command or a request asks for something that cannot be meant.
    Usage,
    /// Settings or the database, until an operator changes something.
    Configuration,
    /// The credential is missing or was refused.
    Credential,
    /// The source failed; the scrap can be resumed.
    Source,
    /// A run reached the end, with reservations.
    Reservations,
    /// The connector is missing, was refused, or crashed.
    Connector,
    /// A run was interrupted; the scrap can be resumed.
    Interrupted,
    /// What was asked for is not there.
    NotFound,
    /// What was asked for is not possible as things stand.
    Conflict,
    /// The request carries no access that is valid.
    NotSignedIn,
    /// The caller may not do this.
    NotAllowed,
    /// Too many requests of this kind; later they are answered.
    Throttled,
    /// The request has more bytes than are read.
    TooLarge,
    /// The body is of another type than the one that is read.
    OtherMedia,
    /// The address does not take this method.
    OtherMethod,
    /// The request is for another host than this one.
    OtherHost,
    /// The request cannot be read.
    Malformed,
}

impl Kind {
    /// The exit code of a failure of this kind about this subject: what is missing, or stands in
    /// the way, decides what an operator has to mend.
    pub(super) fn exit(self, subject: Option<&Subject>) -> Exit {
        match (self, subject) {
            (Self::Configuration, _) | (Self::Conflict, Some(Subject::Address(_))) => Exit::Configuration,
            (Self::Credential | Self::NotSignedIn, _) | (Self::NotFound, Some(Subject::Registration(_))) => {
                Exit::Credential
            }
            (Self::Connector, _) | (Self::NotFound, Some(Subject::Connector(_))) => Exit::Connector,
            (Self::Source, _) => Exit::Source,
            (Self::Reservations, _) => Exit::Reservations,
            (Self::Interrupted, _) => Exit::Interrupted,
            (
                Self::Usage
                | Self::NotFound
                | Self::Conflict
                | Self::NotAllowed
                | Self::Throttled
                | Self::TooLarge
                | Self::OtherMedia
                | Self::OtherMethod
                | Self::OtherHost
                | Self::Malformed,
                _,
            ) => Exit::Usage,
        }
    }
}

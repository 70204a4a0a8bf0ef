//! Accesses to the page and the API: passwords, sessions, links and tokens.

/// The kind of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// The operator's password. There is one at most.
    Password,
    /// A link that signs in once.
    Link,
    /// A browser that has signed in.
    Session,
    /// A program.
    Token,
}

impl AccessKind {
    /// As the table writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Password => "senha",
            Self::Link => "link",
            Self::Session => "sessao",
            Self::Token => "token",
        }
    }
}

/// What an access permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Reading everything.
    Read,
    /// All operations.
    Full,
}

impl Scope {
    /// As the table writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "leitura",
            Self::Full => "total",
        }
    }

    /// The scope of this name. A name that only a later version knows permits reading alone.
    pub fn from_name(name: &str) -> Self {
        if name == Self::Full.name() { Self::Full } else { Self::Read }
    }
}

/// An access to be added.
#[derive(Clone, Copy)]
pub struct NewAccess<'a> {
    /// What it is.
    pub kind: AccessKind,
    /// What people call it.
    pub name: &'a str,
    /// The hash of its secret.
    pub secret: &'a str,
    /// What it permits.
    pub scope: Scope,
    /// When it expires, in seconds since 1970; `None`: when it is removed.
    pub expires: Option<i64>,
}

/// An access, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// What it permits, as the table writes it.
    pub scope: String,
    /// Until when, in seconds since 1970.
    pub expires: Option<i64>,
    /// When it was used last.
    pub seen: Option<i64>,
    /// When it was made, as the database writes it.
    pub created_at: String,
}

/// What is known of an earlier request under the same key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// There is none: this is the first.
    None,
    /// The first is still being handled, or its end was not recorded.
    Underway,
    /// The first asked for something else.
    Different,
    /// The first was answered: with this status and this body.
    Answered(i32, String),
}

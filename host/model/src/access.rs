//! What opens the page and the API: passwords, sessions, links and tokens.

/// What kind of thing opens a door.
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

/// How far a door opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// To look at everything.
    Read,
    /// To do everything.
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

    /// The scope of this name. One that a later version wrote opens no further than reading.
    pub fn from_name(name: &str) -> Self {
        if name == Self::Full.name() { Self::Full } else { Self::Read }
    }
}

/// Something that is to open a door.
#[derive(Clone, Copy)]
pub struct NewAccess<'a> {
    /// What it is.
    pub kind: AccessKind,
    /// What people call it.
    pub name: &'a str,
    /// The hash of its secret.
    pub secret: &'a str,
    /// How far it opens.
    pub scope: Scope,
    /// Until when, in seconds since 1970; none: until it is taken away.
    pub expires: Option<i64>,
}

/// Something that opens a door.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRow {
    /// Its number.
    pub id: i64,
    /// What people call it.
    pub name: String,
    /// How far it opens, as the table writes it.
    pub scope: String,
    /// Until when, in seconds since 1970.
    pub expires: Option<i64>,
    /// When it was used last.
    pub seen: Option<i64>,
    /// When it was made, as the database writes it.
    pub created_at: String,
}

/// What came of a request that was made under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Earlier {
    /// It is the first.
    None,
    /// The first is worked on, or its end was not written down.
    Underway,
    /// The first asked for something else.
    Different,
    /// The first was answered: with this status and this body.
    Answered(i32, String),
}

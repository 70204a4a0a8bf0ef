//! Errors of the store, sorted by what the caller can do about them: the pipeline decides on
//! [`Fault`], people read the chain behind it.

use std::error::Error as StdError;

use thiserror::Error;

/// The kind of an error, by what the caller can do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A clash between transactions (deadlock, serialisation, a unique index other than the
    /// hash's): repeat the call.
    Collision,
    /// The data itself was refused: with several records, find the one.
    Poison,
    /// The database dropped a row without an error, as a trigger or a rule can: with several
    /// records, find the one.
    NotKept,
    /// No connection, or lost, or nothing left on the server to work with: the outcome may be
    /// unknown; try again later.
    Unavailable,
    /// A statement took longer than it may ([`STATEMENT_MAX`](crate::STATEMENT_MAX)), and was
    /// ended: at once, the same again would most likely take as long.
    TooSlow,
    /// Another process has claimed the scrap since.
    LeaseLost,
    /// The row to be added is there already.
    Exists,
    /// A row that the call refers to is not there.
    Missing,
    /// The row cannot be removed, since other rows refer to it.
    InUse,
    /// A stored credential would go elsewhere than it was given for.
    Guarded,
    /// The database's file is not the one that was opened: what is written is lost.
    Displaced,
    /// The tables are missing or not as they should be, or may not be touched.
    Schema,
    /// A secret is sealed, and there is no key.
    KeyMissing,
    /// A sealed secret does not open: the key is another one, or the value was changed or moved.
    KeyWrong,
    /// None of these: a bug, or a fault for the operator to look into.
    Other,
}

/// A property of an error beside its [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trait {
    /// One record may be the cause although the database reports a lack of its own: a statement may
    /// be cancelled, or run out of memory, because of the server or because of the record in it.
    MaybeARecords,
    /// The database's user lacks a right: no migration mends that.
    LacksARight,
}

/// A failed call of the store.
#[derive(Debug, Error)]
#[error("{doing}{}", detail.as_deref().map(|d| format!(": {d}")).unwrap_or_default())]
pub struct StoreError {
    /// What can be done about it.
    pub fault: Fault,
    doing: &'static str,
    detail: Option<String>,
    /// What the database itself said.
    message: Option<String>,
    /// What more is known of it.
    trait_of: Option<Trait>,
    #[source]
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error that the store itself found. `doing` says what was being done, for the chain that
    /// people read.
    pub fn new(fault: Fault, doing: &'static str, detail: impl Into<String>) -> Self {
        Self { fault, doing, detail: Some(detail.into()), message: None, trait_of: None, source: None }
    }

    /// An error of the database, sorted, with what it said in one line.
    pub fn of_database(
        fault: Fault,
        doing: &'static str,
        message: String,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        Self { fault, doing, detail: None, message: Some(message), trait_of: None, source: Some(Box::new(source)) }
    }

    /// The same, with what more is known of it.
    #[must_use]
    pub fn with_trait(self, trait_of: Option<Trait>) -> Self {
        Self { trait_of, ..self }
    }

    /// Whether one record may be the cause, although such an error passes by itself as a rule.
    pub fn may_be_a_records(&self) -> bool {
        self.fault == Fault::Unavailable && self.trait_of == Some(Trait::MaybeARecords)
    }

    /// Whether the database's user lacks a right.
    pub fn lacks_a_right(&self) -> bool {
        self.trait_of == Some(Trait::LacksARight)
    }

    /// The same as an error of the data.
    #[must_use]
    pub fn of_the_data(self) -> Self {
        Self { fault: Fault::Poison, ..self }
    }

    /// The row, value or reason that the store itself names; empty for an error of the database.
    pub fn detail(&self) -> &str {
        self.detail.as_deref().unwrap_or_default()
    }

    /// What the database itself said, in one line; for the reason kept with a rejected record.
    pub fn database_message(&self) -> String {
        self.message.clone().unwrap_or_else(|| self.to_string())
    }
}

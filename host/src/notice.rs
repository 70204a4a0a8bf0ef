//! What a person is told, before it has a language: a message's name in the catalogues, and its arguments.
//!
//! Reasons are stored with scraps and read later by somebody else, perhaps in the other language. So what travels through
//! the house, and into the table, is the name and the arguments; `i18n` renders it at the very end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A message of the catalogues with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The message's name in both catalogues.
    pub key: String,
    /// Arguments by the names that the message uses.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
}

impl Notice {
    /// The message `key`, without arguments as yet.
    pub fn new(key: &str) -> Self {
        Self { key: key.to_owned(), args: BTreeMap::new() }
    }

    /// The same with one more argument.
    #[must_use]
    pub fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.args.insert(name.to_owned(), value.to_string());
        self
    }
}

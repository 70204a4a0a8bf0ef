//! A translatable message: catalogue key and arguments.
//!
//! Reasons are stored with scraps and read later by another operator, perhaps in the other
//! language. So key and arguments are what the crates pass on and the table stores; `i18n` renders
//! the text at the very end.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use super::Subject;

/// A message of the catalogues with its arguments, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// The message's name in both catalogues.
    pub key: String,
    /// Arguments by the names that the message uses.
    #[serde(default)]
    pub args: BTreeMap<String, String>,
    /// What it is about, where that can be looked at or changed. Stored with a scrap's reasons.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "known")]
    pub subject: Option<Subject>,
}

/// Reads a subject; one of a later version is none, so that its message can be read all the same.
fn known<'de, D: Deserializer<'de>>(stored: D) -> Result<Option<Subject>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Stored {
        Known(Subject),
        Other(IgnoredAny),
    }

    match Option::deserialize(stored)? {
        Some(Stored::Known(subject)) => Ok(Some(subject)),
        Some(Stored::Other(_)) | None => Ok(None),
    }
}

impl Notice {
    /// The message `key`, without arguments as yet.
    pub fn new(key: &str) -> Self {
        Self { key: key.to_owned(), args: BTreeMap::new(), subject: None }
    }

    /// The same with one more argument, made [`legible`].
    #[must_use]
    pub fn with(mut self, name: &str, value: &(impl ToString + ?Sized)) -> Self {
        self.args.insert(name.to_owned(), legible(&value.to_string()));
        self
    }

    /// The same about this.
    #[must_use]
    pub fn about(self, subject: Subject) -> Self {
        Self { subject: Some(subject), ..self }
    }
}

/// Makes a [`Notice`] of a message's key and its arguments: `notice!("run-began", scrap = id)`.
#[macro_export]
macro_rules! notice {
    ($key:literal $(, $name:ident = $value:expr)* $(,)?) => {
        $crate::Notice::new($key)$(.with(stringify!($name), &$value))*
    };
}

/// Characters of an argument that are kept: more than a message needs, and no more than a screen
/// holds. A connector may give a reason as large as its memory.
const TOLD_MAX: usize = 2_000;

/// A text on one line, of a length that can be read, and without what could move a terminal's
/// cursor. Reasons come from connectors and sources, and are shown, logged and stored.
#[must_use]
pub fn legible(text: &str) -> String {
    match text.char_indices().nth(TOLD_MAX) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}

/// Whether a terminal acts on a character rather than showing it: it moves the cursor, begins
/// another line, or reverses the direction of text.
#[must_use]
pub fn acts_on_a_terminal(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
}

/// A text on one line, and with nothing that a terminal would act on.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        match acts_on_a_terminal(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_is_short_and_harmless_whatever_a_connector_said() {
        let said = format!("não\u{1b}[2J\r\nfeito\u{202e}{}", "é".repeat(1_000_000));
        let told = &Notice::new("x").with("reason", &said).args["reason"];
        assert!(told.starts_with(r"não\u{1b}[2J\r\nfeito\u{202e}é"), "{told:.60}");
        assert!(told.ends_with("é…") && told.chars().count() < 2_100, "{}", told.chars().count());
        assert_eq!(legible("pedido: 150 registros"), "pedido: 150 registros");
    }
}

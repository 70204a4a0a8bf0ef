//! Bodies in another charset than UTF-8: old ERPs still send them.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A charset that is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
pub enum Charset {
    /// ISO 8859-1, one byte for each character; what it lacks becomes `?`.
    #[serde(rename = "iso-8859-1")]
    #[value(name = "iso-8859-1")]
    Latin1,
}

impl Charset {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Charset::Latin1 => "application/json; charset=iso-8859-1",
        }
    }

    pub(crate) fn append(self, text: &str, out: &mut Vec<u8>) {
        match self {
            Charset::Latin1 => out.extend(text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))),
        }
    }
}

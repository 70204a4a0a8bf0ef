//! What may be wrong with settings.

use atlas_model::{Notice, notice};
use thiserror::Error;

use super::files::DOTENV;
use crate::text_file::TextError;

/// What is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// A value out of range, or not of the setting's type.
    #[error("{name}={value} is not {expected}")]
    BadValue {
        /// The setting, as its place writes it.
        name: String,
        /// What it says.
        value: String,
        /// What it should be.
        expected: String,
    },
    /// Some of the `DB_*` settings, but not all.
    #[error("some of the DB_* settings are there, but not {missing}")]
    HalfADatabase {
        /// Those that are missing.
        missing: String,
    },
    /// A malformed database URL.
    #[error("the database URL is neither postgres://… nor sqlite:FILE")]
    BadDatabaseUrl,
    /// A malformed key. Its value is not shown.
    #[error("{name} is not 32 bytes in Base64 or hexadecimal")]
    BadKey {
        /// The setting that names it.
        name: String,
    },
    /// A line of `.env` that is not `NAME=value`.
    #[error(".env, line {line}: {}", if *is_open { "a quote is not closed" } else { "not NAME=value" })]
    BadEnvLine {
        /// The line, counted from 1.
        line: usize,
        /// Whether it opens a quote that is closed nowhere.
        is_open: bool,
    },
    /// A variable of the environment that is not UTF-8.
    #[error("the variable {name} is not UTF-8")]
    BadVariable {
        /// The variable.
        name: String,
    },
    /// A file of settings that cannot be read, or is no text.
    #[error("{file}: {error}")]
    BadText {
        /// The file.
        file: String,
        /// What is wrong.
        error: TextError,
    },
    /// A settings file that is not understood.
    #[error("{file}: {reason}")]
    BadFile {
        /// The file.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl ConfigError {
    /// What to tell the operator.
    pub fn notice(&self) -> Notice {
        match self {
            Self::BadValue { name, value, expected } => {
                notice!("error-setting-value", name = name, value = value, expected = expected)
            }
            Self::HalfADatabase { missing } => notice!("error-half-a-database", missing = missing),
            Self::BadDatabaseUrl => notice!("error-database-url"),
            Self::BadKey { name } => notice!("error-key", name = name),
            Self::BadEnvLine { line, is_open: false } => {
                notice!("error-env-line", file = DOTENV, line = line)
            }
            Self::BadEnvLine { line, is_open: true } => {
                notice!("error-env-quote", file = DOTENV, line = line)
            }
            Self::BadVariable { name } => notice!("error-env-variable", name = name),
            Self::BadText { file, error } => error.notice(file),
            Self::BadFile { file, reason } => {
                notice!("error-settings-file", file = file, reason = reason)
            }
        }
    }
}

/// The error of a value that is out of range, or not of its setting's type.
pub(super) fn bad(name: &str, value: &str, expected: &str) -> ConfigError {
    ConfigError::BadValue { name: name.to_owned(), value: value.to_owned(), expected: expected.to_owned() }
}

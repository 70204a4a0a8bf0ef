//! The key that secrets are sealed with: from a variable, else from the file that another variable names.

use std::fs::File;
use std::io::Read;

use zeroize::Zeroizing;

use super::{ConfigError, Environment};
use crate::store::StoreKey;

/// More than any way to write a key needs.
const FILE_MAX: u64 = 4096;

pub(super) fn read(
    environment: &Environment,
    variable: &str,
    file_variable: &str,
) -> Result<Option<StoreKey>, ConfigError> {
    let (name, text) = match (environment.get(variable), environment.get(file_variable)) {
        (Some(text), _) => (variable, Zeroizing::new(text)),
        (None, Some(file)) => {
            let mut text = Zeroizing::new(String::new());
            let read = File::open(file.trim()).and_then(|opened| opened.take(FILE_MAX).read_to_string(&mut text));
            read.map_err(|error| ConfigError::BadFile { file, reason: error.to_string() })?;
            (file_variable, text)
        }
        (None, None) => return Ok(None),
    };
    StoreKey::parse(&text).map(Some).ok_or_else(|| ConfigError::BadKey { name: name.to_owned() })
}

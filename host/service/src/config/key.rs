//! The key that secrets are sealed with: from a variable, else from the file that another variable
//! names.

use std::fs::File;

use atlas_model::StoreKey;
use zeroize::Zeroizing;

use super::environment::Environment;
use super::error::ConfigError;
use crate::text_file::{self, TextError};

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
            let opened = File::open(file.trim()).map_err(TextError::from);
            let text = opened.and_then(|opened| text_file::read(opened, FILE_MAX));
            (file_variable, text.map_err(|error| ConfigError::BadText { file, error })?)
        }
        (None, None) => return Ok(None),
    };
    StoreKey::parse(&text).map(Some).ok_or_else(|| ConfigError::BadKey { name: name.to_owned() })
}

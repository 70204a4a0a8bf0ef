//! The environment: variables, and `.env`.

use std::collections::HashMap;

use super::dotenv;
use super::error::ConfigError;

/// The environment, and `.env` behind it. Nothing is written into the process's own environment.
pub struct Environment {
    dotenv: HashMap<String, String>,
    /// Why `.env` or a variable could not be read. [`Config::load`](super::Config::load) fails
    /// with it, since a setting that is unreadable must not pass for one that is not set.
    pub(super) error: Option<ConfigError>,
}

impl Environment {
    /// Reads `.env` in the working directory, if it is there.
    pub fn read() -> Self {
        match checked_variables().and_then(|()| dotenv::read()) {
            Ok(dotenv) => Self { dotenv, error: None },
            Err(error) => Self { dotenv: HashMap::new(), error: Some(error) },
        }
    }

    /// A variable; one that is empty counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        let is_set = |value: &String| !value.trim().is_empty();
        std::env::var(name).ok().filter(is_set).or_else(|| self.dotenv.get(name).filter(|v| is_set(v)).cloned())
    }
}

/// Fails if a variable of ours is not UTF-8, since it would pass for one that is not set.
fn checked_variables() -> Result<(), ConfigError> {
    let is_ours = |name: &str| {
        let known = ["DATABASE_URL", "BATCH_EXPORT", "RETRY_MAX", "RUST_LOG"];
        name.starts_with("ATLAS_") || name.starts_with("DB_") || known.contains(&name)
    };
    let bad = std::env::vars_os()
        .filter(|(_, value)| value.to_str().is_none())
        .filter_map(|(name, _)| name.into_string().ok())
        .find(|name| is_ours(name));
    bad.map_or(Ok(()), |name| Err(ConfigError::BadVariable { name }))
}

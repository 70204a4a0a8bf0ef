//! Files of an installation, by their names in the working directory.

/// Settings.
pub const FILE: &str = "atlas.toml";
/// Errors, in full.
pub const ERROR_LOG: &str = "erros_scraps.log";
/// Variables beside those of the environment.
pub(super) const DOTENV: &str = ".env";

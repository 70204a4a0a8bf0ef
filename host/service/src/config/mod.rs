//! Settings: flags before the environment, before `.env`, before `atlas.toml`, before the defaults.
//! Read once, checked once, and from then on plain typed values.
//!
//! - `settings`  the settings, checked
//! - `load`      puts them together
//! - `flags`, `environment`, `dotenv`, `file`  where they may stand
//! - `database`, `key`  which database, and the key that seals secrets
//! - `files`     names of files
//! - `telemetry`  the filter of the log, and where traces go
//! - `error`     what may be wrong

mod database;
mod dotenv;
mod environment;
mod error;
mod file;
mod files;
mod flags;
mod key;
mod load;
mod settings;
mod telemetry;

pub use self::environment::Environment;
pub use self::error::ConfigError;
pub use self::files::{ERROR_LOG, FILE};
pub use self::flags::Flags;
pub use self::load::{BATCH_MAX, RETRIES_MAX, language};
pub use self::settings::{Config, WorkerSettings};
pub use self::telemetry::{collector, log_filter};

//! The settings that the command line gives.

use std::path::PathBuf;

/// The settings that the command line gives. Not printable: `--db` may hold a password.
#[derive(Clone, Default)]
pub struct Flags {
    /// `--db`
    pub db: Option<String>,
    /// `--connectors`
    pub connectors: Option<PathBuf>,
    /// `--batch`
    pub batch: Option<String>,
    /// `--retries`
    pub retries: Option<String>,
    /// `--concurrency`
    pub concurrency: Option<String>,
    /// `--sweeps`
    pub sweeps: Option<String>,
    /// `--lang`
    pub lang: Option<String>,
    /// `--timezone`
    pub timezone: Option<String>,
    /// `--db-patience`
    pub db_patience: Option<String>,
    /// `worker --scraps`
    pub scraps: Option<String>,
    /// `worker --per-client`
    pub per_client: Option<String>,
}

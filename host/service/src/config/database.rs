//! Which database: `--db`, else `DATABASE_URL`, else `DB_HOST`, `DB_PORT`, `DB_NAME`, `DB_USER` and
//! `DB_PASSWORD`, else the settings file's, else the embedded one.

use std::path::PathBuf;

use atlas_model::Secret;
use atlas_store_sql::StoreUrl;

use super::environment::Environment;
use super::error::ConfigError;
use super::file::FileSettings;
use super::files::DOTENV;
use super::flags::Flags;

/// The embedded database, in the working directory.
const EMBEDDED_FILE: &str = "atlas.db";
const DEFAULT_PORT: u16 = 5432;

/// The database that the settings name; `None` for the embedded one.
pub(super) fn named(
    flags: &Flags,
    environment: &Environment,
    file: &FileSettings,
) -> Result<Option<StoreUrl>, ConfigError> {
    let parse = |url: &str| StoreUrl::parse(url.trim()).ok_or(ConfigError::BadDatabaseUrl);
    if let Some(url) = flags.db.clone().or_else(|| environment.get("DATABASE_URL")) {
        return parse(&url).map(Some);
    }
    if let Some(url) = from_parts(environment)? {
        return Ok(Some(url));
    }
    file.database.as_deref().map(parse).transpose()
}

pub(super) fn embedded() -> StoreUrl {
    StoreUrl::Sqlite(EMBEDDED_FILE.into())
}

/// The `.env` or database file of an installation in the nearest parent folder, where the working
/// directory has neither: the command was most likely run in the wrong folder.
pub(super) fn elsewhere() -> Option<PathBuf> {
    let marks = [DOTENV, EMBEDDED_FILE];
    let here = std::env::current_dir().ok()?;
    if marks.iter().any(|mark| here.join(mark).exists()) {
        return None;
    }
    let above = here.ancestors().skip(1).flat_map(|folder| marks.map(|mark| folder.join(mark)));
    above.into_iter().find(|file| file.is_file())
}

/// `DB_PORT` may be left out; the others come all together or not at all.
fn from_parts(environment: &Environment) -> Result<Option<StoreUrl>, ConfigError> {
    const NAMES: [&str; 4] = ["DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD"];
    let values = NAMES.map(|name| environment.get(name));
    let port = environment.get("DB_PORT");
    if port.is_none() && values.iter().all(Option::is_none) {
        return Ok(None);
    }
    let missing: Vec<&str> = NAMES.iter().zip(&values).filter(|(_, v)| v.is_none()).map(|(n, _)| *n).collect();
    let [Some(host), Some(name), Some(user), Some(password)] = values else {
        return Err(ConfigError::HalfADatabase { missing: missing.join(", ") });
    };
    let port = match port {
        Some(text) => text.trim().parse().map_err(|_| ConfigError::BadValue {
            name: "DB_PORT".to_owned(),
            value: text.clone(),
            expected: "1..65535".to_owned(),
        })?,
        None => DEFAULT_PORT,
    };
    Ok(Some(StoreUrl::postgres_from_parts(host.trim(), port, name.trim(), user.trim(), &Secret::new(password))))
}

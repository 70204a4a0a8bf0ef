//! Puts the settings together, from where they may stand, and checks them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atlas_connectors::{Pin, TrustPolicy};
use atlas_model::limits::OutOfRange;
use atlas_model::{OwnLimits, Secret};
use atlas_pipeline::{RetryPolicy, RunSettings};
use atlas_store_sql::{CONNECTIONS, CONNECTIONS_WITHIN};

use super::environment::Environment;
use super::error::{ConfigError, bad};
use super::file::{BudgetSettings, FileSettings, GrantSettings, WorkerFile};
use super::files::FILE;
use super::flags::Flags;
use super::settings::{Config, WorkerSettings};
use super::{database, key};
use crate::i18n::Lang;
use crate::zone::Zone;

/// Records of one transaction, at most.
pub const BATCH_MAX: usize = 10_000;
const CONCURRENCY_MAX: usize = 64;
/// Attempts at a page, at most.
pub const RETRIES_MAX: u32 = 100;
const SWEEPS_MAX: i32 = 100;
/// An hour: a run that is to wait for longer ends instead.
const RETRY_WAIT_MAX_MS: u64 = 60 * 60 * 1000;
/// A week.
const DB_PATIENCE_MAX_S: u64 = 7 * 24 * 60 * 60;
/// The engine has room for 128 guests, and each scrap wants a few.
const WORKER_SCRAPS_MAX: usize = 64;
const PER_CLIENT_MAX: i64 = 1_000;
const LEASE_MAX_S: u64 = 3_600;
const RERUN_AFTER_MAX_S: u64 = 3_600;

/// The language: `--lang`, else `ATLAS_LANG`, else the settings file's, else the locale, else
/// pt-BR. Never fails, since every other error has to be told in some language.
pub fn language(flags: &Flags, environment: &Environment) -> Lang {
    let file = FileSettings::read(Path::new(FILE)).ok().and_then(|file| file.lang);
    let named = [flags.lang.clone(), environment.get("ATLAS_LANG"), file];
    let locale = sys_locale::get_locale();
    let mut candidates = named.into_iter().flatten().chain(locale);
    candidates.find_map(|name| Lang::parse(&name)).unwrap_or_default()
}

impl Config {
    /// Puts the settings together and checks them.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, ConfigError> {
        if let Some(error) = &environment.error {
            return Err(error.clone());
        }
        let file = FileSettings::read(Path::new(FILE))?;
        check_language(flags, environment, &file)?;
        check_limits(&file)?;
        let pick = |flag: &Option<String>, name: &str, flag_name: &str| {
            let from_flag = flag.clone().map(|value| (flag_name.to_owned(), value));
            from_flag.or_else(|| environment.get(name).map(|value| (name.to_owned(), value)))
        };
        let batch = number(pick(&flags.batch, "BATCH_EXPORT", "--batch"), ("batch", file.batch), 1, 1..=BATCH_MAX)?;
        let retries =
            number(pick(&flags.retries, "RETRY_MAX", "--retries"), ("retries", file.retries), 5, 1..=RETRIES_MAX)?;
        let concurrency = number(
            pick(&flags.concurrency, "ATLAS_CONCURRENCY", "--concurrency"),
            ("concurrency", file.concurrency),
            4,
            1..=CONCURRENCY_MAX,
        )?;
        let sweeps =
            number(pick(&flags.sweeps, "ATLAS_SWEEPS", "--sweeps"), ("sweeps", file.sweeps), 1, 0..=SWEEPS_MAX)?;
        let db_patience = number(
            pick(&flags.db_patience, "ATLAS_DB_PATIENCE", "--db-patience"),
            ("db_patience_s", file.db_patience_s),
            600,
            0..=DB_PATIENCE_MAX_S,
        )?;
        let db_connections = number(
            pick(&None, "ATLAS_DB_CONNECTIONS", ""),
            ("db_connections", file.db_connections),
            CONNECTIONS,
            CONNECTIONS_WITHIN,
        )?;
        let worker = worker(pick, flags, &file.worker)?;
        let base = number(
            pick(&None, "ATLAS_RETRY_BASE_MS", ""),
            ("retry_base_ms", file.retry_base_ms),
            1_000,
            0..=RETRY_WAIT_MAX_MS,
        )?;
        let cap = number(None, ("retry_cap_ms", file.retry_cap_ms), 60_000, 0..=RETRY_WAIT_MAX_MS)?.max(base);
        let retry = RetryPolicy::new(retries, Duration::from_millis(base), Duration::from_millis(cap))
            .ok_or_else(|| bad("RETRY_MAX", &retries.to_string(), "1..100"))?;
        let named = database::named(flags, environment, &file)?;
        Ok(Self {
            elsewhere: if named.is_none() { database::elsewhere() } else { None },
            store: named.unwrap_or_else(database::embedded),
            key: key::read(environment, "ATLAS_KEY", "ATLAS_KEY_FILE")?,
            new_key: key::read(environment, "ATLAS_NEW_KEY", "ATLAS_NEW_KEY_FILE")?,
            connectors: connectors_folder(flags, environment, &file),
            cache: cache_folder(environment, &file),
            state: state_folder(environment, &file),
            trust: trust(&file)?,
            signing_password: environment.get("ATLAS_SIGNING_PASSWORD").map(Secret::new),
            db_connections,
            run: RunSettings {
                batch,
                concurrency,
                sweeps,
                retry,
                limits: file.limits,
                db_patience: Duration::from_secs(db_patience),
            },
            worker,
            timezone: timezone(pick(&flags.timezone, "ATLAS_TIMEZONE", "--timezone"), &file)?,
            budgets: file.budget.iter().map(BudgetSettings::check).collect::<Result<_, _>>()?,
            grants: file.grant.iter().map(GrantSettings::check).collect::<Result<_, _>>()?,
            client_limits: client_limits(&file)?,
            connector_limits: file.connector.into_iter().map(|(route, own)| (route, own.limits)).collect(),
        })
    }
}

fn worker(
    pick: impl Fn(&Option<String>, &str, &str) -> Option<(String, String)>,
    flags: &Flags,
    file: &WorkerFile,
) -> Result<WorkerSettings, ConfigError> {
    let scraps = pick(&flags.scraps, "ATLAS_WORKER_SCRAPS", "--scraps");
    let per_client = pick(&flags.per_client, "ATLAS_WORKER_PER_CLIENT", "--per-client");
    let lease = number(pick(&None, "ATLAS_LEASE", ""), ("worker.lease_s", file.lease_s), 30, 1..=LEASE_MAX_S)?;
    let rerun_after = number(
        pick(&None, "ATLAS_RERUN_AFTER", ""),
        ("worker.rerun_after_s", file.rerun_after_s),
        60,
        0..=RERUN_AFTER_MAX_S,
    )?;
    Ok(WorkerSettings {
        scraps: number(scraps, ("worker.scraps", file.scraps), 4, 1..=WORKER_SCRAPS_MAX)?,
        per_client: number(per_client, ("worker.per_client", file.per_client), 4, 1..=PER_CLIENT_MAX)?,
        lease: Duration::from_secs(lease),
        rerun_after: Duration::from_secs(rerun_after),
    })
}

/// Every limit that the file sets is within the most that it may be.
fn check_limits(file: &FileSettings) -> Result<(), ConfigError> {
    let within = |table: String, found: Option<OutOfRange>| match found {
        Some(OutOfRange { name, value, most }) => Err(bad(&format!("{table}.{name}"), &value, &format!("0..{most}"))),
        None => Ok(()),
    };
    within("limits".to_owned(), file.limits.out_of_range())?;
    for (route, own) in &file.connector {
        within(format!("connector.{route}.limits"), own.limits.out_of_range())?;
    }
    for (id, own) in &file.client {
        within(format!("client.{id}.limits"), own.limits.out_of_range())?;
    }
    Ok(())
}

fn client_limits(file: &FileSettings) -> Result<BTreeMap<i32, OwnLimits>, ConfigError> {
    let own = file.client.iter().map(|(id, own)| match id.parse() {
        Ok(id) => Ok((id, own.limits)),
        Err(_) => Err(bad("[client.ID]", id, "1..2147483647")),
    });
    own.collect()
}

/// Fails if a flag, a variable or the file names a language without a catalogue. The error calls
/// the setting by its name there.
fn check_language(flags: &Flags, environment: &Environment, file: &FileSettings) -> Result<(), ConfigError> {
    let named =
        [("--lang", flags.lang.clone()), ("ATLAS_LANG", environment.get("ATLAS_LANG")), ("lang", file.lang.clone())];
    let wrong = named.into_iter().find_map(|(name, lang)| Some((name, lang.filter(|l| Lang::parse(l).is_none())?)));
    wrong.map_or(Ok(()), |(name, lang)| Err(bad(name, &lang, "pt-BR, en")))
}

/// The time zone that a flag or the environment names, else the file.
fn timezone(named: Option<(String, String)>, file: &FileSettings) -> Result<Option<Zone>, ConfigError> {
    let Some((name, zone)) = named.or_else(|| Some(("timezone".to_owned(), file.timezone.clone()?))) else {
        return Ok(None);
    };
    Zone::parse(&zone).map(Some).ok_or_else(|| bad(&name, &zone, "America/Sao_Paulo, UTC"))
}

/// A number from a flag or the environment, else the file's, which goes by its key there, else the
/// default, within its range.
fn number<T>(
    named: Option<(String, String)>,
    (key, file): (&str, Option<T>),
    default: T,
    range: std::ops::RangeInclusive<T>,
) -> Result<T, ConfigError>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display + Copy,
{
    let expected = format!("{}..{}", range.start(), range.end());
    let (name, text) = match (named, file) {
        (Some(named), _) => named,
        (None, Some(value)) => (key.to_owned(), value.to_string()),
        (None, None) => return Ok(default),
    };
    let value = text.trim().parse().ok().filter(|value| range.contains(value));
    value.ok_or_else(|| bad(&name, &text, &expected))
}

/// The folder that was named; else `connectors` beside the program, or one folder up, where `cargo
/// xtask connectors` puts it; else `connectors` in the working directory.
fn connectors_folder(flags: &Flags, environment: &Environment, file: &FileSettings) -> PathBuf {
    let named = flags
        .connectors
        .clone()
        .or_else(|| environment.get("ATLAS_CONNECTORS").map(PathBuf::from))
        .or_else(|| file.connectors.clone());
    let program = std::env::current_exe().ok();
    let beside = program.iter().flat_map(|program| program.ancestors().skip(1).take(2));
    let found = beside.map(|folder| folder.join("connectors")).find(|folder| folder.is_dir());
    named.or(found).unwrap_or_else(|| PathBuf::from("connectors"))
}

fn trust(file: &FileSettings) -> Result<TrustPolicy, ConfigError> {
    let mut pins = BTreeMap::new();
    for (route, settings) in &file.connector {
        let pin = Pin::new(settings.sha256.as_deref(), settings.keys.as_deref()).map_err(|error| {
            let reason = format!("[connector.{route}]: {error}");
            ConfigError::BadFile { file: FILE.to_owned(), reason }
        })?;
        if let Some(pin) = pin {
            pins.insert(route.clone(), pin);
        }
    }
    Ok(TrustPolicy::new(pins))
}

fn cache_folder(environment: &Environment, file: &FileSettings) -> Option<PathBuf> {
    let named = environment.get("ATLAS_CACHE").map(PathBuf::from).or_else(|| file.cache.clone());
    named.or_else(|| {
        let directories = directories::ProjectDirs::from("", "", "atlas-data-flow")?;
        Some(directories.cache_dir().join("components"))
    })
}

fn state_folder(environment: &Environment, file: &FileSettings) -> Option<PathBuf> {
    let named = environment.get("ATLAS_STATE").map(PathBuf::from).or_else(|| file.state.clone());
    named.or_else(|| {
        let directories = directories::ProjectDirs::from("", "", "atlas-data-flow")?;
        Some(directories.data_local_dir().join("connectors"))
    })
}

//! Settings: flags before the environment, before `.env`, before `atlas.toml`, before the defaults.
//! Read once, checked once, and from then on plain typed values.

mod database;
mod dotenv;
mod file;
mod key;
mod telemetry;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use atlas_connectors::{Pin, TrustPolicy};
use atlas_http::{Grant, RateBudget};
use atlas_model::limits::OutOfRange;
use atlas_model::{Limits, Notice, OwnLimits, Secret, StoreKey, notice};
use atlas_pipeline::{RetryPolicy, RunSettings};
use atlas_store_sql::{CONNECTIONS, CONNECTIONS_WITHIN, StoreUrl};
use chrono::{Offset, TimeZone, Utc};
use thiserror::Error;

use self::file::{BudgetSettings, FileSettings, GrantSettings, OwnBudget, WorkerFile};
pub use self::telemetry::{collector, log_filter};
use crate::i18n::Lang;
use crate::text_file::TextError;
use crate::zone::Zone;

/// The file of settings, in the working directory.
pub const FILE: &str = "atlas.toml";
/// Where errors are kept in full.
pub const ERROR_LOG: &str = "erros_scraps.log";

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

/// The settings.
#[derive(Clone)]
pub struct Config {
    /// Where records go.
    pub store: StoreUrl,
    /// An `.env` or `atlas.db` of a parent folder, where this one has neither and the embedded
    /// database is meant only because nothing names another.
    pub elsewhere: Option<PathBuf>,
    /// The key that secrets are sealed with; none: they stand in the clear.
    pub key: Option<StoreKey>,
    /// The key that `atlas client rekey` seals them with.
    pub new_key: Option<StoreKey>,
    /// The folder of connectors.
    pub connectors: PathBuf,
    /// Where precompiled connectors are kept; none: nowhere.
    pub cache: Option<PathBuf>,
    /// Where versions of connectors are kept, and what is remembered of their routes; none:
    /// nowhere.
    pub state: Option<PathBuf>,
    /// What is demanded of connectors' files before they are loaded.
    pub trust: TrustPolicy,
    /// The password of the key that connectors are signed with (`ATLAS_SIGNING_PASSWORD`).
    pub signing_password: Option<Secret>,
    /// Connections to a database server, at most.
    pub db_connections: usize,
    /// The settings of runs.
    pub run: RunSettings,
    /// The settings of workers.
    pub worker: WorkerSettings,
    /// The time zone for all readers; `None` for each reader's own.
    pub timezone: Option<Zone>,
    grants: Vec<Grant>,
    budgets: Vec<OwnBudget>,
    connector_limits: BTreeMap<String, OwnLimits>,
    client_limits: BTreeMap<i32, OwnLimits>,
}

/// The settings of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerSettings {
    /// Scraps that one process runs at once, at least 1.
    pub scraps: usize,
    /// Scraps of one client that run at once, on all hosts together, at least 1.
    pub per_client: i64,
    /// How long a process counts as alive after it was seen, in whole seconds.
    pub lease: Duration,
    /// The wait before a scrap whose source failed is taken again; it doubles with each time.
    pub rerun_after: Duration,
}

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
                notice!("error-env-line", file = dotenv::FILE, line = line)
            }
            Self::BadEnvLine { line, is_open: true } => {
                notice!("error-env-quote", file = dotenv::FILE, line = line)
            }
            Self::BadVariable { name } => notice!("error-env-variable", name = name),
            Self::BadText { file, error } => error.notice(file),
            Self::BadFile { file, reason } => {
                notice!("error-settings-file", file = file, reason = reason)
            }
        }
    }
}

/// The environment, and `.env` behind it. Nothing is written into the process's own environment.
pub struct Environment {
    dotenv: HashMap<String, String>,
    /// Why `.env` or a variable could not be read. [`Config::load`] fails with it, since a setting
    /// that is unreadable must not pass for one that is not set.
    error: Option<ConfigError>,
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
    fn get(&self, name: &str) -> Option<String> {
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

    /// The zone of times in logs and lines that no browser asked for: the configured one, else this
    /// machine's.
    pub fn zone(&self) -> Zone {
        self.timezone.unwrap_or_else(Zone::of_this_machine)
    }

    /// What connectors of an API may do for a client beyond reading below the base URL.
    pub fn grants(&self, cliente_id: i32, api: &str) -> impl Iterator<Item = &Grant> {
        let meant = move |grant: &&Grant| grant.client.is_none_or(|client| client == cliente_id);
        self.grants.iter().filter(move |grant| grant.api == api).filter(meant)
    }

    /// The budget of requests that the operator set for a client at an API, its zeros kept. Values
    /// set for the client come before those set for all clients of the API.
    pub fn budget(&self, cliente_id: i32, api: &str) -> RateBudget {
        let of_api = || self.budgets.iter().filter(|budget| budget.api == api);
        let own = of_api().filter(|budget| budget.client == Some(cliente_id));
        let all: Vec<&OwnBudget> = own.chain(of_api().filter(|budget| budget.client.is_none())).collect();
        let rate = all.iter().fold(RateBudget::default(), |rate, budget| rate.or(budget.rate));
        let timezone = all.iter().find_map(|budget| budget.timezone).unwrap_or(chrono_tz::UTC);
        let day_offset = timezone.offset_from_utc_datetime(&Utc::now().naive_utc()).fix().local_minus_utc();
        RateBudget { day_offset, ..rate }
    }

    /// The APIs that the operator set a budget or a grant for.
    pub fn apis(&self) -> impl Iterator<Item = &str> {
        let granted = self.grants.iter().map(|grant| grant.api.as_str());
        granted.chain(self.budgets.iter().map(|budget| budget.api.as_str()))
    }

    /// The limits of the house.
    pub fn limits(&self) -> &Limits {
        &self.run.limits
    }

    /// The limits of a route's pages for a client.
    pub fn limits_of(&self, rota: &str, cliente_id: i32) -> Limits {
        let none = OwnLimits::default();
        let (connector, client) = (self.connector_limits.get(rota), self.client_limits.get(&cliente_id));
        self.limits().with(connector.unwrap_or(&none), client.unwrap_or(&none))
    }

    /// The most memory that any guest may have: what the pool of instances has to have room for.
    pub fn largest_guest(&self) -> usize {
        let own = self.connector_limits.values().chain(self.client_limits.values());
        own.filter_map(|limits| limits.guest_memory).chain([self.limits().guest_memory]).max().unwrap_or_default()
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

fn bad(name: &str, value: &str, expected: &str) -> ConfigError {
    ConfigError::BadValue { name: name.to_owned(), value: value.to_owned(), expected: expected.to_owned() }
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

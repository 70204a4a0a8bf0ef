//! Turns errors of every crate into failures for operators: a message of the catalogues, the
//! operation that failed, and the exit code. The causes go along, in English, for the error log.

use std::error::Error;
use std::path::Path;

use atlas_connectors::{ImportFamily, LoadError, TrustError, WordError};
use atlas_http::{CredentialError, lacks_files};
use atlas_model::{Lease, Notice, PartsError, notice};
use atlas_pipeline::{End, HeldVersion, Reservation};
use atlas_store::{Fault, STATEMENT_MAX, StoreError};
use atlas_store_sql::StoreUrl;

use super::reload::DIGEST_SHOWN;
use crate::config::ConfigError;

/// Exit codes, as the documents list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// The command was used wrongly.
    Usage,
    /// Settings or database.
    Configuration,
    /// The credential is missing or was refused.
    Credential,
    /// The source failed; the scrap can be resumed.
    Source,
    /// Done, with reservations.
    Reservations,
    /// The connector is missing, was refused, or crashed.
    Connector,
    /// Interrupted; the scrap can be resumed.
    Interrupted,
}

impl Exit {
    /// The process's exit code.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Credential => 4,
            Self::Source => 5,
            Self::Reservations => 6,
            Self::Connector => 7,
            Self::Interrupted => 130,
        }
    }
}

/// What kind of failure it is, where that says more than the exit code: what a program that asks
/// over HTTP does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// The exit code says it all.
    #[default]
    Plain,
    /// What was asked for is not there.
    NotFound,
    /// What was asked for is not possible as things stand.
    Conflict,
    /// The request carries no access that is valid.
    NotSignedIn,
    /// The caller may not do this.
    NotAllowed,
    /// Too many requests of this kind; later they are answered.
    Throttled,
    /// The request has more bytes than are read.
    TooLarge,
    /// The body is of another type than the one that is read.
    OtherMedia,
    /// The address does not take this method.
    OtherMethod,
    /// The request is for another host than this one.
    OtherHost,
    /// The request cannot be read.
    Malformed,
}

/// A failure as operators see it: message, exit code, kind and causes.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The operation that failed: a message key.
    pub operation: &'static str,
    /// The message.
    pub notice: Notice,
    /// The exit code.
    pub exit: Exit,
    /// What kind of failure it is.
    pub kind: Kind,
    /// The causes, outermost first, for the error log.
    pub causes: Vec<String>,
}

impl Failure {
    /// A failure without causes.
    pub fn new(operation: &'static str, notice: Notice, exit: Exit) -> Self {
        Self { operation, notice, exit, kind: Kind::Plain, causes: Vec::new() }
    }

    /// The same, of this kind.
    #[must_use]
    pub fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    /// Something that a command or a request named is not there.
    pub fn not_found(notice: Notice) -> Self {
        Self::usage(notice).of_kind(Kind::NotFound)
    }

    /// Something that a command or a request asked for is not possible as things stand.
    pub fn conflict(notice: Notice) -> Self {
        Self::usage(notice).of_kind(Kind::Conflict)
    }

    /// The same, with an error and all that is behind it as causes.
    #[must_use]
    pub fn because(mut self, error: &dyn Error) -> Self {
        let mut cause = Some(error);
        while let Some(error) = cause {
            self.causes.push(error.to_string());
            cause = error.source();
        }
        self
    }

    /// A mistake in how a command was used.
    pub fn usage(notice: Notice) -> Self {
        Self::new("op-usage", notice, Exit::Usage)
    }

    /// A failed call of the store.
    pub fn store(operation: &'static str, error: &StoreError) -> Self {
        let reason = error.database_message();
        let notice = match error.fault {
            Fault::Unavailable => notice!("error-database-unavailable", reason = reason),
            Fault::Displaced => notice!("error-database-displaced", reason = error.detail()),
            Fault::TooSlow => notice!("error-database-slow", seconds = STATEMENT_MAX.as_secs()),
            Fault::Schema if error.lacks_a_right() => notice!("error-database-right", reason = reason),
            Fault::Schema => notice!("error-database-schema", reason = reason),
            Fault::KeyMissing => notice!("error-key-missing"),
            Fault::KeyWrong => notice!("error-key-wrong", what = error.detail()),
            _ => notice!("error-database", reason = reason),
        };
        Self::new(operation, notice, Exit::Configuration).because(error)
    }

    /// The store could not be opened.
    pub fn connecting(url: &StoreUrl, error: &StoreError) -> Self {
        let (reason, location) = (error.database_message(), url.location());
        let notice = match url {
            // SQLite only says that it could not open the file.
            _ if lacks_files() => notice!("error-no-files"),
            StoreUrl::Postgres(_) => notice!("error-database-unreachable", location = location, reason = reason),
            StoreUrl::Sqlite(_) => notice!("error-database-file", location = location, reason = reason),
        };
        Self::new("op-connect", notice, Exit::Configuration).because(error)
    }

    /// The engine, or what it runs on, did not start.
    pub fn not_started(operation: &'static str, exit: Exit, reason: impl ToString) -> Self {
        let other = || Self::new(operation, notice!("error-engine", reason = reason.to_string()), exit);
        Self::without_files(operation).unwrap_or_else(other)
    }

    /// The failure for a process that has too few file descriptors left, if this one has.
    pub fn without_files(operation: &'static str) -> Option<Self> {
        lacks_files().then(|| Self::new(operation, notice!("error-no-files"), Exit::Configuration))
    }

    /// The failure of malformed credential parts. `file` is where they stand: `stdin` for standard
    /// input, empty where they came by the page or the API.
    pub fn parts(error: &PartsError, file: &str) -> Self {
        let notice = match error {
            PartsError::NotJson(line) => notice!("error-parts-json", line = line),
            PartsError::BadLine(line) => notice!("error-parts-line", line = line),
            PartsError::BadName => notice!("error-parts-name"),
            PartsError::BadValue(name) => notice!("error-parts-value", name = name),
            PartsError::Count => notice!("error-parts-count"),
        };
        Self::usage(notice.with("file", if file.is_empty() { "none" } else { file }))
    }

    /// There is no database file, and the command creates none.
    pub fn no_database(file: &Path) -> Self {
        Self::new("op-connect", notice!("error-no-database", file = file.display()), Exit::Configuration)
    }

    /// A command that runs scraps was given beside another installation.
    pub fn elsewhere(file: &Path) -> Self {
        Self::new("op-configure", notice!("error-elsewhere", file = file.display()), Exit::Configuration)
    }

    /// The failure of a file that was not loaded as a connector.
    pub fn load(path: &Path, error: &LoadError) -> Self {
        Self::new("op-connector", load_notice(path, error), Exit::Connector).because(error)
    }

    /// The operator's word on a version could not be taken.
    pub(super) fn word(error: &WordError) -> Self {
        let (notice, exit) = match error {
            WordError::NothingHeld { route } => (notice!("error-nothing-held", route = route), Exit::Usage),
            WordError::AnotherWaits { route, version, waits, digest } => {
                let waits = waits.get(..DIGEST_SHOWN).unwrap_or(waits);
                let notice =
                    notice!("error-another-waits", route = route, version = version, waits = waits, digest = digest);
                (notice, Exit::Usage)
            }
            WordError::NoSuchVersion { route, digest } => {
                (notice!("error-version-not-kept", route = route, digest = digest), Exit::Usage)
            }
            WordError::State(reason) => (notice!("error-connector-state", reason = reason), Exit::Configuration),
        };
        let kind = match error {
            WordError::NothingHeld { .. } | WordError::AnotherWaits { .. } => Kind::Conflict,
            WordError::NoSuchVersion { .. } | WordError::State(_) => Kind::Plain,
        };
        Self::new("op-connector", notice, exit).of_kind(kind).because(error)
    }

    /// The client's credential or base URL is not there.
    pub(super) fn credential(cliente_id: i32, error: &CredentialError) -> Self {
        let client = cliente_id;
        let (notice, exit) = match error {
            CredentialError::Inactive => (notice!("error-client-inactive", client = client), Exit::Credential),
            CredentialError::NoBaseUrl { api } => {
                (notice!("error-no-base-url", client = client, api = api), Exit::Configuration)
            }
            CredentialError::NotServed { api } => {
                (notice!("error-api-not-served", client = client, api = api), Exit::Configuration)
            }
            CredentialError::BadBaseUrl { url } => {
                (notice!("error-base-url", client = client, url = url), Exit::Configuration)
            }
            CredentialError::NoCredential { api } => {
                (notice!("error-no-credential", client = client, api = api), Exit::Credential)
            }
            CredentialError::PartOfTokenUrl { api, part } => {
                (notice!("error-part-of-token-url", client = client, api = api, part = part), Exit::Connector)
            }
            CredentialError::BadToken => (notice!("error-token-characters", client = client), Exit::Credential),
            CredentialError::MissingParts { api, parts } => {
                (notice!("error-credential-parts", client = client, api = api, parts = parts), Exit::Credential)
            }
            CredentialError::BadTokenUrl { url } => {
                (notice!("error-token-url", client = client, url = url), Exit::Configuration)
            }
        };
        let kind = match error {
            CredentialError::NoBaseUrl { .. } | CredentialError::NotServed { .. } => Kind::Conflict,
            _ => Kind::Plain,
        };
        Self::new("op-run", notice, exit).of_kind(kind).because(error)
    }

    /// How a scrap's run ended, if not simply well.
    pub(super) fn of_end(end: &End, lease: &Lease) -> Option<Self> {
        let client = lease.cliente_id;
        let (notice, exit) = match end {
            End::Done => return None,
            End::DoneWithReservations(all) => {
                // The first is the gravest; the report has the others too.
                let first = all.first()?;
                (reservation_notice(first), Exit::Reservations)
            }
            End::Stopped => (notice!("end-stopped"), Exit::Interrupted),
            End::Paused => (notice!("end-paused"), Exit::Interrupted),
            // The worker goes on with it by itself.
            End::HandedBack => return None,
            End::AttemptsExhausted { attempts, reason } => {
                (notice!("end-attempts", attempts = attempts, reason = reason), Exit::Source)
            }
            End::NeverReady { tries, reason } => {
                (notice!("end-not-ready", tries = tries, reason = reason), Exit::Source)
            }
            End::WaitTooLong { seconds, reason } => {
                (notice!("end-wait-too-long", seconds = seconds, reason = reason), Exit::Source)
            }
            End::Unauthorized(reason) => {
                (notice!("end-unauthorized", client = client, reason = reason), Exit::Credential)
            }
            End::Quota { reason, until: None } => (notice!("end-quota", reason = reason), Exit::Source),
            End::Quota { reason, until: Some(until) } => {
                (notice!("end-quota-until", reason = reason, until = until), Exit::Source)
            }
            End::SourceFailed(reason) => (notice!("end-source", reason = reason), Exit::Source),
            End::NotGranted(reason) => (notice!("end-not-granted", reason = reason), Exit::Connector),
            End::HeadersNotGranted { api, headers } => (ungranted_headers("end-header", api, headers), Exit::Connector),
            End::AddressRefused { host, address, class, grantable } => {
                let at = address.to_string();
                let place = if host.trim_matches(['[', ']']) == at { at } else { format!("{host} ({at})") };
                let notice = match grantable {
                    true => notice!("end-address", place = place, class = class, client = client),
                    false => notice!("end-address-never", place = place, class = class),
                };
                (notice, Exit::Configuration)
            }
            End::Loop { cursor } => (notice!("end-loop", cursor = cursor), Exit::Source),
            End::Repeating { pages, cursor } => {
                (notice!("end-repeating", pages = pages, cursor = cursor), Exit::Source)
            }
            End::Untrusted(reason) => (notice!("end-untrusted", reason = reason), Exit::Configuration),
            End::ConnectorMistake(reason) => (notice!("end-mistake", reason = reason), Exit::Connector),
            End::EmptyPages { pages } => (notice!("end-empty-pages", pages = pages), Exit::Source),
            End::ConnectorCrashed(reason) => (notice!("end-crashed", reason = reason), Exit::Connector),
            End::VersionHeld(held) => (ended_process("end-ended-process", held), Exit::Connector),
            End::Limit { name, value } => limit_reached(name, *value, lease.cliente_id),
            End::LeaseLost => (notice!("end-lease-lost"), Exit::Interrupted),
            End::Store(error) if error.fault == Fault::Unavailable => {
                (notice!("end-database-unavailable", reason = error.database_message()), Exit::Configuration)
            }
            End::Store(error) => return Some(Self::store("op-run", error)),
        };
        let failure = Self::new("op-run", notice.with("id", &lease.scrap_id), exit);
        Some(match end {
            End::Store(error) => failure.because(error.as_ref()),
            _ => Self { causes: end.reason().map(str::to_owned).into_iter().collect(), ..failure },
        })
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new("op-configure", error.notice(), Exit::Configuration).because(&error)
    }
}

/// A limit that was reached: of one scrap or page, or of what is kept for its client.
fn limit_reached(name: &'static str, value: u64, client: i32) -> (Notice, Exit) {
    let key = match name {
        "client_rejects" | "client_reject_bytes" => "end-client-rejects",
        "client_cursors" | "client_cursor_bytes" => "end-client-cursors",
        "client_records" | "client_record_bytes" => "end-client-records",
        _ => return (notice!("end-limit", name = name, value = value), Exit::Connector),
    };
    let exit = if key == "end-client-records" { Exit::Configuration } else { Exit::Connector };
    (Notice::new(key).with("client", &client).with("name", &name).with("value", &value), exit)
}

/// The message key that prefixes a notice's line: an error, a reservation or a request fulfilled. A
/// reservation concerns records that were written all the same, and a pause was asked for, so
/// neither is shown as an error.
pub fn line_of(notice: &Notice) -> &'static str {
    match notice.key.as_str() {
        "end-stopped" | "end-paused" | "end-cancelled" => "asked-for-line",
        key if key.starts_with("reservation-") => "reservation-line",
        _ => "error-line",
    }
}

/// A message about headers that no grant names, with the grant to write.
pub(super) fn ungranted_headers(key: &str, api: &str, headers: &[String]) -> Notice {
    let quoted: Vec<String> = headers.iter().map(|header| format!("\"{header}\"")).collect();
    Notice::new(key).with("api", &api).with("headers", &quoted.join(", ")).with("number", &headers.len())
}

/// A message about a version that ended a process.
pub(super) fn ended_process(key: &str, held: &HeldVersion) -> Notice {
    Notice::new(key)
        .with("route", &held.route)
        .with("version", &held.version)
        .with("digest", held.sha256.get(..DIGEST_SHOWN).unwrap_or(&held.sha256))
        .with("signal", &held.signal)
}

/// Why a run that reached the end is not simply done.
pub(super) fn reservation_notice(reservation: &Reservation) -> Notice {
    let number = |n: &Option<i64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    match reservation {
        Reservation::Rejected { records } => notice!("reservation-rejected", records = records),
        Reservation::Moving { differs, before, after } => {
            let yes = |differs: bool| if differs { "yes" } else { "no" };
            notice!(
                "reservation-moving",
                before = number(before),
                after = number(after),
                total = yes(differs.total),
                keys = yes(differs.keys),
                cursors = yes(differs.cursors),
                acks = yes(differs.after_commit),
            )
        }
        Reservation::TotalOff { declared, read } => {
            notice!("reservation-total", declared = declared, read = read)
        }
        Reservation::Repeated { repeated, read, declared } => {
            notice!("reservation-repeated", repeated = repeated, read = read, declared = declared)
        }
        Reservation::SamePages { pages } => notice!("reservation-same-pages", pages = pages),
    }
}

/// The message for a file that was not loaded as a connector.
pub(super) fn load_notice(path: &Path, error: &LoadError) -> Notice {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match error {
        LoadError::Unreadable(reason) => notice!("load-unreadable", file = file, reason = reason),
        LoadError::TooLarge { bytes, limit } => {
            notice!("load-too-large", file = file, bytes = bytes, limit = limit)
        }
        LoadError::CoreModule => notice!("load-core-module", file = file),
        LoadError::NotAComponent(reason) => {
            notice!("load-not-a-component", file = file, reason = reason)
        }
        LoadError::CompileLimit { name, value } => {
            notice!("load-compile-limit", file = file, name = name, value = value)
        }
        LoadError::CodeTooLarge { limit } => notice!("load-code-too-large", file = file, limit = limit),
        LoadError::NotCompiled(reason) => notice!("load-not-compiled", file = file, reason = reason),
        LoadError::FailedTrial(reason) => notice!("load-trial", file = file, reason = reason),
        LoadError::LinkLeadsOut { target } => notice!("load-link", file = file, target = target),
        LoadError::Untrusted(error) => trust_notice(file, error),
        LoadError::TooManyParts { part, found, limit } => {
            notice!("load-parts", file = file, part = part, found = found, limit = limit)
        }
        LoadError::TooMuchMemory { bytes, limit } => {
            notice!("load-too-much-memory", file = file, bytes = bytes, limit = limit)
        }
        LoadError::ForbiddenImports(refused) => notice!(
            "load-imports",
            file = file,
            imports = refused,
            http = refused.of(ImportFamily::Http),
            version = refused.of(ImportFamily::OtherWasiVersion),
            wasi = refused.of(ImportFamily::OtherWasi),
            foreign = refused.of(ImportFamily::Foreign),
        ),
        LoadError::ForbiddenProposals(proposals) => {
            notice!("load-proposals", file = file, proposals = proposals)
        }
        LoadError::OtherVersion { found, have } => {
            notice!("load-version", file = file, found = found, have = have)
        }
        LoadError::DoesNotFit(reason) => notice!("load-does-not-fit", file = file, reason = reason),
        LoadError::DescribeFailed(reason) => notice!("load-describe", file = file, reason = reason),
        LoadError::DescribeEnded { signal } => notice!("load-describe-ended", file = file, signal = signal),
        LoadError::BadDescriptor(error) => notice!("load-descriptor", file = file, reason = error),
        LoadError::RouteTaken { route, other } => {
            notice!("load-route-taken", file = file, route = route, other = other)
        }
    }
}

/// What to say of a file that is not the one that the operator demands.
fn trust_notice(file: String, error: &TrustError) -> Notice {
    match error {
        TrustError::OtherDigest { route, pinned, found } => {
            notice!("load-pin", file = file, route = route, pinned = pinned, found = found)
        }
        TrustError::Unsigned { signature, .. } => notice!("load-unsigned", file = file, signature = signature),
        TrustError::BadSignature { route, signature, reason } => {
            notice!("load-signature", file = file, route = route, signature = signature, reason = reason)
        }
    }
}

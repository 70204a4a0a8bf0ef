//! Turns errors of every crate into failures for operators: a message of the catalogues, the
//! operation that failed, and its kind. The causes go along, in English, for the error log.

use std::error::Error;
use std::path::Path;

use atlas_connectors::{Connector, DecisionError, HoldReason, LoadError};
use atlas_http::{CredentialError, lacks_files};
use atlas_model::{Lease, Notice, PartsError, Subject, notice};
use atlas_pipeline::End;
use atlas_store::{Fault, STATEMENT_MAX, StoreError};
use atlas_store_sql::StoreUrl;

use super::kind::{Exit, Kind};
use super::messages::{
    DIGEST_SHOWN, about, ended_process, limit_reached, load_notice, reservation_notice, ungranted_headers,
};
use crate::config::ConfigError;

/// A failure as operators see it: message, kind and causes. What it is about is the message's
/// subject.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The operation that failed: a message key.
    pub operation: &'static str,
    /// The message.
    pub notice: Notice,
    /// What kind of failure it is.
    pub kind: Kind,
    /// The causes, outermost first, for the error log.
    pub causes: Vec<String>,
}

impl Failure {
    /// A failure without causes.
    pub fn new(operation: &'static str, notice: Notice, kind: Kind) -> Self {
        Self { operation, notice, kind, causes: Vec::new() }
    }

    /// Something that a command or a request named is not there.
    pub fn not_found(notice: Notice) -> Self {
        Self::new("op-usage", notice, Kind::NotFound)
    }

    /// Something that a command or a request asked for is not possible as things stand.
    pub fn conflict(notice: Notice) -> Self {
        Self::new("op-usage", notice, Kind::Conflict)
    }

    /// The exit code of a process that ends with it.
    pub fn exit(&self) -> Exit {
        self.kind.exit(self.notice.subject.as_ref())
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

    /// A scrap that is not there.
    pub(super) fn unknown_scrap(id: i64) -> Self {
        Self::not_found(notice!("error-scrap-unknown", id = id).about(Subject::Scrap(id)))
    }

    /// A client that is to be fetched for, and is not registered.
    pub(super) fn no_token(client: i32) -> Self {
        let notice = notice!("error-no-token", client = client);
        Self::new("op-run", notice.about(Subject::Registration(Some(client))), Kind::Credential)
    }

    /// A mistake in how a command was used.
    pub fn usage(notice: Notice) -> Self {
        Self::new("op-usage", notice, Kind::Usage)
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
            // Waiting mends what is unavailable, and the server's operator a schema or a key.
            _ => notice!("error-database", reason = reason).about(Subject::Database),
        };
        Self::new(operation, notice, Kind::Configuration).because(error)
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
        Self::new("op-connect", notice, Kind::Configuration).because(error)
    }

    /// The engine, or what it runs on, did not start.
    pub fn not_started(operation: &'static str, kind: Kind, reason: impl ToString) -> Self {
        let other = || Self::new(operation, notice!("error-engine", reason = reason.to_string()), kind);
        Self::without_files(operation).unwrap_or_else(other)
    }

    /// The failure for a process that has too few file descriptors left, if this one has.
    pub fn without_files(operation: &'static str) -> Option<Self> {
        lacks_files().then(|| Self::new(operation, notice!("error-no-files"), Kind::Configuration))
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
        Self::new("op-connect", notice!("error-no-database", file = file.display()), Kind::Configuration)
    }

    /// A command that runs scraps was given beside another installation.
    pub fn elsewhere(file: &Path) -> Self {
        Self::new("op-configure", notice!("error-elsewhere", file = file.display()), Kind::Configuration)
    }

    /// The failure of a file that was not loaded as a connector.
    pub fn load(path: &Path, error: &LoadError) -> Self {
        Self::new("op-connector", load_notice(path, error), Kind::Connector).because(error)
    }

    /// A version that waits for the operator's decision.
    pub(super) fn held(connector: &Connector, reasons: &[HoldReason]) -> Self {
        let ended = reasons.iter().find_map(|reason| match reason {
            HoldReason::EndedProcess { signal } => Some(signal),
            _ => None,
        });
        let notice = match ended {
            Some(signal) => about("connector-ended-process", connector)
                .with("signal", signal)
                .about(Subject::Connector(Some(connector.descriptor.route.clone()))),
            None => about("connector-held", connector),
        };
        Self::new("op-connector", notice, Kind::Connector)
    }

    /// The operator's decision on a version could not be taken.
    pub(super) fn word(error: &DecisionError) -> Self {
        let (notice, kind) = match error {
            DecisionError::NothingHeld { route } => {
                let notice = notice!("error-nothing-held", route = route);
                (notice.about(Subject::Connector(Some(route.clone()))), Kind::Conflict)
            }
            DecisionError::AnotherWaits { route, version, waits, digest } => {
                let waits = waits.get(..DIGEST_SHOWN).unwrap_or(waits);
                let notice =
                    notice!("error-another-waits", route = route, version = version, waits = waits, digest = digest);
                (notice.about(Subject::Connector(Some(route.clone()))), Kind::Conflict)
            }
            DecisionError::NoSuchVersion { route, digest } => {
                (notice!("error-version-not-kept", route = route, digest = digest), Kind::Usage)
            }
            DecisionError::State(reason) => (notice!("error-connector-state", reason = reason), Kind::Configuration),
        };
        Self::new("op-connector", notice, kind).because(error)
    }

    /// The client's credential or base URL is not there.
    pub(super) fn credential(cliente_id: i32, error: &CredentialError) -> Self {
        let client = cliente_id;
        let (address, credential) = (Subject::Address(client), Subject::Credential(client));
        let (notice, kind) = match error {
            CredentialError::Inactive => {
                (notice!("error-client-inactive", client = client).about(Subject::Client(client)), Kind::Credential)
            }
            CredentialError::NoBaseUrl { api } => {
                (notice!("error-no-base-url", client = client, api = api).about(address), Kind::Conflict)
            }
            CredentialError::NotServed { api } => {
                (notice!("error-api-not-served", client = client, api = api).about(address), Kind::Conflict)
            }
            CredentialError::BadBaseUrl { url } => {
                (notice!("error-base-url", client = client, url = url).about(address), Kind::Configuration)
            }
            CredentialError::NoCredential { api } => {
                (notice!("error-no-credential", client = client, api = api).about(credential), Kind::Credential)
            }
            CredentialError::PartOfTokenUrl { api, part } => {
                (notice!("error-part-of-token-url", client = client, api = api, part = part), Kind::Connector)
            }
            CredentialError::BadToken => {
                (notice!("error-token-characters", client = client).about(credential), Kind::Credential)
            }
            CredentialError::MissingParts { api, parts } => {
                let notice = notice!("error-credential-parts", client = client, api = api, parts = parts);
                (notice.about(credential), Kind::Credential)
            }
            CredentialError::BadTokenUrl { url } => {
                (notice!("error-token-url", client = client, url = url).about(credential), Kind::Configuration)
            }
        };
        Self::new("op-run", notice, kind).because(error)
    }

    /// How a scrap's run ended, if not simply well.
    pub(super) fn of_end(end: &End, lease: &Lease) -> Option<Self> {
        let client = lease.cliente_id;
        let (notice, kind) = match end {
            End::Done => return None,
            End::DoneWithReservations(all) => {
                // The first is the gravest; the report has the others too.
                let first = all.first()?;
                (reservation_notice(first, lease.scrap_id), Kind::Reservations)
            }
            End::Stopped => (notice!("end-stopped"), Kind::Interrupted),
            End::Paused => (notice!("end-paused"), Kind::Interrupted),
            // The worker goes on with it by itself.
            End::HandedBack => return None,
            End::AttemptsExhausted { attempts, reason } => {
                (notice!("end-attempts", attempts = attempts, reason = reason), Kind::Source)
            }
            End::NeverReady { tries, reason } => {
                (notice!("end-not-ready", tries = tries, reason = reason), Kind::Source)
            }
            End::WaitTooLong { seconds, reason } => {
                (notice!("end-wait-too-long", seconds = seconds, reason = reason), Kind::Source)
            }
            End::Unauthorized(reason) => {
                let notice = notice!("end-unauthorized", client = client, reason = reason);
                (notice.about(Subject::Credential(client)), Kind::Credential)
            }
            End::Quota { reason, until: None } => (notice!("end-quota", reason = reason), Kind::Source),
            End::Quota { reason, until: Some(until) } => {
                (notice!("end-quota-until", reason = reason, until = until), Kind::Source)
            }
            End::SourceFailed(reason) => (notice!("end-source", reason = reason), Kind::Source),
            End::NotGranted(reason) => (notice!("end-not-granted", reason = reason), Kind::Connector),
            End::HeadersNotGranted { api, headers } => (ungranted_headers("end-header", api, headers), Kind::Connector),
            End::AddressRefused { host, address, class, grantable } => {
                let at = address.to_string();
                let place = if host.trim_matches(['[', ']']) == at { at } else { format!("{host} ({at})") };
                let notice = match grantable {
                    true => notice!("end-address", place = place, class = class, client = client)
                        .about(Subject::Address(client)),
                    false => notice!("end-address-never", place = place, class = class),
                };
                (notice, Kind::Configuration)
            }
            End::Loop { cursor } => (notice!("end-loop", cursor = cursor), Kind::Source),
            End::Repeating { pages, cursor } => {
                (notice!("end-repeating", pages = pages, cursor = cursor), Kind::Source)
            }
            End::Untrusted(reason) => (notice!("end-untrusted", reason = reason), Kind::Configuration),
            End::ConnectorMistake(reason) => {
                (notice!("end-mistake", reason = reason).about(Subject::Connector(None)), Kind::Connector)
            }
            End::EmptyPages { pages } => (notice!("end-empty-pages", pages = pages), Kind::Source),
            End::ConnectorCrashed(reason) => {
                (notice!("end-crashed", reason = reason).about(Subject::Connector(None)), Kind::Connector)
            }
            End::VersionHeld(held) => (ended_process("end-ended-process", held), Kind::Connector),
            End::Limit { name, value } => limit_reached(name, *value, lease.cliente_id),
            End::LeaseLost => (notice!("end-lease-lost"), Kind::Interrupted),
            End::Store(error) if error.fault == Fault::Unavailable => {
                (notice!("end-database-unavailable", reason = error.database_message()), Kind::Configuration)
            }
            End::Store(error) => return Some(Self::store("op-run", error)),
        };
        let failure = Self::new("op-run", notice.with("id", &lease.scrap_id), kind);
        Some(match end {
            End::Store(error) => failure.because(error.as_ref()),
            _ => Self { causes: end.reason().map(str::to_owned).into_iter().collect(), ..failure },
        })
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new("op-configure", error.notice(), Kind::Configuration).because(&error)
    }
}

#[cfg(test)]
mod tests {
    use atlas_pipeline::HeldVersion;

    use super::*;
    use crate::clients::{bad_base_url, unknown};
    use crate::report::write_reasons;

    const CLIENT: i32 = 2151;

    fn lease() -> Lease {
        Lease { scrap_id: 7, epoch: 1, cliente_id: CLIENT, origem: "pedido".to_owned() }
    }

    fn ended(end: &End) -> Failure {
        Failure::of_end(end, &lease()).unwrap_or_else(|| panic!("{end:?} is a failure"))
    }

    fn of_credential(error: CredentialError) -> Failure {
        Failure::credential(CLIENT, &error)
    }

    #[test]
    fn an_exit_code_and_a_subject_outlast_the_name_of_a_message() {
        use Subject::{Address, Client, Connector, Credential, Registration, Scrap};
        let api = || "jueri".to_owned();
        let why = || "why".to_owned();
        let held = HeldVersion { route: "pedido".to_owned(), version: "1".to_owned(), sha256: why(), signal: why() };
        for (failure, exit, subject) in [
            (unknown(CLIENT), Exit::Credential, Some(Registration(Some(CLIENT)))),
            (Failure::no_token(CLIENT), Exit::Credential, Some(Registration(Some(CLIENT)))),
            (bad_base_url(CLIENT, "x"), Exit::Usage, Some(Address(CLIENT))),
            (Failure::unknown_scrap(7), Exit::Usage, Some(Scrap(7))),
            (of_credential(CredentialError::Inactive), Exit::Credential, Some(Client(CLIENT))),
            (of_credential(CredentialError::NoBaseUrl { api: api() }), Exit::Configuration, Some(Address(CLIENT))),
            (of_credential(CredentialError::NotServed { api: api() }), Exit::Configuration, Some(Address(CLIENT))),
            (of_credential(CredentialError::BadBaseUrl { url: why() }), Exit::Configuration, Some(Address(CLIENT))),
            (of_credential(CredentialError::NoCredential { api: api() }), Exit::Credential, Some(Credential(CLIENT))),
            (of_credential(CredentialError::BadToken), Exit::Credential, Some(Credential(CLIENT))),
            (ended(&End::Unauthorized(why())), Exit::Credential, Some(Credential(CLIENT))),
            (ended(&End::ConnectorCrashed(why())), Exit::Connector, Some(Connector(None))),
            (ended(&End::VersionHeld(held)), Exit::Connector, Some(Connector(Some("pedido".to_owned())))),
            (ended(&End::SourceFailed(why())), Exit::Source, None),
            (ended(&End::Stopped), Exit::Interrupted, None),
            (ended(&End::LeaseLost), Exit::Interrupted, None),
        ] {
            let key = failure.notice.key.clone();
            let renamed = Notice { key: "renamed".to_owned(), ..failure.notice.clone() };
            let renamed = Failure { notice: renamed, ..failure };
            assert_eq!((renamed.exit(), &renamed.notice.subject), (exit, &subject), "{key}");
        }
    }

    #[test]
    fn a_stored_reason_says_what_it_is_about_and_one_without_is_read_all_the_same() {
        let reason = ended(&End::Unauthorized("no".to_owned())).notice;
        let stored = write_reasons(std::slice::from_ref(&reason)).unwrap_or_default();
        assert_eq!(serde_json::from_str::<Vec<Notice>>(&stored).unwrap_or_default(), std::slice::from_ref(&reason));
        let before = r#"[{"key":"end-unauthorized","args":{"client":"2151","id":"7","reason":"no"}}]"#;
        let read = serde_json::from_str::<Vec<Notice>>(before).unwrap_or_default();
        assert_eq!(read, [Notice { subject: None, ..reason.clone() }]);
        let later = before.replace("\"args\"", "\"subject\":{\"planet\":3},\"args\"");
        let read = serde_json::from_str::<Vec<Notice>>(&later).unwrap_or_default();
        assert_eq!(read, [Notice { subject: None, ..reason }]);
    }
}

//! Messages for what other crates report: ends of runs, files that are no connectors.

use std::path::Path;

use atlas_connectors::{Connector, LoadError, TrustError};
use atlas_model::{Notice, Subject, notice};
use atlas_pipeline::{HeldVersion, Reservation};
use atlas_sandbox::{ComponentError, ImportFamily};

use super::kind::Kind;

/// Digits of a digest that are shown.
pub(super) const DIGEST_SHOWN: usize = 12;

/// What a message reports, which decides how its line begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    /// A failure.
    Error,
    /// Records that were written all the same, and are worth a look.
    Reservation,
    /// What an operator asked for was done.
    AskedFor,
}

impl Line {
    /// What a message reports, by its name: a scrap's reasons are stored with it and nothing else.
    pub fn of(notice: &Notice) -> Self {
        match notice.key.as_str() {
            "end-stopped" | "end-paused" | "end-cancelled" => Self::AskedFor,
            key if key.starts_with("reservation-") => Self::Reservation,
            _ => Self::Error,
        }
    }

    /// The line: `operation` and `message` are its arguments.
    pub fn notice(self) -> Notice {
        match self {
            Self::Error => notice!("error-line"),
            Self::Reservation => notice!("reservation-line"),
            Self::AskedFor => notice!("asked-for-line"),
        }
    }
}

/// A limit that was reached: of one scrap or page, or of what is kept for its client.
pub(super) fn limit_reached(name: &'static str, value: u64, client: i32) -> (Notice, Kind) {
    let (key, kind) = match name {
        "client_rejects" | "client_reject_bytes" => ("end-client-rejects", Kind::Connector),
        "client_cursors" | "client_cursor_bytes" => ("end-client-cursors", Kind::Connector),
        "client_records" | "client_record_bytes" => ("end-client-records", Kind::Configuration),
        _ => return (notice!("end-limit", name = name, value = value), Kind::Connector),
    };
    (Notice::new(key).with("client", &client).with("name", &name).with("value", &value), kind)
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
        .about(Subject::Connector(Some(held.route.clone())))
}

/// Why a run that reached the end is not simply done.
pub(super) fn reservation_notice(reservation: &Reservation, scrap: i64) -> Notice {
    let number = |n: &Option<i64>| n.map_or_else(|| "?".to_owned(), |n| n.to_string());
    match reservation {
        Reservation::Rejected { records } => {
            notice!("reservation-rejected", records = records).about(Subject::Rejects(scrap))
        }
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
        LoadError::Component(error) => component_notice(file, error),
        LoadError::FailedTrial(reason) => notice!("load-trial", file = file, reason = reason),
        LoadError::LinkLeadsOut { target } => notice!("load-link", file = file, target = target),
        LoadError::Untrusted(error) => trust_notice(file, error),
        LoadError::BadDescriptor(error) => notice!("load-descriptor", file = file, reason = error),
        LoadError::RouteTaken { route, other } => {
            notice!("load-route-taken", file = file, route = route, other = other)
        }
    }
}

/// What to say of a file whose component cannot be called.
fn component_notice(file: String, error: &ComponentError) -> Notice {
    match error {
        ComponentError::CoreModule => notice!("load-core-module", file = file),
        ComponentError::NotAComponent(reason) => {
            notice!("load-not-a-component", file = file, reason = reason)
        }
        ComponentError::CompileLimit { name, value } => {
            notice!("load-compile-limit", file = file, name = name, value = value)
        }
        ComponentError::CodeTooLarge { limit } => notice!("load-code-too-large", file = file, limit = limit),
        ComponentError::NotCompiled(reason) => notice!("load-not-compiled", file = file, reason = reason),
        ComponentError::TooManyParts { part, found, limit } => {
            notice!("load-parts", file = file, part = part, found = found, limit = limit)
        }
        ComponentError::TooMuchMemory { bytes, limit } => {
            notice!("load-too-much-memory", file = file, bytes = bytes, limit = limit)
        }
        ComponentError::ForbiddenImports(refused) => notice!(
            "load-imports",
            file = file,
            imports = refused,
            http = refused.of(ImportFamily::Http),
            version = refused.of(ImportFamily::OtherWasiVersion),
            wasi = refused.of(ImportFamily::OtherWasi),
            foreign = refused.of(ImportFamily::Foreign),
        ),
        ComponentError::ForbiddenProposals(proposals) => {
            notice!("load-proposals", file = file, proposals = proposals)
        }
        ComponentError::OtherVersion { found, have } => {
            notice!("load-version", file = file, found = found, have = have)
        }
        ComponentError::DoesNotFit(reason) => notice!("load-does-not-fit", file = file, reason = reason),
        ComponentError::DescribeFailed(reason) => notice!("load-describe", file = file, reason = reason),
        ComponentError::DescribeEnded { signal } => notice!("load-describe-ended", file = file, signal = signal),
        ComponentError::LongDescription(_) => notice!("load-descriptor", file = file, reason = error),
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

/// A message about a version of a connector.
pub(super) fn about(key: &str, connector: &Connector) -> Notice {
    let digest = connector.sha256.get(..DIGEST_SHOWN).unwrap_or(&connector.sha256);
    Notice::new(key)
        .with("route", &connector.descriptor.route)
        .with("version", &connector.descriptor.version)
        .with("digest", digest)
}

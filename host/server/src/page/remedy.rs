//! Renders failures with their remedies, in the page's own words, and with a link to the page where
//! the remedy is found. The command line says the same with its commands.

use atlas_model::{Notice, notice};
use atlas_service::i18n::Catalogue;
use atlas_service::{Failure, line_of};
use maud::{Markup, html};

use super::format::number;
use super::visit::Visit;

/// How the names of reservations begin, whose counts are written as the reader writes numbers.
const RESERVATION: &str = "reservation-";

/// An alert with a failure and its remedy.
pub(super) fn alert(visit: &Visit, failure: &Failure) -> Markup {
    html! {
        div.alert.bad role="alert" tabindex="-1" autofocus {
            p { strong { (line(visit.texts(), "error-line", failure.operation, &failure.notice)) } }
            (remedy(visit, &failure.notice))
        }
    }
}

/// An alert with a failure and its remedy, without a link, for a request without a session.
pub(super) fn lone_alert(texts: &Catalogue, failure: &Failure) -> Markup {
    html! {
        div.alert.bad role="alert" {
            p { strong { (line(texts, "error-line", failure.operation, &failure.notice)) } }
            @if let Some(fix) = texts.fix_on_page(&failure.notice) { p { (fix) } }
        }
    }
}

/// Why a scrap stands as it does, and what to do.
pub(super) fn reason(visit: &Visit, scrap: i64, reason: &Notice) -> Markup {
    let reason = counted(visit, &reason.clone().with("id", &scrap));
    let kind = line_of(&reason);
    html! {
        div.alert.note {
            p { strong { (line(visit.texts(), kind, "op-run", &reason)) } }
            (remedy(visit, &reason))
        }
    }
}

/// One line in the very words of the command line, so that an operator finds the error in the
/// users' documents by them.
fn line(texts: &Catalogue, kind: &str, operation: &str, message: &Notice) -> String {
    let operation = texts.text(&Notice::new(operation));
    texts.text(&Notice::new(kind).with("operation", &operation).with("message", &texts.text(message)))
}

/// The remedy of a failure, with a link to its page unless that is this one.
pub(super) fn remedy(visit: &Visit, notice: &Notice) -> Markup {
    let here = visit.place.split('?').next().unwrap_or_default();
    // A form of the very client or scrap is there already; a list of the menu's is somewhere else.
    let is_below = |address: &str| {
        let rest = here.strip_prefix(address).filter(|_| address.matches('/').count() > 1);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let is_here = |address: &str| here == address || is_below(address);
    let place = place(notice).filter(|(address, _)| !is_here(address));
    html! {
        @if let Some(fix) = visit.texts().fix_on_page(notice) { p { (fix) } }
        @if let Some((address, name)) = place { p { a href=(address) { (visit.say(&name)) } } }
    }
}

/// The page where something is mended, and what it is called.
fn place(notice: &Notice) -> Option<(String, Notice)> {
    let id = |name: &str| notice.args.get(name).and_then(|text| text.parse::<i64>().ok());
    let client = || Some((format!("/clientes/{}", id("client")?), notice!("web-client-of", id = id("client")?)));
    let scrap = |name: &str| Some((format!("/scraps/{}", id(name)?), notice!("web-scrap", id = id(name)?)));
    let menu = |address: &str, name: &str| Some((address.to_owned(), Notice::new(name)));
    match notice.key.as_str() {
        "reservation-rejected" => {
            Some((format!("/scraps/{}/rejeitados", id("id")?), notice!("web-rejects-of", id = id("id")?)))
        }
        "error-client-unknown" | "error-no-token" => {
            Some((format!("/clientes/novo?cliente={}", id("client")?), Notice::new("web-new-client")))
        }
        "doctor-no-clients" => menu("/clientes/novo", "web-new-client"),
        "error-client-exists"
        | "error-client-in-use"
        | "error-client-inactive"
        | "error-no-credential"
        | "error-no-base-url"
        | "error-base-url"
        | "error-api-unknown"
        | "error-api-exists"
        | "error-token-characters"
        | "error-credential-parts"
        | "error-credential-elsewhere"
        | "error-token-url"
        | "error-settings"
        | "error-page"
        | "error-page-token"
        | "error-page-passing"
        | "error-page-private"
        | "end-unauthorized"
        | "end-address"
        | "doctor-client-without-url" => client(),
        "error-scrap-ended"
        | "error-scrap-ended-with-reservations"
        | "error-scrap-not-to-pause"
        | "error-scrap-not-to-queue"
        | "error-scrap-of-another"
        | "doctor-scrap-abandoned" => scrap("id"),
        "error-schedule-overlaps" => scrap("scrap"),
        "error-scrap-unknown" | "error-reject-unknown" => menu("/scraps", "web-scraps"),
        "error-schedule-unknown" | "error-schedule-paused" => menu("/agenda", "web-schedules"),
        "error-token-unknown" => menu("/acessos", "web-accesses"),
        "error-route-unknown"
        | "error-connectors-folder"
        | "error-nothing-held"
        | "error-another-waits"
        | "end-crashed"
        | "end-mistake"
        | "end-ended-process"
        | "end-beside-ended-process"
        | "connector-ended-process" => menu("/conectores", "web-connectors"),
        "error-database" => menu("/saude", "web-health"),
        _ => None,
    }
}

/// A reservation with its counts as the reader writes numbers.
fn counted(visit: &Visit, notice: &Notice) -> Notice {
    let mut notice = notice.clone();
    if notice.key.starts_with(RESERVATION) {
        for (_, value) in notice.args.iter_mut().filter(|(name, _)| *name != "id") {
            if let Ok(count) = value.parse() {
                *value = number(count, visit.lang);
            }
        }
    }
    notice
}

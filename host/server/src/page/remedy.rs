//! Renders failures with their remedies, in the page's own words, and with a link to the page where
//! the remedy is found. The command line says the same with its commands.

use atlas_model::{Notice, Subject, notice};
use atlas_service::i18n::Catalogue;
use atlas_service::{Failure, Kind, Line};
use maud::{Markup, html};

use super::format::number;
use super::visit::Visit;

/// An alert with a failure and its remedy.
pub(super) fn alert(visit: &Visit, failure: &Failure) -> Markup {
    html! {
        div.alert.bad role="alert" tabindex="-1" autofocus {
            p { strong { (line(visit.texts(), Line::Error, failure.operation, &failure.notice)) } }
            (remedy(visit, &failure.notice, Some(failure.kind)))
        }
    }
}

/// An alert with a failure and its remedy, without a link, for a request without a session.
pub(super) fn lone_alert(texts: &Catalogue, failure: &Failure) -> Markup {
    html! {
        div.alert.bad role="alert" {
            p { strong { (line(texts, Line::Error, failure.operation, &failure.notice)) } }
            @if let Some(fix) = texts.fix_on_page(&failure.notice) { p { (fix) } }
        }
    }
}

/// Why a scrap stands as it does, and what to do.
pub(super) fn reason(visit: &Visit, scrap: i64, reason: &Notice) -> Markup {
    let reason = counted(visit, &reason.clone().with("id", &scrap));
    html! {
        div.alert.note {
            p { strong { (line(visit.texts(), Line::of(&reason), "op-run", &reason)) } }
            (remedy(visit, &reason, None))
        }
    }
}

/// One line in the very words of the command line, so that an operator finds the error in the
/// users' documents by them.
fn line(texts: &Catalogue, line: Line, operation: &str, message: &Notice) -> String {
    let operation = texts.text(&Notice::new(operation));
    texts.text(&line.notice().with("operation", &operation).with("message", &texts.text(message)))
}

/// The remedy of something that is no failure of a request, with a link to its page.
pub(super) fn hint(visit: &Visit, notice: &Notice) -> Markup {
    remedy(visit, notice, None)
}

/// The remedy of a message, with a link to its subject's page unless that is this one.
fn remedy(visit: &Visit, notice: &Notice, kind: Option<Kind>) -> Markup {
    let here = visit.place.split('?').next().unwrap_or_default();
    // A form of the very client or scrap is there already; a list of the menu's is somewhere else.
    let is_below = |address: &str| {
        let rest = here.strip_prefix(address).filter(|_| address.matches('/').count() > 1);
        rest.is_some_and(|rest| rest.starts_with('/'))
    };
    let is_here = |address: &str| here == address || is_below(address);
    let place = notice.subject.as_ref().map(|subject| place(subject, kind));
    html! {
        @if let Some(fix) = visit.texts().fix_on_page(notice) { p { (fix) } }
        @if let Some((address, name)) = place.filter(|(address, _)| !is_here(address)) {
            p { a href=(address) { (visit.say(&name)) } }
        }
    }
}

/// The page where a subject can be looked at or changed, and what it is called.
fn place(subject: &Subject, kind: Option<Kind>) -> (String, Notice) {
    let menu = |address: &str, name: &str| (address.to_owned(), Notice::new(name));
    match subject {
        Subject::Client(id) | Subject::Address(id) | Subject::Credential(id) | Subject::Settings(id) => {
            (format!("/clientes/{id}"), notice!("web-client-of", id = id))
        }
        Subject::Registration(Some(id)) => (format!("/clientes/novo?cliente={id}"), notice!("web-new-client")),
        Subject::Registration(None) => menu("/clientes/novo", "web-new-client"),
        // One that is not there is looked for among the others.
        Subject::Scrap(_) if kind == Some(Kind::NotFound) => menu("/scraps", "web-scraps"),
        Subject::Scrap(id) => (format!("/scraps/{id}"), notice!("web-scrap", id = id)),
        Subject::Rejects(scrap) => (format!("/scraps/{scrap}/rejeitados"), notice!("web-rejects-of", id = scrap)),
        Subject::Rejected(_) => menu("/scraps", "web-scraps"),
        Subject::Schedule(_) => menu("/agenda", "web-schedules"),
        Subject::Token(_) => menu("/acessos", "web-accesses"),
        Subject::Connector(_) => menu("/conectores", "web-connectors"),
        Subject::Database => menu("/saude", "web-health"),
    }
}

/// A reservation with its counts as the reader writes numbers.
fn counted(visit: &Visit, notice: &Notice) -> Notice {
    let mut notice = notice.clone();
    if Line::of(&notice) == Line::Reservation {
        for (_, value) in notice.args.iter_mut().filter(|(name, _)| *name != "id") {
            if let Ok(count) = value.parse() {
                *value = number(count, visit.lang);
            }
        }
    }
    notice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_its_page_and_what_is_not_there_the_list_of_the_others() {
        let address = |subject: Subject, kind| place(&subject, kind).0;
        for (subject, expected) in [
            (Subject::Client(7), "/clientes/7"),
            (Subject::Credential(7), "/clientes/7"),
            (Subject::Registration(Some(7)), "/clientes/novo?cliente=7"),
            (Subject::Registration(None), "/clientes/novo"),
            (Subject::Scrap(7), "/scraps/7"),
            (Subject::Rejects(7), "/scraps/7/rejeitados"),
            (Subject::Connector(Some("pedido".to_owned())), "/conectores"),
            (Subject::Database, "/saude"),
        ] {
            assert_eq!(address(subject, Some(Kind::Conflict)), expected);
        }
        assert_eq!(address(Subject::Scrap(7), Some(Kind::NotFound)), "/scraps");
    }
}

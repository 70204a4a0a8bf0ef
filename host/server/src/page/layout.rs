//! The frame around every page, and the parts that pages share.

use atlas_model::{Notice, notice};
use atlas_service::Act;
use atlas_service::i18n::{Catalogue, Lang};
use atlas_service::zone::Zone;
use maud::{DOCTYPE, Markup, html};

use super::assets;
use super::fields::{FORM_TOKEN, Fields};
use super::visit::Visit;

/// The pages, as the menu has them: address, message, and the drawing of its icon.
const PAGES: [(&str, &str, &str); 7] = [
    ("/scraps", "web-scraps", "M4 6h16M4 12h16M4 18h10"),
    ("/clientes", "web-clients", "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21c0-4 4-6 8-6s8 2 8 6"),
    ("/conectores", "web-connectors", "M9 3v5M15 3v5M6 8h12v4a6 6 0 0 1-12 0zM12 18v3"),
    (
        "/dados",
        "web-data",
        "M4 6c0-1.7 3.6-3 8-3s8 1.3 8 3-3.6 3-8 3-8-1.3-8-3zM4 6v12c0 1.7 3.6 3 8 3s8-1.3 8-3V6M4 12c0 1.7 3.6 3 8 3s8-1.3 8-3",
    ),
    ("/agenda", "web-schedules", "M5 5h14v15H5zM5 10h14M9 3v4M15 3v4"),
    ("/saude", "web-health", "M3 12h4l3-8 4 16 3-8h4"),
    ("/acessos", "web-accesses", "M7 11V8a5 5 0 0 1 10 0v3M5 11h14v10H5z"),
];

/// A whole page.
pub(super) fn page(visit: &Visit, title: &str, content: &Markup) -> Markup {
    let here = visit.place.split('?').next().unwrap_or_default();
    let body = html! {
        a.skip href="#conteudo" { (visit.text("web-skip")) }
        header.top {
            a.brand href="/scraps" { (mark()) span { "Atlas " b { "Data Flow" } } }
            span #live .live data-state="off" role="status" hidden title=(visit.text("web-live-hint")) { i {} span { (visit.text("web-live-off")) } }
        }
        nav.menu aria-label=(visit.text("web-menu")) {
            ul {
                @for (address, name, icon) in PAGES {
                    @let current = here == address || here.strip_prefix(address).is_some_and(|rest| rest.starts_with('/'));
                    li { a href=(address) aria-current=[current.then_some("page")] { (drawn(icon)) span { (visit.text(name)) } } }
                }
            }
        }
        main #conteudo tabindex="-1" {
            h1 { (title) }
            @if visit.lacks_password && here != "/acessos" && visit.session.principal.may(Act::Admit) {
                p.alert.note { (visit.text("web-password-lacks")) " " a href="/acessos" { (visit.text("web-password-set-one")) } }
            }
            @if visit.is_undone() { div.alert.note role="status" { p { (visit.text("web-undone")) } } }
            (content)
        }
        footer.foot {
            p.zone { (visit.say(&notice!("web-times-in", zone = visit.zone.name()))) }
            (preferences(visit.texts(), visit.lang, visit.theme, &visit.place))
            form method="post" action="/sair" {
                (token(visit))
                button.quiet type="submit" { (visit.text("web-sign-out")) }
            }
        }
    };
    let data =
        PageData { form_token: Some(&visit.session.form_token), since: Some(visit.since.clone()), zone: visit.zone };
    document(visit.texts(), visit.lang, visit.theme, title, &data, &body)
}

/// What a page hands to its script.
pub(super) struct PageData<'a> {
    pub(super) form_token: Option<&'a str>,
    /// The last event that this page knows of.
    pub(super) since: Option<String>,
    /// The zone that times are shown in.
    pub(super) zone: Zone,
}

/// Everything around the body.
pub(super) fn document(
    texts: &Catalogue,
    lang: Lang,
    theme: Option<&str>,
    title: &str,
    data: &PageData<'_>,
    body: &Markup,
) -> Markup {
    let text = |key: &str| texts.text(&Notice::new(key));
    html! {
        (DOCTYPE)
        html lang=(lang.name()) data-theme=[theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Atlas Data Flow" }
                link rel="icon" href="/assets/atlas.svg" type="image/svg+xml";
                link rel="stylesheet" href=(assets::STYLE.as_str());
                script src=(assets::SCRIPT.as_str()) defer {}
            }
            body data-since=[&data.since] data-csrf=[data.form_token] data-zone=(data.zone.name())
                data-live-on=(text("web-live-on")) data-live-off=(text("web-live-off"))
                data-copied=(text("web-copied"))
                data-until=(text("web-throttled-until")) data-failed=(text("web-attempts-failed"))
                data-searching=(text("web-searching")) data-search-on=(text("web-search-on"))
                data-store-gone=(text("web-store-gone")) { (body) }
        }
    }
}

/// The form that chooses language and colours.
pub(super) fn preferences(texts: &Catalogue, lang: Lang, theme: Option<&str>, back: &str) -> Markup {
    let text = |key: &str| texts.text(&Notice::new(key));
    html! {
        form.preferences method="post" action="/preferencias" {
            input type="hidden" name="volta" value=(back);
            fieldset {
                legend { (text("web-language")) }
                @for (value, name) in [("pt-BR", "Português"), ("en", "English")] {
                    button.quiet type="submit" name="lang" value=(value) lang=(value) aria-pressed=(if lang.name() == value { "true" } else { "false" }) { (name) }
                }
            }
            fieldset {
                legend { (text("web-colours")) }
                @for (value, name, sign) in [("auto", "web-colours-auto", "◐"), ("claro", "web-colours-light", "☀"), ("escuro", "web-colours-dark", "☾")] {
                    button.quiet type="submit" name="tema" value=(value) title=(text(name)) aria-pressed=(if theme.unwrap_or("auto") == value { "true" } else { "false" }) {
                        span aria-hidden="true" { (sign) } span.sr { (text(name)) }
                    }
                }
            }
        }
    }
}

/// The hidden field with the session's form token, which every form of a signed-in page carries.
pub(super) fn token(visit: &Visit) -> Markup {
    html! { input type="hidden" name=(FORM_TOKEN) value=(visit.session.form_token); }
}

/// A button that does something at once, which can be undone.
pub(super) fn action(visit: &Visit, address: &str, name: &str, class: &str) -> Markup {
    html! {
        form.inline method="post" action=(address) {
            (token(visit))
            button class=(class) type="submit" { (name) }
        }
    }
}

/// A page that asks before something is done, and names it.
pub(super) fn ask(visit: &Visit, title: &str, what: &Notice, address: &str, doing: &str, back: &str) -> Markup {
    page(
        visit,
        title,
        &html! {
            div.card.ask {
                p { (visit.say(what)) }
                form.buttons method="post" action=(address) {
                    (token(visit))
                    button.danger type="submit" { (doing) }
                    a.button.quiet href=(back) { (visit.text("web-leave-it")) }
                }
            }
        },
    )
}

/// Something that was done.
pub(super) fn done(text: &str) -> Markup {
    html! { div.alert.good role="status" { p { (text) } } }
}

/// A note on what the form before this page did, if the page follows one.
pub(super) fn told(visit: &Visit) -> Markup {
    match visit.query.get("feito") {
        Some("removido") => done(&visit.text("web-removed")),
        Some(_) => done(&visit.text("web-saved")),
        None => html! {},
    }
}

/// Nothing to show, and what to do first.
pub(super) fn empty(text: &str, link: Option<(&str, String)>) -> Markup {
    html! {
        div.empty {
            p { (text) }
            @if let Some((address, name)) = link { a.button.primary href=(address) { (name) } }
        }
    }
}

/// A field of a form with its name, and a word on what goes there.
pub(super) fn field(id: &str, name: &str, hint: Option<&str>, input: &Markup) -> Markup {
    html! {
        div.field {
            label for=(id) { (name) }
            (input)
            @if let Some(hint) = hint { p.hint id={ (id) "-hint" } { (hint) } }
        }
    }
}

/// An input for a day. A value that is no date goes into a plain text field, since a date field
/// would not show it.
pub(super) fn day_input(fields: &Fields, name: &str) -> Markup {
    let typed = fields.text(name);
    let is_day = typed.is_empty() || chrono::NaiveDate::parse_from_str(typed, "%Y-%m-%d").is_ok();
    html! { input id=(name) type=(if is_day { "date" } else { "text" }) name=(name) value=(typed); }
}

fn drawn(path: &str) -> Markup {
    html! {
        svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" {
            path d=(path) {}
        }
    }
}

fn mark() -> Markup {
    html! { img src="/assets/atlas.svg" width="24" height="24" alt=""; }
}

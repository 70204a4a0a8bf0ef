//! What a browser's cookies and headers say of the reader: language, time zone, colours.

use atlas_service::i18n::Lang;
use atlas_service::zone::Zone;
use axum::http::{HeaderMap, header};

use super::cookies::cookie;
use super::state::AppState;

/// The cookie with the language that was chosen on the page.
const LANGUAGE_COOKIE: &str = "atlas_lang";

/// The cookie with the browser's time zone, which its script sets.
const ZONE_COOKIE: &str = "atlas_fuso";

/// The time zone of a response: the one that the operator configured, else the browser's cookie,
/// else the server's.
pub(super) fn zone(state: &AppState, headers: &HeaderMap) -> Zone {
    if let Some(chosen) = state.atlas.config().timezone {
        return chosen;
    }
    // The script escapes the slash of a zone's name.
    let of_browser = cookie(headers, ZONE_COOKIE).map(|name| name.replace("%2F", "/"));
    of_browser.and_then(|name| Zone::parse(&name)).unwrap_or(state.zone)
}

/// The language of a response: the cookie's, else the first known one in `Accept-Language`, else
/// Portuguese.
pub(super) fn language(headers: &HeaderMap) -> Lang {
    let chosen = cookie(headers, LANGUAGE_COOKIE).and_then(|name| Lang::parse(&name));
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let accepted = || {
        accepted
            .into_iter()
            .flat_map(|list| list.split(','))
            .find_map(|entry| Lang::parse(entry.split(';').next().unwrap_or_default()))
    };
    chosen.or_else(accepted).unwrap_or_default()
}

/// The colours that the cookie names.
pub(super) fn theme(headers: &HeaderMap) -> Option<&'static str> {
    match cookie(headers, "atlas_tema")?.as_str() {
        "claro" => Some("claro"),
        "escuro" => Some("escuro"),
        _ => None,
    }
}

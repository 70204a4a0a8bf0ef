//! Extractors of the page's requests: the signed-in visitor, a path's parameter, a form that was
//! sent. What they refuse is a [`Refusal`], which `render` makes a page of.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};

use atlas_model::{Notice, notice};
use atlas_service::i18n::{Catalogue, Lang};
use atlas_service::zone::{Zone, moment};
use atlas_service::{Act, Failure, Kind};
use axum::extract::rejection::StringRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, Path, Request};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use maud::{Markup, html};
use serde::de::DeserializeOwned;

use super::fields::{FORM_TOKEN, Fields, SETTING};
use super::refusal::Refusal;
use super::{format, queries};
use crate::preferences::{language, theme, zone};
use crate::problem::not_allowed;
use crate::query;
use crate::session::{Session, session};
use crate::state::AppState;

/// The query name that marks a form as not carried out: it was sent without a session, and comes
/// back after the sign-in. Its value is the [`mark`](crate::session::mark) over the form's values.
pub(super) const UNDONE: &str = "nao_feito";
/// The header in which a proxy names its client's address.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// A page's request by a signed-in visitor.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(super) state: Arc<AppState>,
    pub(super) session: Session,
    pub(super) lang: Lang,
    /// The zone that days and times are in.
    pub(super) zone: Zone,
    /// The path and query of the request.
    pub(super) place: String,
    /// The query's fields.
    pub(super) query: Fields,
    pub(super) theme: Option<&'static str>,
    /// Whether no password has been set yet.
    pub(super) lacks_password: bool,
    /// Whether a form was sent.
    pub(super) is_post: bool,
    /// The last event before the page's data was read: the browser's event stream goes on from
    /// here, so that a change meanwhile is sent twice rather than not at all.
    pub(super) since: String,
}

impl Visit {
    pub(super) fn texts(&self) -> &Catalogue {
        self.state.texts.of(self.lang)
    }

    /// A message without arguments.
    pub(super) fn text(&self, key: &str) -> String {
        self.texts().text(&Notice::new(key))
    }

    pub(super) fn say(&self, notice: &Notice) -> String {
        self.texts().text(notice)
    }

    /// Whether this page shows a form again that was sent without a session. The mark in the
    /// query proves that the values are those that were typed.
    pub(super) fn is_undone(&self) -> bool {
        let kept = self.place.split_once('?').and_then(|(_, query)| query.split_once('&')).map_or("", |(_, kept)| kept);
        self.query.get(UNDONE).is_some_and(|given| self.session.has_marked(given, kept))
    }

    /// A time as either database writes it, on this reader's clocks.
    pub(super) fn time(&self, text: &str) -> Markup {
        match moment(text) {
            Some(moment) => format::time(moment, self.zone, self.lang),
            None => html! { (text) },
        }
    }

    /// A moment in seconds since 1970.
    pub(super) fn moment(&self, seconds: i64) -> Markup {
        match DateTime::from_timestamp(seconds, 0) {
            Some(moment) => format::time(moment, self.zone, self.lang),
            None => html! { (seconds) },
        }
    }

    /// Refuses a query with names that the page does not take. What comes back of a form has the
    /// form's own.
    fn check_query(&self, parts: &Parts) -> Result<(), Failure> {
        if self.is_undone() {
            return Ok(());
        }
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
        query::check(parts.uri.query().unwrap_or_default(), queries::taken(route))
    }

    /// The values that a form starts with. A base URL and settings are not taken from the query,
    /// unless its mark is ours: a crafted link could send a client's token to another server.
    pub(super) fn prefill(&self) -> Fields {
        if self.is_undone() {
            self.query.clone()
        } else {
            self.query.without(|name| name == "base_url" || name.starts_with(SETTING))
        }
    }

    /// Fails unless the session may do this.
    pub(super) fn need(&self, act: Act) -> Result<(), Failure> {
        if self.session.principal.may(act) { Ok(()) } else { Err(not_allowed()) }
    }
}

/// A request's slot for its visitor: the extractor fills it, and `render` takes it for the page of
/// what a handler refused.
#[derive(Clone, Default)]
pub(super) struct Visitor(Arc<OnceLock<Visit>>);

impl Visitor {
    /// The visitor, if the request had a session.
    pub(super) fn visit(&self) -> Option<&Visit> {
        self.0.get()
    }
}

fn place(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}

/// Who sends this request; none: it has no session.
async fn visit(parts: &Parts, state: &Arc<AppState>) -> Result<Option<Visit>, Failure> {
    let since = state.journal.last().to_string();
    let Some(session) = session(state, &parts.headers, &parts.extensions).await? else { return Ok(None) };
    let visit = Visit {
        state: Arc::clone(state),
        lacks_password: state.lacks_password().await,
        session,
        lang: language(&parts.headers),
        zone: zone(state, &parts.headers),
        place: place(parts),
        query: Fields::parse(parts.uri.query().unwrap_or_default()).shared(),
        theme: theme(&parts.headers),
        is_post: parts.method == Method::POST,
        since,
    };
    if let Some(visitor) = parts.extensions.get::<Visitor>() {
        let _ = visitor.0.set(visit.clone());
    }
    visit.check_query(parts)?;
    Ok(Some(visit))
}

impl FromRequestParts<Arc<AppState>> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Refusal> {
        visit(parts, state).await?.ok_or_else(|| match parts.method {
            Method::GET => Refusal::SignIn { back: place(parts) },
            _ => Refusal::SignInAgain { from: "/".to_owned(), fields: Fields::default() },
        })
    }
}

/// A path parameter; answers 404 if it does not parse.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<AppState>> for At<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Refusal> {
        let named = Path::<T>::from_request_parts(parts, state).await;
        named.map(|Path(named)| Self(named)).map_err(|_| Refusal::NoPage { path: parts.uri.path().to_owned() })
    }
}

/// A form that was sent within a session, with that session's form token.
pub(super) struct Posted {
    pub(super) visit: Visit,
    pub(super) fields: Fields,
}

impl FromRequest<Arc<AppState>> for Posted {
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &Arc<AppState>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = String::from_request(Request::new(body), state).await.map_err(|error| unreadable(&error))?;
        let fields = Fields::parse(&body);
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            let notice = notice!("web-bad-request", reason = "NUL");
            return Err(Failure::new("op-access", notice, Kind::Malformed).into());
        }
        // The form's own page, to return to after a sign-in.
        let from = parts.headers.get(header::REFERER).and_then(|from| from.to_str().ok()?.parse::<url::Url>().ok());
        let from = from.map_or_else(|| "/".to_owned(), |from| from.path().to_owned());
        let Some(visit) = visit(&parts, state).await? else { return Err(Refusal::SignInAgain { from, fields }) };
        if !fields.get(FORM_TOKEN).is_some_and(|given| visit.session.has_form_token(given)) {
            return Err(Refusal::Expired { from, fields });
        }
        Ok(Self { visit, fields })
    }
}

fn unreadable(error: &StringRejection) -> Failure {
    let too_large = error.status() == StatusCode::PAYLOAD_TOO_LARGE;
    let (notice, kind) = match too_large {
        true => (notice!("web-too-large"), Kind::TooLarge),
        false => (notice!("web-bad-request", reason = error), Kind::Malformed),
    };
    Failure::new("op-access", notice, kind)
}

/// The caller's address; behind a proxy, the one that the proxy names.
pub(super) struct CallerAddress(pub(super) IpAddr);

impl FromRequestParts<Arc<AppState>> for CallerAddress {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Response> {
        // The proxy adds the last header line itself; those before it may be the client's
        // invention.
        let said = parts.headers.get_all(FORWARDED_FOR).iter().next_back().filter(|_| state.behind_proxy);
        let said = said.and_then(|said| forwarded_for(said.to_str().ok()?));
        if let Some(address) = said {
            return Ok(Self(address));
        }
        let info = ConnectInfo::<SocketAddr>::from_request_parts(parts, state).await;
        info.map(|ConnectInfo(address)| Self(address.ip())).map_err(IntoResponse::into_response)
    }
}

/// The address that a proxy added last, with or without its port.
fn forwarded_for(said: &str) -> Option<IpAddr> {
    let last = said.rsplit(',').next()?.trim();
    let bare = last.strip_prefix('[').and_then(|last| last.strip_suffix(']')).unwrap_or(last);
    bare.parse().ok().or_else(|| Some(last.parse::<SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_whom_a_proxy_asks_is_read_however_it_says_it() {
        let v4: IpAddr = "203.0.113.7".parse().unwrap();
        let v6: IpAddr = "2001:db8::7".parse().unwrap();
        for said in ["203.0.113.7", "10.0.0.1, 203.0.113.7", "evil, 203.0.113.7:4711"] {
            assert_eq!(forwarded_for(said), Some(v4), "{said}");
        }
        for said in ["2001:db8::7", "[2001:db8::7]", "x, [2001:db8::7]:443"] {
            assert_eq!(forwarded_for(said), Some(v6), "{said}");
        }
        assert_eq!(forwarded_for("203.0.113.7, unknown"), None);
    }
}

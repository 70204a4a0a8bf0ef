//! Extractors of the page's requests: the signed-in visitor, the query, the form's fields.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use atlas_model::{Notice, notice};
use atlas_service::i18n::{Catalogue, Lang};
use atlas_service::zone::{Zone, moment};
use atlas_service::{Act, Failure, Kind};
use axum::extract::rejection::StringRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, MatchedPath, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::DateTime;
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::layout::UNDONE;
use super::{entry, format, layout, queries};
use crate::problem::not_allowed;
use crate::session::{Session, mark, session};
use crate::{House, language, query};

/// The header in which a proxy names its client's address.
const FORWARDED_FOR: &str = "x-forwarded-for";
/// The name of a form's token.
pub(super) const FORM_TOKEN: &str = "_csrf";
/// Form fields that hold secrets: they are typed again, and never sent back in a page.
const SECRETS: [&str; 4] = ["token", "senha", "valor", "chave"];
/// How a form calls one of an API's settings.
pub(super) const SETTING: &str = "config_";
/// How a form calls the parts of a credential: secrets all of them, whatever they are called beyond
/// that.
pub(super) const PART: &str = "parte_";

/// A page's request by a signed-in visitor.
pub(crate) struct Visit {
    pub(super) house: Arc<House>,
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
        self.house.texts.of(self.lang)
    }

    /// A message without arguments.
    pub(super) fn text(&self, key: &str) -> String {
        self.texts().text(&Notice::new(key))
    }

    pub(super) fn say(&self, notice: &Notice) -> String {
        self.texts().text(notice)
    }

    /// Whether this page shows a form again that was sent without a session. The [`mark`] in the
    /// query proves that the values are those that were typed.
    pub(super) fn is_undone(&self) -> bool {
        let kept = self.place.split_once('?').and_then(|(_, query)| query.split_once('&')).map_or("", |(_, kept)| kept);
        self.query.get(UNDONE).is_some_and(|said| said == mark(&self.session.form_token, kept))
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
    fn asks_what_is_known(self, parts: &Parts) -> Result<Self, Box<Response>> {
        if self.is_undone() {
            return Ok(self);
        }
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
        match query::check(parts.uri.query().unwrap_or_default(), queries::taken(route)) {
            Ok(()) => Ok(self),
            Err(failure) => Err(Box::new(self.failed(&failure))),
        }
    }

    /// The values that a form starts with. A base URL and settings are not taken from the query,
    /// unless its [`mark`] is ours: a crafted link could send a client's token to another server.
    pub(super) fn prefill(&self) -> Fields {
        if self.is_undone() {
            self.query.clone()
        } else {
            self.query.without(|name| name == "base_url" || name.starts_with(SETTING))
        }
    }

    /// Fails with the page of "not allowed" unless the session may do this.
    pub(super) fn need(&self, act: Act) -> Result<(), Box<Response>> {
        if self.session.principal.may(act) { Ok(()) } else { Err(Box::new(self.failed(&not_allowed()))) }
    }

    /// A whole page.
    pub(super) fn page(&self, title: &str, content: Markup) -> Response {
        layout::page(self, title, &content).into_response()
    }

    /// A page that says what failed.
    pub(super) fn failed(&self, failure: &Failure) -> Response {
        layout::failure_page(self, failure)
    }
}

/// The colours that the cookie names.
pub(super) fn theme(headers: &HeaderMap) -> Option<&'static str> {
    match crate::session::cookie(headers, "atlas_tema")?.as_str() {
        "claro" => Some("claro"),
        "escuro" => Some("escuro"),
        _ => None,
    }
}

fn place(parts: &Parts) -> String {
    parts.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string)
}

async fn visit(parts: &Parts, house: &Arc<House>) -> Result<Option<Visit>, Failure> {
    let since = house.journal.last().to_string();
    let Some(session) = session(house, &parts.headers, &parts.extensions).await? else { return Ok(None) };
    Ok(Some(Visit {
        house: Arc::clone(house),
        lacks_password: house.lacks_password().await,
        session,
        lang: language(&parts.headers),
        zone: crate::zone(house, &parts.headers),
        place: place(parts),
        query: Fields::parse(parts.uri.query().unwrap_or_default()).shared(),
        theme: theme(&parts.headers),
        is_post: parts.method == Method::POST,
        since,
    }))
}

impl FromRequestParts<Arc<House>> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Response> {
        match visit(parts, house).await {
            Ok(Some(visit)) => visit.asks_what_is_known(parts).map_err(|refused| *refused),
            Ok(None) if parts.method == Method::GET => {
                let back: String = form_urlencoded::byte_serialize(place(parts).as_bytes()).collect();
                Err(Redirect::to(&format!("/entrar?volta={back}")).into_response())
            }
            Ok(None) => Err(entry::again(house, &parts.headers, "/", &Fields::default())),
            Err(failure) => {
                Err(layout::lone_failure(house.texts.of(language(&parts.headers)), theme(&parts.headers), &failure))
            }
        }
    }
}

/// A path parameter; answers 404 if it does not parse.
pub(super) struct At<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<House>> for At<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Response> {
        let named = Path::<T>::from_request_parts(parts, house).await;
        named.map(|Path(named)| Self(named)).map_err(|_| super::no_page(house, &parts.headers, &parts.uri))
    }
}

/// The fields of a form or a query. Not printable, since they may hold a token or a password.
#[derive(Clone, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// A field's value without the spaces around it; `None` where it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.trim());
        found.filter(|value| !value.is_empty())
    }

    /// A field's value with its spaces; empty where it is missing.
    pub(super) fn exactly(&self, name: &str) -> &str {
        self.0.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// The same as it is shown again.
    pub(super) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// All that is there.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A field's value as a number, if it has one. The failure quotes a value that is no number.
    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, Failure> {
        self.get(name).map(|text| text.parse().map_err(|_| no_number(name, text))).transpose()
    }

    /// A number that has to be there.
    pub(super) fn needed<T: std::str::FromStr>(&self, name: &str) -> Result<T, Failure> {
        self.number(name)?.ok_or_else(|| no_number(name, ""))
    }

    /// The fields as a query, without the form's token, secrets and URLs with a user name in them.
    pub(super) fn kept(&self) -> String {
        let is_kept = |name: &str| name != FORM_TOKEN && !SECRETS.contains(&name) && !name.starts_with(PART);
        let kept = self.0.iter().filter(|(name, value)| is_kept(name) && !value.is_empty() && !has_userinfo(value));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish()
    }

    /// The same under the names that are shared with the API.
    fn shared(self) -> Self {
        Self(self.0.into_iter().map(|(name, value)| (query::shared(&name).to_owned(), value)).collect())
    }

    /// The fields without those whose name is excluded.
    fn without(&self, is_out: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| !is_out(name)).cloned().collect())
    }

    /// The fields as a query, with one of them replaced or removed.
    pub(super) fn with(&self, name: &str, value: Option<&str>) -> String {
        let others = self.0.iter().filter(|(field, value)| field != name && !value.is_empty());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(others);
        if let Some(value) = value {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

/// Whether it is a URL with a user's name, and perhaps a password, in it.
fn has_userinfo(text: &str) -> bool {
    let authority = text.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| authority.contains('@'))
}

fn no_number(name: &str, text: &str) -> Failure {
    Failure::usage(notice!("web-no-number", field = name, value = text))
}

/// A form that was sent within a session, with that session's form token.
pub(super) struct Posted {
    pub(super) visit: Visit,
    pub(super) fields: Fields,
}

impl FromRequest<Arc<House>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, house: &Arc<House>) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let texts = house.texts.of(language(&parts.headers));
        let body = String::from_request(Request::new(body), house).await;
        let body = body.map_err(|error| layout::lone_failure(texts, theme(&parts.headers), &unreadable(&error)))?;
        let fields = Fields::parse(&body);
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            let failure = Failure::new("op-access", notice!("web-bad-request", reason = "NUL"), Kind::Malformed);
            return Err(layout::lone_failure(texts, theme(&parts.headers), &failure));
        }
        // The form's own page, to return to after a sign-in.
        let from = parts.headers.get(header::REFERER).and_then(|from| from.to_str().ok()?.parse::<url::Url>().ok());
        let from = from.map_or_else(|| "/".to_owned(), |from| from.path().to_owned());
        let visit = match visit(&parts, house).await {
            Ok(Some(visit)) => visit.asks_what_is_known(&parts).map_err(|refused| *refused)?,
            Ok(None) => return Err(entry::again(house, &parts.headers, &from, &fields)),
            Err(failure) => return Err(layout::lone_failure(texts, theme(&parts.headers), &failure)),
        };
        if fields.get(FORM_TOKEN) != Some(visit.session.form_token.as_str()) {
            // Signed in anew meanwhile, in another tab: what was typed is kept.
            let failure = Failure::new("op-access", notice!("web-form-expired"), Kind::NotAllowed);
            return Err(layout::expired(&visit, &failure, &from, &fields));
        }
        Ok(Self { visit, fields })
    }
}

fn unreadable(error: &StringRejection) -> Failure {
    let too_large = error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE;
    let (notice, kind) = match too_large {
        true => (notice!("web-too-large"), Kind::TooLarge),
        false => (notice!("web-bad-request", reason = error), Kind::Malformed),
    };
    Failure::new("op-access", notice, kind)
}

/// The caller's address; behind a proxy, the one that the proxy names.
pub(super) struct From(pub(super) IpAddr);

impl FromRequestParts<Arc<House>> for From {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, house: &Arc<House>) -> Result<Self, Response> {
        // The proxy adds the last header line itself; those before it may be the client's
        // invention.
        let said = parts.headers.get_all(FORWARDED_FOR).iter().next_back().filter(|_| house.behind_proxy);
        let said = said.and_then(|said| forwarded_for(said.to_str().ok()?));
        if let Some(address) = said {
            return Ok(Self(address));
        }
        let info = ConnectInfo::<SocketAddr>::from_request_parts(parts, house).await;
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

    #[test]
    fn what_is_typed_is_kept_but_for_secrets() {
        let typed =
            "cliente=7&base_url=https%3A%2F%2Fa.example%2F%40x&token=s&senha=s&parte_token=s&parte_x=s&_csrf=s&chave=s";
        assert_eq!(Fields::parse(typed).kept(), "cliente=7&base_url=https%3A%2F%2Fa.example%2F%40x");
        assert_eq!(Fields::parse("base_url=https%3A%2F%2Fu%3Ap%40a.example").kept(), "");
        assert_eq!(Fields::parse("a=%0D%0A").kept(), "a=%0D%0A");
    }
}

//! Authentication of requests: a browser by its session's cookie, a program by its token
//! (`Authorization: Bearer`, RFC 6750).
//!
//! A form carries a token that is made of its session's secret, which no other page can know:
//! beside the cookie's `SameSite=Strict` and the check of `Origin`, so that none of the three has
//! to be the only one.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atlas_model::{Secret, notice};
use atlas_service::i18n::{Catalogue, Lang};
use atlas_service::{Act, Failure, Kind, Principal, SESSION_S};
use axum::extract::{FromRequestParts, MatchedPath};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, header};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cookie::{Cookie, SameSite};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::cookies::{cookie, set_cookie};
use super::preferences::language;
use super::problem::{Failed, not_allowed, not_signed_in};
use super::query;
use super::state::AppState;

/// The session's cookie. Over TLS its name has the `__Host-` prefix, which keeps other hosts of the
/// domain from setting it (RFC 6265bis, section 4.1.3.2).
const SESSION_COOKIE: &str = "atlas_sessao";
const SESSION_COOKIE_TLS: &str = "__Host-atlas_sessao";
/// Time limit of the query for a request's session; beyond it, the request fails with
/// `error-database-silent`.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often an open event stream or export checks again that its caller is still authorised.
pub(super) const LET_IN_STILL: Duration = Duration::from_secs(5);
/// The header in which a program that uses a browser's session sends the form token.
const FORM_TOKEN_HEADER: HeaderName = HeaderName::from_static("x-csrf-token");

/// A browser's session.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) principal: Principal,
    /// The token that its forms carry.
    pub(super) form_token: String,
}

impl Session {
    /// Whether this is the token that its forms carry.
    pub(super) fn has_form_token(&self, given: &str) -> bool {
        is_token(given, &self.form_token)
    }

    /// Whether this is the [`mark`] over these form values.
    pub(super) fn has_marked(&self, given: &str, kept: &str) -> bool {
        is_token(given, &mark(&self.form_token, kept))
    }
}

/// A request's slot for the renewed session cookie: authentication fills it, and `guard` puts it on
/// the response, so that the browser keeps the cookie for as long as the session lasts from now.
#[derive(Clone, Default)]
pub(super) struct Kept(Arc<OnceLock<HeaderValue>>);

impl Kept {
    /// The cookie, if there was a session.
    pub(super) fn cookie(&self) -> Option<&HeaderValue> {
        self.0.get()
    }
}

/// Finds the session that a request belongs to.
pub(super) async fn session(
    state: &AppState,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Option<Session>, Failure> {
    let name = if state.is_tls { SESSION_COOKIE_TLS } else { SESSION_COOKIE };
    let Some(secret) = cookie(headers, name).map(Secret::new) else { return Ok(None) };
    let late = || Failure::new("op-connect", notice!("error-database-silent"), Kind::Configuration);
    let found = tokio::time::timeout(ANSWER_WITHIN, state.atlas.session(&secret)).await;
    let principal = found.map_err(|_| late())?.map_err(|failure| Failure { operation: "op-connect", ..failure })?;
    if let (Some(_), Some(kept)) = (&principal, extensions.get::<Kept>()) {
        let _ = kept.0.set(begin(state, &secret));
    }
    Ok(principal.map(|principal| Session { principal, form_token: form_token(&secret) }))
}

/// Whether a token that came with a request is the one that was expected, in a time that does not
/// tell how much of it is right.
fn is_token(given: &str, expected: &str) -> bool {
    given.as_bytes().ct_eq(expected.as_bytes()).into()
}

/// MAC over the form values that survive a new sign-in, so that a crafted link cannot pre-fill our
/// form.
pub(super) fn mark(form_token: &str, kept: &str) -> String {
    let digest = Sha256::new().chain_update(b"kept\0").chain_update(form_token).chain_update([0]).chain_update(kept);
    URL_SAFE_NO_PAD.encode(digest.finalize())
}

pub(super) fn form_token(session: &Secret) -> String {
    let digest = Sha256::new().chain_update(b"form\0").chain_update(session.expose().as_bytes()).finalize();
    URL_SAFE_NO_PAD.encode(digest)
}

/// The cookie that signs a browser in.
pub(super) fn begin(state: &AppState, secret: &Secret) -> HeaderValue {
    set(state, secret.expose().to_owned(), false)
}

/// The cookie that signs it out.
pub(super) fn end(state: &AppState) -> HeaderValue {
    set(state, String::new(), true)
}

fn set(state: &AppState, value: String, gone: bool) -> HeaderValue {
    let name = if state.is_tls { SESSION_COOKIE_TLS } else { SESSION_COOKIE };
    let mut cookie = Cookie::new(name, value);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Strict);
    cookie.set_path("/");
    cookie.set_secure(state.is_tls);
    // As long as the session itself.
    cookie.set_max_age(cookie::time::Duration::seconds(SESSION_S));
    if gone {
        cookie.make_removal();
    }
    set_cookie(&cookie)
}

/// An authenticated caller of the API.
pub(super) struct Caller {
    pub(super) principal: Principal,
    pub(super) lang: Lang,
    pub(super) state: Arc<AppState>,
}

/// A caller who may look. Handlers take one of these first, so that a caller who may not is refused
/// (403) before a path, a query or a body of theirs is read.
pub(super) struct Looking(pub(super) Caller);

/// A caller who may run, pause and cancel.
pub(super) struct Operating(pub(super) Caller);

/// A caller who may set up clients and connectors.
pub(super) struct Configuring(pub(super) Caller);

impl Caller {
    /// Authenticates the caller, and fails unless it may do this and its query has only names that
    /// the operation knows.
    async fn allowed(parts: &mut Parts, state: &Arc<AppState>, act: Act) -> Result<Self, Failed> {
        let caller = Self::from_request_parts(parts, state).await?;
        if !caller.principal.may(act) {
            return Err(not_allowed().into());
        }
        let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
        query::check(parts.uri.query().unwrap_or_default(), state.query_names.of(&parts.method, route))?;
        Ok(caller)
    }

    pub(super) fn texts(&self) -> &Catalogue {
        self.state.texts.of(self.lang)
    }
}

impl FromRequestParts<Arc<AppState>> for Caller {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Failed> {
        let principal = who(state, parts).await?;
        Ok(Self { principal, lang: language(&parts.headers), state: Arc::clone(state) })
    }
}

impl FromRequestParts<Arc<AppState>> for Looking {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Failed> {
        Caller::allowed(parts, state, Act::Look).await.map(Self)
    }
}

impl FromRequestParts<Arc<AppState>> for Operating {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Failed> {
        Caller::allowed(parts, state, Act::Operate).await.map(Self)
    }
}

impl FromRequestParts<Arc<AppState>> for Configuring {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &Arc<AppState>) -> Result<Self, Failed> {
        Caller::allowed(parts, state, Act::Configure).await.map(Self)
    }
}

async fn who(state: &AppState, parts: &Parts) -> Result<Principal, Failure> {
    let (method, headers) = (&parts.method, &parts.headers);
    if let Some(given) = headers.get(header::AUTHORIZATION) {
        let token = given.to_str().ok().and_then(|given| given.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.map(|(_, token)| Secret::new(token.trim().to_owned())).ok_or_else(not_signed_in)?;
        return state.atlas.program(&token).await?.ok_or_else(not_signed_in);
    }
    let session = session(state, headers, &parts.extensions).await?.ok_or_else(not_signed_in)?;
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let sent = headers.get(FORM_TOKEN_HEADER).and_then(|token| token.to_str().ok());
    if !reads && !sent.is_some_and(|sent| session.has_form_token(sent)) {
        return Err(Failure::new("op-access", notice!("web-form-expired"), Kind::NotAllowed));
    }
    Ok(session.principal)
}

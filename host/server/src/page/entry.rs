//! Signing in and out; language and colours.

use std::sync::Arc;

use atlas_model::{Secret, notice};
use atlas_service::i18n::Lang;
use atlas_service::{Failure, Kind};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cookie::{Cookie, SameSite};
use maud::{Markup, html};
use serde::Deserialize;

use super::fields::Fields;
use super::layout::{PageData, document, done, field, preferences};
use super::reader::Reader;
use super::refusal::Answer;
use super::remedy::lone_alert;
use super::visit::{CallerAddress, Posted, UNDONE};
use crate::cookies::set_cookie;
use crate::problem::status;
use crate::session;
use crate::state::AppState;

/// How long a browser keeps the chosen language and colours.
const CHOICE: cookie::time::Duration = cookie::time::Duration::days(365);

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/entrar", get(form).post(sign_in))
        .route("/sair", post(sign_out))
        .route("/preferencias", post(prefer))
}

#[derive(Deserialize)]
struct EntryQuery {
    /// A one-time link's secret.
    chave: Option<String>,
    /// The path to return to.
    volta: Option<String>,
    /// The action that redirected here, if there was one.
    feito: Option<String>,
}

async fn form(State(state): State<Arc<AppState>>, parts: Parts, Query(asked): Query<EntryQuery>) -> Response {
    let back = ours(asked.volta.as_deref());
    // A browser that is signed in is sent on; a one-time link stays valid for another browser.
    if let Ok(Some(_)) = session::session(&state, &parts.headers, &parts.extensions).await {
        return Redirect::to(&back).into_response();
    }
    let has_password = state.atlas.has_password().await.unwrap_or(true);
    let is_new_password = asked.feito.as_deref() == Some("senha");
    let shown = Shown { back, kept: None, link: asked.chave, has_password, failure: None, is_new_password };
    (StatusCode::OK, page(&Reader::of(&state, &parts.headers), &shown)).into_response()
}

/// Answers a form that was sent without a session with the sign-in page, which carries the typed
/// values, but no secrets, through the sign-in, so that the form comes back filled in.
pub(super) fn again(reader: &Reader<'_>, from: &str, fields: &Fields) -> Response {
    let failure = Failure::new("op-access", notice!("web-session-over"), Kind::NotSignedIn);
    let shown = Shown {
        back: ours(Some(from)),
        kept: Some(fields.kept()),
        link: None,
        has_password: true,
        failure: Some(failure),
        is_new_password: false,
    };
    (StatusCode::UNAUTHORIZED, page(reader, &shown)).into_response()
}

/// What the sign-in page shows.
struct Shown {
    back: String,
    /// The typed values of a form that was sent without a session, as a query.
    kept: Option<String>,
    link: Option<String>,
    has_password: bool,
    failure: Option<Failure>,
    /// Whether a new password was set just before.
    is_new_password: bool,
}

fn page(reader: &Reader<'_>, shown: &Shown) -> Markup {
    let (texts, lang, theme) = (reader.texts, reader.texts.lang(), reader.theme);
    let text = |key: &str| reader.text(key);
    let title = text("web-sign-in");
    let hidden = html! {
        input type="hidden" name="volta" value=(shown.back);
        @if let Some(kept) = &shown.kept { input type="hidden" name="campos" value=(kept); }
    };
    let again = Fields::parse(&Fields::default().with("chave", shown.link.as_deref())).with("volta", Some(&shown.back));
    let again = format!("/entrar?{again}");
    let body = html! {
        main.lone {
            h1 { img src="/assets/atlas.svg" width="32" height="32" alt=""; " Atlas Data Flow" }
            @if let Some(failure) = &shown.failure { (lone_alert(texts, failure)) }
            @if shown.is_new_password { (done(&text("web-password-saved"))) }
            @if let Some(link) = &shown.link {
                form.card method="post" action="/entrar" data-send {
                    (hidden)
                    input type="hidden" name="chave" value=(link);
                    p { (text("web-sign-in-by-link")) }
                    button.primary type="submit" { (title) }
                }
            } @else {
                form.card method="post" action="/entrar" {
                    (hidden)
                    @if shown.has_password {
                        (field("senha", &text("web-password"), None, &html! {
                            input #senha type="password" name="senha" autocomplete="current-password" required autofocus maxlength="256";
                        }))
                        button.primary type="submit" { (title) }
                    } @else {
                        p { (text("web-no-password-yet")) }
                    }
                    p.hint { (text("web-sign-in-hint")) " " code { "atlas access link" } }
                }
            }
            (preferences(texts, lang, theme, &again))
        }
    };
    let data = PageData { form_token: None, since: None, zone: reader.state.zone };
    document(texts, lang, theme, &title, &data, &body)
}

async fn sign_in(
    State(state): State<Arc<AppState>>,
    CallerAddress(address): CallerAddress,
    headers: HeaderMap,
    body: String,
) -> Response {
    let fields = Fields::parse(&body);
    let back = ours(fields.get("volta"));
    // Encoded anew: it goes into an address.
    let kept = fields.iter().find(|(name, _)| *name == "campos").map(|(_, query)| Fields::parse(query).kept());
    let link = fields.get("chave").map(str::to_owned);
    // One-time links are not throttled: they cannot be guessed, and another site's page could have
    // a browser try wrong ones until its address has to wait.
    let begun = if link.is_some() { Ok(()) } else { state.throttle.begin(address) };
    let signed_in = match begun {
        Err(wait) => {
            let notice = notice!("web-throttled", seconds = wait.as_secs() + 1);
            Err(Failure::new("op-access", notice, Kind::Throttled))
        }
        Ok(()) => try_in(&state, &headers, &fields).await,
    };
    match signed_in {
        Ok(secret) => {
            if link.is_none() {
                state.throttle.forget(address);
            }
            // The form that was sent without a session did nothing, and comes back.
            let to = match kept {
                Some(kept) => {
                    let mark = session::mark(&session::form_token(&secret), &kept);
                    format!("{}?{UNDONE}={mark}&{kept}", back.split('?').next().unwrap_or("/"))
                }
                None => back,
            };
            let cookie = session::begin(&state, &secret);
            ([(header::SET_COOKIE, cookie)], Redirect::to(&to)).into_response()
        }
        Err(failure) => {
            let status = status(&failure);
            let has_password = state.atlas.has_password().await.unwrap_or(true);
            let shown = Shown { back, kept, link: None, has_password, failure: Some(failure), is_new_password: false };
            (status, page(&Reader::of(&state, &headers), &shown)).into_response()
        }
    }
}

async fn try_in(state: &AppState, headers: &HeaderMap, fields: &Fields) -> Result<Secret, Failure> {
    let _turn = state.throttle.turn().await;
    let browser = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("-");
    let by_link = fields.get("chave");
    let session = match by_link {
        Some(link) => state.atlas.sign_in_by_link(&Secret::new(link.to_owned()), browser).await?,
        None => {
            let password = Secret::new(fields.exactly("senha").to_owned());
            state.atlas.sign_in_by_password(&password, browser).await?
        }
    };
    session.ok_or_else(|| {
        let notice = if by_link.is_some() { notice!("web-link-used") } else { notice!("web-password-wrong") };
        Failure::new("op-access", notice, Kind::NotSignedIn)
    })
}

async fn sign_out(Posted { visit, .. }: Posted) -> Answer {
    visit.state.atlas.sign_out(visit.session.principal.access).await?;
    Ok(([(header::SET_COOKIE, session::end(&visit.state))], Redirect::to("/entrar")).into_response())
}

async fn prefer(body: String) -> Response {
    let fields = Fields::parse(&body);
    let mut response = Redirect::to(&ours(fields.get("volta"))).into_response();
    let mut keep = |name: &str, value: &str| {
        let cookie = Cookie::build((name, value)).path("/").max_age(CHOICE).same_site(SameSite::Lax).http_only(true);
        response.headers_mut().append(header::SET_COOKIE, set_cookie(&cookie.build()));
    };
    if let Some(lang) = fields.get("lang").and_then(Lang::parse) {
        keep("atlas_lang", lang.name());
    }
    if let Some(theme) = fields.get("tema").filter(|theme| ["auto", "claro", "escuro"].contains(theme)) {
        keep("atlas_tema", theme);
    }
    response
}

/// The path to return to, if it leads to this server, else `/`: a value from a form must not
/// redirect a browser to another host.
pub(super) fn ours(place: Option<&str>) -> String {
    let is_ours = |place: &&str| {
        place.starts_with('/')
            && !place.starts_with("//")
            && !place.contains('\\')
            && !place.chars().any(char::is_control)
    };
    place.filter(is_ours).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_to_another_host_after_signing_in() {
        assert_eq!(ours(Some("/scraps/7?x=1")), "/scraps/7?x=1");
        for place in ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a\r\nSet-Cookie: x=1"]
        {
            assert_eq!(ours(Some(place)), "/", "{place}");
        }
        assert_eq!(ours(None), "/");
    }
}

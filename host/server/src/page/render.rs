//! Renders what pages refuse: the one place where a refusal becomes a page, in the visitor's
//! language and with the menu where there is a session.

use std::sync::Arc;

use atlas_model::notice;
use atlas_service::zone::Zone;
use atlas_service::{Failure, Kind};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;
use url::form_urlencoded;

use super::entry::{self, ours};
use super::fields::Fields;
use super::layout::{PageData, document, page};
use super::reader::Reader;
use super::refusal::Refusal;
use super::remedy::{alert, lone_alert};
use super::visit::{UNDONE, Visit, Visitor};
use crate::problem::status;
use crate::session;
use crate::state::AppState;

/// Answers with the page of what a handler or an extractor refused.
pub(super) async fn render(State(state): State<Arc<AppState>>, mut request: Request, next: Next) -> Response {
    let visitor = Visitor::default();
    request.extensions_mut().insert(visitor.clone());
    let reader = Reader::of(&state, request.headers());
    let mut response = next.run(request).await;
    let Some(refusal) = response.extensions_mut().remove::<Arc<Refusal>>() else { return response };
    match (refusal.as_ref(), visitor.visit()) {
        (Refusal::Failed(failure), Some(visit)) => failure_page(visit, failure),
        (Refusal::Failed(failure), None) => lone_failure(&reader, failure),
        (Refusal::NoPage { path }, _) => lone_failure(&reader, &no_page(path)),
        (Refusal::SignIn { back }, _) => {
            let back: String = form_urlencoded::byte_serialize(back.as_bytes()).collect();
            Redirect::to(&format!("/entrar?volta={back}")).into_response()
        }
        (Refusal::SignInAgain { from, fields }, _) | (Refusal::Expired { from, fields }, None) => {
            entry::again(&reader, from, fields)
        }
        (Refusal::Expired { from, fields }, Some(visit)) => expired(visit, from, fields),
    }
}

/// The failure of an address that has no page.
pub(super) fn no_page(path: &str) -> Failure {
    Failure::new("op-access", notice!("web-page-unknown", path = path), Kind::NotFound)
}

/// The page of a failure, with the menu, for a signed-in visitor.
fn failure_page(visit: &Visit, failure: &Failure) -> Response {
    let page = page(visit, &visit.text("web-failed"), &alert(visit, failure));
    (status(failure), page).into_response()
}

/// The page of a failure, without menu or links to other pages, for a request without a session.
pub(super) fn lone_failure(reader: &Reader<'_>, failure: &Failure) -> Response {
    let title = reader.text("web-failed");
    let body = html! { main.lone { h1 { (title) } (lone_alert(reader.texts, failure)) p.buttons { a.button.primary href="" { (reader.text("web-reload")) } a.button.quiet href="/" { (reader.text("web-back")) } } } };
    let data = PageData { form_token: None, since: None, zone: Zone::UTC };
    (status(failure), document(reader.texts, reader.texts.lang(), reader.theme, &title, &data, &body)).into_response()
}

/// Answers a form whose token belongs to another session (403), with a link to the same form filled
/// in again.
fn expired(visit: &Visit, from: &str, fields: &Fields) -> Response {
    let failure = Failure::new("op-access", notice!("web-form-expired"), Kind::NotAllowed);
    let (from, kept) = (ours(Some(from)), fields.kept());
    let again = format!("{from}?{UNDONE}={}&{kept}", session::mark(&visit.session.form_token, &kept));
    let content =
        html! { (alert(visit, &failure)) p { a.button.primary href=(again) { (visit.text("web-form-again")) } } };
    (StatusCode::FORBIDDEN, page(visit, &visit.text("web-failed"), &content)).into_response()
}

//! The page of accesses: the operator's password, and programs' tokens.

use std::sync::Arc;

use atlas_model::{Scope, Secret, notice};
use atlas_service::{Act, Failure};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use maud::{Markup, html};

use super::format::sent;
use super::layout::{ask, done, field, page, token, told};
use super::refusal::Answer;
use super::remedy::alert;
use super::visit::{At, Posted, Visit};
use crate::problem;
use crate::state::AppState;

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/acessos", get(show))
        .route("/acessos/senha", post(set_password))
        .route("/acessos/tokens", post(add_token))
        .route("/acessos/tokens/{id}/revogar", get(ask_to_revoke).post(revoke))
}

async fn show(visit: Visit) -> Answer {
    shown(&visit, StatusCode::OK, &told(&visit)).await
}

async fn shown(visit: &Visit, status: StatusCode, above: &Markup) -> Answer {
    visit.need(Act::Admit)?;
    let content = accesses(visit, above).await?;
    Ok((status, page(visit, &visit.text("web-accesses"), &content)).into_response())
}

async fn accesses(visit: &Visit, above: &Markup) -> Result<Markup, Failure> {
    let atlas = &visit.state.atlas;
    let (tokens, has_password) = (atlas.tokens().await?, atlas.has_password().await?);
    Ok(html! {
        (above)
        section.card { h2 { (visit.text("web-password")) }
            p.hint { @if has_password { (visit.text("web-password-set")) } @else { (visit.text("web-password-none")) " " code { "atlas access link" } } }
            p.hint { (visit.text("web-password-ends-all")) }
            form.sheet method="post" action="/acessos/senha" {
                (token(visit))
                (field("senha", &visit.text("web-new-password"), Some(&visit.text("web-new-password-hint")), &html! {
                    input #senha name="senha" type="password" autocomplete="new-password" required minlength="12" maxlength="256" aria-describedby="senha-hint";
                }))
                (field("de_novo", &visit.text("web-password-again"), None, &html! {
                    input #de_novo name="senha_de_novo" type="password" autocomplete="new-password" required maxlength="256";
                }))
                div.buttons { button.primary type="submit" { (visit.text("web-save")) } }
            }
        }
        section.card { h2 { (visit.text("web-tokens")) }
            p.hint { (visit.text("web-tokens-hint")) " " a href="/api/v1/docs" { (visit.text("web-api-docs")) } }
            @if !tokens.is_empty() { div.scroll tabindex="0" role="region" aria-label=(visit.text("web-tokens")) { table.dense {
                thead { tr { @for name in ["web-name", "web-scope", "web-created", "web-last-use"] { th scope="col" { (visit.text(name)) } } th { span.sr { (visit.text("web-actions")) } } } }
                tbody { @for access in &tokens { tr {
                    td.text { bdi { (sent(&access.name)) } }
                    td { (visit.text(match Scope::from_name(&access.scope) { Scope::Full => "web-scope-full", Scope::Read => "web-scope-read" })) }
                    td { (visit.time(&access.created_at)) }
                    td { @if let Some(seen) = access.seen { (visit.moment(seen)) } @else { (visit.text("web-never")) } }
                    td.actions { a.button.quiet href={ "/acessos/tokens/" (access.id) "/revogar" } { (visit.text("web-revoke")) } }
                } } }
            } } }
            form.sheet.row method="post" action="/acessos/tokens" {
                (token(visit))
                (field("nome", &visit.text("web-name"), None, &html! { input #nome name="nome" required maxlength="80" value=(visit.query.text("nome")); }))
                (field("escopo", &visit.text("web-scope"), None, &html! {
                    select #escopo name="escopo" { option value="leitura" { (visit.text("web-scope-read")) } option value="total" { (visit.text("web-scope-full")) } }
                }))
                div.buttons { button type="submit" { (visit.text("web-new-token")) } }
            }
        }
    })
}

async fn set_password(Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Admit)?;
    let password = Secret::new(fields.exactly("senha").to_owned());
    let set = match fields.exactly("senha_de_novo") == password.expose() {
        true => visit.state.atlas.set_password(&password).await,
        false => Err(Failure::usage(notice!("web-password-differs"))),
    };
    match set {
        // This session ended with the others.
        Ok(()) => Ok(Redirect::to("/entrar?feito=senha").into_response()),
        Err(failure) => shown(&visit, problem::status(&failure), &alert(&visit, &failure)).await,
    }
}

async fn add_token(Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Admit)?;
    match visit.state.atlas.add_token(fields.text("nome"), Scope::from_name(fields.text("escopo"))).await {
        Ok((_, secret)) => {
            let above = html! {
                (done(&visit.text("web-token-once")))
                p.card { code.whole #segredo { (secret.expose()) } " " button.quiet type="button" data-copy="segredo" hidden { (visit.text("web-copy")) } }
            };
            shown(&visit, StatusCode::OK, &above).await
        }
        Err(failure) => shown(&visit, problem::status(&failure), &alert(&visit, &failure)).await,
    }
}

async fn ask_to_revoke(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    visit.need(Act::Admit)?;
    let name = visit.state.atlas.token(id).await?.name;
    let title = visit.text("web-revoke-token");
    let address = format!("/acessos/tokens/{id}/revogar");
    Ok(ask(&visit, &title, &notice!("web-ask-revoke", name = name), &address, &title, "/acessos"))
}

async fn revoke(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Admit)?;
    visit.state.atlas.revoke_token(id).await?;
    Ok(Redirect::to("/acessos?feito=removido"))
}

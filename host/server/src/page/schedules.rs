//! Schedules: scraps that are created by themselves.

use std::sync::Arc;

use atlas_model::{Schedule, notice};
use atlas_service::{Act, Failure, PAGE_SIZE_MAX, ScheduleRequest};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use maud::{Markup, html};

use super::fields::Fields;
use super::layout::{action, ask, empty, field, page, token, told};
use super::refusal::Answer;
use super::remedy::alert;
use super::scraps::client_field;
use super::visit::{At, Posted, Visit};
use crate::problem;
use crate::state::AppState;

/// Patterns that are offered, and what they are called.
const CRONS: [(&str, &str); 5] = [
    ("0 * * * *", "web-cron-hourly"),
    ("0 */6 * * *", "web-cron-six-hours"),
    ("0 3 * * *", "web-cron-daily"),
    ("0 3 * * 1-5", "web-cron-workdays"),
    ("0 3 1 * *", "web-cron-monthly"),
];

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/agenda", get(list).post(add))
        .route("/agenda/novo", get(new))
        .route("/agenda/{id}/ativa", post(activate))
        .route("/agenda/{id}/executar", post(run))
        .route("/agenda/{id}/remover", get(ask_to_remove).post(remove))
}

async fn list(visit: Visit) -> Answer<Markup> {
    let schedules = visit.state.atlas.schedules().await?;
    let may = visit.session.principal.may(Act::Operate);
    let content = html! {
        (told(&visit))
        div.bar { p.hint { (visit.text("web-schedules-hint")) } @if may { a.button.primary href="/agenda/novo" { (visit.text("web-new-schedule")) } } }
        @if schedules.is_empty() { (empty(&visit.text("web-no-schedules"), None)) }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-schedules")) { table.dense {
                thead { tr {
                    th scope="col" { "#" }
                    @for name in ["web-client", "web-route", "web-when", "web-timezone", "web-window", "web-state", "web-next-time", "web-last-scrap"] { th scope="col" { (visit.text(name)) } }
                    th scope="col" { span.sr { (visit.text("web-actions")) } }
                } }
                tbody { @for schedule in &schedules { (row(&visit, schedule, may)) } }
            } }
        }
    };
    Ok(page(&visit, &visit.text("web-schedules"), &content))
}

fn row(visit: &Visit, schedule: &Schedule, may: bool) -> Markup {
    let at = |what: &str| format!("/agenda/{}/{what}", schedule.id);
    let (state, name) = if schedule.active { ("concluido", "web-schedule-active") } else { ("pausado", "web-paused") };
    html! {
        tr {
            td { (schedule.id) } td { (schedule.cliente_id) } td { bdi { (schedule.rota) } }
            td { code { (schedule.cron) } } td { (schedule.timezone) }
            td { @if let Some(days) = schedule.window_days { (visit.say(&notice!("web-days", count = days))) } @else { "–" } }
            td { span.badge data-s=(state) { (visit.text(name)) } }
            td { @if schedule.active { (visit.moment(schedule.next)) } @else { "–" } }
            td { @if let Some(scrap) = schedule.last_scrap { a href={ "/scraps/" (scrap) } { (scrap) } } @else { "–" } }
            td.actions { @if may {
                (action(visit, &at("executar"), &visit.text("web-run-now"), "quiet"))
                @if schedule.active { (action(visit, &at("ativa?nao=1"), &visit.text("web-pause"), "quiet")) }
                @else { (action(visit, &at("ativa"), &visit.text("web-resume"), "primary small")) }
                a.button.quiet href=(at("remover")) { (visit.text("web-remove")) }
            } }
        }
    }
}

async fn new(visit: Visit) -> Answer {
    visit.need(Act::Operate)?;
    let fields = visit.query.clone();
    form(&visit, &fields, StatusCode::OK, &html! {}).await
}

async fn form(visit: &Visit, fields: &Fields, status: StatusCode, above: &Markup) -> Answer {
    let atlas = &visit.state.atlas;
    let (clients, registry) = (atlas.clients().await?, atlas.connectors().registry().await?);
    let text = |key: &str| visit.text(key);
    let cron = fields.get("cron").unwrap_or("0 */6 * * *");
    let content = html! {
        (above)
        form.card.sheet method="post" action="/agenda" {
            (token(visit))
            (client_field(visit, fields, &clients))
            (field("rota", &text("web-route"), None, &html! {
                select #rota name="rota" required { @for route in registry.routes() { option value=(route) selected[fields.get("rota") == Some(&route)] { (route) } } }
            }))
            (field("cron", &text("web-cron"), Some(&text("web-cron-hint")), &html! {
                input #cron name="cron" required list="crons" autocomplete="off" aria-describedby="cron-hint" value=(cron);
                datalist #crons { @for (cron, name) in CRONS { option value=(cron) { (text(name)) } } }
            }))
            (field("fuso", &text("web-timezone"), Some(&text("web-timezone-hint")), &html! {
                input #fuso name="fuso" list="fusos" aria-describedby="fuso-hint" value=(fields.get("fuso").unwrap_or(visit.zone.name()));
                datalist #fusos { @for zone in ["America/Sao_Paulo", "America/Manaus", "America/Fortaleza", "UTC"] { option value=(zone) {} } }
            }))
            (field("janela", &text("web-window"), Some(&text("web-window-hint")), &html! { input #janela name="janela" size="6" placeholder="2d" aria-describedby="janela-hint" value=(fields.text("janela")); }))
            (field("tamanho_pagina", &text("web-page-size"), None, &html! { input #tamanho_pagina name="tamanho_pagina" type="number" min="1" max=(PAGE_SIZE_MAX) placeholder=(text("web-as-connector")) value=(fields.text("tamanho_pagina")); }))
            div.field { label { input type="checkbox" name="sobrepor" value="1" checked[fields.get("sobrepor").is_some()]; " " (text("web-overlap")) } }
            div.buttons { button.primary type="submit" { (text("web-save")) } }
        }
    };
    Ok((status, page(visit, &text("web-new-schedule"), &content)).into_response())
}

async fn add(Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Operate)?;
    let added = async {
        let owned = |name: &str| fields.get(name).map(str::to_owned);
        let rota = owned("rota").ok_or_else(|| Failure::usage(notice!("web-route-missing")))?;
        let request = ScheduleRequest {
            cliente_id: fields.needed("cliente")?,
            rota,
            cron: fields.text("cron").to_owned(),
            timezone: owned("fuso"),
            window: owned("janela"),
            page_size: fields.number("tamanho_pagina")?,
            overlap: fields.get("sobrepor").is_some(),
        };
        visit.state.atlas.add_schedule(request).await
    };
    match added.await {
        Ok(_) => Ok(saved().into_response()),
        Err(failure) => form(&visit, &fields, problem::status(&failure), &alert(&visit, &failure)).await,
    }
}

async fn activate(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    let active = visit.query.get("nao").is_none();
    visit.state.atlas.set_schedule(id, active).await?;
    Ok(saved())
}

async fn run(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    let scrap = visit.state.atlas.run_schedule(id).await?;
    Ok(Redirect::to(&format!("/scraps/{scrap}")))
}

async fn ask_to_remove(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    visit.state.atlas.schedule(id).await?;
    let title = visit.say(&notice!("web-remove-schedule", id = id));
    let address = format!("/agenda/{id}/remover");
    Ok(ask(&visit, &title, &notice!("web-ask-remove-schedule", id = id), &address, &title, "/agenda"))
}

async fn remove(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    visit.state.atlas.remove_schedule(id).await?;
    Ok(Redirect::to("/agenda?feito=removido"))
}

fn saved() -> Redirect {
    Redirect::to("/agenda?feito=salvo")
}

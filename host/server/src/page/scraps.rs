//! All scraps, and a new one.

use std::sync::Arc;

use atlas_model::{Client, Notice, Scrap, ScrapFilter, ScrapState, notice};
use atlas_service::config::{BATCH_MAX, RETRIES_MAX};
use atlas_service::{Act, Created, Failure, PAGE_SIZE_MAX, Preview, ScrapRequest};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use maud::{Markup, html};

use super::fields::Fields;
use super::format::{duration, number, period, short_period};
use super::layout::{action, ask, day_input, empty, field, page, token};
use super::refusal::Answer;
use super::remedy::alert;
use super::visit::{At, Posted, Visit};
use crate::problem;
use crate::state::AppState;

/// Scraps of one page.
const SHOWN: usize = 50;

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/scraps", get(list).post(create))
        .route("/scraps/novo", get(new))
        .route("/scraps/{id}/linha", get(one_row))
        .route("/scraps/{id}/executar", post(run))
        .route("/scraps/{id}/pausar", post(pause))
        .route("/scraps/{id}/cancelar", get(ask_to_cancel).post(cancel))
}

async fn list(visit: Visit) -> Answer<Markup> {
    let content = listed(&visit).await?;
    Ok(page(&visit, &visit.text("web-scraps"), &content))
}

async fn listed(visit: &Visit) -> Result<Markup, Failure> {
    let (query, lang) = (&visit.query, visit.lang);
    let unknown = |name: &str| Failure::usage(notice!("web-state-unknown", state = name));
    let state = query.get("estado").map(|name| ScrapState::from_name(name).ok_or_else(|| unknown(name))).transpose()?;
    let filter = ScrapFilter {
        cliente_id: query.number("cliente")?,
        rota: query.get("rota").map(str::to_owned),
        state,
        slice_of: query.number("fatia_de")?,
        before: query.number("cursor")?,
    };
    let atlas = &visit.state.atlas;
    let shown = i64::try_from(SHOWN).unwrap_or(i64::MAX);
    let mut scraps = atlas.scraps(&filter, shown + 1).await?;
    let more = scraps.len() > SHOWN;
    scraps.truncate(SHOWN);
    let routes = atlas.connectors().registry().await?.routes();
    let is_filtered = ["cliente", "rota", "estado", "fatia_de"].iter().any(|name| query.get(name).is_some());
    let may = visit.session.principal.may(Act::Operate);
    Ok(html! {
        div.bar {
            form.filter method="get" action="/scraps" role="search" {
                label { (visit.text("web-client")) input name="cliente" inputmode="numeric" size="8" value=(query.text("cliente")); }
                label { (visit.text("web-route"))
                    select name="rota" {
                        option value="" { (visit.text("web-all-routes")) }
                        @for route in &routes { option value=(route) selected[query.get("rota") == Some(route)] { (route) } }
                    }
                }
                label { (visit.text("web-state"))
                    select name="estado" {
                        option value="" { (visit.text("web-all")) }
                        @for state in ScrapState::ALL {
                            option value=(state.name()) selected[query.get("estado") == Some(state.name())] { (state_text(visit, state)) }
                        }
                    }
                }
                button type="submit" { (visit.text("web-filter")) }
                @if is_filtered { a href="/scraps" { (visit.text("web-filter-none")) } }
            }
            @if may { a.button.primary href="/scraps/novo" { (visit.text("web-new-scrap")) } }
        }
        @if let Some(whole) = filter.slice_of {
            p { a href={ "/scraps/" (whole) } { (visit.say(&notice!("web-slices-of", id = whole))) } }
        }
        @if scraps.is_empty() && !is_filtered && filter.before.is_none() {
            (nothing_yet(visit).await?)
        } @else if scraps.is_empty() {
            (empty(&visit.text("web-nothing-found"), None))
        } @else {
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-scraps")) {
                table.dense #scraps data-first=(scraps[0].id) data-newest[filter.before.is_none() && !is_filtered] {
                    thead { tr {
                        th scope="col" { "#" }
                        th scope="col" { (visit.text("web-client")) }
                        th scope="col" { (visit.text("web-route")) }
                        th scope="col" { (visit.text("web-period")) }
                        th scope="col" { (visit.text("web-state")) }
                        th scope="col" { (visit.text("web-progress")) }
                        th.n scope="col" { (visit.text("web-pages")) }
                        th.n scope="col" { (visit.text("web-read")) }
                        th.n scope="col" { (visit.text("web-inserted")) }
                        th.n scope="col" { (visit.text("web-duplicate")) }
                        th.n scope="col" { (visit.text("web-rejected")) }
                        th scope="col" { span.sr { (visit.text("web-actions")) } }
                    } }
                    tbody { @for scrap in &scraps { (row(visit, scrap)) } }
                }
            }
            p.hint #novos hidden { a href="/scraps" { (visit.text("web-more-new")) } }
            nav.pager aria-label=(visit.text("web-paging")) {
                @if filter.before.is_some() { a href={ "/scraps?" (query.with("cursor", None)) } { "« " (visit.text("web-newest")) } }
                span { (visit.say(&notice!("web-shown", count = number(scraps.len() as i64, lang)))) }
                @if more && let Some(last) = scraps.last() {
                    a href={ "/scraps?" (query.with("cursor", Some(&last.id.to_string()))) } { (visit.text("web-older")) " »" }
                }
            }
        }
    })
}

/// The first step for an operator without scraps: a connector, a client, or a new scrap.
async fn nothing_yet(visit: &Visit) -> Result<Markup, Failure> {
    let atlas = &visit.state.atlas;
    if atlas.connectors().registry().await?.routes().is_empty() {
        let folder = atlas.connectors().folder().display();
        return Ok(empty(
            &visit.say(&notice!("web-first-connector", folder = folder)),
            Some(("/conectores", visit.text("web-connectors"))),
        ));
    }
    if atlas.clients().await?.is_empty() {
        return Ok(empty(&visit.text("web-first-client"), Some(("/clientes/novo", visit.text("web-new-client")))));
    }
    Ok(empty(&visit.text("web-first-scrap"), Some(("/scraps/novo", visit.text("web-new-scrap")))))
}

/// A scrap in the table. The script changes its cells, and asks for it anew when its state changes.
pub(super) fn row(visit: &Visit, scrap: &Scrap) -> Markup {
    let lang = visit.lang;
    html! {
        tr data-scrap=(scrap.id) data-state=(scrap.state.name()) {
            td { a href={ "/scraps/" (scrap.id) } { (scrap.id) } }
            td { (scrap.cliente_id) }
            td { bdi { (scrap.rota) } }
            td.period title=(period(scrap.period.as_ref(), lang)) { (short_period(scrap.period.as_ref(), lang)) @if scrap.slices > 0 { " " span.tag { (scrap.slices_done) "/" (scrap.slices) } } }
            td.state { (badge(visit, scrap)) }
            td.grow { (progress(visit, scrap)) span.pace { span data-f="ritmo" {} span data-f="restam" {} } }
            td.n data-f="paginas" { (number(scrap.pages, lang)) }
            td.n data-f="lidos" { (number(scrap.counts.lidos, lang)) }
            td.n data-f="inseridos" { (number(scrap.counts.inseridos, lang)) }
            td.n data-f="duplicados" { (number(scrap.counts.duplicados, lang)) }
            td.n data-f="rejeitados" { (number(scrap.counts.rejeitados, lang)) }
            td.actions { (actions(visit, scrap)) }
        }
    }
}

pub(super) fn state_text(visit: &Visit, state: ScrapState) -> String {
    visit.say(&Notice::new(&format!("state-{}", state.name())))
}

/// Whether it was created for later, and has never run.
fn is_fresh(scrap: &Scrap) -> bool {
    scrap.state == ScrapState::Pausado && scrap.pages == 0 && scrap.reason.is_none()
}

/// A scrap's state, as a word with a colour.
pub(super) fn badge(visit: &Visit, scrap: &Scrap) -> Markup {
    html! {
        span.badge data-s=(scrap.state.name()) { (state_text(visit, scrap.state)) }
        span.throttled data-f="limitado_ate" hidden {}
        span.throttled data-f="tentativas" hidden {}
        @if let Some(again) = &scrap.again_at { small.again { (visit.text("web-again-at")) " " (visit.time(again)) } }
    }
}

/// How much of it is done: by records where the source declared how many, else by the pages that
/// are known.
pub(super) fn progress(visit: &Visit, scrap: &Scrap) -> Markup {
    let known = scrap.pages + scrap.frontier;
    let (done, of) = match scrap.total_records {
        Some(total) if total > 0 && !scrap.state.is_done() => (scrap.counts.lidos.min(total), total),
        _ if scrap.state.is_done() => (1, 1),
        _ => (scrap.pages, known.max(1)),
    };
    let label = visit.say(&notice!("web-progress-of", id = scrap.id));
    html! { progress data-f="progresso" value=(done) max=(of) aria-label=(label) {} }
}

/// The buttons for the actions that a scrap's state allows.
pub(super) fn actions(visit: &Visit, scrap: &Scrap) -> Markup {
    use ScrapState::{Cancelado, Concluido, ConcluidoComRessalva, Executando, Pendente};
    if !visit.session.principal.may(Act::Operate) {
        return html! {};
    }
    let at = |what: &str| format!("/scraps/{}/{what}", scrap.id);
    html! {
        @match scrap.state {
            Executando | Pendente => {
                (action(visit, &at("pausar"), &visit.text("web-pause"), "quiet"))
                a.button.quiet href=(at("cancelar")) { (visit.text("web-cancel")) }
            }
            Concluido | ConcluidoComRessalva => a.button.quiet href=(like(scrap)) { (visit.text("web-same-again")) },
            state => {
                (action(visit, &at("executar"), &visit.text(if is_fresh(scrap) { "web-run" } else { "web-resume" }), "primary small"))
                @if state != Cancelado { a.button.quiet href=(at("cancelar")) { (visit.text("web-cancel")) } }
            }
        }
    }
}

/// The form of a new scrap, filled in like this one.
fn like(scrap: &Scrap) -> String {
    let (from, to) = scrap.period.clone().unzip();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("cliente", &scrap.cliente_id.to_string())
        .append_pair("rota", &scrap.rota)
        .append_pair("de", &from.unwrap_or_default())
        .append_pair("ate", &to.unwrap_or_default())
        .finish();
    format!("/scraps/novo?{query}")
}

async fn one_row(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    Ok(row(&visit, &visit.state.atlas.scrap(id).await?))
}

async fn run(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    visit.state.atlas.requeue_scrap(id).await?;
    Ok(changed(&visit, id))
}

async fn pause(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    visit.state.atlas.pause_scrap(id).await?;
    Ok(changed(&visit, id))
}

async fn cancel(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    visit.state.atlas.cancel_scrap(id).await?;
    Ok(changed(&visit, id))
}

/// Redirects to the scrap, and has it polled at once, so that event listeners see the change.
fn changed(visit: &Visit, id: i64) -> Redirect {
    visit.state.watch.look_at(id);
    Redirect::to(&format!("/scraps/{id}"))
}

async fn ask_to_cancel(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    let scrap = visit.state.atlas.scrap_to_cancel(id).await?;
    let notice = notice!(
        "web-ask-cancel",
        id = id,
        client = scrap.cliente_id,
        route = scrap.rota,
        pages = scrap.pages,
        read = number(scrap.counts.lidos, visit.lang)
    );
    let (title, address) = (visit.say(&notice!("web-cancel-scrap", id = id)), format!("/scraps/{id}/cancelar"));
    Ok(ask(&visit, &title, &notice, &address, &title, &format!("/scraps/{id}")))
}

async fn new(visit: Visit) -> Answer {
    visit.need(Act::Operate)?;
    let fields = visit.query.clone();
    form(&visit, &fields, StatusCode::OK, html! {}).await
}

/// A scrap, as the form says.
pub(super) fn request(fields: &Fields) -> Result<ScrapRequest, Failure> {
    let rota = fields.get("rota").ok_or_else(|| Failure::usage(notice!("web-route-missing")))?;
    let owned = |name: &str| fields.get(name).map(str::to_owned);
    Ok(ScrapRequest {
        cliente_id: fields.needed("cliente")?,
        rota: rota.to_owned(),
        from: owned("de"),
        to: owned("ate"),
        page_size: fields.number("tamanho_pagina")?,
        slice: owned("fatia"),
        batch: fields.number("lote")?,
        retries: fields.number("tentativas")?,
        paused: fields.get("acao") == Some("criar"),
    })
}

async fn create(Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Operate)?;
    let atlas = &visit.state.atlas;
    if fields.get("acao") == Some("previa") {
        let previewed = async { atlas.preview(&request(&fields)?).await };
        return match previewed.await {
            Ok(preview) => form(&visit, &fields, StatusCode::OK, previewed_as(&visit, &preview)).await,
            Err(failure) => form(&visit, &fields, problem::status(&failure), alert(&visit, &failure)).await,
        };
    }
    let created = async { atlas.create_scrap(&request(&fields)?).await };
    match created.await {
        Ok(Created { id, bound }) => {
            visit.state.watch.look_at(id);
            let told = if bound.is_some() { "?vinculado=1" } else { "" };
            Ok(Redirect::to(&format!("/scraps/{id}{told}")).into_response())
        }
        Err(failure) => form(&visit, &fields, problem::status(&failure), alert(&visit, &failure)).await,
    }
}

fn previewed_as(visit: &Visit, preview: &Preview) -> Markup {
    let none = visit.text("web-preview-none");
    html! {
        section.card.preview aria-label=(visit.text("web-preview")) role="status" {
            h2 { (visit.text("web-preview")) }
            pre { code { (preview.request.as_ref().unwrap_or(&none)) } }
            p.hint {
                (visit.say(&notice!("web-preview-hint", api = preview.api, version = preview.version, size = preview.page_size)))
                @if preview.slices > 0 { " " (visit.say(&notice!("web-preview-slices", count = preview.slices))) }
            }
        }
    }
}

async fn form(visit: &Visit, fields: &Fields, status: StatusCode, above: Markup) -> Answer {
    let atlas = &visit.state.atlas;
    let (clients, registry) = (atlas.clients().await?, atlas.connectors().registry().await?);
    let routes: Vec<_> = registry.routes().into_iter().filter_map(|route| registry.connector(&route)).collect();
    let run = &atlas.config().run;
    let text = |key: &str| visit.text(key);
    let number_input = |id: &str, placeholder: String, max: usize| {
        html! { input id=(id) name=(id) type="number" min="1" max=(max) placeholder=(placeholder) value=(fields.text(id)); }
    };
    let content = html! {
        (above)
        form.card.sheet method="post" action="/scraps" {
            (token(visit))
            (client_field(visit, fields, &clients))
            (field("rota", &text("web-route"), None, &html! {
                select #rota name="rota" required {
                    @if fields.get("rota").is_none() { option value="" { (text("web-choose")) } }
                    @for connector in &routes {
                        @let descriptor = &connector.descriptor;
                        option value=(descriptor.route) selected[fields.get("rota") == Some(&descriptor.route)]
                            data-period=(if descriptor.takes_period { "sim" } else { "nao" }) { (descriptor.route) " · " (descriptor.api) " " (descriptor.version) }
                    }
                }
            }))
            fieldset #periodo {
                legend { (text("web-period")) }
                (field("de", &text("web-from"), None, &day_input(fields, "de")))
                (field("ate", &text("web-to"), None, &day_input(fields, "ate")))
                (field("fatia", &text("web-slice"), Some(&text("web-slice-hint")), &html! {
                    input #fatia name="fatia" size="6" placeholder="1d, 1w" pattern="[1-9][0-9]*[dw]" aria-describedby="fatia-hint" value=(fields.text("fatia"));
                }))
            }
            details open[["lote", "tentativas", "tamanho_pagina"].iter().any(|name| fields.get(name).is_some())] {
                summary { (text("web-more-settings")) }
                (field("lote", &text("web-batch"), Some(&text("web-batch-hint")), &number_input("lote", run.batch.to_string(), BATCH_MAX)))
                (field("tentativas", &text("web-retries"), Some(&text("web-retries-hint")), &number_input("tentativas", run.retry.attempts().to_string(), RETRIES_MAX as usize)))
                (field("tamanho_pagina", &text("web-page-size"), Some(&text("web-page-size-hint")), &number_input("tamanho_pagina", text("web-as-connector"), PAGE_SIZE_MAX as usize)))
            }
            div.buttons {
                button.primary type="submit" name="acao" value="criar_executar" { (text("web-create-and-run")) }
                button type="submit" name="acao" value="criar" { (text("web-create")) }
                button.quiet type="submit" name="acao" value="previa" { (text("web-see-preview")) }
            }
        }
    };
    Ok((status, page(visit, &text("web-new-scrap"), &content)).into_response())
}

/// Which client: a number, of those that are known or typed.
pub(super) fn client_field(visit: &Visit, fields: &Fields, clients: &[Client]) -> Markup {
    field(
        "cliente",
        &visit.text("web-client"),
        None,
        &html! {
            input #cliente name="cliente" inputmode="numeric" pattern="[0-9]+" required list="clientes" autocomplete="off" value=(fields.text("cliente"));
            datalist #clientes { @for client in clients { option value=(client.cliente_id) {} } }
        },
    )
}

/// How long a scrap has run.
pub(super) fn ran(visit: &Visit, scrap: &Scrap) -> String {
    duration(scrap.elapsed_ms, visit.lang)
}

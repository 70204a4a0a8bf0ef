//! Connectors: which versions serve, which wait, what they used.

use std::sync::Arc;

use atlas_model::notice;
use atlas_service::{Act, Connector, Failure, RegistryEntry, Standing, TriedPage, hold_notice};
use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use maud::{Markup, html};
use url::form_urlencoded;

use super::fields::Fields;
use super::format::{bytes, duration, number, sent};
use super::layout::{ask, day_input, done, empty, field, page, token};
use super::refusal::Answer;
use super::remedy::alert;
use super::scraps::request;
use super::visit::{At, Posted, Visit};
use crate::problem;
use crate::state::AppState;

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/conectores", get(list))
        .route("/conectores/{route}", get(show))
        .route("/conectores/{route}/aceitar", get(ask_to_accept).post(accept))
        .route("/conectores/{route}/voltar", get(ask_to_roll_back).post(roll_back))
        .route("/conectores/{route}/provar", post(try_one))
}

async fn list(visit: Visit) -> Answer<Markup> {
    let content = listed(&visit).await?;
    Ok(page(&visit, &visit.text("web-connectors"), &content))
}

async fn listed(visit: &Visit) -> Result<Markup, Failure> {
    let connectors = visit.state.atlas.connectors();
    let registry = connectors.registry().await?;
    let entries = registry.entries();
    let folder = connectors.folder().display().to_string();
    // Routes whose files are gone: their last versions serve until this process ends.
    let routes = registry.routes().into_iter().filter_map(|route| registry.connector(&route));
    let served = |entry: &RegistryEntry, route: &str| served(entry).is_some_and(|c| c.descriptor.route == route);
    let fileless: Vec<_> = routes.filter(|c| !entries.iter().any(|entry| served(entry, &c.descriptor.route))).collect();
    Ok(html! {
        p.hint { (visit.text("web-connectors-hint")) " " code { (folder) } }
        @if entries.is_empty() && fileless.is_empty() { (empty(&visit.say(&notice!("web-first-connector", folder = folder)), None)) }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-connectors")) { table.dense {
                thead { tr {
                    @for name in ["web-route", "web-api", "web-version", "web-digest", "web-state"] { th scope="col" { (visit.text(name)) } }
                    @for name in ["web-pages", "web-traps", "web-refusals", "web-cpu", "web-memory"] { th.n scope="col" { (visit.text(name)) } }
                    th scope="col" { (visit.text("web-file")) }
                } }
                tbody {
                    @for entry in &entries { (row(visit, entry, registry)) }
                    @for connector in &fileless { (fileless_row(visit, connector)) }
                }
            } }
        }
        section.card { h2 { (visit.text("web-reloads")) } ol.log #reloads { } p.hint { (visit.text("web-reloads-hint")) } }
    })
}

/// The version of a file, or the one that serves in its place.
fn served(entry: &RegistryEntry) -> Option<&Arc<Connector>> {
    entry.loaded.as_ref().ok().or(entry.instead.as_ref())
}

fn fileless_row(visit: &Visit, connector: &Connector) -> Markup {
    let descriptor = &connector.descriptor;
    html! {
        tr {
            td { a href=(page_of(&descriptor.route, "")) { (descriptor.route) } }
            td { (descriptor.api) }
            td { bdi { (descriptor.version) } }
            td { code { (short(&connector.sha256)) } }
            td { span.badge data-s="interrompido" { (visit.text("web-fileless")) } }
            td.n { "–" } td.n { "–" } td.n { "–" } td.n { "–" } td.n { "–" } td.text { "–" }
        }
    }
}

fn row(visit: &Visit, entry: &RegistryEntry, registry: &atlas_service::Registry) -> Markup {
    let lang = visit.lang;
    let file = entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let descriptor = served(entry).map(|connector| &connector.descriptor);
    let usage = descriptor.map(|descriptor| registry.usage(&descriptor.route));
    let count = |n: Option<u64>| html! { td.n { @match n { Some(n) => (number(i64::try_from(n).unwrap_or(i64::MAX), lang)), None => "–" } } };
    html! {
        tr {
            td { @match descriptor { Some(d) => a href=(page_of(&d.route, "")) { (d.route) }, None => "–" } }
            td { (descriptor.map_or("–", |d| d.api.as_str())) }
            td { bdi { (descriptor.map_or("–", |d| d.version.as_str())) } }
            td { code { (entry.sha256.as_deref().map_or("–", short)) } }
            td { (standing(visit, entry)) }
            (count(usage.map(|u| u.pages))) (count(usage.map(|u| u.traps))) (count(usage.map(|u| u.refusals)))
            td.n { @match usage { Some(u) => (duration(i64::try_from(u.cpu_us / 1_000).unwrap_or(i64::MAX), lang)), None => "–" } }
            td.n { @match usage { Some(u) => (bytes(u.peak_memory, lang)), None => "–" } }
            td.text { (file) }
        }
    }
}

fn standing(visit: &Visit, entry: &RegistryEntry) -> Markup {
    let (state, name) = match entry.standing {
        Standing::Serves => ("concluido", "connector-servindo"),
        Standing::Held(_) => ("suspenso", "connector-retida"),
        Standing::RolledBack => ("pausado", "connector-revertida"),
        Standing::Refused => ("falhou", "connector-recusada"),
    };
    html! {
        span.badge data-s=(state) { (visit.text(name)) }
        @if let Standing::Held(reasons) = &entry.standing { @for reason in reasons { div { small { (visit.say(&hold_notice(reason))) } } } }
        @if let Err(error) = &entry.loaded { div { small { (visit.say(&Failure::load(&entry.path, error).notice)) } } }
        @if let Some(instead) = &entry.instead {
            div { small { (visit.say(&notice!("connector-goes-on", route = instead.descriptor.route, version = instead.descriptor.version, digest = short(&instead.sha256)))) } }
        }
    }
}

/// The address of a route's page. The name is escaped, since it may come from the request: `..`
/// would lead this page's button to another page's form.
fn page_of(route: &str, page: &str) -> String {
    let route: String = form_urlencoded::byte_serialize(route.as_bytes()).collect();
    // A space is written otherwise in a path, and a segment of dots alone is none.
    let route = route.replace('+', "%20");
    let route = if route.bytes().all(|b| b == b'.') { format!("{route}%20") } else { route };
    format!("/conectores/{route}{page}")
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

async fn show(visit: Visit, At(route): At<String>) -> Answer {
    let told = visit.query.get("feito").map(|_| done(&visit.text("web-connector-soon")));
    let fields = visit.query.clone();
    shown(&visit, &route, StatusCode::OK, told.unwrap_or_default(), &fields).await
}

async fn shown(visit: &Visit, route: &str, status: StatusCode, above: Markup, fields: &Fields) -> Answer {
    let content = connector_page(visit, route, &above, fields).await?;
    Ok((status, page(visit, &visit.say(&notice!("web-connector-of", route = route)), &content)).into_response())
}

async fn connector_page(visit: &Visit, route: &str, above: &Markup, fields: &Fields) -> Result<Markup, Failure> {
    let atlas = &visit.state.atlas;
    let registry = atlas.connectors().registry().await?;
    let entries = registry.entries();
    let of_route = |entry: &&RegistryEntry| served(entry).is_some_and(|c| c.descriptor.route == route);
    let entry = entries.iter().find(of_route);
    // If the file is gone, a kept version serves.
    let serving = match registry.connector(route) {
        Some(serving) => serving,
        None => match entry.and_then(|entry| entry.loaded.as_ref().ok()) {
            Some(waiting) => Arc::clone(waiting),
            None => atlas.connectors().connector(route).await?,
        },
    };
    let history = registry.history(route).await;
    let descriptor = &serving.descriptor;
    let lang = visit.lang;
    let listed = |names: Vec<String>| if names.is_empty() { "–".to_owned() } else { names.join(", ") };
    let pointers = |list: &[atlas_service::Pointer]| listed(list.iter().map(|p| p.as_str().to_owned()).collect());
    let requests: Vec<String> = descriptor.requests.iter().map(ToString::to_string).collect();
    let limits = atlas.config().limits_of(route, 0);
    let may = visit.session.principal.may(Act::Configure);
    let signature = match (atlas.config().trust.keys(route).is_empty(), serving.is_signed()) {
        (false, _) => "web-signature-good",
        (true, true) => "web-signature-unchecked",
        (true, false) => "web-signature-none",
    };
    let yes_no = |yes: bool| visit.text(if yes { "yes" } else { "no" });
    Ok(html! {
        p { a href="/conectores" { "« " (visit.text("web-connectors")) } }
        (above)
        @if let Some(entry) = entry {
            div.bar { div { (standing(visit, entry)) }
                @if may { div.buttons {
                    @if matches!(entry.standing, Standing::Held(_)) { a.button.primary href=(page_of(route, "/aceitar")) { (visit.text("web-accept")) } }
                    @if history.iter().any(|version| version.sha256 != serving.sha256) { a.button.quiet href=(page_of(route, "/voltar")) { (visit.text("web-roll-back")) } }
                } }
            }
        }
        div.columns {
            section.card { h2 { (visit.text("web-serving")) }
                dl.pairs {
                    dt { (visit.text("web-version")) } dd { bdi { (descriptor.version) } }
                    dt { (visit.text("web-digest")) } dd { code.whole { (serving.sha256) } }
                    dt { (visit.text("web-signature")) } dd { (visit.text(signature)) }
                    dt { (visit.text("web-api")) } dd { (descriptor.api) }
                    dt { (visit.text("heading-takes-period")) } dd { (yes_no(descriptor.takes_period)) }
                    dt { (visit.text("web-page-size")) } dd { (number(descriptor.page_size.into(), lang)) }
                    dt { (visit.text("heading-requests")) } dd { @if requests.is_empty() { "GET" } @else { (requests.join(", ")) } }
                    dt { (visit.text("heading-key")) } dd { (pointers(&descriptor.key)) }
                    dt { (visit.text("heading-unhashed")) } dd { (pointers(&descriptor.unhashed)) }
                    dt { (visit.text("web-credential")) } dd { (listed(descriptor.auth.parts_needed().iter().map(ToString::to_string).collect())) }
                }
            }
            section.card { h2 { (visit.text("web-limits")) }
                dl.pairs {
                    dt { (visit.text("web-limit-memory")) } dd { (bytes(limits.guest_memory as u64, lang)) }
                    dt { (visit.text("web-limit-cpu")) } dd { (number(limits.guest_cpu_ms as i64, lang)) " ms" }
                    dt { (visit.text("web-limit-requests")) } dd { (limits.requests_per_page) }
                    dt { (visit.text("web-limit-body")) } dd { (bytes(limits.body_bytes as u64, lang)) }
                    dt { (visit.text("web-limit-records")) } dd { (number(limits.records_per_page as i64, lang)) }
                }
                p.hint { (visit.text("web-limits-hint")) }
            }
        }
        section.card { h2 { (visit.text("web-history")) }
            @if history.is_empty() { p.hint { (visit.text("web-history-none")) } }
            @else { div.scroll tabindex="0" role="region" aria-label=(visit.text("web-history")) { table.dense {
                thead { tr { @for name in ["web-version", "web-digest"] { th scope="col" { (visit.text(name)) } } th { span.sr { (visit.text("web-actions")) } } } }
                tbody { @for version in &history { tr {
                    td { bdi { (version.version) } }
                    td { code { (short(&version.sha256)) } @if version.sha256 == serving.sha256 { " " span.tag { (visit.text("web-serving")) } } }
                    td.actions { @if may && version.sha256 != serving.sha256 {
                        a.button.quiet href={ (page_of(route, "/voltar")) "?sha256=" (version.sha256) } { (visit.text("web-go-back-to")) }
                    } }
                } } }
            } } }
        }
        @if may { section.card { h2 { (visit.text("web-try-page")) }
            p.hint { (visit.text("web-try-page-hint")) }
            form.sheet.row method="post" action=(page_of(route, "/provar")) {
                (token(visit))
                input type="hidden" name="rota" value=(route);
                (field("cliente", &visit.text("web-client"), None, &html! { input #cliente name="cliente" inputmode="numeric" pattern="[0-9]+" required value=(fields.text("cliente")); }))
                @if descriptor.takes_period {
                    (field("de", &visit.text("web-from"), None, &day_input(fields, "de")))
                    (field("ate", &visit.text("web-to"), None, &day_input(fields, "ate")))
                }
                div.buttons { button type="submit" { (visit.text("web-try")) } }
            }
        } }
    })
}

/// A page that was fetched, and not stored.
pub(super) fn tried(visit: &Visit, tried: &TriedPage, title: &str) -> Markup {
    let lang = visit.lang;
    let records = number(i64::try_from(tried.records).unwrap_or(i64::MAX), lang);
    let took = duration(i64::try_from(tried.took.as_millis()).unwrap_or(i64::MAX), lang);
    html! {
        section.card.preview role="status" {
            h2 { (visit.text(title)) }
            p { strong { (visit.say(&notice!("web-tried-records", count = records, took = took))) } }
            p.hint { (visit.say(&notice!("web-tried-next", next = tried.next)))
                @if let Some(total) = tried.total { " " (visit.say(&notice!("web-tried-total", total = number(i64::try_from(total).unwrap_or(i64::MAX), lang)))) } }
            @if !tried.first.is_empty() {
                details { summary { (visit.text("web-tried-examples")) } @for record in &tried.first { pre.payload tabindex="0" { code { (sent(record)) } } } }
            }
        }
    }
}

async fn try_one(At(route): At<String>, Posted { visit, fields }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    let page = async { visit.state.atlas.try_page(&request(&fields)?).await };
    match page.await {
        Ok(page) => shown(&visit, &route, StatusCode::OK, tried(&visit, &page, "web-tried"), &fields).await,
        Err(failure) => shown(&visit, &route, problem::status(&failure), alert(&visit, &failure), &fields).await,
    }
}

async fn ask_to_accept(visit: Visit, At(route): At<String>) -> Markup {
    let title = visit.say(&notice!("web-accept-version", route = route));
    let address = page_of(&route, "/aceitar");
    ask(&visit, &title, &notice!("web-ask-accept", route = route), &address, &title, &page_of(&route, ""))
}

async fn accept(At(route): At<String>, Posted { visit, .. }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    let accepted = visit.state.atlas.connectors().accept(&route, None).await;
    after(&visit, &route, accepted.map(drop)).await
}

async fn ask_to_roll_back(visit: Visit, At(route): At<String>) -> Markup {
    let title = visit.say(&notice!("web-roll-back-route", route = route));
    let digest = visit.query.text("sha256").to_owned();
    let address = format!("{}?{}", page_of(&route, "/voltar"), Fields::default().with("sha256", Some(&digest)));
    let what = match digest.as_str() {
        "" => notice!("web-ask-roll-back", route = route),
        digest => notice!("web-ask-roll-back-to", route = route, digest = short(digest)),
    };
    ask(&visit, &title, &what, &address, &title, &page_of(&route, ""))
}

async fn roll_back(At(route): At<String>, Posted { visit, .. }: Posted) -> Answer {
    visit.need(Act::Configure)?;
    let rolled_back = visit.state.atlas.connectors().roll_back(&route, visit.query.get("sha256")).await;
    after(&visit, &route, rolled_back.map(drop)).await
}

async fn after(visit: &Visit, route: &str, done: Result<(), Failure>) -> Answer {
    match done {
        Ok(()) => Ok(Redirect::to(&format!("{}?feito=1", page_of(route, ""))).into_response()),
        Err(failure) => {
            shown(visit, route, problem::status(&failure), alert(visit, &failure), &Fields::default()).await
        }
    }
}

//! Records: the two verification queries of the document, what there is by day, a payload at a time, all of them as a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maud::{Markup, html};
use serde_json_path::JsonPath;

use super::format::{bytes, day, number, sent, time};
use super::layout::{alert, empty, page};
use super::visit::{Fields, Visit};
use crate::notice;
use crate::server::export::{Format, export};
use crate::server::{House, problem};
use crate::service::Failure;
use crate::store::{DayTotal, RawRecord, RecordFilter, VERIFY_NEWEST, VERIFY_TOTALS};

/// Records of one page.
const SHOWN: usize = 50;
/// Records that a search by path reads before it says how far it has come, and how long it may take.
const SEARCHED: usize = 20_000;
const SEARCH_TIME: Duration = Duration::from_secs(5);
/// Bytes of a path: it is parsed recursively.
const PATH_MAX: usize = 256;
/// Records that are read at a time, where their payloads are needed whole.
const READ: i64 = 200;
/// Characters of a payload in the list, and bytes in the viewer: more than anybody reads, and less than slows a browser down.
const EXCERPT: i64 = 160;
const VIEWED: usize = 512 * 1024;
/// Days of the plot.
const DAYS: i32 = 30;
/// Newest rows of the second verification query, as the document has it.
const NEWEST: i64 = 5;

pub(super) fn router() -> Router<Arc<House>> {
    Router::new()
        .route("/dados", get(overview))
        .route("/dados/registros", get(records))
        .route("/dados/registros/{id}", get(record))
        .route("/dados/registros/{id}/json", get(raw))
        .route("/dados/exportar", get(download))
}

async fn overview(visit: Visit) -> Response {
    match overviewed(&visit).await {
        Ok(content) => visit.page(&visit.text("web-data"), content),
        Err(failure) => visit.failed(&failure),
    }
}

async fn overviewed(visit: &Visit) -> Result<Markup, Failure> {
    let (atlas, lang) = (&visit.house.atlas, visit.lang);
    let clients = atlas.clients().await?;
    let chosen = match visit.query.number::<i32>("cliente")? {
        Some(id) => {
            atlas.known_client(id).await?;
            Some(id)
        }
        None => clients.first().map(|client| client.cliente_id),
    };
    let Some(id) = chosen else {
        return Ok(empty(&visit.text("web-first-client"), Some(("/clientes/novo", visit.text("web-new-client")))));
    };
    let (totals, newest, days) =
        (atlas.totals(id).await?, atlas.newest_rows(id, NEWEST).await?, atlas.days(DAYS).await?);
    let of_client = Fields::default().with("cliente", Some(&id.to_string()));
    Ok(html! {
        form.filter method="get" action="/dados" {
            label { (visit.text("web-client"))
                select name="cliente" { @for client in &clients { option value=(client.cliente_id) selected[client.cliente_id == id] { (client.cliente_id) } } }
            }
            button type="submit" { (visit.text("web-show")) }
            a.button href={ "/dados/registros?" (of_client) } { (visit.text("web-browse-records")) }
        }
        section.card { h2 { (visit.text("web-verify-1")) }
            p.hint { code { (VERIFY_TOTALS.replace("$1", &id.to_string())) } }
            @if totals.is_empty() { p { (visit.text("web-no-records-yet")) } }
            @else { div.scroll tabindex="0" role="region" aria-label=(visit.text("web-verify-1")) { table.dense {
                thead { tr { th scope="col" { (visit.text("web-route")) } th.n scope="col" { (visit.text("web-rows")) } th.n scope="col" { (visit.text("web-doubles")) }
                    th scope="col" { (visit.text("web-first-collected")) } th scope="col" { (visit.text("web-last-collected")) } } }
                tbody { @for total in &totals { tr {
                    td { a href={ "/dados/registros?" (of_client) "&" (Fields::default().with("rota", Some(&total.origem))) } { bdi { (total.origem) } } }
                    td.n { (number(total.registros, lang)) }
                    td.n { @if total.repetidos == 0 { "0 ✓" } @else { strong.bad { (number(total.repetidos, lang)) } } }
                    td { @if let Some(at) = &total.primeira_coleta { (time(at, lang)) } }
                    td { @if let Some(at) = &total.ultima_coleta { (time(at, lang)) } }
                } } }
            } } }
        }
        section.card { h2 { (visit.text("web-verify-2")) }
            p.hint { code { (VERIFY_NEWEST.replace("$1", &id.to_string())) } }
            @if !newest.is_empty() { div.scroll tabindex="0" role="region" aria-label=(visit.text("web-verify-2")) { table.dense {
                thead { tr { th scope="col" { "#" } th scope="col" { (visit.text("web-route")) } th scope="col" { (visit.text("web-when")) } th scope="col" { (visit.text("web-payload")) } } }
                tbody { @for row in &newest { tr {
                    td { a href={ "/dados/registros/" (row.id) } { (row.id) } }
                    td { bdi { (row.origem) } }
                    td { @if let Some(at) = &row.data_coleta { (time(at, lang)) } }
                    td.text { code { (excerpt(&row.payload)) } }
                } } }
            } } }
        }
        section.card { h2 { (visit.text("web-by-day")) } (plot(visit, &days)) }
    })
}

fn excerpt(payload: &str) -> String {
    let mut chars = payload.chars();
    let shown: String = chars.by_ref().take(usize::try_from(EXCERPT).unwrap_or(usize::MAX)).collect();
    let shown = sent(&shown);
    if chars.next().is_some() { shown + "…" } else { shown }
}

/// Rows of each client and route by day, as bars; the same as a table, for who does not see them.
fn plot(visit: &Visit, days: &[DayTotal]) -> Markup {
    let lang = visit.lang;
    let mut by_series: BTreeMap<(i32, &str), BTreeMap<&str, i64>> = BTreeMap::new();
    for total in days {
        let Some(day) = total.dia.as_deref() else { continue };
        by_series.entry((total.cliente_id, &total.origem)).or_default().insert(day, total.registros);
    }
    let last: Vec<&str> = {
        let mut all: Vec<&str> = days.iter().filter_map(|total| total.dia.as_deref()).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    html! {
        @if by_series.is_empty() { p.hint { (visit.text("web-by-day-none")) } }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-by-day")) { table.heat {
                thead { tr { th scope="col" { (visit.text("web-client")) } th scope="col" { (visit.text("web-route")) }
                    @for d in &last { th.n scope="col" { (day(d, lang)) } } } }
                tbody { @for ((client, route), counts) in &by_series {
                    @let most = counts.values().copied().max().unwrap_or(1).max(1);
                    tr {
                        td { (client) } td { bdi { (route) } }
                        @for d in &last {
                            @let n = counts.get(d).copied().unwrap_or(0);
                            td.n { meter min="0" max=(most) value=(n) { } " " (number(n, lang)) }
                        }
                    }
                } }
            } }
        }
    }
}

/// Which records are meant.
pub(super) fn filter(fields: &Fields) -> Result<RecordFilter, Failure> {
    let date = |name: &str| fields.get(name).map(crate::service::day).transpose();
    Ok(RecordFilter {
        cliente_id: fields.number("cliente")?,
        origem: fields.get("rota").map(str::to_owned),
        from: date("de")?,
        to: date("ate")?,
    })
}

/// What a search found.
struct Found {
    records: Vec<(RawRecord, Option<String>)>,
    /// From where on it goes on.
    next: Option<i64>,
    /// How many records were looked at.
    searched: usize,
}

async fn records(visit: Visit) -> Response {
    let found = search(&visit).await;
    let (status, content) = match found {
        Ok(found) => (StatusCode::OK, listed(&visit, &found)),
        Err(failure) => (problem::status(&failure), alert(visit.texts(), &failure)),
    };
    let content = html! { (form(&visit)) (content) };
    (status, page(&visit, &visit.text("web-records-title"), &content)).into_response()
}

async fn search(visit: &Visit) -> Result<Found, Failure> {
    let (query, atlas) = (&visit.query, &visit.house.atlas);
    let filter = filter(query)?;
    let before = query.number("antes")?.unwrap_or(i64::MAX);
    let Some(text) = query.get("caminho") else {
        let limit = i64::try_from(SHOWN).unwrap_or(i64::MAX);
        let records = atlas.records(&filter, before, limit, EXCERPT + 1).await?;
        let next = records.last().filter(|_| records.len() == SHOWN).map(|last| last.id);
        let searched = records.len();
        return Ok(Found { records: records.into_iter().map(|record| (record, None)).collect(), next, searched });
    };
    if text.len() > PATH_MAX {
        return Err(Failure::usage(notice!("web-json-path", path = excerpt(text), reason = format!("> {PATH_MAX}"))));
    }
    let path =
        JsonPath::parse(text).map_err(|error| Failure::usage(notice!("web-json-path", path = text, reason = error)))?;
    let wanted = query.get("valor").map(str::to_owned);
    let mut found = Found { records: Vec::new(), next: Some(before), searched: 0 };
    let began = Instant::now();
    // Read whole, since the path may lead anywhere.
    while let Some(before) = found.next {
        if found.records.len() >= SHOWN || found.searched >= SEARCHED || began.elapsed() >= SEARCH_TIME {
            break;
        }
        let some = atlas.records(&filter, before, READ, i64::from(i32::MAX)).await?;
        found.next = some.last().filter(|_| some.len() as i64 == READ).map(|last| last.id);
        found.searched += some.len();
        let (path, wanted) = (path.clone(), wanted.clone());
        let matched = tokio::task::spawn_blocking(move || {
            let matched = some.into_iter().filter_map(|record| {
                let at = matches(&path, wanted.as_deref(), &record.payload)?;
                Some((record, Some(at)))
            });
            matched.collect::<Vec<_>>()
        });
        let room = SHOWN - found.records.len();
        let mut matched = matched.await.unwrap_or_default();
        if matched.len() > room {
            matched.truncate(room);
            found.next = matched.last().map(|(record, _)| record.id);
        }
        found.records.extend(matched);
    }
    Ok(found)
}

/// What stands at the path, if anything does, and is what is looked for.
fn matches(path: &JsonPath, wanted: Option<&str>, payload: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(payload).ok()?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut at = path.query(&value).all().into_iter().map(text);
    match wanted {
        Some(wanted) => at.find(|at| at == wanted),
        None => at.next(),
    }
}

fn form(visit: &Visit) -> Markup {
    let query = &visit.query;
    let export = |format: &str| {
        format!("/dados/exportar?{}", Fields::parse(&query.with("antes", None)).with("formato", Some(format)))
    };
    html! {
        p { a href="/dados" { "« " (visit.text("web-data")) } }
        form.filter method="get" action="/dados/registros" role="search" {
            label { (visit.text("web-client")) input name="cliente" inputmode="numeric" size="8" value=(query.text("cliente")); }
            label { (visit.text("web-route")) input name="rota" size="12" value=(query.text("rota")); }
            label { (visit.text("web-from")) input type="date" name="de" value=(query.text("de")); }
            label { (visit.text("web-to")) input type="date" name="ate" value=(query.text("ate")); }
            label { (visit.text("web-json-path-field")) input name="caminho" size="24" placeholder="$.itens[0].codigo" value=(query.text("caminho")); }
            label { (visit.text("web-value")) input name="valor" size="12" value=(query.text("valor")); }
            button type="submit" { (visit.text("web-search")) }
        }
        p.buttons {
            span.hint { (visit.text("web-export")) }
            a.button.quiet href=(export("jsonl")) download { "JSON Lines" }
            a.button.quiet href=(export("csv")) download { "CSV" }
        }
    }
}

fn listed(visit: &Visit, found: &Found) -> Markup {
    let lang = visit.lang;
    html! {
        @if found.records.is_empty() { (empty(&visit.text("web-nothing-found"), None)) }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-records-title")) { table.dense {
                thead { tr { th scope="col" { "#" } th scope="col" { (visit.text("web-client")) } th scope="col" { (visit.text("web-route")) }
                    th scope="col" { (visit.text("web-when")) } th scope="col" { (visit.text("web-payload")) } } }
                tbody { @for (record, at) in &found.records { tr {
                    td { a href={ "/dados/registros/" (record.id) } { (record.id) } }
                    td { (record.cliente_id) } td { bdi { (record.origem) } }
                    td { @if let Some(at) = &record.data_coleta { (time(at, lang)) } }
                    td.text { @if let Some(at) = at { b { (excerpt(at)) } " " } code { (excerpt(&record.payload)) } }
                } } }
            } }
        }
        @if visit.query.get("caminho").is_some() { p.hint { (visit.say(&notice!("web-searched", count = number(found.searched as i64, lang)))) } }
        @if let Some(next) = found.next {
            nav.pager aria-label=(visit.text("web-paging")) { a href={ "/dados/registros?" (visit.query.with("antes", Some(&next.to_string()))) } { (visit.text("web-older")) " »" } }
        }
    }
}

async fn record(visit: Visit, Path(id): Path<i64>) -> Response {
    let record = match visit.house.atlas.record(id).await {
        Ok(record) => record,
        Err(failure) => return visit.failed(&failure),
    };
    let size = record.payload.len();
    let lang = visit.lang;
    let shown = tokio::task::spawn_blocking(move || {
        // Only laid out: every number and every string stays as it is written.
        let text = crate::json::laid_out(&record.payload, VIEWED);
        (record, text)
    });
    let Ok((record, (text, is_cut))) = shown.await else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let content = html! {
        p { a href="/dados/registros" { "« " (visit.text("web-records-title")) } }
        section.card {
            dl.pairs {
                dt { (visit.text("web-client")) } dd { (record.cliente_id) }
                dt { (visit.text("web-route")) } dd { bdi { (record.origem) } }
                dt { (visit.text("web-when")) } dd { @if let Some(at) = &record.data_coleta { (time(at, lang)) } }
                dt { "hash_conteudo" } dd { code.whole { (record.hash_conteudo.as_deref().unwrap_or("–")) } }
                dt { (visit.text("web-size")) } dd { (bytes(size as u64, lang)) }
            }
            @if is_cut { p.alert.note { (visit.say(&notice!("web-payload-cut", shown = bytes(VIEWED as u64, lang), size = bytes(size as u64, lang)))) } }
            pre.payload.tall tabindex="0" { code { (sent(&text)) } }
            p { a.button.quiet href={ "/dados/registros/" (id) "/json" } download { (visit.text("web-whole-payload")) } }
        }
    };
    visit.page(&visit.say(&notice!("web-record", id = id)), content)
}

async fn raw(visit: Visit, Path(id): Path<i64>) -> Response {
    match visit.house.atlas.record(id).await {
        Ok(record) => {
            let name = format!("attachment; filename=\"registro-{id}.json\"");
            let kind = "application/json".to_owned();
            ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], record.payload).into_response()
        }
        Err(failure) => visit.failed(&failure),
    }
}

async fn download(visit: Visit) -> Response {
    let format = if visit.query.get("formato") == Some("csv") { Format::Csv } else { Format::JsonLines };
    match filter(&visit.query) {
        Ok(filter) => {
            let name = format!("attachment; filename=\"dados_raw.{}\"", format.extension());
            let body = Body::from_stream(export(Arc::clone(&visit.house.atlas), filter, format));
            ([(header::CONTENT_TYPE, format.kind().to_owned()), (header::CONTENT_DISPOSITION, name)], body)
                .into_response()
        }
        Err(failure) => visit.failed(&failure),
    }
}

//! Records: the two verification queries of the document, what there is by day, a payload at a time, all of them as a file.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use chrono::{Days, NaiveDate, Utc};
use maud::{Markup, html};
use serde_json_path::JsonPath;

use super::format::{bytes, day, moment, number, sent, time};
use super::layout::{day_input, empty, page};
use super::remedy::alert;
use super::visit::{At, Fields, Visit};
use crate::notice;
use crate::server::counting::{DAYS, Overview};
use crate::server::export::{Format, export, in_pieces};
use crate::server::{House, problem};
use crate::service::Failure;
use crate::store::{DayTotal, RawRecord, RecordFilter, VERIFY_NEWEST, VERIFY_TOTALS};

/// Records of one page.
const SHOWN: usize = 50;
/// Records that a search by path reads before it says how far it has come, and how long it may take.
const SEARCHED: usize = 20_000;
const SEARCH_TIME: Duration = Duration::from_secs(5);
/// Bytes of a record that is searched: as a tree it takes many times as many.
const SEARCHED_RECORD_MAX: usize = 2 * 1024 * 1024;
/// Bytes of a path: it is parsed recursively.
const PATH_MAX: usize = 256;
/// Records that are read at a time, where their payloads are needed whole: fewer where they are large.
const READ: i64 = 200;
/// Characters of a payload in the list, and bytes in the viewer: more than anybody reads, and less than slows a browser down.
const EXCERPT: i64 = 160;
const VIEWED: usize = 512 * 1024;

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
    let atlas = &visit.house.atlas;
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
    let counted = visit.house.counting.overview(atlas, id).await;
    let of_client = Fields::default().with("cliente", Some(&id.to_string()));
    Ok(html! {
        form.filter method="get" action="/dados" {
            label { (visit.text("web-client"))
                select name="cliente" { @for client in &clients { option value=(client.cliente_id) selected[client.cliente_id == id] { (client.cliente_id) } } }
            }
            button type="submit" { (visit.text("web-show")) }
            a.button href={ "/dados/registros?" (of_client) } { (visit.text("web-browse-and-export")) }
        }
        @match &counted {
            Ok(overview) => { (verified(visit, id, overview)) }
            Err(failure) => { (alert(visit, failure)) p { a.button href={ "/dados?" (of_client) } { (visit.text("web-reload")) } } }
        }
    })
}

/// What the two verification queries say, and what came on each day.
fn verified(visit: &Visit, id: i32, overview: &Overview) -> Markup {
    let lang = visit.lang;
    let of_client = Fields::default().with("cliente", Some(&id.to_string()));
    let Overview { at, totals, newest, sums, days } = overview;
    html! {
        p.hint { (visit.text("web-counted-at")) " " (moment(at.timestamp(), lang)) }
        section.card { h2 { (visit.text("web-verify-1")) }
            p.hint { code { (VERIFY_TOTALS.replace("$1", &id.to_string())) } }
            @if totals.is_empty() { p { (visit.text("web-no-records-yet")) } }
            @else { div.scroll tabindex="0" role="region" aria-label=(visit.text("web-verify-1")) { table.dense {
                thead { tr { th scope="col" { (visit.text("web-route")) } th.n scope="col" { (visit.text("web-rows")) } th.n scope="col" { (visit.text("web-doubles")) }
                    th scope="col" { (visit.text("web-first-collected")) } th scope="col" { (visit.text("web-last-collected")) } } }
                tbody { @for total in totals { tr {
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
                tbody { @for row in newest { tr {
                    td { a href={ "/dados/registros/" (row.id) } { (row.id) } }
                    td { bdi { (row.origem) } }
                    td { @if let Some(at) = &row.data_coleta { (time(at, lang)) } }
                    td.text { code { (excerpt(&row.payload)) } }
                } } }
            } } }
        }
        section.card { h2 { (visit.text("web-verify-3")) }
            dl.numbers { @for (name, count) in [
                ("web-read", sums.lidos), ("web-inserted", sums.inseridos), ("web-duplicate", sums.duplicados), ("web-again", sums.reencontrados), ("web-rejected", sums.rejeitados),
            ] { div { dt { (visit.text(name)) } dd { (number(count, lang)) } } } }
            @if sums.off_by() != 0 { p.verdict.bad { (visit.say(&notice!("web-off-by", count = number(sums.off_by(), lang)))) } }
            @else { p.verdict.good { "✓ " (visit.text("web-adds-up")) } }
            p.hint {
                a href={ "/scraps?" (of_client) } { (visit.say(&notice!("web-sums-of", count = number(sums.scraps, lang)))) }
                @if sums.inacabados > 0 { " · " (visit.say(&notice!("web-unfinished", count = number(sums.inacabados, lang)))) }
            }
        }
        section.card { h2 { (visit.text("web-by-day")) } (plot(visit, days)) }
    }
}

fn excerpt(payload: &str) -> String {
    let mut chars = payload.chars();
    let shown: String = chars.by_ref().take(usize::try_from(EXCERPT).unwrap_or(usize::MAX)).collect();
    let shown = sent(&shown);
    if chars.next().is_some() { shown + "…" } else { shown }
}

/// Rows of each client and route by day: a column for each of the last days, and the same as a table for who does not see them.
fn plot(visit: &Visit, days: &[DayTotal]) -> Markup {
    let mut by_series: BTreeMap<(i32, &str), BTreeMap<NaiveDate, i64>> = BTreeMap::new();
    for total in days {
        let Some(day) = total.dia.as_deref().and_then(|text| text.parse().ok()) else { continue };
        by_series.entry((total.cliente_id, &total.origem)).or_default().insert(day, total.registros);
    }
    let newest = by_series.values().filter_map(|counts| counts.keys().last()).max().copied();
    let last = Utc::now().date_naive().max(newest.unwrap_or_default());
    let axis: Vec<NaiveDate> =
        (0..DAYS.unsigned_abs()).rev().filter_map(|back| last.checked_sub_days(Days::new(back.into()))).collect();
    html! {
        @if by_series.is_empty() { p.hint { (visit.text("web-by-day-none")) } }
        @for ((client, route), counts) in &by_series { (columns(visit, &axis, *client, route, counts)) }
    }
}

/// Height of the highest column, and the place of each, in the drawing's own units.
const COLUMN_HEIGHT: i64 = 56;
const COLUMN_WIDTH: usize = 20;

fn columns(visit: &Visit, axis: &[NaiveDate], client: i32, route: &str, counts: &BTreeMap<NaiveDate, i64>) -> Markup {
    let lang = visit.lang;
    let most = counts.values().copied().max().unwrap_or(1).max(1);
    let count = |day: &NaiveDate| counts.get(day).copied().unwrap_or(0);
    let name = |date: &NaiveDate| day(&date.to_string(), lang);
    let total = number(counts.values().sum(), lang);
    html! {
        figure.by-day {
            figcaption { b { (client) " · " bdi { (route) } } span.hint { (visit.say(&notice!("web-records", count = total))) } }
            svg viewBox={ "0 0 " (axis.len() * COLUMN_WIDTH) " " (COLUMN_HEIGHT + 2) } preserveAspectRatio="none" aria-hidden="true" {
                @for (at, date) in axis.iter().enumerate() {
                    // What is there is seen, however little it is.
                    @let height = if count(date) == 0 { 1 } else { (COLUMN_HEIGHT * count(date) / most).max(3) };
                    rect class=(if count(date) == 0 { "none" } else { "some" }) x=(at * COLUMN_WIDTH + 2) y=(COLUMN_HEIGHT + 1 - height) width=(COLUMN_WIDTH - 4) height=(height) {
                        title { (name(date)) ": " (number(count(date), lang)) }
                    }
                }
            }
            div.axis aria-hidden="true" { @if let (Some(first), Some(last)) = (axis.first(), axis.last()) { span { (name(first)) } span { "≤ " (number(most, lang)) } span { (name(last)) } } }
            details {
                summary { (visit.text("web-as-table")) }
                table.sums { tbody { @for (date, count) in counts.iter().rev() { tr { th scope="row" { (name(date)) } td.n { (number(*count, lang)) } } } } }
            }
        }
    }
}

/// Which records are meant.
pub(super) fn filter(fields: &Fields) -> Result<RecordFilter, Failure> {
    let date = |name: &str| fields.get(name).map(crate::service::day).transpose();
    let (from, to) = (date("de")?, date("ate")?);
    if let (Some(from), Some(to)) = (&from, &to)
        && from > to
    {
        return Err(Failure::usage(notice!("error-period-turned", from = from, to = to)));
    }
    Ok(RecordFilter { cliente_id: fields.number("cliente")?, origem: fields.get("rota").map(str::to_owned), from, to })
}

/// What a search found.
struct Found {
    records: Vec<(RawRecord, Option<String>)>,
    /// From where on it goes on.
    next: Option<i64>,
    /// How many records were looked at.
    searched: usize,
    /// How many of them were too large to be.
    too_large: usize,
}

async fn records(visit: Visit) -> Response {
    let found = search(&visit).await;
    let (status, content) = match found {
        Ok(found) => (StatusCode::OK, listed(&visit, &found)),
        Err(failure) => (problem::status(&failure), alert(&visit, &failure)),
    };
    let content = html! { (form(&visit)) (content) };
    (status, page(&visit, &visit.text("web-records-title"), &content)).into_response()
}

async fn search(visit: &Visit) -> Result<Found, Failure> {
    let (query, atlas) = (&visit.query, &visit.house.atlas);
    let filter = filter(query)?;
    let before = query.number("antes")?.unwrap_or(i64::MAX);
    let turn = Arc::new(visit.house.search_turn().await?);
    let Some(typed) = query.get("caminho") else {
        if query.get("valor").is_some() {
            return Err(Failure::usage(notice!("web-value-alone")));
        }
        let limit = i64::try_from(SHOWN).unwrap_or(i64::MAX);
        let records = atlas.records(&filter, before, limit, EXCERPT + 1).await?;
        let next = records.last().filter(|_| records.len() == SHOWN).map(|last| last.id);
        let searched = records.len();
        return Ok(Found {
            records: records.into_iter().map(|record| (record, None)).collect(),
            next,
            searched,
            too_large: 0,
        });
    };
    if typed.len() > PATH_MAX {
        return Err(Failure::usage(notice!("web-json-path", path = excerpt(typed))));
    }
    // A name alone is that member of the record.
    let text = if typed.starts_with('$') { typed.to_owned() } else { format!("$.{typed}") };
    let path = JsonPath::parse(&text).map_err(|_| Failure::usage(notice!("web-json-path", path = typed)))?;
    if !is_simple(&text) {
        return Err(Failure::usage(notice!("web-json-path-costly", path = typed)));
    }
    let wanted = query.get("valor").map(str::to_owned);
    let mut found = Found { records: Vec::new(), next: Some(before), searched: 0, too_large: 0 };
    let began = Instant::now();
    // Read whole, since the path may lead anywhere.
    while let Some(before) = found.next {
        if found.records.len() >= SHOWN || found.searched >= SEARCHED || began.elapsed() >= SEARCH_TIME {
            break;
        }
        let some = atlas.read_back(&filter, before, READ).await?;
        found.next = some.last().map(|last| last.id);
        // Its turn lasts for as long as it computes, whoever still waits for it.
        let (path, wanted, turn) = (path.clone(), wanted.clone(), Arc::clone(&turn));
        let room = SHOWN - found.records.len();
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look_through(some, &path, wanted.as_deref(), room, began)
        });
        let Ok(looked) = looked.await else { break };
        found.records.extend(looked.matched);
        found.searched += looked.searched;
        found.too_large += looked.too_large;
        found.next = looked.stopped_at.or(found.next);
    }
    Ok(found)
}

/// What came of looking through some records.
#[derive(Default)]
struct Looked {
    matched: Vec<(RawRecord, Option<String>)>,
    searched: usize,
    too_large: usize,
    /// The last one that was looked at, where there was no room for more, or no time.
    stopped_at: Option<i64>,
}

fn look_through(records: Vec<RawRecord>, path: &JsonPath, wanted: Option<&str>, room: usize, began: Instant) -> Looked {
    let mut looked = Looked::default();
    for record in records {
        let id = record.id;
        looked.searched += 1;
        if record.payload.len() > SEARCHED_RECORD_MAX {
            looked.too_large += 1;
        } else if let Some(at) = matches(path, wanted, &record.payload) {
            looked.matched.push((record, Some(at)));
        }
        if looked.matched.len() >= room || began.elapsed() >= SEARCH_TIME {
            looked.stopped_at = Some(id);
            break;
        }
    }
    looked
}

/// Whether a path takes no longer than it takes to read a record. What leads to many values leads to many times as many where it stands
/// twice; a filter looks at each value, and must not lead to many from there, nor begin at the record's own beginning; regular expressions
/// are compiled for each value.
fn is_simple(path: &str) -> bool {
    let (plain, filter) = path.split_once('?').unwrap_or((path, ""));
    let count = |text: &str, what: &str| text.matches(what).count();
    let is_plain = count(plain, "..") <= 1 && count(plain, ",") <= 4 && count(plain, "$") == 1;
    // A text between quotes may have any of these, and is refused all the same.
    let leads_on = ["..", "*", "$", "?", ",", "(", "&&", "||"];
    // What follows the filter leads on from each value that it finds.
    is_plain
        && (filter.is_empty()
            || count(plain, "..") + count(plain, "*") <= 1 && !leads_on.iter().any(|what| filter.contains(what)))
}

/// What stands at the path, if anything does, and is what is looked for.
fn matches(path: &JsonPath, wanted: Option<&str>, payload: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(payload).ok()?;
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut at = path.query(&value).all().into_iter().map(text);
    let Some(wanted) = wanted else { return at.next() };
    // A number is the same however many noughts end it, and a comma may stand for its point.
    let number = |text: &str| text.parse::<serde_json::Number>().or_else(|_| text.replace(',', ".").parse()).ok();
    let wanted_number = number(wanted);
    let is_equal = |at: &String| match (&wanted_number, number(at)) {
        _ if at == wanted => true,
        (Some(wanted), Some(at)) if wanted.is_f64() || at.is_f64() => wanted.as_f64() == at.as_f64(),
        (Some(wanted), Some(at)) => *wanted == at,
        _ => false,
    };
    at.find(is_equal)
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
            label { (visit.text("web-collected-from")) (day_input(query, "de")) }
            label { (visit.text("web-collected-to")) (day_input(query, "ate")) }
            label { (visit.text("web-json-path-field")) input name="caminho" size="24" placeholder="$.itens[0].codigo" value=(query.text("caminho")); }
            label { (visit.text("web-exact-value")) input name="valor" size="12" value=(query.text("valor")); }
            button type="submit" { (visit.text("web-search")) }
        }
        p.buttons {
            span.hint { (visit.text("web-export")) }
            a.button.quiet href=(export("jsonl")) download { "JSON Lines" }
            a.button.quiet href=(export("csv")) download { "CSV" }
            a.button.quiet href=(export("excel")) download { (visit.text("web-export-excel")) }
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
        @if visit.query.get("caminho").is_some() { p.hint { (visit.say(&notice!("web-searched", count = number(found.searched as i64, lang)))) @if found.too_large > 0 { " " (visit.say(&notice!("web-too-large-to-search", count = number(found.too_large as i64, lang), max = bytes(SEARCHED_RECORD_MAX as u64, lang)))) } } }
        @if let Some(next) = found.next {
            nav.pager aria-label=(visit.text("web-paging")) { a href={ "/dados/registros?" (visit.query.with("antes", Some(&next.to_string()))) } { (visit.text("web-older")) " »" } }
        }
    }
}

async fn record(visit: Visit, At(id): At<i64>) -> Response {
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

async fn raw(visit: Visit, At(id): At<i64>) -> Response {
    let turn = match visit.house.reading() {
        Ok(turn) => turn,
        Err(failure) => return visit.failed(&failure),
    };
    match visit.house.atlas.record(id).await {
        Ok(record) => {
            let name = format!("attachment; filename=\"registro-{id}.json\"");
            let kind = "application/json".to_owned();
            let body = Body::from_stream(in_pieces(record.payload.into(), turn));
            ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], body).into_response()
        }
        Err(failure) => visit.failed(&failure),
    }
}

async fn download(visit: Visit) -> Response {
    let name = visit.query.get("formato").unwrap_or("jsonl");
    let Some(format) = Format::from_name(name) else {
        return visit.failed(&Failure::usage(notice!("web-format-unknown", format = name)));
    };
    match filter(&visit.query) {
        Ok(filter) => {
            let of = [visit.query.get("cliente"), visit.query.get("rota")]
                .into_iter()
                .flatten()
                .map(|part| format!("-{part}"));
            let of: String = of
                .collect::<String>()
                .chars()
                .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
                .collect();
            let name = format!("attachment; filename=\"dados_raw{of}.{}\"", format.extension());
            let records = match export(&visit.house, visit.session.principal.access, filter, format) {
                Ok(records) => records,
                Err(failure) => return visit.failed(&failure),
            };
            let body = Body::from_stream(records);
            ([(header::CONTENT_TYPE, format.kind().to_owned()), (header::CONTENT_DISPOSITION, name)], body)
                .into_response()
        }
        Err(failure) => visit.failed(&failure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &str, wanted: &str, payload: &str) -> Option<String> {
        matches(&JsonPath::parse(path).unwrap_or_else(|e| panic!("{path}: {e}")), Some(wanted), payload)
    }

    #[test]
    fn a_number_is_found_however_it_is_written() {
        let order = r#"{"total":2997.10,"id":9007199254740993,"nome":"2997.10"}"#;
        for wanted in ["2997.10", "2997.1", "2997,1", "2997,10"] {
            assert!(at("$.total", wanted, order).is_some(), "{wanted}");
        }
        assert!(at("$.id", "9007199254740993", order).is_some());
        assert_eq!(at("$.id", "9007199254740992", order), None);
        assert_eq!(at("$.total", "2997", order), None);
    }

    #[test]
    fn a_search_that_stops_goes_on_after_the_last_record_that_it_looked_at() {
        let record = |id: i64| RawRecord {
            id,
            cliente_id: 7,
            origem: "pedido".to_owned(),
            data_coleta: None,
            payload: format!(r#"{{"par":{}}}"#, id % 2 == 0),
            hash_conteudo: None,
        };
        let path = JsonPath::parse("$.par").unwrap();
        let records = || (1..=10).rev().map(record).collect::<Vec<_>>();
        let ids = |looked: &Looked| looked.matched.iter().map(|(record, _)| record.id).collect::<Vec<_>>();
        let some = look_through(records(), &path, Some("true"), 2, Instant::now());
        assert_eq!((ids(&some), some.searched, some.stopped_at), (vec![10, 8], 3, Some(8)));
        let all = look_through(records(), &path, Some("true"), 50, Instant::now());
        assert_eq!((ids(&all), all.searched, all.stopped_at), (vec![10, 8, 6, 4, 2], 10, None));
        // Without time left, one is looked at: it always goes on.
        let late = Instant::now().checked_sub(SEARCH_TIME).unwrap();
        let one = look_through(records(), &path, Some("true"), 50, late);
        assert_eq!((one.searched, one.stopped_at), (1, Some(10)));
    }

    #[test]
    fn a_path_that_could_take_for_ever_is_not_simple() {
        for simple in ["$.numero", "$..sku", "$.itens[0].codigo", "$.itens[?@.quantidade > 3].sku", "$['a','b']"] {
            assert!(is_simple(simple), "{simple}");
        }
        for costly in [
            "$..a..b",
            "$[?search(@.nome, 'x')]",
            "$[?match(@, '(\\\\w{0,200}){0,20}')]",
            "$[?@[?@.a]]",
            "$[*,*,*,*,*,*]",
            "$[?count($..*)>0]",
            "$[?count($[*])>0]",
            "$[?$[*]]",
            "$[?@[*]]",
            "$[?@['a','b']]",
        ] {
            assert!(!is_simple(costly), "{costly}");
        }
    }
}

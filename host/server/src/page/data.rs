//! Records: the two verification queries of the document, what there is by day, a payload at a
//! time, all of them as a file.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use atlas_model::{RecordFilter, notice};
use atlas_service::{DayTotal, Failure, VERIFY_NEWEST, VERIFY_TOTALS, collected};
use axum::Router;
use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use chrono::{Days, NaiveDate, Utc};
use maud::{Markup, html};

use super::fields::Fields;
use super::format::{bytes, day, number, sent};
use super::layout::{day_input, empty, page};
use super::refusal::Answer;
use super::remedy::alert;
use super::visit::{At, Visit};
use crate::counting::{DAYS, Overview};
use crate::export::{Format, caveat, export, in_pieces};
use crate::problem;
use crate::search::{Found, SEARCHED_RECORD_MAX, Search, find};
use crate::state::AppState;

/// Records of one page.
const SHOWN: usize = 50;
/// Routes that are drawn by day: those with the most rows. Any other is drawn when it is chosen.
const SERIES_MAX: usize = 12;
/// Characters of a payload in the list, and bytes in the viewer: more than a person reads, and
/// fewer than slow a browser down.
const EXCERPT: i64 = 160;
const VIEWED: usize = 512 * 1024;

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/dados", get(overview))
        .route("/dados/registros", get(records))
        .route("/dados/registros/{id}", get(record))
        .route("/dados/registros/{id}/json", get(raw))
        .route("/dados/exportar", get(download))
}

async fn overview(visit: Visit) -> Answer<Markup> {
    let content = overviewed(&visit).await?;
    Ok(page(&visit, &visit.text("web-data"), &content))
}

async fn overviewed(visit: &Visit) -> Result<Markup, Failure> {
    let atlas = &visit.state.atlas;
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
    let counted = visit.state.counting.overview(atlas, id, visit.zone).await;
    let of_client = Fields::default().with("cliente", Some(&id.to_string()));
    Ok(html! {
        form.filter method="get" action="/dados" {
            label { (visit.text("web-client"))
                select name="cliente" { @for client in &clients { option value=(client.cliente_id) selected[client.cliente_id == id] { (client.cliente_id) } } }
            }
            @if let Ok(overview) = &counted { label { (visit.text("web-route"))
                select name="rota" {
                    option value="" { (visit.text("web-all-routes")) }
                    @for total in &overview.totals { option value=(total.origem) selected[visit.query.get("rota") == Some(&total.origem)] { (total.origem) } }
                }
            } }
            button type="submit" { (visit.text("web-show")) }
            a.button href={ "/dados/registros?" (of_client) } { (visit.text("web-browse-and-export")) }
        }
        @match &counted {
            Ok(overview) => { (verified(visit, id, overview)) }
            Err(failure) => { (alert(visit, failure)) p { a.button href={ "/dados?" (of_client) } { (visit.text("web-reload")) } } }
        }
    })
}

/// The results of the two verification queries, and the rows of each day.
fn verified(visit: &Visit, id: i32, overview: &Overview) -> Markup {
    let lang = visit.lang;
    let of_client = Fields::default().with("cliente", Some(&id.to_string()));
    let Overview { at, totals, newest, sums, days } = overview;
    html! {
        p.hint { (visit.text("web-counted-at")) " " (visit.moment(at.timestamp())) }
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
                    td { @if let Some(at) = &total.primeira_coleta { (visit.time(at)) } }
                    td { @if let Some(at) = &total.ultima_coleta { (visit.time(at)) } }
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
                    td { @if let Some(at) = &row.data_coleta { (visit.time(at)) } }
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
        section.card { h2 { (visit.text("web-by-day")) } p.hint { (visit.zone.name()) } (plot(visit, days)) }
    }
}

fn excerpt(payload: &str) -> String {
    let mut chars = payload.chars();
    let shown: String = chars.by_ref().take(usize::try_from(EXCERPT).unwrap_or(usize::MAX)).collect();
    let shown = sent(&shown);
    if chars.next().is_some() { shown + "…" } else { shown }
}

/// Draws a client's rows of each route by day: a column for each of the last days, and the same
/// numbers as a table for screen readers. Draws the chosen route, else those with the most rows.
fn plot(visit: &Visit, days: &[DayTotal]) -> Markup {
    let chosen = visit.query.get("rota");
    let mut by_route: BTreeMap<&str, BTreeMap<NaiveDate, i64>> = BTreeMap::new();
    for total in days.iter().filter(|total| chosen.is_none_or(|route| route == total.origem)) {
        by_route.entry(&total.origem).or_default().insert(total.dia, total.registros);
    }
    let mut series: Vec<_> = by_route.into_iter().collect();
    series.sort_by_key(|(_, counts)| Reverse(counts.values().sum::<i64>()));
    let left_out = series.len().saturating_sub(SERIES_MAX);
    series.truncate(SERIES_MAX);
    let newest = series.iter().filter_map(|(_, counts)| counts.keys().last()).max().copied();
    let last = visit.zone.local(Utc::now()).date_naive().max(newest.unwrap_or_default());
    let axis: Vec<NaiveDate> =
        (0..DAYS).rev().filter_map(|back| last.checked_sub_days(Days::new(back.into()))).collect();
    html! {
        @if series.is_empty() { p.hint { (visit.text("web-by-day-none")) } }
        @for (route, counts) in &series { (columns(visit, &axis, route, counts)) }
        @if left_out > 0 { p.hint { (visit.say(&notice!("web-by-day-others", count = left_out))) } }
    }
}

/// Height of the highest column, and the place of each, in the drawing's own units.
const COLUMN_HEIGHT: i64 = 56;
const COLUMN_WIDTH: usize = 20;

fn columns(visit: &Visit, axis: &[NaiveDate], route: &str, counts: &BTreeMap<NaiveDate, i64>) -> Markup {
    let lang = visit.lang;
    let most = counts.values().copied().max().unwrap_or(1).max(1);
    let count = |day: &NaiveDate| counts.get(day).copied().unwrap_or(0);
    let name = |date: &NaiveDate| day(&date.to_string(), lang);
    let total = number(counts.values().sum(), lang);
    html! {
        figure.by-day {
            figcaption { b { bdi { (route) } } span.hint { (visit.say(&notice!("web-records", count = total))) } }
            svg viewBox={ "0 0 " (axis.len() * COLUMN_WIDTH) " " (COLUMN_HEIGHT + 2) } preserveAspectRatio="none" aria-hidden="true" {
                @for (at, date) in axis.iter().enumerate() {
                    // Three units at least, so that a day with few rows is visible.
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

/// Which records are wanted: of a list, and of the export that stands beside it.
fn wanted(visit: &Visit) -> Result<Search, Failure> {
    let fields = &visit.query;
    let (from, until) = collected(visit.zone, fields.get("de"), fields.get("ate"))?;
    let origem = fields.get("rota").map(str::to_owned);
    let filter = RecordFilter { cliente_id: fields.number("cliente")?, origem, from, until };
    Search::new(filter, fields.get("caminho"), fields.get("valor"))
}

async fn records(visit: Visit) -> Answer {
    let found = search(&visit).await;
    let (status, content) = match found {
        Ok(found) => (StatusCode::OK, listed(&visit, &found)),
        Err(failure) => (problem::status(&failure), alert(&visit, &failure)),
    };
    let content = html! { (form(&visit)) (content) };
    Ok((status, page(&visit, &visit.text("web-records-title"), &content)).into_response())
}

async fn search(visit: &Visit) -> Result<Found, Failure> {
    let before = visit.query.number("cursor")?.unwrap_or(i64::MAX);
    find(&visit.state, &wanted(visit)?, before, SHOWN, EXCERPT + 1).await
}

fn form(visit: &Visit) -> Markup {
    let query = &visit.query;
    let export = |format: &str| {
        format!("/dados/exportar?{}", Fields::parse(&query.with("cursor", None)).with("formato", Some(format)))
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
            span.hint { (visit.say(&notice!("web-times-in", zone = visit.zone.name()))) }
            @if query.get("caminho").is_some() {
                span.hint { (visit.say(&notice!("web-export-skips", max = bytes(SEARCHED_RECORD_MAX as u64, visit.lang)))) }
            }
        }
    }
}

fn listed(visit: &Visit, found: &Found) -> Markup {
    let is_search = visit.query.get("caminho").is_some();
    let onward =
        found.next.map(|next| format!("/dados/registros?{}", visit.query.with("cursor", Some(&next.to_string()))));
    html! {
        @if found.records.is_empty() && !(is_search && onward.is_some()) { (empty(&visit.text("web-nothing-found"), None)) }
        div #achados {
            @if !found.records.is_empty() {
                div.scroll tabindex="0" role="region" aria-label=(visit.text("web-records-title")) { table.dense {
                    thead { tr { th scope="col" { "#" } th scope="col" { (visit.text("web-client")) } th scope="col" { (visit.text("web-route")) }
                        th scope="col" { (visit.text("web-when")) } th scope="col" { (visit.text("web-payload")) } } }
                    tbody { @for (record, at) in &found.records { tr {
                        td { a href={ "/dados/registros/" (record.id) } { (record.id) } }
                        td { (record.cliente_id) } td { bdi { (record.origem) } }
                        td { @if let Some(at) = &record.data_coleta { (visit.time(at)) } }
                        td.text { code { @if let Some(at) = at { b { (excerpt(at)) } " " } (excerpt(&record.payload)) } }
                    } } }
                } }
            }
        }
        @if is_search { (how_far(visit, found, onward.as_deref())) }
        @else if let Some(onward) = onward {
            nav.pager aria-label=(visit.text("web-paging")) { a href=(onward) { (visit.text("web-older")) " »" } }
        }
    }
}

/// Shows how far a search has come. Where records are left to search, the script asks for the next
/// part until it has a page of matches; without a script, a link does.
fn how_far(visit: &Visit, found: &Found, onward: Option<&str>) -> Markup {
    let lang = visit.lang;
    let count = |n: usize| number(i64::try_from(n).unwrap_or(i64::MAX), lang);
    let most = bytes(SEARCHED_RECORD_MAX as u64, lang);
    // Messages for the script, which replaces `{}` with its sum over several parts.
    let searched = visit.say(&notice!("web-searched", count = "{}", n = 2));
    let too_large = visit.say(&notice!("web-too-large-to-search", count = "{}", n = 2, max = most));
    html! {
        div #busca data-examinados=(found.searched) data-achados=(found.records.len()) data-cheia=(SHOWN) data-continua=[onward]
            data-grandes=(found.too_large) data-examinados-dito=(searched) data-grandes-dito=(too_large) {
            p.hint role="status" {
                span { (visit.say(&notice!("web-searched", count = count(found.searched), n = found.searched))) }
                @if let Some(at) = &found.back_to { " " (visit.text("web-searched-back-to")) " " (visit.time(at)) "." }
                @if found.too_large > 0 { span.grandes { " " (visit.say(&notice!("web-too-large-to-search", count = count(found.too_large), n = found.too_large, max = most))) } }
                @if onward.is_none() { " " (visit.text("web-searched-all")) }
            }
            @if let Some(onward) = onward {
                nav.pager aria-label=(visit.text("web-paging")) {
                    a href=(onward) { (visit.text(if found.records.len() < SHOWN { "web-search-on" } else { "web-older" })) " »" }
                    button.quiet #parar type="button" hidden { (visit.text("web-search-stop")) }
                }
            }
        }
    }
}

async fn record(visit: Visit, At(id): At<i64>) -> Answer {
    let record = visit.state.atlas.record(id).await?;
    let size = record.payload.len();
    let lang = visit.lang;
    let shown = tokio::task::spawn_blocking(move || {
        // Only laid out: every number and every string stays as it is written.
        let text = atlas_service::laid_out(&record.payload, VIEWED);
        (record, text)
    });
    let Ok((record, (text, is_cut))) = shown.await else {
        return Ok(StatusCode::INTERNAL_SERVER_ERROR.into_response());
    };
    let content = html! {
        p { a href="/dados/registros" { "« " (visit.text("web-records-title")) } }
        section.card {
            dl.pairs {
                dt { (visit.text("web-client")) } dd { (record.cliente_id) }
                dt { (visit.text("web-route")) } dd { bdi { (record.origem) } }
                dt { (visit.text("web-when")) } dd { @if let Some(at) = &record.data_coleta { (visit.time(at)) } }
                dt { "hash_conteudo" } dd { code.whole { (record.hash_conteudo.as_deref().unwrap_or("–")) } }
                dt { (visit.text("web-size")) } dd { (bytes(size as u64, lang)) }
            }
            @if is_cut { p.alert.note { (visit.say(&notice!("web-payload-cut", shown = bytes(VIEWED as u64, lang), size = bytes(size as u64, lang)))) } }
            pre.payload.tall tabindex="0" { code { (sent(&text)) } }
            p { a.button.quiet href={ "/dados/registros/" (id) "/json" } download { (visit.text("web-whole-payload")) } }
        }
    };
    Ok(page(&visit, &visit.say(&notice!("web-record", id = id)), &content).into_response())
}

async fn raw(visit: Visit, At(id): At<i64>) -> Answer {
    let turn = visit.state.reading()?;
    let record = visit.state.atlas.record(id).await?;
    let name = format!("attachment; filename=\"registro-{id}.json\"");
    let kind = "application/json".to_owned();
    let body = Body::from_stream(in_pieces(record.payload.into(), turn));
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], body).into_response())
}

async fn download(visit: Visit) -> Answer {
    let name = visit.query.get("formato").unwrap_or("jsonl");
    let unknown = || Failure::usage(notice!("web-format-unknown", format = name));
    let format = Format::from_name(name).ok_or_else(unknown)?;
    let search = wanted(&visit)?;
    let of = [visit.query.get("cliente"), visit.query.get("rota")].into_iter().flatten().map(|part| format!("-{part}"));
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let of: String = of.collect::<String>().chars().filter(is_plain).collect();
    let name = format!("attachment; filename=\"dados_raw{of}.{}\"", format.extension());
    let caveat = caveat(&search);
    let records = export(&visit.state, visit.session.principal.access, search, format, visit.zone)?;
    let kind = [(header::CONTENT_TYPE, format.kind().to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((caveat, kind, Body::from_stream(records)).into_response())
}

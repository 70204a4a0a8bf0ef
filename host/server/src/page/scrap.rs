//! One scrap: how it goes, what it came to, its pages, its log, its rejected records.

use std::fmt::Write as _;
use std::sync::Arc;

use atlas_model::{Notice, PageRow, Rejected, Scrap, ScrapState, notice};
use atlas_service::i18n::Lang;
use atlas_service::{Act, Failure, Replayed};
use axum::Router;
use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use axum::routing::{get, post};
use maud::{Markup, html};

use super::fields::Fields;
use super::format::{bytes, clock, number, period, sent};
use super::layout::{action, done, empty, page};
use super::refusal::Answer;
use super::remedy;
use super::scraps::{actions, badge, progress, ran};
use super::visit::{At, Posted, Visit};
use crate::export::in_pieces;
use crate::state::AppState;

/// Pages of the strip: those that became known last.
const STRIP: i64 = 600;
/// Pages of one page of the table.
const PAGES_SHOWN: i64 = 100;
/// Rejected records that are shown at once, and bytes of each.
const REJECTS_SHOWN: i64 = 20;
const REJECT_BYTES: usize = 4 * 1024;
/// Characters of what a page is known by, in a word on it.
const NAME_SHOWN: usize = 60;

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new()
        .route("/scraps/{id}", get(show))
        .route("/scraps/{id}/andamento", get(underway))
        .route("/scraps/{id}/paginas", get(pages))
        .route("/scraps/{id}/rejeitados", get(rejects))
        .route("/scraps/{id}/rejeitados/reprocessar", post(replay_all))
        .route("/rejeitados/{id}/reprocessar", post(replay_one))
        .route("/rejeitados/{id}/conteudo", get(content))
}

async fn show(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    let (title, content) = shown(&visit, id).await?;
    // The content alone is what the script reloads when the scrap's state has changed.
    Ok(if visit.query.get("parte").is_some() { content } else { page(&visit, &title, &content) })
}

async fn shown(visit: &Visit, id: i64) -> Result<(String, Markup), Failure> {
    let atlas = &visit.state.atlas;
    let scrap = atlas.scrap(id).await?;
    let report = atlas_service::RunReport::of(&scrap);
    let title = visit.say(&notice!("web-scrap", id = id));
    let lang = visit.lang;
    let newest = atlas.newest_pages(id, STRIP).await?;
    let (lines, _) = atlas.history(scrap.cliente_id, id).await?;
    let content = html! {
        div #scrap data-scrap=(id) data-state=(scrap.state.name()) data-whole {
            div.bar {
                div { (badge(visit, &scrap)) " " span.facts { (visit.text("web-client")) " " a href={ "/clientes/" (scrap.cliente_id) } { (scrap.cliente_id) } " · " bdi { (scrap.rota) } " · " (period(scrap.period.as_ref(), lang)) } }
                div.buttons {
                    (actions(visit, &scrap))
                    a.button.quiet href={ "/dados/registros?" (Fields::default().with("cliente", Some(&scrap.cliente_id.to_string()))) "&" (Fields::default().with("rota", Some(&scrap.rota))) } { (visit.text("web-see-records")) }
                }
            }
            @if visit.query.get("vinculado").is_some() { (done(&visit.say(&notice!("web-default-bound", client = scrap.cliente_id)))) }
            @for reason in &report.reasons {
                (remedy::reason(visit, id, reason))
            }
            (progress(visit, &scrap))
            dl.numbers {
                (figure(visit, "web-pages", "paginas", &number(scrap.pages, lang)))
                (figure(visit, "web-frontier", "fronteira", &number(scrap.frontier, lang)))
                (figure(visit, "web-read", "lidos", &number(scrap.counts.lidos, lang)))
                (figure(visit, "web-rate", "registros_por_segundo", &mean_rate(&scrap, lang)))
                (figure(visit, "web-page-ms", "pagina_ms", "–"))
                (figure(visit, "web-left", "restam_s", "–"))
                (figure(visit, "web-failed-attempts", "tentativas_falhas", &failed_attempts(&scrap, &newest, lang)))
            }
            @if scrap.slices > 0 {
                p { a href={ "/scraps?fatia_de=" (id) } { (visit.say(&notice!("web-slices", done = scrap.slices_done, count = scrap.slices))) } }
            }
            @if let Some(whole) = scrap.slice_of {
                p { a href={ "/scraps/" (whole) } { (visit.say(&notice!("web-slice-of", id = whole))) } }
            }
            div.columns {
                @if scrap.slices == 0 { section.card { h2 { (visit.text("web-plot")) }
                    figure.plot data-plot=(id) {
                        svg role="img" aria-label=(visit.text("web-plot")) {}
                        figcaption.hint { (visit.text("web-plot-none")) }
                        ul.legend hidden {
                            li.rate-key { "— " (visit.text("web-rate-unit")) }
                            li.latency-key { "┄ " (visit.text("web-page-ms")) }
                        }
                    }
                } }
                section.card { (reconciliation(visit, &scrap)) }
            }
            // A divided scrap has no pages of its own: its slices have.
            @if scrap.slices == 0 { (on_its_way(visit, &scrap, &newest)) }
            section.card { h2 { (visit.text("web-log")) }
                @if lines.is_empty() { p.hint data-none { (visit.text("web-log-none")) } }
                ol.log #log {
                    @for line in &lines { li { (clock(line.at, visit.zone)) " " span { (visit.say(&line.notice)) } } }
                }
            }
            section.card { h2 { (visit.text("web-details")) }
                dl.pairs {
                    dt { (visit.text("web-created")) } dd { (visit.time(&scrap.created_at)) }
                    dt { (visit.text("web-ran")) } dd { @if scrap.elapsed_ms > 0 { (ran(visit, &scrap)) } @else { "–" } }
                    dt { (visit.text("web-page-size")) } dd { (number(scrap.page_size.into(), lang)) }
                    @if let Some(batch) = scrap.batch { dt { (visit.text("web-batch")) } dd { (number(batch.into(), lang)) } }
                    @if let Some(retries) = scrap.retries { dt { (visit.text("web-retries")) } dd { (retries) } }
                    dt { (visit.text("web-sweep")) } dd { (scrap.sweep + 1) }
                    @if let Some((version, sha256)) = &scrap.connector {
                        dt { (visit.text("web-connector")) } dd { bdi { (version) } " " code { (sha256) } }
                    }
                }
            }
        }
    };
    Ok((title, content))
}

async fn underway(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    let atlas = &visit.state.atlas;
    let (scrap, newest) = (atlas.scrap(id).await?, atlas.newest_pages(id, STRIP).await?);
    Ok(on_its_way(&visit, &scrap, &newest))
}

/// The parts that grow while a scrap runs, which the script reloads: its newest pages and its
/// rejected records.
fn on_its_way(visit: &Visit, scrap: &Scrap, newest: &[PageRow]) -> Markup {
    let rejected = scrap.counts.rejeitados;
    html! {
        div data-underway={ "/scraps/" (scrap.id) "/andamento" } {
            section.card { h2 { (visit.text("web-strip")) }
                @if newest.is_empty() { p.hint.strip { (visit.text("web-strip-none")) } } @else { (strip(visit, newest)) }
                (legend(visit))
                p { a href={ "/scraps/" (scrap.id) "/paginas" } { (visit.text("web-all-pages")) } }
            }
            section.card { h2 { (visit.text("web-rejects")) }
                p { @if rejected == 0 { (visit.text("web-rejects-none")) }
                    @else { a href={ "/scraps/" (scrap.id) "/rejeitados" } { (visit.say(&notice!("web-rejects-see", count = number(rejected, visit.lang)))) } } }
            }
        }
    }
}

fn figure(visit: &Visit, name: &str, live: &str, value: &str) -> Markup {
    html! { div { dt { (visit.text(name)) } dd data-f=(live) { (value) } } }
}

/// Records a second over all its runs, once they have ended.
fn mean_rate(scrap: &Scrap, lang: Lang) -> String {
    match scrap.elapsed_ms {
        1.. if scrap.state.is_done() => number(scrap.counts.lidos * 1_000 / scrap.elapsed_ms, lang),
        _ => "–".to_owned(),
    }
}

/// Attempts that failed, of a scrap all whose pages are known here.
fn failed_attempts(scrap: &Scrap, pages: &[PageRow], lang: Lang) -> String {
    if scrap.slices > 0 || (pages.len() as i64) < STRIP.min(scrap.pages) || scrap.pages > STRIP {
        return "–".to_owned();
    }
    number(pages.iter().map(|page| i64::from(page.tentativas) - 1).filter(|again| *again > 0).sum(), lang)
}

/// The account of a scrap's records: declared, read, and the counts, with `confere` or the
/// difference.
fn reconciliation(visit: &Visit, scrap: &Scrap) -> Markup {
    let (lang, counts) = (visit.lang, &scrap.counts);
    let declared = scrap.total_records.map_or_else(|| "–".to_owned(), |total| number(total, lang));
    let off = counts.off_by();
    let missing = scrap
        .total_records
        .filter(|_| scrap.state.is_done() && scrap.sweep == 0)
        .map_or(0, |total| total - counts.lidos);
    let line = |sign: &str, name: &str, live: &str, n: i64| {
        html! {
            tr { th scope="row" { (sign) " " (visit.text(name)) } td.n data-f=(live) { (number(n, lang)) } }
        }
    };
    html! {
        h2 { (visit.text("web-reconciliation")) }
        table.sums {
            tbody {
                tr { th scope="row" { (visit.text("web-declared")) } td.n data-f="total_declarado" { (declared) } }
                (line("", "web-read", "lidos", counts.lidos))
                (line("=", "web-inserted", "inseridos", counts.inseridos))
                (line("+", "web-duplicate", "duplicados", counts.duplicados))
                (line("+", "web-again", "reencontrados", counts.reencontrados))
                (line("+", "web-rejected", "rejeitados", counts.rejeitados))
            }
        }
        @if counts.duplicados > 0 { p.hint { (visit.say(&notice!("web-duplicate-hint", count = number(counts.duplicados, lang)))) } }
        @if counts.reencontrados > 0 { p.hint { (visit.say(&notice!("web-again-hint", count = number(counts.reencontrados, lang)))) } }
        @if off != 0 {
            p.verdict.bad { (visit.say(&notice!("web-off-by", count = number(off, lang)))) }
        } @else if missing != 0 {
            p.verdict.warn { (visit.say(&notice!("web-missing", declared = declared, read = number(counts.lidos, lang)))) }
        } @else if scrap.state == ScrapState::ConcluidoComRessalva {
            p.verdict.warn { (visit.text("web-adds-up-but")) }
        } @else if scrap.state.is_done() {
            p.verdict.good { "✓ " (visit.text("web-adds-up")) }
        } @else if counts.lidos > 0 {
            p.verdict { (visit.text("web-adds-up-so-far")) }
        }
    }
}

/// Each page as a small block, in the order in which they became known.
fn strip(visit: &Visit, pages: &[PageRow]) -> Markup {
    html! {
        ol.strip tabindex="0" aria-label=(visit.text("web-strip")) {
            @for page in pages {
                @let kind = kind(page);
                li data-k=(kind) title=(title(visit, page, kind)) {}
            }
        }
    }
}

fn legend(visit: &Visit) -> Markup {
    html! {
        ul.legend {
            @for kind in ["gravada", "repetida", "rejeitada", "buscada", "pendente"] {
                li { i data-k=(kind) {} (visit.say(&Notice::new(&format!("web-page-{kind}")))) }
            }
        }
    }
}

/// How a page stands, in one word.
fn kind(page: &PageRow) -> &'static str {
    match page {
        page if page.estado == "pendente" && page.iniciado => "buscada",
        page if page.estado == "pendente" => "pendente",
        page if page.counts.rejeitados > 0 => "rejeitada",
        page if page.tentativas > 1 => "repetida",
        _ => "gravada",
    }
}

fn title(visit: &Visit, page: &PageRow, kind: &str) -> String {
    let mut text = visit.say(&Notice::new(&format!("web-page-{kind}")));
    let cursor: String = page.name().as_deref().unwrap_or("1").chars().take(NAME_SHOWN).collect();
    let read = number(page.counts.lidos, visit.lang);
    let _ = write!(text, " · {} · {}", sent(&cursor), visit.say(&notice!("web-records", count = read)));
    text
}

async fn pages(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    let content = listed_pages(&visit, id).await?;
    Ok(page(&visit, &visit.say(&notice!("web-pages-of", id = id)), &content))
}

async fn listed_pages(visit: &Visit, id: i64) -> Result<Markup, Failure> {
    let (atlas, lang) = (&visit.state.atlas, visit.lang);
    atlas.scrap(id).await?;
    let after = visit.query.number("cursor")?.unwrap_or(0);
    let pages = atlas.pages(id, after, PAGES_SHOWN).await?;
    let count = |n: i64| html! { td.n { (number(n, lang)) } };
    Ok(html! {
        p { a href={ "/scraps/" (id) } { "« " (visit.say(&notice!("web-scrap", id = id))) } }
        @if pages.is_empty() { (empty(&visit.text("web-strip-none"), None)) }
        @else {
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-strip")) {
                table.dense {
                    thead { tr {
                        th scope="col" { (visit.text("web-cursor")) }
                        th scope="col" { (visit.text("web-state")) }
                        th.n scope="col" { (visit.text("web-sweep")) }
                        th.n scope="col" { (visit.text("web-attempts")) }
                        @for name in ["web-read", "web-inserted", "web-duplicate", "web-again", "web-rejected", "web-declared"] { th.n scope="col" { (visit.text(name)) } }
                        th scope="col" { (visit.text("web-connector")) }
                        th scope="col" { (visit.text("web-written-at")) }
                    } }
                    tbody {
                        @for page in &pages {
                            tr {
                                td.text { bdi { (sent(page.name().as_deref().unwrap_or("–"))) } }
                                td { span.badge data-k=(kind(page)) { (visit.say(&Notice::new(&format!("web-page-{}", kind(page))))) } }
                                (count((page.varredura + 1).into()))
                                (count(page.tentativas.into()))
                                (count(page.counts.lidos)) (count(page.counts.inseridos)) (count(page.counts.duplicados))
                                (count(page.counts.reencontrados)) (count(page.counts.rejeitados))
                                td.n { @if let Some(total) = page.total_declarado { (number(total, lang)) } @else { "–" } }
                                td { @if let Some(sha256) = &page.conector_sha256 { code { (sha256.get(..12).unwrap_or(sha256)) } } }
                                td { @if let Some(at) = &page.gravado_em { (visit.time(at)) } }
                            }
                        }
                    }
                }
            }
            nav.pager aria-label=(visit.text("web-paging")) {
                @if after > 0 { a href={ "/scraps/" (id) "/paginas" } { "« " (visit.text("web-first")) } }
                @if pages.len() as i64 == PAGES_SHOWN && let Some(last) = pages.last() {
                    a href={ "/scraps/" (id) "/paginas?cursor=" (last.ordem) } { (visit.text("web-next")) " »" }
                }
            }
        }
    })
}

async fn rejects(visit: Visit, At(id): At<i64>) -> Answer<Markup> {
    let content = listed_rejects(&visit, id).await?;
    Ok(page(&visit, &visit.say(&notice!("web-rejects-of", id = id)), &content))
}

async fn listed_rejects(visit: &Visit, id: i64) -> Result<Markup, Failure> {
    let (atlas, lang) = (&visit.state.atlas, visit.lang);
    atlas.scrap(id).await?;
    let after = visit.query.number("cursor")?.unwrap_or(0);
    let rejects = atlas.rejects(Some(id), after, REJECTS_SHOWN).await?;
    let more = match rejects.last() {
        Some(last) => !atlas.rejects(Some(id), last.id, 1).await?.is_empty(),
        None => false,
    };
    let may = visit.session.principal.may(Act::Operate);
    Ok(html! {
        p { a href={ "/scraps/" (id) } { "« " (visit.say(&notice!("web-scrap", id = id))) } }
        @if let Some(told) = visit.query.get("feito") { (replayed(visit, known_outcome(told))) }
        @if rejects.is_empty() { (empty(&visit.text("web-rejects-none"), None)) }
        @else {
            @if may {
                div.bar { p.hint { (visit.text("web-replay-hint")) }
                    (action(visit, &format!("/scraps/{id}/rejeitados/reprocessar"), &visit.text("web-replay-all"), "primary")) }
            }
            @for reject in &rejects { (rejected(visit, reject, may)) }
            nav.pager aria-label=(visit.text("web-paging")) {
                @if after > 0 { a href={ "/scraps/" (id) "/rejeitados" } { "« " (visit.text("web-first")) } }
                @if more && let Some(last) = rejects.last() {
                    a href={ "/scraps/" (id) "/rejeitados?cursor=" (last.id) } { (visit.text("web-next")) " »" }
                }
            }
            p.hint { (visit.say(&notice!("web-shown", count = number(rejects.len() as i64, lang)))) }
        }
    })
}

/// A note on a replay's outcome; a success only if all its records are in the table now.
fn replayed(visit: &Visit, outcome: &str) -> Markup {
    let text = visit.say(&Notice::new(&format!("web-replayed-{outcome}")));
    match outcome {
        "todos" => done(&text),
        _ => html! { div.alert.note role="status" { p { (text) } } },
    }
}

fn rejected(visit: &Visit, reject: &Rejected, may: bool) -> Markup {
    let lang = visit.lang;
    let cut = reject.content.get(..REJECT_BYTES).unwrap_or(&reject.content);
    html! {
        article.card #{ "r" (reject.id) } {
            header.bar {
                h2 { "#" (reject.id) " " small { (visit.say(&Notice::new(&format!("rejected-{}", reject.code)))) } }
                @if let Some(at) = &reject.replayed_at { span.badge data-s="concluido" { (visit.text("web-replayed")) " " (visit.time(at)) } }
                @else if may { (action(visit, &format!("/rejeitados/{}/reprocessar", reject.id), &visit.text("web-replay"), "quiet")) }
            }
            p { (visit.say(&notice!("web-detail", text = visit.texts().reason(&reject.reason)))) }
            dl.pairs {
                dt { (visit.text("web-cursor")) } dd { bdi { (sent(reject.cursor.as_deref().unwrap_or("–"))) } }
                dt { (visit.text("web-position")) } dd { (number(reject.position + 1, lang)) }
                dt { (visit.text("web-when")) } dd { (visit.time(&reject.created_at)) }
                dt { (visit.text("web-size")) } dd { (bytes(reject.content.len() as u64, lang)) }
            }
            pre.payload tabindex="0" { code { (sent(&String::from_utf8_lossy(cut))) @if cut.len() < reject.content.len() { "…" } } }
            p { a href={ "/rejeitados/" (reject.id) "/conteudo" } download { (visit.text("web-exact-bytes")) } }
        }
    }
}

/// Downloads a rejected record's bytes as they arrived. The source chose them, so the headers make
/// a browser save them and never render them.
async fn content(visit: Visit, At(id): At<i64>) -> Answer {
    let turn = visit.state.reading()?;
    let reject = visit.state.atlas.rejected(id).await?;
    let name = format!("attachment; filename=\"rejeitado-{id}.bin\"");
    let kind = "application/octet-stream".to_owned();
    let body = Body::from_stream(in_pieces(reject.content.into(), turn));
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], body).into_response())
}

async fn replay_all(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    let (mut kept, mut rejected) = (0, 0);
    let tell = |_: &Rejected, replayed: &Replayed| match replayed {
        Replayed::Rejected(..) => rejected += 1,
        _ => kept += 1,
    };
    visit.state.atlas.replay(&[], Some(id), tell).await?;
    let outcome = match (kept, rejected) {
        (_, 0) => "todos",
        (0, _) => "nenhum",
        _ => "alguns",
    };
    Ok(told(id, outcome))
}

async fn replay_one(At(id): At<i64>, Posted { visit, .. }: Posted) -> Answer<Redirect> {
    visit.need(Act::Operate)?;
    let (mut scrap, mut outcome) = (0, "nenhum");
    let tell = |reject: &Rejected, replayed: &Replayed| {
        scrap = reject.scrap_id;
        outcome = match replayed {
            Replayed::Rejected(..) => "nenhum",
            _ => "todos",
        };
    };
    visit.state.atlas.replay(&[id], None, tell).await?;
    Ok(told(scrap, outcome))
}

fn told(scrap: i64, outcome: &str) -> Redirect {
    Redirect::to(&format!("/scraps/{scrap}/rejeitados?feito={outcome}"))
}

/// A replay's outcome as the query names it; `nenhum` for any value that is not known.
fn known_outcome(told: &str) -> &'static str {
    match told {
        "todos" => "todos",
        "alguns" => "alguns",
        _ => "nenhum",
    }
}

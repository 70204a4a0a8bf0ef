//! Whether all is well: queue, hosts, database, disk, and what `doctor` says.

use std::path::Path;
use std::sync::Arc;

use atlas_model::{Notice, notice};
use atlas_service::{Failure, Finding, Health, StoreUrl};
use axum::Router;
use axum::routing::get;
use maud::{Markup, html};

use super::format::{bytes, number};
use super::layout::page;
use super::refusal::Answer;
use super::remedy::hint;
use super::visit::Visit;
use crate::state::AppState;
use crate::view::rfc3339;

/// After how long without a word a process is said to be silent.
const SILENT_AFTER: chrono::TimeDelta = chrono::TimeDelta::minutes(2);
/// Below this, the disk is said to be nearly full.
const DISK_LOW: u64 = 1_000_000_000;

pub(super) fn router() -> Router<Arc<AppState>> {
    Router::new().route("/saude", get(show))
}

async fn show(visit: Visit) -> Answer<Markup> {
    let content = shown(&visit).await?;
    Ok(page(&visit, &visit.text("web-health"), &content))
}

async fn shown(visit: &Visit) -> Result<Markup, Failure> {
    let (atlas, lang) = (&visit.state.atlas, visit.lang);
    let (states, hosts) = (atlas.scraps_by_state().await?, atlas.hosts().await?);
    let findings = visit.state.findings().await;
    let database = &atlas.config().store;
    let free = match database {
        StoreUrl::Sqlite(path) => free_space(path),
        StoreUrl::Postgres(_) => free_space(Path::new(".")),
    };
    Ok(html! {
        section.card { h2 { (visit.text("web-doctor")) }
            ul.findings { @for finding in &findings { (found(visit, finding)) } }
        }
        div.columns {
            section.card { h2 { (visit.text("web-queue")) }
                @if states.is_empty() { p.hint { (visit.text("web-queue-none")) } }
                @else { table.sums { tbody { @for (state, count) in &states { tr {
                    th scope="row" { @if state == "dividido" { (visit.text("web-divided")) } @else { a href={ "/scraps?estado=" (state) } { (visit.say(&Notice::new(&format!("state-{state}")))) } } }
                    td.n { (number(*count, lang)) }
                } } } } }
            }
            section.card { h2 { (visit.text("web-database")) }
                dl.pairs {
                    dt { (visit.text("web-where")) } dd { bdi { (database.location()) } }
                    dt { (visit.text("web-disk-free")) } dd { @match free {
                        Some(free) if free < DISK_LOW => strong.bad { (bytes(free, lang)) },
                        Some(free) => (bytes(free, lang)),
                        None => "–",
                    } }
                }
            }
        }
        section.card { h2 { (visit.text("web-hosts")) }
            div.scroll tabindex="0" role="region" aria-label=(visit.text("web-hosts")) { table.dense {
                thead { tr { @for name in ["web-host", "web-version", "web-since", "web-seen"] { th scope="col" { (visit.text(name)) } } th.n scope="col" { (visit.text("web-running-scraps")) } } }
                tbody { @for host in &hosts { tr {
                    td { bdi { (host.nome) } @if is_silent(&host.visto_em) { " " span.badge data-s="interrompido" { (visit.text("web-host-silent")) } } } td { (host.versao) } td { (visit.time(&host.iniciado_em)) } td { (visit.time(&host.visto_em)) } td.n { (host.correndo) }
                } } }
            } }
        }
        p.hint { (visit.say(&notice!("web-version-of", version = env!("CARGO_PKG_VERSION")))) " · " a href="/metrics" { "/metrics" } " · " a href="/api/v1/docs" { "API" } }
    })
}

/// Whether nothing was heard of a process for longer than it takes to notice that one is dead.
fn is_silent(seen: &str) -> bool {
    let seen = chrono::DateTime::parse_from_rfc3339(&rfc3339(seen));
    seen.is_ok_and(|seen| chrono::Utc::now() - seen.to_utc() > SILENT_AFTER)
}

fn found(visit: &Visit, finding: &Finding) -> Markup {
    let (class, sign) = match finding.health {
        Health::Ok => ("good", "✓"),
        Health::Warning => ("warn", "!"),
        Health::Bad => ("bad", "✗"),
    };
    html! {
        li class=(class) {
            span.sign aria-hidden="true" { (sign) }
            div { (visit.say(&finding.notice)) div.hint { (hint(visit, &finding.notice)) } }
        }
    }
}

/// Free bytes where a file is.
fn free_space(path: &Path) -> Option<u64> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

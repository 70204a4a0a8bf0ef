//! `atlas scrap create|list|show|run|resume|retry|pause|cancel`.

use atlas_model::{ChangeOutcome, InitReport, Notice, Scrap, ScrapFilter, ScrapState, notice};
use atlas_service::i18n::{Catalogue, Lang};
use atlas_service::{Atlas, Created, Exit, Failure, RunReport};

use super::args::{ScrapArgs, ScrapCommand};
use super::output::Output;
use super::run;

pub(super) async fn run(args: ScrapArgs, atlas: &Atlas, init: &InitReport, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        ScrapCommand::Create(args) => create(atlas, args, output).await,
        ScrapCommand::List { client, route, state, limit } => {
            let state = state.map(|name| state_of(&name).ok_or_else(|| unknown_state(&name))).transpose()?;
            let filter = ScrapFilter { cliente_id: client, rota: route, state, ..ScrapFilter::default() };
            list(atlas, &filter, limit, output).await
        }
        ScrapCommand::Show { id } => show(atlas, id, output).await,
        ScrapCommand::Run { ids, queue: false } | ScrapCommand::Resume { ids, queue: false } => {
            let ids = each_once(atlas, ids).await?;
            run::run_all(atlas, &ids, init, output).await
        }
        ScrapCommand::Run { ids, .. } | ScrapCommand::Resume { ids, .. } | ScrapCommand::Retry { ids } => {
            for id in each_once(atlas, ids).await? {
                atlas.requeue_scrap(id).await?;
                output.remark(&notice!("scrap-queued", id = id));
            }
            Ok(Exit::Done)
        }
        ScrapCommand::Pause { ids } => {
            for id in each_once(atlas, ids).await? {
                let told = match atlas.pause_scrap(id).await? {
                    ChangeOutcome::Forwarded => notice!("scrap-pausing", id = id),
                    ChangeOutcome::Done | ChangeOutcome::Refused => notice!("scrap-paused", id = id),
                };
                output.remark(&told);
            }
            Ok(Exit::Done)
        }
        ScrapCommand::Cancel { id } => {
            atlas.cancel_scrap(id).await?;
            output.remark(&notice!("scrap-cancelled", id = id));
            Ok(Exit::Done)
        }
    }
}

/// The ids without doubles, all of scraps that are there.
async fn each_once(atlas: &Atlas, mut ids: Vec<i64>) -> Result<Vec<i64>, Failure> {
    ids.sort_unstable();
    ids.dedup();
    for id in &ids {
        atlas.scrap(*id).await?;
    }
    Ok(ids)
}

async fn create(atlas: &Atlas, args: super::args::RunArgs, output: &Output) -> Result<Exit, Failure> {
    let Created { id, bound } = atlas.create_scrap(&run::request(args)).await?;
    if let Some(bound) = bound {
        output.remark(&bound);
    }
    if output.is_json() {
        output.json(&serde_json::json!({ "scrap_id": id }));
    } else {
        output.line(&id.to_string());
        output.remark(&notice!("scrap-created", id = id));
    }
    Ok(Exit::Done)
}

/// The state that a person names: as the table has it, or as it is shown in either language.
fn state_of(name: &str) -> Option<ScrapState> {
    let name = name.trim().to_lowercase();
    let shown = [Lang::PtBr, Lang::En].map(Catalogue::new);
    let is_named = |state: &ScrapState| {
        let notice = Notice::new(&format!("state-{}", state.name()));
        state.name() == name || shown.iter().any(|texts| texts.text(&notice).to_lowercase() == name)
    };
    ScrapState::ALL.into_iter().find(is_named)
}

fn unknown_state(name: &str) -> Failure {
    let all = ScrapState::ALL.map(ScrapState::name).join(", ");
    Failure::usage(notice!("error-state-unknown", state = name, states = all))
}

async fn list(atlas: &Atlas, filter: &ScrapFilter, limit: u32, output: &Output) -> Result<Exit, Failure> {
    let scraps = atlas.scraps(filter, i64::from(limit)).await?;
    let reports: Vec<RunReport> = scraps.iter().map(|scrap| report(scrap, output)).collect();
    let headings = [
        "heading-scrap",
        "heading-client",
        "heading-route",
        "heading-state",
        "heading-pages",
        "heading-read",
        "heading-inserted",
        "heading-rejected",
    ];
    output.list(&headings, &reports, |report| {
        vec![
            report.scrap_id.to_string(),
            report.cliente_id.to_string(),
            report.rota.clone(),
            output.text(&Notice::new(&format!("state-{}", report.status))),
            report.paginas.to_string(),
            report.lidos.to_string(),
            report.inseridos.to_string(),
            report.rejeitados.to_string(),
        ]
    });
    Ok(Exit::Done)
}

async fn show(atlas: &Atlas, id: i64, output: &Output) -> Result<Exit, Failure> {
    let scrap = atlas.scrap(id).await?;
    let report = report(&scrap, output);
    if output.is_json() {
        output.json(&report);
        return Ok(Exit::Done);
    }
    let zone = atlas.config().zone();
    let none = || "-".to_owned();
    let slices = scrap_slices(&scrap);
    let lines = [
        ("heading-scrap", scrap.id.to_string()),
        ("heading-client", scrap.cliente_id.to_string()),
        ("heading-route", scrap.rota.clone()),
        ("heading-period", scrap.period.map_or_else(none, |(from, to)| format!("{from} – {to}"))),
        ("heading-state", output.text(&Notice::new(&format!("state-{}", report.status)))),
        ("heading-slices", slices),
        ("heading-reason", report.motivo.clone().unwrap_or_else(none)),
        ("heading-resumes", scrap.again_at.map_or_else(none, |at| zone.shown(&at))),
        ("heading-pages", report.paginas.to_string()),
        ("heading-frontier", scrap.frontier.to_string()),
        ("heading-read", report.lidos.to_string()),
        ("heading-inserted", report.inseridos.to_string()),
        ("heading-duplicate", report.duplicados.to_string()),
        ("heading-again", report.reencontrados.to_string()),
        ("heading-rejected", report.rejeitados.to_string()),
        ("heading-declared", report.total_declarado.map_or_else(none, |n| n.to_string())),
        ("heading-seconds", format!("{:.1}", report.duracao_ms as f64 / 1000.0)),
        ("heading-connector", report.conector.map_or_else(none, |c| format!("{} {}", c.versao, c.sha256))),
        ("heading-created", zone.shown(&scrap.created_at)),
    ];
    for (heading, value) in lines.into_iter().filter(|(heading, value)| *heading != "heading-slices" || value != "-") {
        output.line(&format!("{}: {value}", output.text(&Notice::new(heading))));
    }
    Ok(Exit::Done)
}

/// Of a scrap that is divided, how many of its slices are done; of a slice, whose it is.
fn scrap_slices(scrap: &Scrap) -> String {
    match scrap.slice_of {
        Some(whole) => format!("→ {whole}"),
        None if scrap.slices > 0 => format!("{}/{}", scrap.slices_done, scrap.slices),
        None => "-".to_owned(),
    }
}

fn report(scrap: &Scrap, output: &Output) -> RunReport {
    let mut report = RunReport::of(scrap);
    let texts: Vec<String> = report.reasons.iter().map(|reason| output.text(reason)).collect();
    report.motivo = (!texts.is_empty()).then(|| texts.join("; "));
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_called_as_the_table_or_as_a_list_of_either_language_calls_it() {
        for state in ScrapState::ALL {
            assert_eq!(state_of(state.name()), Some(state));
            for lang in [Lang::PtBr, Lang::En] {
                let shown = Catalogue::new(lang).text(&Notice::new(&format!("state-{}", state.name())));
                assert_eq!(state_of(&shown), Some(state), "{shown}");
            }
        }
        assert_eq!(state_of("PAUSADO "), Some(ScrapState::Pausado));
        assert_eq!(state_of("criado"), None);
        assert_eq!(state_of(""), None);
    }
}

//! `atlas run`: create a scrap and run it; and running scraps side by side, for `atlas scrap
//! run|resume` too.

use std::sync::Arc;

use atlas_model::{Counts, InitReport, notice};
use atlas_service::{Atlas, Created, Exit, Failure, RunFor, RunReport, ScrapRequest};
use futures_util::future::{join, join_all};
use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::args::RunArgs;
use super::console::Console;
use super::output::Output;
use super::reload::ConnectorConsole;
use super::report;
use super::signals::stop_on_interrupt;

pub(super) async fn run(args: RunArgs, atlas: &Atlas, init: &InitReport, output: &Output) -> Result<Exit, Failure> {
    let Created { id, bound } = atlas.create_own_scrap(&request(args)).await?;
    if let Some(bound) = bound {
        output.remark(&bound);
    }
    run_all(atlas, &[id], init, output).await
}

pub(super) fn request(args: RunArgs) -> ScrapRequest {
    ScrapRequest {
        cliente_id: args.client,
        rota: args.route,
        from: args.from,
        to: args.to,
        page_size: args.page_size,
        slice: args.slice,
        batch: None,
        retries: None,
        paused: false,
    }
}

/// Runs scraps side by side in this process. The exit code is the gravest of theirs.
pub(super) async fn run_all(atlas: &Atlas, ids: &[i64], init: &InitReport, output: &Output) -> Result<Exit, Failure> {
    let stop = stop_on_interrupt(output)?;
    let (mut whole, mut divided) = (Vec::new(), Vec::new());
    for id in ids {
        if atlas.scrap(*id).await?.slices > 0 { divided.push(*id) } else { whole.push(*id) }
    }
    let console = Console::new(output, ids.len() > 1 || !divided.is_empty(), atlas.config().zone());
    let told = Arc::new(ConnectorConsole { lines: console.lines() });
    let _watching = atlas.watch_connectors(told).await?;
    let whole = whole.iter().map(|id| run_one(atlas, *id, RunFor::Operator, init, output, &console, stop.clone()));
    let divided = divided.iter().map(|id| run_divided(atlas, *id, init, output, &console, stop.clone()));
    let (whole, divided) = join(join_all(whole), join_all(divided)).await;
    console.finish();
    let divided: Vec<Exit> = divided.into_iter().collect::<Result<_, _>>()?;
    Ok(gravest(whole.into_iter().chain(divided)))
}

/// Runs the slices of a scrap, a few at a time, and prints the summary of the whole.
async fn run_divided(
    atlas: &Atlas,
    id: i64,
    init: &InitReport,
    output: &Output,
    console: &Console<'_>,
    stop: CancellationToken,
) -> Result<Exit, Failure> {
    let mut slices = Vec::new();
    for slice in atlas.unfinished_slices(id).await? {
        slices.push((slice, atlas.scrap(slice).await?.state));
    }
    let runs = slices.into_iter().map(async |(slice, before)| {
        if stop.is_cancelled() {
            // Paused like the slices that run, so that no worker takes it before an operator
            // resumes it. If the database refuses, a worker takes it.
            let _ = atlas.pause_scrap(slice).await;
            return Exit::Interrupted;
        }
        // Its turn may come long after: an operator may have paused or cancelled it, or another
        // host may run it.
        if atlas.scrap(slice).await.is_ok_and(|now| now.state != before) {
            return Exit::Interrupted;
        }
        match run_silently(atlas, slice, RunFor::Operator, init, console, stop.clone()).await {
            Ok(RunReport { failure: Some(failure), .. }) | Err(failure) => {
                console.fail(slice, &failure);
                failure.exit()
            }
            Ok(_) => Exit::Done,
        }
    });
    let exits: Vec<Exit> = stream::iter(runs).buffer_unordered(atlas.config().worker.scraps).collect().await;
    tell(RunReport::of(&atlas.scrap(id).await?), output, console);
    Ok(gravest(exits.into_iter().chain([console.exit_of(id)])))
}

/// Runs one scrap, and prints its progress and its summary.
pub(super) async fn run_one(
    atlas: &Atlas,
    id: i64,
    run_for: RunFor<'_>,
    init: &InitReport,
    output: &Output,
    console: &Console<'_>,
    stop: CancellationToken,
) -> Exit {
    match run_silently(atlas, id, run_for, init, console, stop).await {
        Ok(report) => {
            tell(report, output, console);
            console.exit_of(id)
        }
        Err(failure) => {
            console.fail(id, &failure);
            failure.exit()
        }
    }
}

/// Runs one scrap, and prints its progress, but not its summary.
async fn run_silently(
    atlas: &Atlas,
    id: i64,
    run_for: RunFor<'_>,
    init: &InitReport,
    console: &Console<'_>,
    stop: CancellationToken,
) -> Result<RunReport, Failure> {
    let observer = Arc::new(console.scrap(id));
    let settings = &atlas.config().run;
    let announce = |announcement: &_| {
        console.announce(announcement, settings.retry.attempts(), settings.batch, init.existed);
    };
    let ran = atlas.run_scrap(id, run_for, Arc::clone(&observer) as _, stop, announce).await;
    observer.finish();
    ran
}

/// Prints a run's summary.
fn tell(mut report: RunReport, output: &Output, console: &Console<'_>) {
    let id = report.scrap_id;
    let texts: Vec<String> = report.reasons.iter().map(|reason| output.text(reason)).collect();
    report.motivo = (!texts.is_empty()).then(|| texts.join("; "));
    let exit = match &report.failure {
        Some(failure) => failure.exit(),
        None if report.status == "concluido_com_ressalva" => Exit::Reservations,
        None => Exit::Done,
    };
    console.set_exit(id, exit);
    if !output.quiet {
        console.say(&summary(&report, output));
    }
    if let Some(failure) = &report.failure {
        console.fail(id, failure);
    }
    for reason in report.reasons.iter().skip(usize::from(report.failure.is_some())) {
        console.say(&format!("⚠️ {}", output.text(reason)));
    }
    if output.is_json() {
        output.json(&report);
    }
}

fn summary(report: &RunReport, output: &Output) -> String {
    let Counts { lidos, inseridos, duplicados, reencontrados, rejeitados } = report.counts();
    let state = output.text(&atlas_model::Notice::new(&format!("state-{}", report.status)));
    let seconds = format!("{:.1}", report.duracao_ms as f64 / 1000.0);
    let mut text = output.text(&notice!(
        "run-summary",
        id = report.scrap_id,
        state = state,
        seconds = seconds,
        pages = report.paginas,
        read = lidos,
        inserted = inseridos,
        duplicate = duplicados,
        again = reencontrados,
        rejected = rejeitados
    ));
    if let Some(total) = report.total_declarado {
        text.push('\n');
        text.push_str(&output.text(&notice!("run-declared", total = total)));
    }
    text
}

fn gravest(exits: impl Iterator<Item = Exit>) -> Exit {
    exits.max_by_key(|exit| gravity(*exit)).unwrap_or(Exit::Done)
}

/// The rank of an exit code: of several, a process ends with the highest, the gravest.
fn gravity(exit: Exit) -> u8 {
    match exit {
        Exit::Done => 0,
        Exit::Reservations => 1,
        Exit::Interrupted => 2,
        Exit::Source => 3,
        Exit::Credential => 4,
        Exit::Connector => 5,
        Exit::Usage => 6,
        Exit::Configuration => 7,
    }
}

impl Console<'_> {
    fn fail(&self, id: i64, failure: &Failure) {
        self.suspend(|| report::print(self.catalogue(), failure, &format!("scrap {id}")));
    }
}

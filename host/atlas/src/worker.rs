//! `atlas worker`: takes scraps from the queue and runs them, until it is told to stop.

use std::sync::Arc;

use atlas_model::{InitReport, notice};
use atlas_service::{Atlas, Exit, Failure, RunFor, Taken, WorkUntil};

use super::args::WorkerArgs;
use super::console::Console;
use super::output::Output;
use super::reload::ConnectorConsole;
use super::report;
use super::run::run_one;
use super::signals::stop_on_interrupt;

pub(super) async fn run(args: &WorkerArgs, atlas: &Atlas, init: &InitReport, output: &Output) -> Result<Exit, Failure> {
    let stop = stop_on_interrupt(output)?;
    let console = Console::new(output, true, atlas.config().zone());
    let complain = |failure: &Failure| console.suspend(|| report::print(console.catalogue(), failure, "worker"));
    // Before anything is taken: of a folder that is empty still, nothing would be for this worker.
    for failure in atlas.take_published().await {
        complain(&failure);
    }
    let told = Arc::new(ConnectorConsole { lines: console.lines() });
    let _watching = atlas.watch_connectors(told).await?;
    let until = if args.until_empty { WorkUntil::Empty } else { WorkUntil::Stopped };
    let worker = &atlas.config().worker;
    console.say(&output.text(&notice!(
        "worker-starting",
        location = atlas.config().store.location(),
        scraps = worker.scraps
    )));
    let run = async |taken: Taken| {
        let stop = stop.clone();
        run_one(atlas, taken.lease.scrap_id, RunFor::Queue(&taken), init, output, &console, stop).await;
    };
    let worked = atlas.work(until, &stop, run, complain).await;
    console.finish();
    worked?;
    console.say(&output.text(&notice!("worker-ended")));
    Ok(Exit::Done)
}

//! The command line: one file per command. It parses, calls [`service`](atlas_service), prints, and
//! decides nothing.
//!
//! Human text and progress go to stderr, results to stdout.
//!
//! - `args`     the commands and their flags
//! - `output`   results: JSON or tables
//! - `input`    what is given by a file or on standard input
//! - `report`   failures: on the console, and in full in the error log
//! - `usage`    command lines that were not understood
//! - `console`  a run as it goes: lines and progress
//! - `terminal` the one writer to standard output and standard error
//! - `logging`  the log on standard error
//! - `telemetry` traces, where a collector is named
//! - `reload`   what happens to connectors while runs go on

mod access;
mod args;
mod client;
mod completions;
mod connector;
mod connector_child;
mod console;
mod core_dumps;
mod credential;
mod db;
mod doctor;
mod input;
mod inspect;
mod logging;
mod output;
mod published;
mod rejects;
mod reload;
mod report;
mod run;
mod schedule;
mod scrap;
mod serve;
mod settings;
mod signals;
mod telemetry;
mod terminal;
mod usage;
mod verify;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use atlas_model::{InitReport, notice};
use atlas_service::config::{self, Config, Environment, Flags};
use atlas_service::i18n::Catalogue;
use atlas_service::{Atlas, ClientChange, Exit, Failure, Kind, check_client};
use clap::Parser;
use tokio::runtime::{Builder, Runtime};

use self::args::{Cli, Command};
use self::output::Output;
use self::telemetry::Telemetry;

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    atlas_service::memory::keep_nothing_large();
    crate::core_dumps::disable();
    atlas_service::mark_crashes();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::refuse(&error),
    };
    if let Command::ConnectorChild(args) = cli.command {
        return connector_child::run(&args);
    }
    let environment = Environment::read();
    let catalogue = Catalogue::new(config::language(&cli.common.flags(), &environment));
    let filter = match logging::filter(&cli.common, &environment) {
        Ok(filter) => filter,
        Err(failure) => return report::fail(&catalogue, &failure),
    };
    // What waits for signals would panic without file descriptors.
    if let Some(failure) = Failure::without_files("op-run") {
        return report::fail(&catalogue, &failure);
    }
    let runtime = match Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::not_started("op-run", Kind::Configuration, error);
            return report::fail(&catalogue, &failure);
        }
    };
    let telemetry = traces(&runtime, &catalogue, cli.common.quiet);
    logging::begin(cli.common.log_format, filter, telemetry.as_ref().map(Telemetry::tracer));
    let output = Output::new(catalogue, &cli.common);
    let done = runtime.block_on(dispatch(cli, &environment, &output));
    if let Some(telemetry) = telemetry {
        telemetry.end();
    }
    // Threads that still compute are abandoned: no result of theirs is needed any more.
    runtime.shutdown_timeout(LAST_WORD);
    match done.and_then(|exit| output.finish().map(|()| exit)) {
        Ok(exit) => ExitCode::from(exit.code()),
        Err(failure) => report::fail(&output.catalogue, &failure),
    }
}

/// How long threads that compute may take to end once everything else has.
const LAST_WORD: Duration = Duration::from_secs(2);

/// The export of traces, if the environment names a collector. One that cannot be reached costs a
/// line, and no command its result.
fn traces(runtime: &Runtime, catalogue: &Catalogue, quiet: bool) -> Option<Telemetry> {
    let texts = Catalogue::new(catalogue.lang());
    Telemetry::begin(runtime.handle(), move |reason| {
        if !quiet {
            terminal::error_line(&texts.text(&notice!("telemetry-not-sent", reason = reason)));
        }
    })
}

async fn dispatch(cli: Cli, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let flags = flags(&cli);
    let load = || Config::load(&flags, environment).map_err(Failure::from);
    match cli.command {
        Command::Completions(args) => Ok(completions::run(&args, output)),
        Command::Db(args) => db::run(args, load, output).await,
        Command::Doctor => doctor::run(load()?, output).await,
        Command::Connector(args) => connector::run(args, load()?, output).await,
        command => {
            let config = load()?;
            let (atlas, init, created) = open(&command, config).await?;
            let atlas = std::sync::Arc::new(atlas);
            db::say_if_created(created.as_deref(), output);
            db::say_if_adopted(&atlas, &init, output).await?;
            let done = match command {
                Command::Run(args) => run::run(args, &atlas, &init, output).await,
                Command::Worker(args) => worker::run(&args, &atlas, &init, output).await,
                Command::Serve(args) => serve::run(args, &atlas, output).await,
                Command::Access(args) => access::run(args, &atlas, output).await,
                Command::Client(args) => client::run(args, &atlas, output).await,
                Command::Scrap(args) => scrap::run(args, &atlas, &init, output).await,
                Command::Schedule(args) => schedule::run(args, &atlas, output).await,
                Command::Rejects(args) => rejects::run(args, &atlas, output).await,
                Command::Verify(args) => verify::run(&args, &atlas, output).await,
                // Handled above: these need no open installation.
                Command::Completions(_)
                | Command::ConnectorChild(_)
                | Command::Db(_)
                | Command::Doctor
                | Command::Connector(_) => Ok(Exit::Done),
            };
            atlas.close().await;
            done
        }
    }
}

/// Opens the installation, and creates it for the commands that may be its first: the file of an
/// embedded database that was created. Scraps are not run in a folder that was most likely entered
/// by mistake, where records would go to another table than those before them.
async fn open(command: &Command, config: Config) -> Result<(Atlas, InitReport, Option<PathBuf>), Failure> {
    let runs = matches!(command, Command::Run(_) | Command::Worker(_) | Command::Serve(_));
    let first = match command {
        Command::Run(args) => Some((args.client, None)),
        Command::Client(args) => args.registers().map(|(client, url)| (client, Some(url.to_owned()))),
        _ => None,
    };
    if let Some(file) = config.elsewhere.as_ref().filter(|_| runs) {
        return Err(Failure::elsewhere(file));
    }
    if !runs && first.is_none() {
        let (atlas, init) = Atlas::open(config).await?;
        return Ok((atlas, init, None));
    }
    // Refused before a database is created, which would stay empty.
    if let Some((client, base_url)) = first.filter(|_| config.store.missing_file().is_some()) {
        check_client(client, &ClientChange { base_url, ..ClientChange::default() })?;
    }
    report::begin_log();
    Atlas::open_or_create(config).await
}

/// What the command line says of the settings.
fn flags(cli: &Cli) -> Flags {
    let common = cli.common.flags();
    match &cli.command {
        Command::Worker(args) => Flags { scraps: args.scraps.clone(), per_client: args.per_client.clone(), ..common },
        Command::Serve(args) => Flags { scraps: args.scraps.clone(), per_client: args.per_client.clone(), ..common },
        _ => common,
    }
}

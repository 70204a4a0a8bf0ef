//! What every command has in common, and the commands that take no others.

use std::path::PathBuf;

use atlas_service::config::Flags;
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use super::client::ClientArgs;
use super::connector::ConnectorArgs;
use super::db::DbArgs;
use super::rejects::RejectsArgs;
use super::run::RunArgs;
use super::schedule::ScheduleArgs;
use super::scrap::ScrapArgs;
use super::serve::{AccessArgs, ServeArgs};

/// Pulls records out of business APIs, page by page, and keeps every one of them in one table.
#[derive(Parser)]
#[command(name = "atlas", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 2 usage; 3 configuration or database; 4 credential missing or refused; \
5 the source failed, the scrap can be resumed; 6 done, with reservations; 7 connector missing, refused or crashed; \
130 interrupted, the scrap can be resumed.";

/// Flags of every command.
#[derive(Args)]
pub(crate) struct Common {
    /// Database: postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE [default: DATABASE_URL,
    /// DB_*, sqlite:atlas.db]
    #[arg(long, global = true, value_name = "URL")]
    db: Option<String>,
    /// Folder of connectors [default: ATLAS_CONNECTORS, else `connectors` beside the program]
    #[arg(long, global = true, value_name = "DIR")]
    connectors: Option<PathBuf>,
    /// Records a transaction [default: BATCH_EXPORT, else 1]
    #[arg(long, global = true, value_name = "N")]
    batch: Option<String>,
    /// Attempts at a page [default: RETRY_MAX, else 5]
    #[arg(long, global = true, value_name = "N")]
    retries: Option<String>,
    /// Pages in flight [default: 4]
    #[arg(long, global = true, value_name = "N")]
    concurrency: Option<String>,
    /// Further sweeps of a source that moves while it is read [default: 1]
    #[arg(long, global = true, value_name = "N")]
    sweeps: Option<String>,
    /// Seconds to wait for a database that does not answer, before a run ends resumable [default:
    /// ATLAS_DB_PATIENCE, else 600]
    #[arg(long, global = true, value_name = "SECONDS")]
    db_patience: Option<String>,
    /// Language: pt-BR or en [default: ATLAS_LANG, else the locale's, else pt-BR]
    #[arg(long, global = true, value_name = "LANG")]
    lang: Option<String>,
    /// Time zone in which days are named and times shown: America/Sao_Paulo [default:
    /// ATLAS_TIMEZONE, else the machine's; on the page, the browser's]
    #[arg(long, alias = "fuso", global = true, value_name = "ZONE")]
    timezone: Option<String>,
    /// Results as text or as JSON (one object; one a line for lists)
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
    /// How the log on stderr is written
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
    /// Say more: every record, the connectors' log. Twice: more still
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Common {
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            db: self.db.clone(),
            connectors: self.connectors.clone(),
            batch: self.batch.clone(),
            retries: self.retries.clone(),
            concurrency: self.concurrency.clone(),
            sweeps: self.sweeps.clone(),
            lang: self.lang.clone(),
            timezone: self.timezone.clone(),
            db_patience: self.db_patience.clone(),
            ..Flags::default()
        }
    }
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line, with the time.
    Json,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Create a scrap and run it
    #[command(
        alias = "executar",
        after_help = "Example: atlas run --client 2151 --route pedido --from 2025-10-20 --to 2025-10-24"
    )]
    Run(RunArgs),
    /// Clients: their tokens, and where their APIs are
    #[command(
        alias = "cliente",
        after_help = "Example: atlas client add 2151 --token - --base-url https://erp.example/sis/api/v1"
    )]
    Client(ClientArgs),
    /// Scraps: one job each, client + route + period
    #[command(after_help = "Example: atlas scrap resume 7")]
    Scrap(ScrapArgs),
    /// Take scraps from the queue and run them, beside any number of other workers at the same
    /// database
    #[command(
        alias = "trabalhador",
        after_help = "Example: atlas worker --db postgres://USER:PASSWORD@HOST:5432/NAME --scraps 8"
    )]
    Worker(WorkerArgs),
    /// The page, the API, live events, metrics, and a worker, in one process
    #[command(alias = "servir", after_help = "Example: atlas serve")]
    Serve(ServeArgs),
    /// Who may use the page and the API: sign-in links, the password, tokens of programs
    #[command(alias = "acesso", after_help = "Example: atlas access token add --name painel")]
    Access(AccessArgs),
    /// Schedules: scraps that workers create by themselves
    #[command(
        alias = "agenda",
        after_help = "Example: atlas schedule add --client 2151 --route pedido --cron \"0 */6 * * *\" --window 2d"
    )]
    Schedule(ScheduleArgs),
    /// Connectors: the routes that can be fetched
    #[command(alias = "conector", after_help = "Example: atlas connector list")]
    Connector(ConnectorArgs),
    /// Records that the table could not hold
    #[command(alias = "rejeitados", after_help = "Example: atlas rejects export --scrap 7 > rejeitados.jsonl")]
    Rejects(RejectsArgs),
    /// Prove that nothing is missing: what a client has, and that its scraps add up
    #[command(alias = "verificar", after_help = "Example: atlas verify --client 2151")]
    Verify(VerifyArgs),
    /// The tables: create or adopt them, their version, their SQL
    #[command(alias = "banco", after_help = "Example: atlas db init")]
    Db(DbArgs),
    /// What is wrong with this installation, and how to mend it
    #[command(alias = "diagnostico", after_help = "Example: atlas doctor")]
    Doctor,
    /// Works on one connector's file, as this program starts it: not for people
    #[command(hide = true, name = atlas_service::CHILD_COMMAND)]
    ConnectorChild(ConnectorChildArgs),
    /// Completions for a shell
    #[command(after_help = "Example: atlas completions bash > /etc/bash_completion.d/atlas")]
    Completions(CompletionsArgs),
}

#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Scraps that this process runs at once [default: ATLAS_WORKER_SCRAPS, else 4]
    #[arg(long, value_name = "N")]
    pub(crate) scraps: Option<String>,
    /// Scraps of one client that run at once, on all hosts together [default:
    /// ATLAS_WORKER_PER_CLIENT, else 4]
    #[arg(long, alias = "por-cliente", value_name = "N")]
    pub(crate) per_client: Option<String>,
    /// End when there is nothing left to take
    #[arg(long, alias = "ate-esvaziar")]
    pub(crate) until_empty: bool,
}

#[derive(Args)]
pub(crate) struct ConnectorChildArgs {
    /// CPU time for compiling, in seconds
    pub(crate) compile_s: u64,
    /// CPU time for calls of the guest, in seconds, beside that
    pub(crate) calls_s: u64,
    /// Memory, in bytes
    pub(crate) memory: u64,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    /// The client's id
    #[arg(long, alias = "cliente", value_name = "ID")]
    pub(crate) client: i32,
    /// One scrap of its, page by page
    #[arg(long, value_name = "ID")]
    pub(crate) scrap: Option<i64>,
}

#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

//! The commands and their flags: the only source of parsing, `--help` and completions. Names are English; the Portuguese
//! ones are accepted everywhere. None of these types can be printed: a database URL or a token may stand in them.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::config::Flags;

/// Pulls records out of business APIs, page by page, and keeps every one of them in one table.
#[derive(Parser)]
#[command(name = "atlas", version, propagate_version = true, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done; 2 usage; 3 configuration or database; 4 credential missing or refused; \
5 the source failed, the scrap can be resumed; 6 done, with reservations; 7 connector missing, refused or crashed; \
130 interrupted, the scrap can be resumed.";

/// Flags of every command.
#[derive(Args)]
pub(super) struct Common {
    /// Database: postgres://USER:PASSWORD@HOST:PORT/NAME or sqlite:FILE [default: DATABASE_URL, DB_*, sqlite:atlas.db]
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
    /// Seconds to wait for a database that does not answer, before a run ends resumable [default: ATLAS_DB_PATIENCE, else 600]
    #[arg(long, global = true, value_name = "SECONDS")]
    db_patience: Option<String>,
    /// Language: pt-BR or en [default: ATLAS_LANG, else the locale's, else pt-BR]
    #[arg(long, global = true, value_name = "LANG")]
    lang: Option<String>,
    /// Results as text or as JSON (one object; one a line for lists)
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(super) output: Format,
    /// Say more: every record, the connectors' log. Twice: more still
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(super) verbose: u8,
    /// Say nothing but results and errors
    #[arg(short, long, global = true)]
    pub(super) quiet: bool,
}

impl Common {
    pub(super) fn flags(&self) -> Flags {
        Flags {
            db: self.db.clone(),
            connectors: self.connectors.clone(),
            batch: self.batch.clone(),
            retries: self.retries.clone(),
            concurrency: self.concurrency.clone(),
            sweeps: self.sweeps.clone(),
            lang: self.lang.clone(),
            db_patience: self.db_patience.clone(),
            ..Flags::default()
        }
    }
}

/// How results are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
}

#[derive(Subcommand)]
pub(super) enum Command {
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
    /// Take scraps from the queue and run them, beside any number of other workers at the same database
    #[command(
        alias = "trabalhador",
        after_help = "Example: atlas worker --db postgres://USER:PASSWORD@HOST:5432/NAME --scraps 8"
    )]
    Worker(WorkerArgs),
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
    /// The compiler of connectors, as this program starts it: not for people
    #[command(hide = true, name = crate::connector::CHILD_COMMAND)]
    CompileComponent(CompileComponentArgs),
    /// Completions for a shell
    #[command(after_help = "Example: atlas completions bash > /etc/bash_completion.d/atlas")]
    Completions(CompletionsArgs),
}

/// What makes a scrap.
#[derive(Args)]
pub(super) struct RunArgs {
    /// The client's id
    #[arg(long, alias = "cliente", value_name = "ID")]
    pub(super) client: i32,
    /// The route
    #[arg(long, alias = "rota", value_name = "ROUTE")]
    pub(super) route: String,
    /// First day, YYYY-MM-DD
    #[arg(long, alias = "de", value_name = "DATE")]
    pub(super) from: Option<String>,
    /// Last day, included
    #[arg(long, alias = "ate", value_name = "DATE")]
    pub(super) to: Option<String>,
    /// Records to ask for in a page [default: the connector's]
    #[arg(long, value_name = "N")]
    pub(super) page_size: Option<i32>,
}

#[derive(Args)]
pub(super) struct WorkerArgs {
    /// Scraps that this process runs at once [default: ATLAS_WORKER_SCRAPS, else 4]
    #[arg(long, value_name = "N")]
    pub(super) scraps: Option<String>,
    /// Scraps of one client that run at once, on all hosts together [default: ATLAS_WORKER_PER_CLIENT, else 4]
    #[arg(long, alias = "por-cliente", value_name = "N")]
    pub(super) per_client: Option<String>,
    /// End when there is nothing left to take
    #[arg(long, alias = "ate-esvaziar")]
    pub(super) until_empty: bool,
}

#[derive(Args)]
pub(super) struct ScheduleArgs {
    #[command(subcommand)]
    pub(super) command: ScheduleCommand,
}

#[derive(Subcommand)]
pub(super) enum ScheduleCommand {
    /// Add a schedule; workers create its scraps
    #[command(
        alias = "adicionar",
        after_help = "Example: atlas schedule add --client 2151 --route pedido --cron \"0 */6 * * *\" --window 2d --timezone America/Sao_Paulo"
    )]
    Add(ScheduleAdd),
    /// List the schedules
    #[command(alias = "listar", after_help = "Example: atlas schedule list --output json")]
    List,
    /// Let a schedule create no scraps
    #[command(alias = "pausar", after_help = "Example: atlas schedule pause 3")]
    Pause {
        /// The schedule's id
        id: i64,
    },
    /// Let it create scraps again, those that are due from now on
    #[command(alias = "retomar", after_help = "Example: atlas schedule resume 3")]
    Resume {
        /// The schedule's id
        id: i64,
    },
    /// Create its scrap now; a worker takes it
    #[command(alias = "executar", after_help = "Example: atlas schedule run 3")]
    Run {
        /// The schedule's id
        id: i64,
    },
    /// Remove a schedule; its scraps stay
    #[command(alias = "remover", after_help = "Example: atlas schedule remove 3")]
    Remove {
        /// The schedule's id
        id: i64,
    },
}

#[derive(Args)]
pub(super) struct ScheduleAdd {
    /// The client's id
    #[arg(long, alias = "cliente", value_name = "ID")]
    pub(super) client: i32,
    /// The route
    #[arg(long, alias = "rota", value_name = "ROUTE")]
    pub(super) route: String,
    /// When: minute, hour, day of the month, month, day of the week
    #[arg(long, value_name = "CRON")]
    pub(super) cron: String,
    /// The time zone that it is read in, and in which a day begins [default: UTC]
    #[arg(long, alias = "fuso", value_name = "ZONE")]
    pub(super) timezone: Option<String>,
    /// What a scrap asks for: so many days or weeks, the present day included. Further back where more was missed
    #[arg(long, alias = "janela", value_name = "2d|1w")]
    pub(super) window: Option<String>,
    /// Records to ask for in a page [default: the connector's]
    #[arg(long, value_name = "N")]
    pub(super) page_size: Option<i32>,
    /// Create a scrap although the one before has not ended
    #[arg(long, alias = "sobrepor")]
    pub(super) overlap: bool,
}

#[derive(Args)]
pub(super) struct ClientArgs {
    #[command(subcommand)]
    pub(super) command: ClientCommand,
}

#[derive(Subcommand)]
pub(super) enum ClientCommand {
    /// Register a client, or one more API of it
    #[command(
        alias = "adicionar",
        after_help = "Example: printf %s TOKEN | atlas client add 2151 --token - --base-url https://erp.example/sis/api/v1"
    )]
    Add {
        /// The client's id
        client: i32,
        /// `-` reads the token from standard input
        #[arg(long, value_name = "-")]
        token: String,
        /// Where the API is
        #[arg(long, value_name = "URL")]
        base_url: String,
        /// One API of several [default: the client's default]
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
        /// The API may be at a private address [default: only if the base URL is at one now]
        #[arg(long, alias = "permitir-rede-privada")]
        allow_private: bool,
    },
    /// List the clients
    #[command(alias = "listar", after_help = "Example: atlas client list --output json")]
    List,
    /// Change a client's token, base URL, or whether it is active
    #[command(
        alias = "alterar",
        after_help = "Example: atlas client set 2151 --base-url https://erp.example/sis/api/v1"
    )]
    Set {
        /// The client's id
        client: i32,
        /// `-` reads the token from standard input
        #[arg(long, value_name = "-")]
        token: Option<String>,
        /// Where the API is
        #[arg(long, value_name = "URL")]
        base_url: Option<String>,
        /// One API of several [default: the client's default]
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
        /// The API may be at a private address [default: only if the base URL was at one when it was set]
        #[arg(long, alias = "permitir-rede-privada")]
        allow_private: bool,
        /// Let scraps of this client run
        #[arg(long, conflicts_with = "inactive", alias = "ativo")]
        active: bool,
        /// Let no scrap of this client run
        #[arg(long, alias = "inativo")]
        inactive: bool,
    },
    /// The credential of one API: a token, or several parts
    #[command(
        alias = "credencial",
        after_help = "Example: atlas client credential set 2151 --api bling --base-url https://api.bling.com.br/Api/v3 --parts bling.env"
    )]
    Credential(CredentialArgs),
    /// Seal every secret with the key of ATLAS_NEW_KEY or ATLAS_NEW_KEY_FILE, those in the clear too
    #[command(alias = "trocar-chave", after_help = "Example: ATLAS_NEW_KEY_FILE=new.key atlas client rekey")]
    Rekey,
    /// Remove a client that has no data, or one API of it
    #[command(alias = "remover", after_help = "Example: atlas client remove 2151")]
    Remove {
        /// The client's id
        client: i32,
        /// Only this API
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
    },
}

#[derive(Args)]
pub(super) struct CredentialArgs {
    #[command(subcommand)]
    pub(super) command: CredentialCommand,
}

#[derive(Subcommand)]
pub(super) enum CredentialCommand {
    /// Set the credential of an API, in the place of any that it has
    #[command(alias = "definir", after_help = PARTS)]
    Set(CredentialSet),
    /// List the names of what is registered, never the secrets
    #[command(alias = "ver", after_help = "Example: atlas client credential show 2151")]
    Show {
        /// The client's id
        client: i32,
        /// Only this API's
        #[arg(long, value_name = "NAME")]
        api: Option<String>,
    },
    /// Remove the credential of an API
    #[command(alias = "remover", after_help = "Example: atlas client credential remove 2151 --api bling")]
    Remove {
        /// The client's id
        client: i32,
        /// The API
        #[arg(long, value_name = "NAME")]
        api: String,
    },
}

const PARTS: &str = "Parts are a JSON object, or lines NAME=value: token; username, password; client_id, client_secret, \
refresh_token, token_url, scope, client_auth (basic or body); or what the connector calls its placeholders.\n\n\
Example: atlas client credential set 2151 --api bling --base-url https://api.bling.com.br/Api/v3 --parts - < bling.env";

#[derive(Args)]
pub(super) struct CredentialSet {
    /// The client's id
    pub(super) client: i32,
    /// The API
    #[arg(long, value_name = "NAME")]
    pub(super) api: String,
    /// Where the API is
    #[arg(long, value_name = "URL")]
    pub(super) base_url: Option<String>,
    /// Its parts, from a file; `-` reads them from standard input
    #[arg(long, alias = "partes", value_name = "FILE", conflicts_with = "token")]
    pub(super) parts: Option<String>,
    /// `-` reads a single token from standard input
    #[arg(long, value_name = "-")]
    pub(super) token: Option<String>,
}

#[derive(Args)]
pub(super) struct ScrapArgs {
    #[command(subcommand)]
    pub(super) command: ScrapCommand,
}

#[derive(Subcommand)]
pub(super) enum ScrapCommand {
    /// Create a scrap without running it
    #[command(
        alias = "criar",
        after_help = "Example: atlas scrap create --client 2151 --route pedido --from 2025-10-20 --to 2025-10-24"
    )]
    Create(RunArgs),
    /// List the newest scraps
    #[command(alias = "listar", after_help = "Example: atlas scrap list --client 2151")]
    List {
        /// Only this client's
        #[arg(long, alias = "cliente", value_name = "ID")]
        client: Option<i32>,
        /// How many
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: u32,
    },
    /// Show one scrap
    #[command(alias = "ver", after_help = "Example: atlas scrap show 7")]
    Show {
        /// The scrap's id
        id: i64,
    },
    /// Run scraps, side by side
    #[command(alias = "executar", after_help = "Example: atlas scrap run 7 8 9 --concurrency 8")]
    Run {
        /// The scraps' ids
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Leave them to the workers, instead of running them here
        #[arg(long, alias = "fila")]
        queue: bool,
    },
    /// Go on with scraps that were left, side by side; whoever still runs one loses it
    #[command(alias = "retomar", after_help = "Example: atlas scrap resume 7 8 9")]
    Resume {
        /// The scraps' ids
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Leave them to the workers, instead of running them here
        #[arg(long, alias = "fila")]
        queue: bool,
    },
    /// Have the workers try scraps again that failed or wait, at once
    #[command(alias = "repetir", after_help = "Example: atlas scrap retry 7 8 9")]
    Retry {
        /// The scraps' ids
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Pause scraps, whoever runs them: what was read is written
    #[command(alias = "pausar", after_help = "Example: atlas scrap pause 7")]
    Pause {
        /// The scraps' ids
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Cancel a scrap, whoever runs it
    #[command(alias = "cancelar", after_help = "Example: atlas scrap cancel 7")]
    Cancel {
        /// The scrap's id
        id: i64,
    },
}

#[derive(Args)]
pub(super) struct ConnectorArgs {
    #[command(subcommand)]
    pub(super) command: ConnectorCommand,
}

#[derive(Subcommand)]
pub(super) enum ConnectorCommand {
    /// List the files of the connectors' folder
    #[command(alias = "listar", after_help = "Example: atlas connector list")]
    List,
    /// Say what one file is, or why it is no connector
    #[command(alias = "ver", after_help = "Example: atlas connector inspect target/connectors/pedido.wasm")]
    Inspect {
        /// The component
        file: PathBuf,
    },
    /// Make a core module, as Rust compiles it with the SDK for wasm32-unknown-unknown, a component
    #[command(
        after_help = "Example: atlas connector componentize target/wasm32-unknown-unknown/release/orders.wasm orders.wasm"
    )]
    Componentize {
        /// The core module
        module: PathBuf,
        /// Where to write the component
        to: PathBuf,
    },
    /// Let a new version serve that waits for your word, or that failed its trial
    #[command(alias = "aceitar", after_help = "Example: atlas connector accept pedido --digest 1f8a3c")]
    Accept {
        /// The route
        #[arg(value_name = "ROUTE")]
        route: String,
        /// The digest that you mean, or how it begins: no other is accepted [default: whichever waits]
        #[arg(long, alias = "resumo", value_name = "DIGEST")]
        digest: Option<String>,
    },
    /// Go back to an earlier version, until the route's file changes
    #[command(alias = "reverter", after_help = "Example: atlas connector rollback pedido --to 1f8a3c")]
    Rollback {
        /// The route
        #[arg(value_name = "ROUTE")]
        route: String,
        /// A digest, or how it begins [default: the version before the present one]
        #[arg(long, alias = "para", value_name = "DIGEST")]
        to: Option<String>,
    },
    /// Make a key pair to sign connectors with, in minisign's format
    #[command(alias = "chave", after_help = "Example: atlas connector keygen --key atlas.key")]
    Keygen {
        /// The secret key's new file; the public key goes beside it, as FILE.pub
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Leave the secret key unencrypted. Else its password is ATLAS_SIGNING_PASSWORD, or a line of standard input
        #[arg(long)]
        no_password: bool,
    },
    /// Sign a component; the signature goes beside it, as FILE.minisig
    #[command(alias = "assinar", after_help = "Example: atlas connector sign pedido.wasm --key atlas.key")]
    Sign {
        /// The component
        file: PathBuf,
        /// The secret key's file. Its password is ATLAS_SIGNING_PASSWORD, or a line of standard input
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The secret key has no password
        #[arg(long)]
        no_password: bool,
    },
    /// Check a component's signature
    #[command(alias = "verificar", after_help = "Example: atlas connector verify pedido.wasm --key atlas.key.pub")]
    Verify {
        /// The component
        file: PathBuf,
        /// A public key (RW…), or a file with one [default: the keys that atlas.toml lists for the route of the file's name]
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

#[derive(Args)]
pub(super) struct CompileComponentArgs {
    /// CPU time, in seconds
    pub(super) cpu_s: u64,
    /// Memory, in bytes
    pub(super) memory: u64,
    /// What the engine is set to: a guest's memory, in bytes
    pub(super) guest_memory: usize,
}

#[derive(Args)]
pub(super) struct RejectsArgs {
    #[command(subcommand)]
    pub(super) command: RejectsCommand,
}

#[derive(Subcommand)]
pub(super) enum RejectsCommand {
    /// List them, with the reasons
    #[command(alias = "listar", after_help = "Example: atlas rejects list --scrap 7")]
    List {
        /// Only this scrap's
        #[arg(long, value_name = "ID")]
        scrap: Option<i64>,
    },
    /// Show one, with its bytes
    #[command(alias = "ver", after_help = "Example: atlas rejects show 3")]
    Show {
        /// The record's id, as `list` shows it
        id: i64,
    },
    /// Put them through the same checks once more, and into the table: after a limit was raised, or the database was mended
    #[command(alias = "reprocessar", after_help = "Example: atlas rejects replay --scrap 7")]
    Replay {
        /// Only those with these ids
        #[arg(conflicts_with = "scrap")]
        ids: Vec<i64>,
        /// Only this scrap's
        #[arg(long, value_name = "ID")]
        scrap: Option<i64>,
    },
    /// Write them to standard output with their bytes, one JSON object a line
    #[command(alias = "exportar", after_help = "Example: atlas rejects export --scrap 7 > rejeitados.jsonl")]
    Export {
        /// Only this scrap's
        #[arg(long, value_name = "ID")]
        scrap: Option<i64>,
    },
}

#[derive(Args)]
pub(super) struct VerifyArgs {
    /// The client's id
    #[arg(long, alias = "cliente", value_name = "ID")]
    pub(super) client: i32,
    /// One scrap of its, page by page
    #[arg(long, value_name = "ID")]
    pub(super) scrap: Option<i64>,
}

#[derive(Args)]
pub(super) struct DbArgs {
    #[command(subcommand)]
    pub(super) command: DbCommand,
}

#[derive(Subcommand)]
pub(super) enum DbCommand {
    /// Create the tables, or adopt those that are there
    #[command(alias = "criar", after_help = "Example: atlas db init --db postgres://USER:PASSWORD@HOST:5432/NAME")]
    Init,
    /// Say what the database holds
    #[command(after_help = "Example: atlas db status")]
    Status,
    /// Print the SQL, to run it by hand
    #[command(after_help = "Example: atlas db sql | psql NAME")]
    Sql {
        /// For which database
        #[arg(long, value_enum, default_value_t = Dialect::Postgres)]
        dialect: Dialect,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
}

#[derive(Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub(super) shell: clap_complete::Shell,
}

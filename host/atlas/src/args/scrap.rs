//! Scraps.

use clap::{Args, Subcommand};

use super::run::RunArgs;

#[derive(Args)]
pub(crate) struct ScrapArgs {
    #[command(subcommand)]
    pub(crate) command: ScrapCommand,
}

#[derive(Subcommand)]
pub(crate) enum ScrapCommand {
    /// Create a scrap without running it
    #[command(
        alias = "criar",
        after_help = "Example: atlas scrap create --client 2151 --route pedido --from 2025-10-20 --to 2025-10-24"
    )]
    Create(RunArgs),
    /// List the newest scraps
    #[command(alias = "listar", after_help = "Example: atlas scrap list --client 2151 --state interrompido")]
    List {
        /// Only this client's
        #[arg(long, alias = "cliente", value_name = "ID")]
        client: Option<i32>,
        /// Only of this route
        #[arg(long, alias = "rota", value_name = "ROUTE")]
        route: Option<String>,
        /// Only in this state, by its name in the table or as it is shown: pausado, paused
        #[arg(long, alias = "estado", value_name = "STATE")]
        state: Option<String>,
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
    /// Go on with scraps that were left, side by side; a process that still runs one loses it
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
    /// Pause scraps, whichever process runs them: what was read is written
    #[command(alias = "pausar", after_help = "Example: atlas scrap pause 7")]
    Pause {
        /// The scraps' ids
        #[arg(required = true)]
        ids: Vec<i64>,
    },
    /// Cancel a scrap, whichever process runs it
    #[command(alias = "cancelar", after_help = "Example: atlas scrap cancel 7")]
    Cancel {
        /// The scrap's id
        id: i64,
    },
}

//! Rejected records.

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct RejectsArgs {
    #[command(subcommand)]
    pub(crate) command: RejectsCommand,
}

#[derive(Subcommand)]
pub(crate) enum RejectsCommand {
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
    /// Put them through the same checks once more, and into the table: after a limit was raised, or
    /// the database was mended
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

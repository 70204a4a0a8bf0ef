//! The tables.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Args)]
pub(in crate::cli) struct DbArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: DbCommand,
}

#[derive(Subcommand)]
pub(in crate::cli) enum DbCommand {
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
pub(in crate::cli) enum Dialect {
    Postgres,
    Sqlite,
}

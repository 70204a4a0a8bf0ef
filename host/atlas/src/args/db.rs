//! The tables.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) command: DbCommand,
}

#[derive(Subcommand)]
pub(crate) enum DbCommand {
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
pub(crate) enum Dialect {
    Postgres,
    Sqlite,
}

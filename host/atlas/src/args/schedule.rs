//! Schedules.

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct ScheduleArgs {
    #[command(subcommand)]
    pub(crate) command: ScheduleCommand,
}

#[derive(Subcommand)]
pub(crate) enum ScheduleCommand {
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
pub(crate) struct ScheduleAdd {
    /// The client's id
    #[arg(long, alias = "cliente", value_name = "ID")]
    pub(crate) client: i32,
    /// The route
    #[arg(long, alias = "rota", value_name = "ROUTE")]
    pub(crate) route: String,
    /// When: minute, hour, day of the month, month, day of the week
    #[arg(long, value_name = "CRON")]
    pub(crate) cron: String,
    /// The time zone that it is read in, and in which a day begins [default: ATLAS_TIMEZONE, else
    /// UTC]
    #[arg(long, alias = "fuso", value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// What a scrap asks for: so many days or weeks, the present day included. Further back where
    /// more was missed
    #[arg(long, alias = "janela", value_name = "2d|1w")]
    pub(crate) window: Option<String>,
    /// Records to ask for in a page [default: the connector's]
    #[arg(long, value_name = "N")]
    pub(crate) page_size: Option<i32>,
    /// Create a scrap although the one before has not ended
    #[arg(long, alias = "sobrepor")]
    pub(crate) overlap: bool,
}

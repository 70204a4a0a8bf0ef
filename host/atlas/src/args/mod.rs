//! The commands and their flags: the only source of parsing, `--help` and completions. Names are
//! English; the Portuguese ones are accepted everywhere. None of these types can be printed: a
//! database URL or a token may stand in them.
//!
//! - `cli`      what every command has in common, and the commands that take no others
//! - one file for each command that takes others

mod cli;
mod client;
mod connector;
mod db;
mod rejects;
mod run;
mod schedule;
mod scrap;
mod serve;

pub(super) use self::cli::{
    Cli, Command, Common, CompletionsArgs, ConnectorChildArgs, Format, LogFormat, VerifyArgs, WorkerArgs,
};
pub(super) use self::client::{ClientArgs, ClientCommand, CredentialCommand, CredentialSet, SettingsCommand};
pub(super) use self::connector::{ConnectorArgs, ConnectorCommand};
pub(super) use self::db::{DbArgs, DbCommand, Dialect};
pub(super) use self::rejects::{RejectsArgs, RejectsCommand};
pub(super) use self::run::RunArgs;
pub(super) use self::schedule::{ScheduleArgs, ScheduleCommand};
pub(super) use self::scrap::{ScrapArgs, ScrapCommand};
pub(super) use self::serve::{AccessArgs, AccessCommand, ServeArgs, TokenCommand};

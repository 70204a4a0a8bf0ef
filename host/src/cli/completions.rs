//! `atlas completions`.

use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs};
use crate::service::Exit;

pub(super) fn run(args: &CompletionsArgs) -> Exit {
    clap_complete::generate(args.shell, &mut Cli::command(), "atlas", &mut std::io::stdout());
    Exit::Done
}

//! `atlas completions`.

use atlas_service::Exit;
use clap::CommandFactory;

use super::args::{Cli, CompletionsArgs};
use super::output::Output;

pub(super) fn run(args: &CompletionsArgs, output: &Output) -> Exit {
    // Through memory: written straight to a pipe whose reader has gone, it would panic.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "atlas", &mut script);
    output.line(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}

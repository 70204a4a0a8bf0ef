//! The hidden command that works on one connector's file: what `atlas-sandbox` starts this
//! program for.

use std::process::ExitCode;

use atlas_service::run_child;

use super::args::ConnectorChildArgs;
use super::terminal;

pub(super) fn run(args: &ConnectorChildArgs) -> ExitCode {
    match run_child(args.compile_s, args.calls_s, args.memory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            // The parent reads it.
            terminal::error_line(&reason.to_string());
            ExitCode::FAILURE
        }
    }
}

//! The hidden command that compiles a component: what [`connector`](crate::connector) starts this program for.

#![allow(clippy::print_stderr)] // the parent reads it

use std::io::{stdin, stdout};
use std::process::ExitCode;

use super::args::CompileComponentArgs;
use crate::connector::compile_as_child;

pub(super) fn run(args: &CompileComponentArgs) -> ExitCode {
    match compile_as_child(args.cpu_s, args.memory, args.guest_memory, stdin().lock(), stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

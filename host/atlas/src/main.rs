//! The program `atlas`.

use std::process::ExitCode;

fn main() -> ExitCode {
    atlas_cli::main()
}

//! Licences, sources and known-bad crates, by `deny.toml`.

use anyhow::{Result, bail};

use crate::command::{answers, cargo, execute};

/// Fails when `cargo-deny` is missing: a check that is left out silently is none.
pub(crate) fn run() -> Result<()> {
    if !answers(&mut cargo(["deny", "--version"])) {
        bail!(
            "cargo-deny is missing, so licences and sources were NOT checked.\n\
             Install it: cargo install cargo-deny --locked"
        );
    }
    execute(&mut cargo(["deny", "--log-level", "error", "check", "licenses", "bans", "sources"]))
}

//! Licences, sources and bans of everything that is built in; advisories on demand, since they need
//! a network. Without one, `tidy` holds `Cargo.lock` against `patched.toml`.

use anyhow::{Context as _, Result};

use crate::command::{answers, cargo, execute, step, target_dir};

/// Uses the `cargo-deny` that is installed; else installs one for this checkout alone, once.
pub(crate) fn run(advisories: bool) -> Result<()> {
    let own = target_dir()?.join("tools");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own.join("bin")).chain(std::env::split_paths(&path));
    let path = std::env::join_paths(folders).context("a folder in PATH that cannot stand there")?;
    if !answers(cargo(["deny", "--version"]).env("PATH", &path)) {
        step("cargo-deny is not here: it is installed into target/tools, which takes some minutes, once");
        let mut install = cargo(["install", "--quiet", "--locked", "--debug", "cargo-deny", "--root"]);
        // It runs for seconds, and optimised it takes minutes to build.
        install.arg(&own).env("CARGO_PROFILE_DEV_DEBUG", "false").env_remove("CARGO_TARGET_DIR");
        execute(&mut install)?;
    }
    let mut check = cargo(["deny", "--log-level", "error", "check", "licenses", "bans", "sources"]);
    if advisories {
        check.arg("advisories");
    }
    execute(check.env("PATH", &path))
}

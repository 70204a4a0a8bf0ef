//! Connectors for the tests alone: those that take all they can get. They are kept out of the
//! folder that hosts load.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::{TARGET, component, ensure_target, named, replace, without_local_paths};
use crate::command::{cargo, execute, root, target_dir};

/// Builds all of `tests/guests`; gives the folder they are in.
pub(crate) fn build() -> Result<PathBuf> {
    ensure_target()?;
    let guests = named(&root().join("tests/guests"), "guest-")?;
    let mut build = cargo(["build", "--quiet", "--profile", "connector", "--target", TARGET]);
    build.args(guests.iter().map(|guest| format!("--package=guest-{guest}")));
    build.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", without_local_paths());
    execute(&mut build)?;

    let target = target_dir()?;
    let to = target.join("test-guests");
    fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
    for guest in &guests {
        let module = target.join(TARGET).join("connector").join(format!("{guest}.wasm"));
        let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let component = component(&module).with_context(|| format!("guest {guest}"))?;
        replace(&to.join(format!("{guest}.wasm")), &component)?;
    }
    Ok(to)
}

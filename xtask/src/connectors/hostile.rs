//! The connectors that attack, `tests/hostile/`: a folder for each, with a `guest.rs` on the SDK,
//! or a `guest.wat` where Rust cannot be hostile enough.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use super::{TARGET, ensure_target, replace, without_local_paths};
use crate::command::{cargo, execute, root, step, target_dir};

/// The package that the Rust ones are examples of.
pub(crate) const PACKAGE: &str = "atlas-hostile";
/// Quick to build: nobody measures them.
const PROFILE: &str = "hostile";
/// What they may import: the contract, and what is granted of WASI.
const PACKAGES: [&str; 2] = ["wit/0.1.0", "host/sandbox/wit/wasi"];
const WORLD: &str =
    "package test:hostile; world guest { include atlas:connector/connector@0.1.0; include atlas:granted/granted; }";

/// Builds all of them; gives the folder they are in. What has no case any more is taken away.
pub(crate) fn build() -> Result<PathBuf> {
    ensure_target()?;
    let mut build =
        cargo(["build", "--quiet", "--profile", PROFILE, "--target", TARGET, "--package", PACKAGE, "--examples"]);
    execute(build.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", without_local_paths()))?;

    let modules = target_dir()?.join(TARGET).join(PROFILE).join("examples");
    let to = target_dir()?.join("hostile-connectors");
    fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
    let cases = cases()?;
    for case in &cases {
        let folder = root().join("tests/hostile").join(case);
        let component = match fs::read(folder.join("guest.wat")) {
            Ok(text) => from_text(&text),
            Err(_) => {
                let module = modules.join(format!("{}.wasm", case.replace('-', "_")));
                let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
                encode(&module)
            }
        };
        replace(&to.join(format!("{case}.wasm")), &component.with_context(|| format!("hostile connector {case}"))?)?;
    }
    for entry in fs::read_dir(&to).with_context(|| format!("cannot list {}", to.display()))? {
        let path = entry?.path();
        if !path.file_stem().is_some_and(|stem| cases.iter().any(|case| Path::new(case) == stem)) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    step(format_args!("{}: {} hostile connectors", to.display(), cases.len()));
    Ok(to)
}

/// The folders that hold a guest.
fn cases() -> Result<Vec<String>> {
    let folder = root().join("tests/hostile");
    let mut cases = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        if ["guest.rs", "guest.wat"].iter().any(|guest| path.join(guest).is_file()) {
            cases.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    cases.sort();
    Ok(cases)
}

/// A component's text as it stands; a module's, as an implementation of the contract that may use
/// WASI.
fn from_text(text: &[u8]) -> Result<Vec<u8>> {
    let mut binary = wat::parse_bytes(text)?.into_owned();
    if binary.get(6) == Some(&1) {
        return Ok(binary);
    }
    let mut resolve = Resolve::default();
    for package in PACKAGES {
        resolve.push_dir(root().join(package))?;
    }
    let own = resolve.push_str("guest.wit", WORLD)?;
    let world = resolve.select_world(&[own], Some("guest"))?;
    wit_component::embed_component_metadata(&mut binary, &resolve, world, StringEncoding::UTF8)?;
    encode(&binary)
}

/// Unlike a connector that ships, it may import whatever it likes.
fn encode(module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default().validate(true).module(module)?.encode()
}

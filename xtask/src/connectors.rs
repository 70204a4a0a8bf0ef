//! The connectors that ship with Atlas: compiled, made into components, and put where the host
//! looks for them.

pub(crate) mod examples;
pub(crate) mod guests;
pub(crate) mod hostile;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, bail, ensure};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::WorldItem;

use crate::command::{answers, cargo, execute, output, root, step, target_dir};

/// What guests are compiled for. It has no system interface, so a component made from it imports
/// what it asks for itself, and nothing else.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// The one package that a connector may import from.
const CONTRACT: &str = "atlas:connector/";

/// Builds all connectors; gives the folder they are in. A file whose bytes would be the same is
/// left untouched, so that no host reloads it.
pub(crate) fn build() -> Result<PathBuf> {
    ensure_target()?;
    let routes = routes()?;
    let mut build = cargo(["build", "--quiet", "--profile", "connector", "--target", TARGET]);
    build.args(routes.iter().map(|route| format!("--package=connector-{route}")));
    build.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", without_local_paths());
    execute(&mut build)?;

    let target = target_dir()?;
    let to = target.join("connectors");
    fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
    for route in &routes {
        let module = target.join(TARGET).join("connector").join(format!("{route}.wasm"));
        let module = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
        let component = component(&module).with_context(|| format!("connector {route}"))?;
        let file = to.join(format!("{route}.wasm"));
        let changed = replace(&file, &component)?;
        let kib = component.len().div_ceil(1024);
        step(format_args!("{} {kib} KiB{}", file.display(), if changed { "" } else { ", unchanged" }));
    }
    Ok(to)
}

/// The packages that are compiled for [`TARGET`]: connectors, and what they are made from.
pub(crate) fn guest_packages() -> Result<Vec<String>> {
    let mut packages: Vec<_> = routes()?.iter().map(|route| format!("connector-{route}")).collect();
    packages.extend(named(&root().join("tests/guests"), "guest-")?.iter().map(|guest| format!("guest-{guest}")));
    packages.extend(["atlas-connector-sdk".to_owned(), "jueri".to_owned()]);
    Ok(packages)
}

/// Sees to it that [`TARGET`] can be compiled for.
pub(crate) fn ensure_target() -> Result<()> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let sysroot = output(Command::new(rustc).args(["--print", "sysroot"]))?;
    let installed = || Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib").is_dir();
    if installed() {
        return Ok(());
    }
    if answers(Command::new("rustup").arg("--version")) {
        execute(Command::new("rustup").args(["target", "add", TARGET]))?;
    }
    ensure!(
        installed(),
        "connectors are compiled for {TARGET}, and this Rust ({sysroot}) has no standard library for it.\n\
         With rustup: rustup target add {TARGET}\n\
         On Debian without rustup: install rustc-web, cargo-web and rust-web-src, and build std from source with \
         RUSTC_BOOTSTRAP=1 and -Zbuild-std=std,panic_abort."
    );
    Ok(())
}

/// The routes that have a crate `connector-…` in `connectors/`.
fn routes() -> Result<Vec<String>> {
    named(&root().join("connectors"), "connector-")
}

/// The crates below a folder whose names begin so, by what follows.
fn named(folder: &Path, prefix: &str) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let Ok(manifest) = fs::read_to_string(entry?.path().join("Cargo.toml")) else {
            continue;
        };
        let name = manifest.lines().find_map(|line| line.strip_prefix("name = \"")?.strip_prefix(prefix));
        names.extend(name.map(|name| name.trim_end_matches('"').to_owned()));
    }
    ensure!(!names.is_empty(), "no crate {prefix}… below {}", folder.display());
    names.sort();
    Ok(names)
}

/// A component's bytes, and with them its digest, must not depend on where the checkout stands.
fn without_local_paths() -> String {
    let home = env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags = format!("--remap-path-prefix={}=.", root().display());
    if let Ok(home) = home {
        flags.push_str(&format!(" --remap-path-prefix={home}=cargo"));
    }
    flags
}

fn component(module: &[u8]) -> Result<Vec<u8>> {
    let component = ComponentEncoder::default().validate(true).module(module)?.encode()?;
    let foreign = foreign_imports(&component)?;
    ensure!(foreign.is_empty(), "it imports more than {CONTRACT}…: {}", foreign.join(", "));
    Ok(component)
}

fn foreign_imports(component: &[u8]) -> Result<Vec<String>> {
    let DecodedWasm::Component(resolve, world) = wit_component::decode(component)? else {
        bail!("not a component");
    };
    // Types that the world uses count as imports; nobody has to provide them.
    let imports = resolve.worlds[world].imports.iter().filter(|(_, item)| !matches!(item, WorldItem::Type { .. }));
    let names = imports.map(|(key, _)| resolve.name_world_key(key));
    Ok(names.filter(|name| !name.starts_with(CONTRACT)).collect())
}

/// Writes a file in one step, unless its bytes are already there. Says whether they were not.
fn replace(file: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(file).is_ok_and(|there| there == bytes) {
        return Ok(false);
    }
    let new = file.with_extension("wasm.new");
    fs::write(&new, bytes).with_context(|| format!("cannot write {}", new.display()))?;
    fs::rename(&new, file).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(true)
}

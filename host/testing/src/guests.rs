//! Components for the tests of several crates, made of core modules in text form
//! (`host/sandbox/tests-fixtures/guests`).

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract, seen from here.
const CONTRACT: &str = "../../wit/0.1.0";
/// The world of a guest that needs the contract alone.
const PLAIN: &str = "package test:guest; world guest { include atlas:connector/connector@0.1.0; }";

/// A connector of the newest version that uses what WASI grants.
pub fn wasi_guest() -> Vec<u8> {
    wasi_guest_with("", "")
}

/// The same, with `this` in the place of `that`.
///
/// # Panics
///
/// Where the guest's text has no `that`.
pub fn wasi_guest_with(that: &str, this: &str) -> Vec<u8> {
    let world =
        "package test:guest; world guest { include atlas:connector/connector@0.1.0; include atlas:granted/granted; }";
    let module = include_str!("../../sandbox/tests-fixtures/guests/wasi.wat");
    assert!(module.contains(that), "{that} does not stand there");
    component(&[CONTRACT, "../sandbox/wit/wasi"], world, &module.replacen(that, this, 1))
}

/// A connector of the newest version that says so of itself, and whose pages are empty. `unhashed`:
/// one pointer, or nothing.
pub fn plain_guest(route: &str, version: &str, unhashed: &str) -> Vec<u8> {
    let lists = usize::from(!unhashed.is_empty()).to_string();
    let mut text = include_str!("../../sandbox/tests-fixtures/guests/plain.wat").replace("{lists}", &lists);
    for (name, value) in [("route", route), ("version", version), ("unhashed", unhashed)] {
        text =
            text.replace(&format!("{{{name}}}"), value).replace(&format!("{{{name}-len}}"), &value.len().to_string());
    }
    component(&[CONTRACT], PLAIN, &text)
}

/// A connector of the made-up earlier version.
pub fn earlier_guest() -> Vec<u8> {
    let world = "package test:guest; world guest { include atlas:connector/connector@0.0.9; }";
    let module = include_str!("../../sandbox/tests-fixtures/guests/earlier.wat");
    component(&["../sandbox/tests-fixtures/wit/0.0.9"], world, module)
}

/// Makes a core module a component of the world `guest`, which may use these packages.
fn component(packages: &[&str], world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for package in packages {
        resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(package)).expect("a package of the contract");
    }
    let own = resolve.push_str("guest.wit", world).expect("a world");
    let world = resolve.select_world(&[own], Some("guest")).expect("the world `guest`");
    let mut module = wat::parse_str(module).expect("a module in text form");
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("a module of that world");
    let encoder = ComponentEncoder::default().validate(true).module(&module);
    encoder.and_then(|mut encoder| encoder.encode()).expect("a module that becomes a component")
}

//! What tests of this room stand on: components made of core modules in text form, and a loader for
//! them.

use std::path::Path;
use std::sync::Arc;

use atlas_model::Limits;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::bindings::atlas::connector::types as wit;
use super::cache::ComponentCache;
use super::compile::Compiler;
use super::engine::ConnectorEngine;
use super::heavy::HeavyWork;
use super::load::{Connector, LoadError, Loader, Origin, TrustPolicy};

/// A connector of the newest version that uses what WASI grants.
pub(super) fn wasi_guest() -> Vec<u8> {
    wasi_guest_with("", "")
}

/// The same, with `this` in the place of `that`.
pub(super) fn wasi_guest_with(that: &str, this: &str) -> Vec<u8> {
    let world =
        "package test:guest; world guest { include atlas:connector/connector@0.1.0; include atlas:granted/granted; }";
    let module = include_str!("../tests-fixtures/guests/wasi.wat");
    assert!(module.contains(that), "{that} does not stand there");
    component(&["../../wit/0.1.0", "wit/wasi"], world, &module.replacen(that, this, 1))
}

/// A connector of the newest version that says so of itself, and whose pages are empty. `unhashed`:
/// one pointer, or nothing.
pub(super) fn plain_guest(route: &str, version: &str, unhashed: &str) -> Vec<u8> {
    let lists = usize::from(!unhashed.is_empty()).to_string();
    let mut text = include_str!("../tests-fixtures/guests/plain.wat").replace("{lists}", &lists);
    for (name, value) in [("route", route), ("version", version), ("unhashed", unhashed)] {
        text =
            text.replace(&format!("{{{name}}}"), value).replace(&format!("{{{name}-len}}"), &value.len().to_string());
    }
    component(
        &["../../wit/0.1.0"],
        "package test:guest; world guest { include atlas:connector/connector@0.1.0; }",
        &text,
    )
}

/// A connector of the made-up earlier version.
pub(super) fn earlier_guest() -> Vec<u8> {
    let world = "package test:guest; world guest { include atlas:connector/connector@0.0.9; }";
    component(&["tests-fixtures/wit/0.0.9"], world, include_str!("../tests-fixtures/guests/earlier.wat"))
}

/// Makes a core module a component of the world `guest`, which may use these packages.
fn component(packages: &[&str], world: &str, module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    for package in packages {
        resolve.push_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(package)).unwrap();
    }
    let own = resolve.push_str("guest.wit", world).unwrap();
    let world = resolve.select_world(&[own], Some("guest")).unwrap();
    let mut module = wat::parse_str(module).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default().validate(true).module(&module).unwrap().encode().unwrap()
}

/// A loader that demands nothing and keeps nothing.
pub(super) fn loader(trust: TrustPolicy) -> Loader {
    let limits = Limits::default();
    let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
    let (cache, compiler) = (ComponentCache::open(None), Compiler::new(&limits));
    Loader { engine, limits, trust: Arc::new(trust), cache, compiler, heavy: HeavyWork::default() }
}

/// Writes a component to a file of this name, and loads it.
pub(super) async fn load(loader: &Loader, name: &str, component: &[u8]) -> Result<Connector, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, component).unwrap();
    loader.load(&path, Origin::Folder).await
}

/// The scrap of most tests.
pub(super) fn scrap() -> wit::Scrap {
    wit::Scrap {
        client_id: 2151,
        route: "pedido".to_owned(),
        period: None,
        page_size: 100,
        settings: "{}".to_owned(),
        definition: None,
        now: "2025-10-20T12:00:00Z".to_owned(),
    }
}

//! What the tests of this crate stand on: a loader, and a scrap.

use std::sync::Arc;

use atlas_model::Limits;
use sha2::{Digest as _, Sha256};

use super::bindings::atlas::connector::types as wit;
use super::cache::ComponentCache;
use super::compile::Source;
use super::component::{ComponentLoader, LoadedComponent};
use super::engine::ConnectorEngine;
use super::error::ComponentError;

/// A loader that keeps nothing.
pub(crate) fn loader() -> ComponentLoader {
    let limits = Limits::default();
    let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
    ComponentLoader::in_this_process(engine, &limits, ComponentCache::open(None))
}

/// Looks at a component, and loads it.
pub(crate) async fn load(loader: &ComponentLoader, component: &[u8]) -> Result<LoadedComponent, ComponentError> {
    let contract = loader.inspect(component)?.version;
    let sha256: String = Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect();
    let component = component.to_vec().into();
    loader.load(&Source { sha256: &sha256, component, contract, name: "teste.wasm".to_owned() }).await
}

/// The scrap of most tests.
pub(crate) fn scrap() -> wit::Scrap {
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

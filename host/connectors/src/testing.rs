//! What tests of this crate stand on: a loader of connectors.

use std::sync::Arc;

use atlas_model::Limits;
use atlas_sandbox::{ComponentCache, ComponentLoader, ConnectorEngine};

use super::load::{Connector, LoadError, Loader, Origin, TrustPolicy};

/// A loader that demands nothing and keeps nothing.
pub(super) fn loader(trust: TrustPolicy) -> Loader {
    loader_within(trust, Limits::default())
}

/// The same under these limits.
pub(super) fn loader_within(trust: TrustPolicy, limits: Limits) -> Loader {
    let engine = Arc::new(ConnectorEngine::new(limits.guest_memory, limits.host_guests).unwrap());
    Loader::new(ComponentLoader::in_this_process(engine, &limits, ComponentCache::open(None)), &limits, trust.into())
}

/// Writes a component to a file of this name, and loads it.
pub(super) async fn load(loader: &Loader, name: &str, component: &[u8]) -> Result<Connector, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, component).unwrap();
    loader.load(&path, Origin::Folder).await
}

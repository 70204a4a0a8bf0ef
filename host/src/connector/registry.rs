//! The folder of connectors: which file serves which route.
//!
//! A file that fails to load keeps its place in the list, with the reason; two files that claim one route are both refused,
//! since nobody could say which was meant. Hot reload will stand here too: it replaces one entry by another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::cache::ComponentCache;
use super::engine::ConnectorEngine;
use super::load::{Connector, LoadError, load};
use crate::limits::Limits;

/// One file of the folder.
pub struct RegistryEntry {
    /// The file.
    pub path: PathBuf,
    /// The connector, or why it is none.
    pub loaded: Result<Arc<Connector>, LoadError>,
}

/// The connectors of one folder.
pub struct Registry {
    entries: Vec<RegistryEntry>,
}

impl Registry {
    /// Loads every `.wasm` file of a folder. A file that fails does not hinder the others.
    pub async fn load(
        engine: &Arc<ConnectorEngine>,
        limits: &Limits,
        folder: &Path,
        cache: Option<&Path>,
    ) -> std::io::Result<Self> {
        let folder = folder.to_owned();
        let cache = cache.map(Path::to_owned);
        let (paths, cache) = tokio::task::spawn_blocking(move || {
            let mut paths = std::fs::read_dir(&folder)?
                .filter_map(|entry| entry.ok().map(|e| e.path()))
                .filter(|path| path.extension().is_some_and(|e| e == "wasm"))
                .collect::<Vec<_>>();
            paths.sort();
            Ok::<_, std::io::Error>((paths, ComponentCache::open(cache.as_deref())))
        })
        .await
        .map_err(std::io::Error::other)??;
        let mut entries = Vec::with_capacity(paths.len());
        for path in paths {
            let loaded = load(engine, limits, &path, &cache).await.map(Arc::new);
            entries.push(RegistryEntry { path, loaded });
        }
        refuse_doubles(&mut entries);
        Ok(Self { entries })
    }

    /// Loads one file, wherever it is.
    pub async fn inspect(engine: &Arc<ConnectorEngine>, limits: &Limits, path: &Path) -> Result<Connector, LoadError> {
        load(engine, limits, path, &ComponentCache::open(None)).await
    }

    /// Every file of the folder, in the order of their names.
    pub fn entries(&self) -> &[RegistryEntry] {
        &self.entries
    }

    /// The connector of a route.
    pub fn connector(&self, route: &str) -> Option<Arc<Connector>> {
        let loaded = self.entries.iter().filter_map(|entry| entry.loaded.as_ref().ok());
        loaded.into_iter().find(|connector| connector.descriptor.route == route).cloned()
    }

    /// The routes that are served, sorted.
    pub fn routes(&self) -> Vec<String> {
        let loaded = self.entries.iter().filter_map(|entry| entry.loaded.as_ref().ok());
        let mut routes: Vec<_> = loaded.map(|c| c.descriptor.route.clone()).collect();
        routes.sort();
        routes
    }
}

fn refuse_doubles(entries: &mut [RegistryEntry]) {
    let mut files_by_route: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for entry in entries.iter() {
        if let Ok(connector) = &entry.loaded {
            let route = connector.descriptor.route.clone();
            files_by_route.entry(route).or_default().push(entry.path.clone());
        }
    }
    for entry in entries {
        let Ok(connector) = &entry.loaded else {
            continue;
        };
        let route = connector.descriptor.route.clone();
        let other = files_by_route[&route].iter().find(|path| **path != entry.path);
        if let Some(other) = other {
            let other = other.file_name().unwrap_or_default().to_string_lossy().into_owned();
            entry.loaded = Err(LoadError::RouteTaken { route, other });
        }
    }
}

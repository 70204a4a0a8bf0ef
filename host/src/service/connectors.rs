//! The folder of connectors, and the engine that they run on. Needs no database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::failure::{Exit, Failure};
use crate::config::Config;
use crate::connector::{Connector, ConnectorEngine, Registry};
use crate::limits::Limits;
use crate::notice;

/// The connectors, loaded when they are first asked for.
pub struct Connectors {
    folder: PathBuf,
    cache: Option<PathBuf>,
    limits: Limits,
    engine: OnceCell<Arc<ConnectorEngine>>,
    registry: OnceCell<Registry>,
}

impl Connectors {
    /// Those of the configured folder.
    pub fn new(config: &Config) -> Self {
        Self {
            folder: config.connectors.clone(),
            cache: config.cache.clone(),
            limits: *config.limits(),
            engine: OnceCell::new(),
            registry: OnceCell::new(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Loads one file, wherever it is.
    pub async fn inspect(&self, file: &Path) -> Result<Connector, Failure> {
        let loaded = Registry::inspect(self.engine().await?, &self.limits, file).await;
        loaded.map_err(|error| Failure::load(file, &error))
    }

    /// The connectors of the configured folder, loaded at the first call.
    pub async fn registry(&self) -> Result<&Registry, Failure> {
        self.registry
            .get_or_try_init(|| async {
                let engine = self.engine().await?;
                let folder = &self.folder;
                Registry::load(engine, &self.limits, folder, self.cache.as_deref()).await.map_err(|error| {
                    let notice = notice!("error-connectors-folder", folder = folder.display(), reason = error);
                    Failure::new("op-connector", notice, Exit::Connector).because(&error)
                })
            })
            .await
    }

    /// The connector of a route.
    pub async fn connector(&self, route: &str) -> Result<Arc<Connector>, Failure> {
        let registry = self.registry().await?;
        if let Some(connector) = registry.connector(route) {
            return Ok(connector);
        }
        let folder = self.folder.display().to_string();
        // The file that bears the route's name is most likely the one that was meant.
        let meant = registry.entries().iter().find(|e| e.path.file_stem().is_some_and(|stem| stem == route));
        let notice = match meant.map(|entry| (&entry.path, &entry.loaded)) {
            Some((path, Err(error))) => return Err(Failure::load(path, error)),
            _ if registry.entries().is_empty() => notice!("doctor-no-connectors", folder = folder),
            _ => notice!("error-route-unknown", route = route, folder = folder, routes = registry.routes().join(", ")),
        };
        Err(Failure::new("op-connector", notice, Exit::Connector))
    }

    /// The engine that connectors run on.
    pub async fn engine(&self) -> Result<&Arc<ConnectorEngine>, Failure> {
        self.engine
            .get_or_try_init(|| async {
                ConnectorEngine::new(&self.limits).map(Arc::new).map_err(|error| {
                    let notice = notice!("error-engine", reason = format!("{error:#}"));
                    Failure::new("op-connector", notice, Exit::Connector)
                })
            })
            .await
    }
}

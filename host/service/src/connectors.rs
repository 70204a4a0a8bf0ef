//! The folder of connectors, and the engine that they run on. Needs no database.

use std::path::Path;
use std::sync::Arc;

use atlas_connectors::{
    Connector, DecisionError, EncodeError, KeptVersion, LoadError, Registry, RegistryFolders, Standing, TrustPolicy,
    Waiting, accept, encode_component, roll_back,
};
use atlas_model::{Limits, Subject, notice};
use atlas_sandbox::ConnectorEngine;
use tokio::sync::OnceCell;

use super::failure::Failure;
use super::kind::Kind;
use super::messages::ended_process;
use crate::config::Config;

/// The connectors, loaded when they are first asked for.
pub struct Connectors {
    folders: RegistryFolders,
    limits: Limits,
    largest_guest: usize,
    trust: Arc<TrustPolicy>,
    engine: OnceCell<Arc<ConnectorEngine>>,
    registry: OnceCell<Arc<Registry>>,
}

impl Connectors {
    /// The connectors of the configured folder.
    pub fn new(config: &Config) -> Self {
        Self {
            folders: RegistryFolders {
                connectors: config.connectors.clone(),
                cache: config.cache.clone(),
                state: config.state.clone(),
            },
            limits: *config.limits(),
            largest_guest: config.largest_guest(),
            trust: Arc::new(config.trust.clone()),
            engine: OnceCell::new(),
            registry: OnceCell::new(),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folders.connectors
    }

    /// What is demanded of files before they are loaded.
    pub(super) fn trust(&self) -> &TrustPolicy {
        &self.trust
    }

    /// The limits of the house.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Loads one file, wherever it is.
    pub async fn inspect(&self, file: &Path) -> Result<Connector, Failure> {
        let loaded =
            Registry::inspect(self.engine().await?, &self.limits, &self.trust, self.folders.cache.clone(), file).await;
        loaded.map_err(|error| Failure::load(file, &error))
    }

    /// Makes a core module that was built with the SDK a component, and writes it in one step,
    /// since a host may be watching. Gives its size in bytes.
    pub async fn componentize(&self, module: &Path, to: &Path) -> Result<usize, Failure> {
        let bytes = tokio::fs::read(module).await;
        let bytes = bytes.map_err(|error| Failure::load(module, &LoadError::Unreadable(error.to_string())))?;
        let encoded = tokio::task::spawn_blocking(move || encode_component(&bytes)).await;
        let encoded = encoded.unwrap_or_else(|panic| Err(EncodeError::Module(panic.to_string())));
        let component = encoded.map_err(|error| {
            let notice = notice!("componentize-failed", file = module.display(), reason = error);
            Failure::new("op-connector", notice, Kind::Connector).because(&error)
        })?;
        let new = to.with_extension("wasm.new");
        let written = async {
            tokio::fs::write(&new, &component).await?;
            tokio::fs::rename(&new, to).await
        };
        written.await.map_err(|error| {
            let notice = notice!("componentize-unwritable", file = to.display(), reason = error);
            Failure::new("op-connector", notice, Kind::Configuration).because(&error)
        })?;
        Ok(component.len())
    }

    /// The connectors of the configured folder, loaded at the first call.
    pub async fn registry(&self) -> Result<&Arc<Registry>, Failure> {
        self.registry
            .get_or_try_init(|| async {
                let engine = self.engine().await?;
                Registry::load(engine, &self.limits, &self.trust, &self.folders).await.map(Arc::new).map_err(|error| {
                    let folder = self.folder().display();
                    let notice = notice!("error-connectors-folder", folder = folder, reason = error)
                        .about(Subject::Connector(None));
                    Failure::new("op-connector", notice, Kind::Connector).because(&error)
                })
            })
            .await
    }

    /// The connector that serves a route, for fetching with it.
    pub async fn connector(&self, route: &str) -> Result<Arc<Connector>, Failure> {
        let registry = self.registry().await?;
        if let Some(connector) = registry.use_connector(route).await {
            return Ok(connector);
        }
        if let Some(ended) = registry.quarantined_of(route) {
            let notice = ended_process("connector-ended-process", &ended.into());
            return Err(Failure::new("op-connector", notice, Kind::Connector));
        }
        let folder = self.folder().display().to_string();
        let entries = registry.entries();
        // Nothing serves in its place: whatever was kept is gone.
        let waits = entries.iter().filter_map(|entry| match (&entry.standing, &entry.loaded) {
            (Standing::Held(reasons), Ok(waiting)) if waiting.descriptor.route == route => Some((waiting, reasons)),
            _ => None,
        });
        if let Some((waiting, reasons)) = waits.into_iter().next() {
            return Err(Failure::held(waiting, reasons));
        }
        // The file that bears the route's name is most likely the one that was meant.
        let meant = entries.iter().find(|e| e.path.file_stem().is_some_and(|stem| stem == route));
        let (notice, kind) = match meant.map(|entry| (&entry.path, &entry.loaded)) {
            Some((path, Err(error))) => return Err(Failure::load(path, error)),
            _ if entries.is_empty() => (notice!("doctor-no-connectors", folder = folder), Kind::Connector),
            _ => {
                let routes = registry.routes().join(", ");
                let notice = notice!("error-route-unknown", route = route, folder = folder, routes = routes);
                (notice.about(Subject::Connector(Some(route.to_owned()))), Kind::NotFound)
            }
        };
        Err(Failure::new("op-connector", notice, kind))
    }

    /// Accepts the version of a route that waits for the operator's word, or that its trial
    /// refused, if its digest begins like this. Running processes notice within a second.
    pub async fn accept(&self, route: &str, digest: Option<&str>) -> Result<Waiting, Failure> {
        let (route, digest) = (route.to_owned(), digest.map(str::to_owned));
        self.word(move |folders| accept(folders, &route, digest.as_deref())).await
    }

    /// Has an earlier version of a route serve until its file changes: the one whose digest begins
    /// like this, else the one before the present one. Running processes notice within a second.
    pub async fn roll_back(&self, route: &str, digest: Option<&str>) -> Result<KeptVersion, Failure> {
        let (route, digest, most) = (route.to_owned(), digest.map(str::to_owned), self.limits.component_bytes);
        self.word(move |folders| roll_back(folders, most, &route, digest.as_deref())).await
    }

    async fn word<T: Send + 'static>(
        &self,
        word: impl FnOnce(&RegistryFolders) -> Result<T, DecisionError> + Send + 'static,
    ) -> Result<T, Failure> {
        let folders = self.folders.clone();
        let taken = tokio::task::spawn_blocking(move || word(&folders)).await;
        let taken = taken.unwrap_or_else(|panicked| Err(DecisionError::State(std::io::Error::other(panicked))));
        taken.map_err(|error| Failure::word(&error))
    }

    /// The engine that connectors run on.
    pub async fn engine(&self) -> Result<&Arc<ConnectorEngine>, Failure> {
        self.engine
            .get_or_try_init(|| async {
                ConnectorEngine::new(self.largest_guest, self.limits.host_guests)
                    .map(Arc::new)
                    .map_err(|error| Failure::not_started("op-connector", Kind::Connector, format!("{error:#}")))
            })
            .await
    }
}

//! Connectors.

use atlas_service::{Failure, Registry, RegistryEntry, Standing, hold_notice};
use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{At, Params};
use crate::problem::{Failed, Problem};
use crate::session::{Caller, Configuring, Looking};

/// A connector's file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConnectorView {
    arquivo: String,
    rota: Option<String>,
    api: Option<String>,
    versao: Option<String>,
    sha256: Option<String>,
    /// `servindo`, `retida`, `revertida` or `recusada`.
    estado: &'static str,
    /// Why it waits or was refused.
    motivos: Vec<String>,
    /// The digest of what serves in its place.
    servindo_sha256: Option<String>,
    uso: Option<UsageView>,
}

/// What a route's pages have used on this installation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UsageView {
    paginas: u64,
    traps: u64,
    recusas: u64,
    cpu_ms: u64,
    memoria_pico: u64,
}

fn view(caller: &Caller, registry: &Registry, entry: &RegistryEntry) -> ConnectorView {
    let descriptor = entry.loaded.as_ref().ok().map(|connector| &connector.descriptor);
    let usage = descriptor.map(|descriptor| registry.usage(&descriptor.route));
    let texts = caller.texts();
    let motivos = match (&entry.standing, &entry.loaded) {
        (Standing::Held(reasons), _) => reasons.iter().map(|reason| texts.text(&hold_notice(reason))).collect(),
        (_, Err(error)) => vec![texts.text(&Failure::load(&entry.path, error).notice)],
        _ => Vec::new(),
    };
    ConnectorView {
        arquivo: entry.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        rota: descriptor.map(|d| d.route.clone()),
        api: descriptor.map(|d| d.api.clone()),
        versao: descriptor.map(|d| d.version.clone()),
        sha256: entry.sha256.clone(),
        estado: match entry.standing {
            Standing::Serves => "servindo",
            Standing::Held(_) => "retida",
            Standing::RolledBack => "revertida",
            Standing::Refused => "recusada",
        },
        motivos,
        servindo_sha256: entry.instead.as_ref().map(|connector| connector.sha256.clone()),
        uso: usage.map(|usage| UsageView {
            paginas: usage.pages,
            traps: usage.traps,
            recusas: usage.refusals,
            cpu_ms: usage.cpu_us / 1_000,
            memoria_pico: usage.peak_memory,
        }),
    }
}

/// The connectors' files, and how they stand.
#[utoipa::path(get, path = "/connectors", tag = "connectors", responses(
    (status = OK, body = Vec<ConnectorView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(Looking(caller): Looking) -> Result<Json<Vec<ConnectorView>>, Failed> {
    let registry = caller.state.atlas.connectors().registry().await?;
    Ok(Json(registry.entries().iter().map(|entry| view(&caller, registry, entry)).collect()))
}

/// Which version.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Version {
    /// How its digest begins; none: the one that waits, or the one before.
    sha256: Option<String>,
}

/// The version that the word was about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionView {
    rota: String,
    versao: String,
    sha256: String,
}

/// Accepts the version of a route that waits. It serves within a second.
#[utoipa::path(post, path = "/connectors/{route}/accept", tag = "connectors", params(("route" = String, Path), Version), responses(
    (status = OK, body = VersionView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn accept(
    Configuring(caller): Configuring,
    At(route): At<String>,
    Params(version): Params<Version>,
) -> Result<Json<VersionView>, Failed> {
    let accepted = caller.state.atlas.connectors().accept(&route, version.sha256.as_deref()).await?;
    let (versao, sha256) = (accepted.version, accepted.sha256);
    Ok(Json(VersionView { rota: route, versao, sha256 }))
}

/// Has an earlier version serve until the route's file changes.
#[utoipa::path(post, path = "/connectors/{route}/rollback", tag = "connectors", params(("route" = String, Path), Version), responses(
    (status = OK, body = VersionView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn roll_back(
    Configuring(caller): Configuring,
    At(route): At<String>,
    Params(version): Params<Version>,
) -> Result<Json<VersionView>, Failed> {
    let earlier = caller.state.atlas.connectors().roll_back(&route, version.sha256.as_deref()).await?;
    Ok(Json(VersionView { rota: route, versao: earlier.version, sha256: earlier.sha256 }))
}

//! Clients and their credentials. Nothing here gives a secret back.

use std::collections::BTreeMap;

use atlas_model::{Client, Parts, Secret};
use atlas_service::{ClientChange, Failure, Origin};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::extract::{At, Body};
use crate::problem::{Failed, Problem};
use crate::session::{Caller, Configuring, Looking};

/// A client.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClientView {
    cliente_id: i32,
    /// Whether its scraps may run.
    ativo: bool,
    apis: Vec<ApiView>,
    /// The APIs that its default token and address serve.
    padrao_serve: Vec<String>,
}

/// Where an API of a client is.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApiView {
    /// The API; empty: the client's default.
    api: String,
    base_url: String,
    /// Whether it has a credential of its own.
    credencial_propria: bool,
}

impl From<Client> for ClientView {
    fn from(client: Client) -> Self {
        let apis = client.apis.into_iter().map(|api| ApiView {
            api: api.api,
            base_url: api.base_url,
            credencial_propria: api.has_credential,
        });
        Self { cliente_id: client.cliente_id, ativo: client.active, apis: apis.collect(), padrao_serve: client.served }
    }
}

/// All clients.
#[utoipa::path(get, path = "/clients", tag = "clients", responses(
    (status = OK, body = Vec<ClientView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(Looking(caller): Looking) -> Result<Json<Vec<ClientView>>, Failed> {
    let clients = caller.state.atlas.clients().await?;
    Ok(Json(clients.into_iter().map(ClientView::from).collect()))
}

/// A client to be registered. A base URL that comes over the network grants no private addresses.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewClient {
    cliente_id: i32,
    #[schema(format = Password)]
    token: String,
    base_url: String,
}

/// Registers a client.
#[utoipa::path(post, path = "/clients", tag = "clients", request_body = NewClient, responses(
    (status = CREATED, body = ClientView, headers(("location" = String, description = "The client"))),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn add(Configuring(caller): Configuring, Body(new): Body<NewClient>) -> Result<Response, Failed> {
    let id = new.cliente_id;
    let change = ClientChange {
        token: Some(Secret::new(new.token)),
        base_url: Some(new.base_url),
        origin: Origin::Network,
        ..ClientChange::default()
    };
    caller.state.atlas.add_client(id, change).await?;
    let client = one(&caller, id).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/api/v1/clients/{id}"))], Json(client)).into_response())
}

async fn one(caller: &Caller, id: i32) -> Result<ClientView, Failed> {
    let atlas = &caller.state.atlas;
    atlas.known_client(id).await?;
    let clients = atlas.clients().await?;
    let client = clients.into_iter().find(|client| client.cliente_id == id);
    // Gone within this very moment.
    let none = ClientView { cliente_id: id, ativo: false, apis: Vec::new(), padrao_serve: Vec::new() };
    Ok(client.map_or(none, ClientView::from))
}

/// What changes about a client; what is not said stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedClient {
    #[schema(format = Password)]
    token: Option<String>,
    base_url: Option<String>,
    ativo: Option<bool>,
}

/// Changes a client.
#[utoipa::path(patch, path = "/clients/{id}", tag = "clients", params(("id" = i32, Path)), request_body = ChangedClient, responses(
    (status = OK, body = ClientView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn change(
    Configuring(caller): Configuring,
    At(id): At<i32>,
    Body(changed): Body<ChangedClient>,
) -> Result<Json<ClientView>, Failed> {
    let change = ClientChange {
        api: None,
        token: changed.token.map(Secret::new),
        base_url: changed.base_url,
        active: changed.ativo,
        allow_private: false,
        origin: Origin::Network,
    };
    caller.state.atlas.set_client(id, change).await?;
    Ok(Json(one(&caller, id).await?))
}

/// Removes a client that has neither records nor scraps.
#[utoipa::path(delete, path = "/clients/{id}", tag = "clients", params(("id" = i32, Path)), responses(
    (status = NO_CONTENT),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove(Configuring(caller): Configuring, At(id): At<i32>) -> Result<StatusCode, Failed> {
    caller.state.atlas.remove_client(id, None).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Where an API is, and what opens it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewApi {
    base_url: Option<String>,
    /// The credential's parts by their names: `token`; `username` and `password`; ...
    /// None: what is stored stays, and so does its address.
    #[serde(default)]
    partes: BTreeMap<String, String>,
}

/// Sets an API's credential, in the place of any that it has.
#[utoipa::path(put, path = "/clients/{id}/apis/{api}", tag = "clients", params(("id" = i32, Path), ("api" = String, Path)),
    request_body = NewApi, responses(
    (status = OK, body = ClientView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn set_api(
    Configuring(caller): Configuring,
    At((id, api)): At<(i32, String)>,
    Body(new): Body<NewApi>,
) -> Result<Json<ClientView>, Failed> {
    if new.partes.is_empty() {
        let change =
            ClientChange { api: Some(api), base_url: new.base_url, origin: Origin::Network, ..ClientChange::default() };
        caller.state.atlas.set_client(id, change).await?;
        return Ok(Json(one(&caller, id).await?));
    }
    let parts = Parts::of(new.partes.into_iter().map(|(name, value)| (name, Secret::new(value))));
    let parts = parts.map_err(|error| Failure::parts(&error, ""))?;
    caller.state.atlas.set_credential(id, &api, new.base_url.as_deref(), &parts, Origin::Network).await?;
    Ok(Json(one(&caller, id).await?))
}

/// Lets a client's default token and address serve one more API.
#[utoipa::path(put, path = "/clients/{id}/default/{api}", tag = "clients", params(("id" = i32, Path), ("api" = String, Path)), responses(
    (status = OK, body = ClientView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn bind(
    Configuring(caller): Configuring,
    At((id, api)): At<(i32, String)>,
) -> Result<Json<ClientView>, Failed> {
    caller.state.atlas.bind_default(id, &api).await?;
    Ok(Json(one(&caller, id).await?))
}

/// What a client has set of an API: as its connectors' schemas name it. In a secret's place stands
/// `***`.
#[utoipa::path(get, path = "/clients/{id}/apis/{api}/settings", tag = "clients", params(("id" = i32, Path), ("api" = String, Path)), responses(
    (status = OK, body = serde_json::Value),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn settings(
    Looking(caller): Looking,
    At((id, api)): At<(i32, String)>,
) -> Result<Json<Map<String, Value>>, Failed> {
    Ok(Json(caller.state.atlas.settings(id, &api).await?))
}

/// Sets it, in the place of what was set before. A secret that is left out, blank or `***` stays;
/// null takes it away.
#[utoipa::path(put, path = "/clients/{id}/apis/{api}/settings", tag = "clients", params(("id" = i32, Path), ("api" = String, Path)),
    request_body = serde_json::Value, responses(
    (status = OK, body = serde_json::Value),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn set_settings(
    Configuring(caller): Configuring,
    At((id, api)): At<(i32, String)>,
    Body(settings): Body<Map<String, Value>>,
) -> Result<Json<Map<String, Value>>, Failed> {
    let atlas = &caller.state.atlas;
    atlas.set_settings(id, &api, settings).await?;
    Ok(Json(atlas.settings(id, &api).await?))
}

/// Removes an API of a client, and its credential.
#[utoipa::path(delete, path = "/clients/{id}/apis/{api}", tag = "clients", params(("id" = i32, Path), ("api" = String, Path)), responses(
    (status = NO_CONTENT),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove_api(
    Configuring(caller): Configuring,
    At((id, api)): At<(i32, String)>,
) -> Result<StatusCode, Failed> {
    caller.state.atlas.remove_client(id, Some(&api)).await?;
    Ok(StatusCode::NO_CONTENT)
}

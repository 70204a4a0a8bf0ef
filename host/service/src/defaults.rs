//! Bindings of a client's default token and base URL to APIs, by the operator; they serve no
//! others. A connector names the API of its route itself, so the name alone must not decide whose
//! token its requests carry.

use std::collections::BTreeMap;

use atlas_connectors::Descriptor;
use atlas_model::{Access, DefaultFor, Notice, notice};
use atlas_store::Fault;

use super::atlas::Atlas;
use super::clients::{check_api_name, unknown};
use super::failure::Failure;
use super::kind::Kind;
use super::patience::Patience;

impl Atlas {
    /// Lets a client's default serve an API, by the operator's word.
    pub async fn bind_default(&self, cliente_id: i32, api: &str) -> Result<(), Failure> {
        check_api_name(api)?;
        self.settle_defaults().await?;
        let bound = self.store().bind_default(cliente_id, api, false).await;
        bound.map(drop).map_err(|error| match error.fault {
            Fault::Missing => unknown(cliente_id),
            _ => Failure::store("op-client", &error),
        })
    }

    /// Binds a client's default that serves no API yet to this connector's, since the operator asks
    /// for a route of it. Gives what the operator is to be told then.
    pub(super) async fn bind_at_first_run(
        &self,
        cliente_id: i32,
        descriptor: &Descriptor,
        patience: Patience<'_>,
    ) -> Result<Option<Notice>, Failure> {
        self.settle_defaults().await?;
        let api = &descriptor.api;
        let access = patience.wait(|| self.store().access(cliente_id, api)).await;
        let access = access.map_err(|error| Failure::store("op-run", &error))?;
        let Some(base_url) = access.as_ref().and_then(unbound_address) else { return Ok(None) };
        let is_new = patience.wait(|| self.store().bind_default(cliente_id, api, true)).await;
        let is_new = is_new.map_err(|error| Failure::store("op-run", &error))?;
        Ok(is_new.then(|| notice!("default-bound", client = cliente_id, api = api, url = base_url)))
    }

    /// Binds, once in a process, the defaults from before there were bindings: each to the APIs of
    /// its client's scraps, as the connectors here name them. Returns a failure for each client
    /// whose APIs could not be found, which asks the operator.
    pub(super) async fn settle_defaults(&self) -> Result<Vec<Failure>, Failure> {
        let mut asked = Vec::new();
        let told = &mut asked;
        let settle = async move || {
            *told = self.settle().await?;
            Ok::<_, Failure>(())
        };
        self.defaults_settled.get_or_try_init(settle).await?;
        Ok(asked)
    }

    async fn settle(&self) -> Result<Vec<Failure>, Failure> {
        let failed = |error| Failure::store("op-run", &error);
        let unsettled = self.store().unsettled_defaults().await.map_err(failed)?;
        if unsettled.is_empty() {
            return Ok(Vec::new());
        }
        let registry = self.connectors().registry().await?;
        let published = self.store().publications().await.map_err(failed)?;
        let mut missing: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (cliente_id, route) in unsettled {
            let api = registry.connector(&route).map(|connector| connector.descriptor.api.clone());
            // Another host has it, and settles it.
            if api.is_none() && published.iter().any(|publication| publication.rota == route) {
                continue;
            }
            self.store().settle_default(cliente_id, &route, api.as_deref()).await.map_err(failed)?;
            match api {
                Some(api) => tracing::info!(cliente_id, %api, rota = route, "the client's default serves the API"),
                None => missing.entry(cliente_id).or_default().push(route),
            }
        }
        let asked = |(client, routes): (&i32, &Vec<String>)| {
            Failure::new("op-client", asked_about(*client, routes), Kind::Configuration)
        };
        Ok(missing.iter().map(asked).collect())
    }

    /// The open questions to the operator about defaults, one for each client.
    pub(super) async fn defaults_asked(&self) -> Result<Vec<Notice>, Failure> {
        let rows = self.store().asked_defaults().await.map_err(|error| Failure::store("op-connect", &error))?;
        let mut routes: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        for (cliente_id, route) in rows {
            routes.entry(cliente_id).or_default().push(route);
        }
        Ok(routes.iter().map(|(client, routes)| asked_about(*client, routes)).collect())
    }
}

fn asked_about(cliente_id: i32, routes: &[String]) -> Notice {
    notice!("default-asked", client = cliente_id, routes = routes.join(", "), count = routes.len())
}

/// The client's access as it will be after the route's first run: a default that serves no API yet
/// will serve this one.
pub(super) fn as_if_bound(access: Access) -> Access {
    match access.default_for {
        DefaultFor::Nothing => Access { default_for: DefaultFor::ThisApi, ..access },
        DefaultFor::ThisApi | DefaultFor::Others => access,
    }
}

/// The default base URL, if it is bound to no API yet and this API has none of its own.
fn unbound_address(access: &Access) -> Option<&str> {
    let is_unbound = access.default_for == DefaultFor::Nothing && access.api.is_none();
    access.default_base_url.as_deref().filter(|_| is_unbound)
}

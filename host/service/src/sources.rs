//! Page sources: a connector with the client's endpoint, settings and budgets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_connectors::{Connector, ConnectorSource, Descriptor};
use atlas_http::{Budget, BudgetOwner, Endpoint, Throttled, Waiting};
use atlas_model::{Access, Account, NewScrap};
use atlas_pipeline::{Event, Observer};
use atlas_sandbox::ScrapFacts;
use atlas_store::StoreError;
use tokio_util::sync::CancellationToken;

use super::atlas::Atlas;
use super::defaults::as_if_bound;
use super::failure::Failure;
use super::patience::Patience;
use super::scrap_request::PAGE_SIZE_MAX;

impl Atlas {
    /// The budgets of requests for a client at an API: the operator's, and the one that the
    /// connector declares beside it.
    async fn budgets(
        &self,
        cliente_id: i32,
        descriptor: &Descriptor,
        patience: Patience<'_>,
    ) -> Result<Vec<Arc<Budget>>, Failure> {
        let api = &descriptor.api;
        let own = self.config().budget(cliente_id, api);
        let declared = descriptor.rate.beside(&own);
        let held_off = patience.wait(|| self.store().held_off(Account { cliente_id, api })).await;
        let held_off = held_off.map_err(|error| Failure::store("op-run", &error))?;
        let host = self.presence().await?.id().to_owned();
        let owner = BudgetOwner { store: Arc::clone(self.store()), cliente_id, api: api.clone(), host };
        let mut all = vec![self.budgets.of(owner.clone(), own.without_zeros(), held_off)];
        if declared.limits_anything() {
            let owner = BudgetOwner { api: declared.declared_account(api), ..owner };
            all.push(self.budgets.of(owner, declared, Duration::ZERO));
        }
        Ok(all)
    }

    /// The client's endpoint for an API: its base URL and credential.
    pub(super) fn endpoint(
        &self,
        cliente_id: i32,
        descriptor: &Descriptor,
        access: Result<Option<Access>, StoreError>,
    ) -> Result<Endpoint, Failure> {
        let access =
            access.map_err(|error| Failure::store("op-run", &error))?.ok_or_else(|| Failure::no_token(cliente_id))?;
        let endpoint = Endpoint::resolve(access, &descriptor.api, &descriptor.auth)
            .map_err(|error| Failure::credential(cliente_id, &error))?;
        let grants = self.config().grants(cliente_id, &descriptor.api);
        let endpoint = endpoint.granting(grants);
        Ok(endpoint.renewed_in(self.store(), &self.tokens, cliente_id, &descriptor.api))
    }

    /// Makes the page source of a scrap.
    pub(super) async fn source(
        &self,
        connector: Arc<Connector>,
        facts: ScrapFacts,
        patience: Patience<'_>,
        observer: Arc<dyn Observer>,
    ) -> Result<ConnectorSource, Failure> {
        let (cliente_id, descriptor) = (facts.cliente_id, &connector.descriptor);
        let access = patience.wait(|| self.store().access(cliente_id, &descriptor.api)).await;
        // A preview binds no default, but may use one, since the operator asked for it.
        let access = match facts.scrap_id {
            None => access.map(|access| access.map(as_if_bound)),
            Some(_) => access,
        };
        let whole = self.with_secrets(cliente_id, &facts.settings, descriptor, patience).await?;
        let endpoint = self.endpoint(cliente_id, descriptor, access)?.hiding(&whole.secrets);
        let endpoint = endpoint.within(self.budgets(cliente_id, descriptor, patience).await?);
        let limits = self.config().limits_of(&descriptor.route, cliente_id);
        let registry = Arc::clone(self.connectors().registry().await?);
        let http = self.http(cliente_id, &limits).await?;
        let waiting = Arc::new(ToObserver(observer));
        let facts = ScrapFacts { settings: whole.text, ..facts };
        Ok(ConnectorSource::new(registry, connector, http, endpoint, limits, facts, waiting))
    }

    /// Makes a page source for a preview, which has no scrap and does not wait for the database.
    pub(super) async fn source_to_look(
        &self,
        new: &NewScrap,
        connector: Arc<Connector>,
        observer: Arc<dyn Observer>,
    ) -> Result<ConnectorSource, Failure> {
        let stop = CancellationToken::new();
        let patience = Patience { until: Instant::now(), stop: &stop, observer: observer.as_ref() };
        let facts = ScrapFacts {
            scrap_id: None,
            cliente_id: new.cliente_id,
            period: new.period.clone(),
            page_size: new.page_size,
            settings: new.settings.clone(),
        };
        self.source(connector, facts, patience, Arc::clone(&observer)).await
    }
}

/// Forwards waits and log lines of a run's pages to its observer.
struct ToObserver(Arc<dyn Observer>);

impl Waiting for ToObserver {
    fn throttled(&self, throttled: &Throttled) {
        self.0.on(Event::Throttled { reason: &throttled.why, wait: throttled.wait });
    }

    fn logged(&self, line: &str) {
        self.0.on(Event::Logged { line });
    }
}

/// The records to ask for in a page: the scrap's own number, else, for a row that another program
/// inserted without one, the connector's.
pub(super) fn own_page_size(asked: i32, descriptor: &Descriptor) -> i32 {
    let asked = if asked > 0 { asked } else { i32::try_from(descriptor.page_size).unwrap_or(PAGE_SIZE_MAX) };
    asked.min(PAGE_SIZE_MAX)
}

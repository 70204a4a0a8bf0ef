//! One call of a connector's `fetch-page`, noted among those under way for as long as its code may
//! run.

use std::sync::Arc;

use atlas_model::{CursorId, Limits};
use atlas_sandbox::{Call, Called, ConnectorEngine, Line, PageShare, ScrapFacts, call};

use super::flight::{CallKind, CallUnderWay, FlightRecorder};
use super::load::Connector;

/// One call of a connector's `fetch-page`.
pub(super) struct PageCall<'a> {
    pub(super) connector: &'a Connector,
    /// The limits of the page.
    pub(super) limits: &'a Limits,
    pub(super) share: &'a PageShare,
    /// Whether its requests go to the source. A replay's log lines are discarded.
    pub(super) kind: CallKind,
    pub(super) line: Arc<dyn Line>,
    pub(super) facts: &'a ScrapFacts,
    /// The only clock that the guest has.
    pub(super) now: &'a str,
    pub(super) cursor: Option<&'a str>,
}

/// Calls `fetch-page` once there is a place for the instance.
pub(super) async fn call_page(engine: &ConnectorEngine, flights: &FlightRecorder, page: PageCall<'_>) -> Called {
    let PageCall { connector, limits, share, kind, line, facts, now, cursor } = page;
    let route = connector.descriptor.route.as_str();
    let place = share.place().await;
    let flight = flights.begin(&CallUnderWay {
        sha256: connector.sha256.clone(),
        route: route.to_owned(),
        kind,
        scrap_id: facts.scrap_id,
        cursor: cursor.map(|cursor| CursorId::of(Some(cursor)).hex()),
    });
    let (component, logs, until_gone) = (&connector.linked, kind == CallKind::Page, Box::new(flight));
    call(engine, limits, Call { component, route, share, place, line, facts, now, cursor, logs, until_gone }).await
}

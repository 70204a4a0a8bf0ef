//! The trial of a new version: the last good page of its route is fetched once more, by it, from the recording. What it logs is
//! discarded, and no request leaves the host.

use std::sync::Arc;

use super::engine::ConnectorEngine;
use super::exchange::{GuestHttp, RecordedPage};
use super::load::Connector;
use super::source::{Call, Called, call};
use crate::limits::Limits;

/// What a trial showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// The same number of records.
    Same,
    /// Another number of records.
    Records {
        /// How many the page had.
        before: usize,
        /// How many the new version took from it.
        after: usize,
    },
    /// It could not be held.
    Skipped(Skipped),
    /// It trapped, or gave the page up.
    Failed(String),
}

/// Why a trial was not held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Skipped {
    /// This process has fetched no page of the route that could be recorded.
    NoPage,
    /// The page's cursor means something else to the new version.
    OtherCursors,
    /// The new version asks for something that was not recorded.
    OtherRequest(String),
}

/// Has a version fetch a recorded page.
pub(super) async fn hold(
    engine: &ConnectorEngine,
    limits: &Limits,
    connector: &Arc<Connector>,
    page: Option<Arc<RecordedPage>>,
) -> Trial {
    let Some(page) = page else { return Trial::Skipped(Skipped::NoPage) };
    if page.cursor.is_some() && page.cursor_format != connector.descriptor.cursor_format {
        return Trial::Skipped(Skipped::OtherCursors);
    }
    let share = engine.share(None, &connector.descriptor.route);
    let fetched = call(
        engine,
        limits,
        connector,
        Call {
            share: &share,
            http: GuestHttp::replay(Arc::clone(&page), limits),
            facts: &page.facts,
            now: &page.now,
            cursor: page.cursor.as_deref(),
            log: false,
        },
    );
    let Called { fetched, http, .. } = fetched.await;
    if let Some(request) = http.as_ref().and_then(GuestHttp::strange_request) {
        return Trial::Skipped(Skipped::OtherRequest(request.to_owned()));
    }
    match fetched {
        Ok(fetched) if fetched.records.len() == page.records => Trial::Same,
        Ok(fetched) => Trial::Records { before: page.records, after: fetched.records.len() },
        Err(failure) => Trial::Failed(failure.to_string()),
    }
}

//! The trial of a new version: it fetches the last good page of its route once more, from the
//! recording. Its log is discarded, and no request leaves the host.

use std::sync::Arc;

use atlas_http::PageMeter;
use atlas_sandbox::ConnectorEngine;

use super::failure::{failure, told};
use super::flight::{CallKind, FlightRecorder};
use super::lines::{RecordedPage, ReplayLine};
use super::load::Connector;
use super::page_call::{PageCall, call_page};

/// The outcome of a trial.
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
    /// The new version makes a request that was not recorded.
    OtherRequest(String),
    /// The host could not finish it, for a passing reason: other guests had the memory, or the time
    /// was up.
    Busy(String),
}

/// Has a version fetch a recorded page, under the limits that the page was fetched under.
pub(super) async fn hold(
    engine: &ConnectorEngine,
    flights: &FlightRecorder,
    connector: &Connector,
    page: Option<Arc<RecordedPage>>,
) -> Trial {
    let Some(page) = page else { return Trial::Skipped(Skipped::NoPage) };
    if page.cursor.is_some() && page.cursor_format != connector.descriptor.cursor_format {
        return Trial::Skipped(Skipped::OtherCursors);
    }
    let share = engine.share(None, &connector.descriptor.route);
    let line = Arc::new(ReplayLine::new(Arc::clone(&page)));
    let call = PageCall {
        connector,
        limits: &page.limits,
        share: &share,
        kind: CallKind::Replay,
        line: Arc::clone(&line) as _,
        facts: &page.facts,
        now: &page.now,
        cursor: page.cursor.as_deref(),
    };
    let called = call_page(engine, flights, call).await;
    if let Some(request) = line.strange_request().filter(|_| called.ended_by_itself()) {
        return Trial::Skipped(Skipped::OtherRequest(request.shown()));
    }
    let error = match called.page {
        Ok(fetched) if fetched.records.len() == page.records => return Trial::Same,
        Ok(fetched) => return Trial::Records { before: page.records, after: fetched.records.len() },
        Err(error) => error,
    };
    let is_the_hosts = error.is_the_hosts();
    let failure = failure(error, &PageMeter::default(), &connector.descriptor.api);
    if is_the_hosts {
        return Trial::Skipped(Skipped::Busy(failure.to_string()));
    }
    // A passing failure counts too: the serving version took the page from these very answers.
    // Their secrets were redacted when they arrived.
    Trial::Failed(failure.map_reason(|reason| told(reason, |reason| reason)).to_string())
}

#[cfg(test)]
mod tests {
    use super::super::load::TrustPolicy;
    use super::super::testing::{load, loader_within};
    use super::*;
    use atlas_model::Limits;
    use atlas_testing::guests::wasi_guest_with;

    /// Tries the connector that asks for nothing but the time, with this in the place of that, on a
    /// page with one record, where all guests may have so much memory.
    async fn tried(that: &str, this: &str, limits: Limits, host_guests: usize) -> Trial {
        let loader = loader_within(TrustPolicy::default(), Limits { host_guests, ..Limits::default() });
        let connector = load(&loader, "relogio.wasm", &wasi_guest_with(that, this)).await.unwrap();
        let page = RecordedPage::without_requests(1, limits);
        hold(loader.components.engine(), &FlightRecorder::default(), &connector, Some(Arc::new(page))).await
    }

    fn host_guests() -> usize {
        Limits::default().host_guests
    }

    #[tokio::test]
    async fn a_version_is_tried_under_the_limits_of_the_page_that_was_recorded() {
        let tried = async |limits| tried("", "", limits, host_guests()).await;
        assert_eq!(tried(Limits::default()).await, Trial::Same);
        let tight = Limits { call_bytes: 50, ..Limits::default() };
        assert_eq!(tried(tight).await, Trial::Failed("limit call_bytes (50)".to_owned()));
    }

    #[tokio::test]
    async fn a_trial_that_runs_out_of_time_speaks_neither_for_nor_against_the_version() {
        let limits = Limits { page_wall_ms: 200, ..Limits::default() };
        let trial = tried("(i64.const 20000000)", "(i64.const 60000000000)", limits, host_guests()).await;
        let Trial::Skipped(Skipped::Busy(reason)) = trial else { panic!("{trial:?}") };
        assert!(reason.contains("page_wall_ms"), "{reason}");
    }

    #[tokio::test]
    async fn a_trial_without_memory_speaks_neither_for_nor_against_the_version() {
        let growing = "(if (i32.eq (memory.grow (i32.const 319)) (i32.const -1)) (then (unreachable))) (call $wall (";
        let tried = async |host_guests| tried("(call $wall (", growing, Limits::default(), host_guests).await;
        assert_eq!(tried(host_guests()).await, Trial::Same);
        // The first 16 MiB of each guest are in no share.
        let trial = tried(1024 * 1024).await;
        let Trial::Skipped(Skipped::Busy(reason)) = trial else { panic!("{trial:?}") };
        assert!(reason.contains("host_guests"), "{reason}");
    }
}

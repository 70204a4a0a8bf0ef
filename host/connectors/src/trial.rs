//! The trial of a new version: it fetches the last good page of its route once more, from the
//! recording. Its log is discarded, and no request leaves the host.

use std::sync::Arc;

use super::engine::ConnectorEngine;
use super::exchange::{GuestHttp, RecordedPage};
use super::load::Connector;
use super::source::{Call, Called, call, told};

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
        &page.limits,
        connector,
        Call {
            share: &share,
            http: GuestHttp::replay(Arc::clone(&page)),
            facts: &page.facts,
            now: &page.now,
            cursor: page.cursor.as_deref(),
            log: None,
        },
    );
    let Called { fetched, http, cut_short, .. } = fetched.await;
    if let Some(request) = http.as_ref().and_then(GuestHttp::strange_request) {
        return Trial::Skipped(Skipped::OtherRequest(request.shown()));
    }
    match fetched {
        Ok(fetched) if fetched.records.len() == page.records => Trial::Same,
        Ok(fetched) => Trial::Records { before: page.records, after: fetched.records.len() },
        Err(failure) if cut_short => Trial::Skipped(Skipped::Busy(failure.to_string())),
        // A passing failure counts too: the serving version took the page from these very answers.
        // Their secrets were redacted when they arrived.
        Err(failure) => Trial::Failed(failure.map_reason(|reason| told(reason, |reason| reason)).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::TrustPolicy;
    use super::super::testing::{load, loader, wasi_guest_with};
    use super::*;
    use atlas_model::Limits;

    /// Tries the connector that asks for nothing but the time, with this in the place of that, on a
    /// page with one record.
    async fn tried(that: &str, this: &str, limits: Limits, hogs: &[&str]) -> Trial {
        let loader = loader(TrustPolicy::default());
        let connector = load(&loader, "relogio.wasm", &wasi_guest_with(that, this)).await.unwrap();
        let half = loader.limits.host_guests / 2;
        let mut memories: Vec<_> = hogs.iter().map(|hog| loader.engine.share(None, hog).memory(usize::MAX)).collect();
        // The first 16 MiB of each are nobody's.
        assert!(memories.iter_mut().all(|memory| memory.take(16 * 1024 * 1024 + half)));
        let page = RecordedPage::without_requests(1, limits);
        hold(&loader.engine, &Arc::new(connector), Some(Arc::new(page))).await
    }

    #[tokio::test]
    async fn a_version_is_tried_under_the_limits_of_the_page_that_was_recorded() {
        let tried = async |limits| tried("", "", limits, &[]).await;
        assert_eq!(tried(Limits::default()).await, Trial::Same);
        let tight = Limits { call_bytes: 50, ..Limits::default() };
        assert_eq!(tried(tight).await, Trial::Failed("limit call_bytes (50)".to_owned()));
    }

    #[tokio::test]
    async fn a_trial_that_runs_out_of_time_speaks_neither_for_nor_against_the_version() {
        let limits = Limits { page_wall_ms: 200, ..Limits::default() };
        let trial = tried("(i64.const 20000000)", "(i64.const 60000000000)", limits, &[]).await;
        let Trial::Skipped(Skipped::Busy(reason)) = trial else { panic!("{trial:?}") };
        assert!(reason.contains("page_wall_ms"), "{reason}");
    }

    #[tokio::test]
    async fn a_trial_without_memory_speaks_neither_for_nor_against_the_version() {
        let large = |hogs: &'static [&'static str]| {
            tried("(memory (export \"memory\") 1)", "(memory (export \"memory\") 320)", Limits::default(), hogs)
        };
        assert_eq!(large(&[]).await, Trial::Same);
        let trial = large(&["one", "two"]).await;
        let Trial::Skipped(Skipped::Busy(reason)) = trial else { panic!("{trial:?}") };
        assert!(reason.contains("host_guests"), "{reason}");
    }
}

//! The metrics of this process since it began (`/metrics`), in OpenMetrics' text format or in
//! Prometheus' own. No label takes values from outside: routes are those of connectors that serve,
//! outcomes and states are ours.

use std::sync::atomic::AtomicU64;

use atlas_service::{Event, RunReport, Usage};
use parking_lot::Mutex;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::{prometheus_text, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

/// Bounds of how long pages and batches take, in seconds.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0, 60.0];

/// A text format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' own, version 0.0.4, which older scrapers and `promtool` read.
    Prometheus,
}

impl Format {
    /// The format that a caller asks for (`Accept`, RFC 9110, section 12.5.1): Prometheus' own,
    /// unless OpenMetrics is named and not less wanted than plain text.
    pub(super) fn accepted(accept: &str) -> Self {
        let weight = |kind: &str| {
            let named = accept
                .split(',')
                .map(str::trim)
                .filter(|range| range.split(';').next().is_some_and(|range| range.trim().eq_ignore_ascii_case(kind)));
            let weights = named.map(|range| {
                let q = range.split(';').skip(1).find_map(|part| part.trim().strip_prefix("q="));
                q.map_or(1.0, |q| q.trim().parse::<f32>().unwrap_or_default())
            });
            weights.fold(0.0, f32::max)
        };
        let open = weight("application/openmetrics-text");
        if open > 0.0 && open >= weight("text/plain") { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its media type.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Prometheus => prometheus_text::CONTENT_TYPE,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: String,
}

/// The numbers of this process.
pub(super) struct Metrics {
    registry: Registry,
    pages: Counter,
    page_seconds: Histogram,
    records: Family<Outcome, Counter>,
    bytes: Counter,
    batch_seconds: Histogram,
    attempts: Counter,
    throttled: Counter<f64, AtomicU64>,
    store_waits: Counter,
    runs: Family<State, Counter>,
    queue: Family<State, Gauge>,
    traps: Family<Route, Gauge>,
    refusals: Family<Route, Gauge>,
    /// Held while a response is encoded: the gauges of queue and connectors are set right before,
    /// and another request of `/metrics` must not change them meanwhile.
    encoding: Mutex<()>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let mut registry = Registry::with_prefix("atlas");
        let metrics = Self {
            pages: Counter::default(),
            page_seconds: Histogram::new(SECONDS),
            records: Family::default(),
            bytes: Counter::default(),
            batch_seconds: Histogram::new(SECONDS),
            attempts: Counter::default(),
            throttled: Counter::default(),
            store_waits: Counter::default(),
            runs: Family::default(),
            queue: Family::default(),
            traps: Family::default(),
            refusals: Family::default(),
            registry: Registry::default(),
            encoding: Mutex::default(),
        };
        registry.register("pages", "Pages checkpointed by this process", metrics.pages.clone());
        let help = "Time of a page, from its first request to its checkpoint";
        registry.register_with_unit("page", help, Unit::Seconds, metrics.page_seconds.clone());
        registry.register("records", "Records of checkpointed pages, by what became of them", metrics.records.clone());
        let help = "Texts of records that were written, or found to be there";
        registry.register_with_unit("written", help, Unit::Bytes, metrics.bytes.clone());
        let help = "Time until a batch of records was durable";
        registry.register_with_unit("batch", help, Unit::Seconds, metrics.batch_seconds.clone());
        registry.register(
            "failed_attempts",
            "Attempts at pages that failed and were repeated",
            metrics.attempts.clone(),
        );
        let help = "Time that pages were told to wait for a budget or a source's limit";
        registry.register_with_unit("throttled", help, Unit::Seconds, metrics.throttled.clone());
        registry.register("database_waits", "Pauses for a database that did not answer", metrics.store_waits.clone());
        registry.register("runs", "Runs that ended in this process, by the state that they left", metrics.runs.clone());
        registry.register("scraps", "Scraps in the database, by state", metrics.queue.clone());
        let help = "Attempts at pages that ended in a trap or at a limit, by all processes of this installation";
        registry.register("connector_traps", help, metrics.traps.clone());
        let help = "Requests that the host refused, by all processes of this installation";
        registry.register("connector_refusals", help, metrics.refusals.clone());
        Self { registry, ..metrics }
    }

    /// Counts what happened in a run.
    pub(super) fn observe(&self, event: &Event<'_>) {
        match event {
            Event::Page { counts, elapsed, .. } => {
                self.pages.inc();
                self.page_seconds.observe(elapsed.as_secs_f64());
                let outcomes = [
                    ("inserted", counts.inseridos),
                    ("duplicate", counts.duplicados),
                    ("found_again", counts.reencontrados),
                    ("rejected", counts.rejeitados),
                ];
                for (outcome, records) in outcomes {
                    let records = u64::try_from(records).unwrap_or_default();
                    self.records.get_or_create(&Outcome { outcome }).inc_by(records);
                }
            }
            Event::Written { bytes, elapsed, .. } => {
                self.bytes.inc_by(*bytes as u64);
                self.batch_seconds.observe(elapsed.as_secs_f64());
            }
            Event::Attempt { .. } => {
                self.attempts.inc();
            }
            Event::Throttled { wait, .. } => {
                self.throttled.inc_by(wait.as_secs_f64());
            }
            Event::StoreWaiting { .. } => {
                self.store_waits.inc();
            }
            Event::Queued(_)
            | Event::Inserted
            | Event::NotReady { .. }
            | Event::Rejected { .. }
            | Event::Logged { .. }
            | Event::SecondLook
            | Event::SweepAgain { .. } => {}
        }
    }

    /// Counts a run that ended.
    pub(super) fn ended(&self, report: &RunReport) {
        self.runs.get_or_create(&State { state: report.status.to_owned() }).inc();
    }

    /// All of it, with how many scraps are in each state, and what each route's connectors used.
    pub(super) fn encode(&self, format: Format, scraps: &[(String, i64)], routes: &[(String, Usage)]) -> String {
        let _alone = self.encoding.lock();
        self.queue.clear();
        for (state, count) in scraps {
            self.queue.get_or_create(&State { state: state.clone() }).set(*count);
        }
        self.traps.clear();
        self.refusals.clear();
        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        for (route, usage) in routes {
            let route = Route { route: route.clone() };
            self.traps.get_or_create(&route).set(number(usage.traps));
            self.refusals.get_or_create(&route).set(number(usage.refusals));
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = match format {
            Format::OpenMetrics => text::encode(&mut text, &self.registry),
            Format::Prometheus => prometheus_text::encode(&mut text, &self.registry),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in
            [prometheus, "application/openmetrics-text", "text/plain;q=0.1, application/openmetrics-text; q=1"]
        {
            assert_eq!(Format::accepted(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "text/plain, application/openmetrics-text;q=0.5",
            "application/openmetrics-text;q=0",
        ] {
            assert_eq!(Format::accepted(accept), Format::Prometheus, "{accept}");
        }
    }

    #[test]
    fn every_metric_says_what_it_is_under_the_name_that_it_has() {
        let metrics = Metrics::new();
        let routes = [("pedido".to_owned(), Usage::default())];
        let text = metrics.encode(Format::Prometheus, &[("pendente".to_owned(), 2)], &routes);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
            assert!(text.contains(&format!("# HELP {family} ")), "{line}");
            assert!(text.contains(&format!("# TYPE {family} ")), "{line}");
        }
        assert!(text.contains("\natlas_scraps{state=\"pendente\"} 2\n") && !text.contains("# EOF"), "{text}");
        assert!(metrics.encode(Format::OpenMetrics, &[], &[]).ends_with("# EOF\n"));
    }
}

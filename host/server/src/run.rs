//! This process's worker: runs scraps from the queue, and sends their events to listeners.

use std::sync::Arc;

use atlas_model::{Notice, notice};
use atlas_service::{
    Failure, RegistryEvent, RegistryObserver, RunFor, Taken, WorkUntil, event_failure, event_notices, hold_notice,
};

use super::events::{Happening, Journal};
use super::state::AppState;

impl AppState {
    /// Takes scraps from the queue and runs them, until the server stops.
    pub(super) async fn work(&self, complain: &(dyn Fn(&Failure, &str) + Send + Sync)) -> Result<(), Failure> {
        for failure in self.atlas.take_published().await {
            complain(&failure, "serve");
        }
        let told = Arc::new(ConnectorsTold { journal: Arc::clone(&self.journal) });
        let _watching = self.atlas.watch_connectors(told).await?;
        let run = async |taken: Taken| self.run(taken, complain).await;
        self.atlas.work(WorkUntil::Stopped, &self.stop, run, |failure| complain(failure, "serve")).await
    }

    async fn run(&self, taken: Taken, complain: &(dyn Fn(&Failure, &str) + Send + Sync)) {
        let id = taken.lease.scrap_id;
        let observer = self.runs.watch(id);
        let begins = |announced: &atlas_service::Announcement| {
            let pages = announced.scrap.pages;
            self.runs.say(id, notice!("web-line-begins", id = id, pages = pages, location = announced.location));
            self.watch.look_at(id);
        };
        let ran = self.atlas.run_scrap(id, RunFor::Queue(&taken), observer, self.stop.clone(), begins).await;
        let failure = match ran {
            Ok(report) => {
                self.metrics.ended(&report);
                self.runs.say(id, Notice::new(&format!("web-line-ended-{}", report.status)).with("id", &id));
                for reason in &report.reasons {
                    self.runs.say(id, reason.clone());
                }
                report.failure
            }
            Err(failure) => {
                self.runs.say(id, failure.notice.clone());
                Some(failure)
            }
        };
        if let Some(failure) = failure {
            complain(&failure, &format!("scrap {id}"));
        }
        self.watch.look_at(id);
    }
}

/// Sends what happens to connectors to event listeners.
struct ConnectorsTold {
    journal: Arc<Journal>,
}

impl RegistryObserver for ConnectorsTold {
    fn on(&self, event: &RegistryEvent) {
        let failure = event_failure(event).map(|failure| failure.notice);
        let reasons = match event {
            RegistryEvent::Held { reasons, .. } => reasons.iter().map(hold_notice).collect(),
            _ => Vec::new(),
        };
        for notice in failure.into_iter().chain(reasons).chain(event_notices(event)) {
            self.journal.tell(Happening::Connector { notice });
        }
    }
}

//! Running scraps: from a claim to how the run ended, and when the scrap is taken again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_connectors::Connector;
use atlas_model::{ConnectorStamp, Lease, Notice, RunEnd, Scrap, ScrapState, notice};
use atlas_pipeline::{self as pipeline, End, HeldVersion, Job, Observer, RunSettings, patiently};
use atlas_sandbox::ScrapFacts;
use atlas_store::Fault;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};

use super::atlas::Atlas;
use super::failure::Failure;
use super::history::Recorder;
use super::kind::{Exit, Kind};
use super::messages::{ended_process, reservation_notice};
use super::patience::{LAST_PATIENCE, Patience};
use super::report::{RunReport, write_reasons};
use super::reruns::{Again, HELD_WAIT, rerun_in};
use super::sources::own_page_size;
use crate::config::{BATCH_MAX, RETRIES_MAX};
use crate::memory;

/// What started a run, which decides how its end becomes a state.
#[derive(Debug, Clone, Copy)]
pub enum RunFor<'a> {
    /// An operator, who waits for it.
    Operator,
    /// The queue, which it was taken from: what ends it before it is done decides when it is taken
    /// again.
    Queue(&'a Taken),
}

/// A scrap that was taken from the queue.
#[derive(Debug)]
pub struct Taken {
    /// The lease under which it was taken.
    pub lease: Lease,
    /// Cancelled when its slot is wanted for another client's scrap.
    pub asked_back: CancellationToken,
}

/// The announcement of a run that is about to begin.
#[derive(Debug, Clone)]
pub struct Announcement {
    /// The scrap.
    pub scrap: Scrap,
    /// Where it writes.
    pub location: String,
    /// What the operator is to be told of the client's default, if it serves the route's API from
    /// now on.
    pub bound: Option<Notice>,
}

impl Atlas {
    /// Reads a scrap, retrying for as long as a run's patience allows.
    async fn scrap_patiently(&self, id: i64, patience: Patience<'_>) -> Result<Scrap, Failure> {
        let scrap = patience.wait(|| self.store().scrap(id)).await;
        let scrap = scrap.map_err(|error| Failure::store("op-scrap", &error))?;
        scrap.ok_or_else(|| Failure::unknown_scrap(id))
    }

    /// Runs a scrap to its end, whether it is new or its last run was cut short. Calls `announce`
    /// once all checks before the first request have passed. A scrap that is done already is
    /// reported as it stands.
    pub async fn run_scrap(
        &self,
        id: i64,
        run_for: RunFor<'_>,
        observer: Arc<dyn Observer>,
        stop: CancellationToken,
        announce: impl FnOnce(&Announcement),
    ) -> Result<RunReport, Failure> {
        let recorder = Recorder::new(id, self.config().zone(), observer);
        self.recorders.add(&recorder);
        let begins = |announced: &Announcement| {
            let (pages, location) = (announced.scrap.pages, &announced.location);
            recorder.say(notice!("web-line-begins", id = id, pages = pages, location = location));
            announce(announced);
        };
        let (client, route, state) = (field::Empty, field::Empty, field::Empty);
        let span = tracing::info_span!("scrap", scrap = id, client, route, state);
        let running = self.run_checked(id, run_for, Arc::clone(&recorder) as _, stop, begins);
        let ran = tokio::select! {
            ran = running.instrument(span.clone()) => ran,
            never = recorder.keep(self.store().as_ref()) => match never {},
        };
        if let (RunFor::Queue(taken), Err(failure)) = (run_for, &ran) {
            self.give_up(&taken.lease, failure, recorder.as_ref()).await;
        }
        match &ran {
            Ok(report) => {
                span.record("state", report.status);
                recorder.say(Notice::new(&format!("web-line-ended-{}", report.status)).with("id", &id));
                report.reasons.iter().for_each(|reason| recorder.say(reason.clone()));
                recorder.take_point();
            }
            Err(failure) => recorder.say(failure.notice.clone()),
        }
        recorder.write(self.store().as_ref()).await;
        ran
    }

    async fn run_checked(
        &self,
        id: i64,
        run_for: RunFor<'_>,
        observer: Arc<dyn Observer>,
        stop: CancellationToken,
        announce: impl FnOnce(&Announcement),
    ) -> Result<RunReport, Failure> {
        let until = Instant::now() + self.config().run.db_patience;
        let patience = Patience { until, stop: &stop, observer: observer.as_ref() };
        let scrap = self.scrap_patiently(id, patience).await?;
        Span::current().record("client", scrap.cliente_id).record("route", scrap.rota.as_str());
        if scrap.state.is_done() {
            return Ok(RunReport::of(&scrap));
        }
        let asked_back = match run_for {
            RunFor::Operator => CancellationToken::new(),
            RunFor::Queue(taken) => taken.asked_back.clone(),
        };
        if matches!(run_for, RunFor::Operator) {
            tokio::select! {
                settled = self.settle_crashes() => self.tell_later(settled?).await?,
                // If stopped meanwhile, the next process finds out the rest.
                () = stop.cancelled() => {}
            }
        }
        // Read again: the scrap may be here because another host has just quarantined a version.
        let held = patience.wait(|| self.store().quarantined()).await;
        let held = self.hold(held.map_err(|error| Failure::store("op-run", &error))?).await?;
        self.tell_later(held).await?;
        if let (RunFor::Queue(taken), Some(held)) = (run_for, self.quarantined_of(&scrap).await?) {
            return Err(self.wait_for_another_version(&taken.lease, &scrap, &held, patience).await);
        }
        self.clear_scraps_of_secrets().await?;
        let connector = self.connector_for(&scrap, patience).await?;
        let bound = match run_for {
            RunFor::Operator => self.bind_at_first_run(scrap.cliente_id, &connector.descriptor, patience).await?,
            RunFor::Queue(_) => {
                self.settle_defaults().await?;
                None
            }
        };
        let facts = ScrapFacts {
            scrap_id: Some(scrap.id),
            cliente_id: scrap.cliente_id,
            period: scrap.period.clone(),
            page_size: own_page_size(scrap.page_size, &connector.descriptor),
            settings: scrap.settings.clone(),
        };
        let source = self.source(Arc::clone(&connector), facts, patience, Arc::clone(&observer)).await?;
        let source = source.until_asked_back(asked_back.clone());
        let limits = self.config().limits_of(&scrap.rota, scrap.cliente_id);
        let lease = match self.claim(id, run_for, &connector, patience).await {
            Ok(lease) => lease,
            // Another process may have finished the scrap meanwhile.
            Err(failure) => {
                let now = self.scrap_patiently(id, patience).await?;
                return if now.state.is_done() { Ok(RunReport::of(&now)) } else { Err(failure) };
            }
        };
        // Read again: what another process did until the claim counts.
        let scrap = self.scrap_patiently(id, patience).await?;
        announce(&Announcement { scrap: scrap.clone(), location: self.config().store.location(), bound });
        let began = Instant::now();
        let before = scrap.clone();
        let job = Job { lease: lease.clone(), scrap, asked_back };
        let settings = own_settings(before.batch, before.retries, RunSettings { limits, ..self.config().run.clone() });
        let store = Arc::clone(self.store());
        let end = pipeline::run(job, settings, Arc::new(source), store, Arc::clone(&observer), stop.clone()).await;
        self.connectors().registry().await?.write_usage().await;
        // In the background: the run's end does not wait for it.
        tokio::spawn(memory::give_back_what_a_run_held());
        let again = Again {
            is_queued: matches!(run_for, RunFor::Queue(_)),
            before: &before,
            first_wait: self.config().worker.rerun_after,
        };
        // A run that ended because the database did not answer does not wait as long again.
        let longest = if matches!(end, End::Store(_)) { LAST_PATIENCE } else { self.config().run.db_patience };
        let patience = Patience { until: Instant::now() + longest, ..patience };
        self.finish(&lease, &end, began.elapsed(), &again, patience).await
    }

    /// Ends the run of a queued scrap that failed before its first page. A lack of this host or of
    /// this moment (the database, its key) leaves the scrap in the queue, perhaps for another host.
    /// Any other failure would meet every host, so the scrap waits for the operator.
    async fn give_up(&self, lease: &Lease, failure: &Failure, observer: &dyn Observer) {
        let (state, again_in, failures) = match failure.exit() {
            Exit::Credential => (ScrapState::TokenRecusado, None, 0),
            Exit::Configuration => {
                let before = self.store().scrap(lease.scrap_id).await.ok().flatten();
                let failures = before.map_or(0, |scrap| scrap.failures) + 1;
                (ScrapState::Interrompido, rerun_in(failures, self.config().worker.rerun_after), failures)
            }
            _ => (ScrapState::Falhou, None, 0),
        };
        let reason = write_reasons(std::slice::from_ref(&failure.notice));
        let end = RunEnd { state, reason: reason.as_deref(), elapsed_ms: 0, again_in, failures, as_asked: false };
        // A lease that a run had raised is not this one any more, and the run has written its own
        // end. If the database is gone, the scrap is taken again when it is back.
        if let Err(error) = patiently(LAST_PATIENCE, observer, || self.store().finish(lease, &end)).await {
            tracing::debug!(%error, scrap = lease.scrap_id, "why the scrap did not begin was not written down");
        }
    }

    /// The version that serves a scrap's route, if it is held for having crashed a process.
    async fn quarantined_of(&self, scrap: &Scrap) -> Result<Option<HeldVersion>, Failure> {
        let registry = self.connectors().registry().await?;
        Ok(registry.quarantined_of(&scrap.rota).map(HeldVersion::from))
    }

    /// Puts a queued scrap back, to go on when another version serves its route.
    async fn wait_for_another_version(
        &self,
        lease: &Lease,
        scrap: &Scrap,
        held: &HeldVersion,
        patience: Patience<'_>,
    ) -> Failure {
        let end = End::VersionHeld(held.clone());
        let failure = Failure::new("op-run", ended_process("end-ended-process", held), Kind::Connector);
        let reason = write_reasons(std::slice::from_ref(&failure.notice));
        let written = RunEnd {
            state: end.state(),
            reason: reason.as_deref(),
            elapsed_ms: 0,
            again_in: Some(HELD_WAIT),
            failures: scrap.failures,
            as_asked: false,
        };
        if let Err(error) = patience.wait(|| self.store().finish(lease, &written)).await {
            tracing::debug!(%error, scrap = scrap.id, "that the scrap waits was not written down");
        }
        failure
    }

    /// The version that goes on with a scrap: the one that serves, else, if the scrap's cursors
    /// mean nothing to it, the one that the scrap had.
    async fn connector_for(&self, scrap: &Scrap, patience: Patience<'_>) -> Result<Arc<Connector>, Failure> {
        let serving = self.connectors().connector(&scrap.rota).await?;
        let descriptor = &serving.descriptor;
        let whole = self.with_secrets(scrap.cliente_id, &scrap.settings, descriptor, patience).await?;
        let now = i64::from(descriptor.cursor_format);
        let refused = descriptor.accepts(&whole.text).await.err();
        let began = scrap.cursor_format.unwrap_or(now);
        if began == now && refused.is_none() {
            return Ok(serving);
        }
        if let Some((_, sha256)) = &scrap.connector {
            let registry = self.connectors().registry().await?;
            let mut kept = registry.kept(sha256).await;
            if kept.is_none() && self.keep_published(sha256).await? {
                kept = registry.kept(sha256).await;
            }
            if let Some(kept) = kept.filter(|kept| i64::from(kept.descriptor.cursor_format) == began) {
                return Ok(kept);
            }
        }
        let notice = match refused {
            Some(reason) if began == now => {
                notice!("error-scrap-settings", id = scrap.id, route = scrap.rota, reason = reason)
            }
            _ => notice!("error-cursor-format", id = scrap.id, began = began, now = now),
        };
        Err(Failure::new("op-run", notice, Kind::Connector))
    }

    async fn claim(
        &self,
        id: i64,
        run_for: RunFor<'_>,
        connector: &Connector,
        patience: Patience<'_>,
    ) -> Result<Lease, Failure> {
        let stamp = ConnectorStamp {
            version: connector.descriptor.version.clone(),
            sha256: connector.sha256.clone(),
            cursor_format: i64::from(connector.descriptor.cursor_format),
        };
        let host = self.presence().await?.id();
        let claimed = match run_for {
            RunFor::Operator => patience.wait(|| self.store().claim(id, &stamp, host)).await,
            // Only under the lease that it took: this process may have slept since, and another may
            // run the scrap now.
            RunFor::Queue(taken) => self.store().claim_taken(&taken.lease, &stamp, host).await,
        };
        claimed.map_err(|error| match error.fault {
            Fault::LeaseLost => Failure::new("op-run", notice!("end-lease-lost"), Kind::Interrupted),
            _ => Failure::store("op-run", &error),
        })
    }

    /// Writes down how a run ended, and sums it up.
    async fn finish(
        &self,
        lease: &Lease,
        end: &End,
        elapsed: Duration,
        again: &Again<'_>,
        patience: Patience<'_>,
    ) -> Result<RunReport, Failure> {
        let scrap = || self.scrap_patiently(lease.scrap_id, patience);
        let mut failure = Failure::of_end(end, lease);
        let reasons = match end {
            End::DoneWithReservations(all) => {
                let scrap = lease.scrap_id;
                all.iter().map(|r| reservation_notice(r, scrap).with("id", &scrap)).collect()
            }
            _ => failure.iter().map(|f| f.notice.clone()).collect::<Vec<_>>(),
        };
        let elapsed_ms = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
        // Before the end is written down: a run that dies in between is taken up again, and comes
        // here once more.
        if let Err(error) = patience.wait(|| self.store().erase_cursors(lease.scrap_id)).await {
            tracing::warn!(%error, scrap = lease.scrap_id, "the cursors of its pages that are done were not erased");
        }
        if !matches!(end, End::LeaseLost) {
            let text = write_reasons(&reasons);
            let pages = scrap().await.map_or(0, |scrap| scrap.pages);
            let (state, again_in, failures) = again.after(end, pages);
            let as_asked = matches!(end, End::Paused);
            let end = RunEnd { state, reason: text.as_deref(), elapsed_ms, again_in, failures, as_asked };
            let written = patience.wait(|| self.store().finish(lease, &end)).await;
            match (written, &failure) {
                (Ok(true), _) => {}
                (Ok(false), _) => failure = Failure::of_end(&End::LeaseLost, lease),
                // The database is gone: that is the failure, and the run's own if it was the cause.
                // The scrap can be resumed as it stands.
                (Err(error), None) => failure = Some(Failure::store("op-run", &error)),
                (Err(_), Some(_)) => {}
            }
        }
        let mut report = match scrap().await {
            Ok(scrap) => RunReport::of(&scrap),
            Err(error) => return Err(failure.unwrap_or(error)),
        };
        report.failure = failure;
        if report.reasons.is_empty() {
            report.reasons = reasons;
        }
        Ok(report)
    }
}

/// The settings of a scrap's run: the host's, except for the scrap's own batch and attempts. Those
/// come from a row that any program may have inserted, so they are cut to the most that can be set.
fn own_settings(batch: Option<i32>, attempts: Option<i32>, host: RunSettings) -> RunSettings {
    let batch = batch.and_then(|batch| usize::try_from(batch).ok()).filter(|batch| *batch > 0);
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok()).map(|attempts| attempts.min(RETRIES_MAX));
    let retry = attempts.and_then(|attempts| host.retry.with_attempts(attempts)).unwrap_or(host.retry);
    RunSettings { batch: batch.map_or(host.batch, |batch| batch.min(BATCH_MAX)), retry, ..host }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atlas_model::Limits;
    use atlas_pipeline::RetryPolicy;

    #[test]
    fn a_row_that_asks_for_more_than_may_be_set_gets_what_may_be_set() {
        let host = || RunSettings {
            batch: 1,
            concurrency: 4,
            sweeps: 1,
            retry: RetryPolicy::new(5, Duration::ZERO, Duration::ZERO).unwrap_or_else(|| panic!("a sound policy")),
            limits: Limits::default(),
            db_patience: Duration::ZERO,
        };
        let run = |batch, attempts| {
            let settings = own_settings(batch, attempts, host());
            (settings.batch, settings.retry.attempts())
        };
        assert_eq!(run(None, None), (1, 5));
        assert_eq!(run(Some(500), Some(9)), (500, 9));
        assert_eq!(run(Some(i32::MAX), Some(i32::MAX)), (BATCH_MAX, RETRIES_MAX));
        assert_eq!(run(Some(0), Some(0)), (1, 5));
        assert_eq!(run(Some(-1), Some(-1)), (1, 5));
    }
}

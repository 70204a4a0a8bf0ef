//! Running scraps: from a claim to how the run ended, and when the scrap is taken again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_connectors::{Connector, ConnectorSource, Descriptor, ScrapFacts};
use atlas_http::{Budget, BudgetOwner, Endpoint, Throttled, Waiting};
use atlas_model::{Access, Account, ConnectorStamp, Lease, NewScrap, Notice, RunEnd, Scrap, ScrapState, notice};
use atlas_pipeline::{self as pipeline, End, HeldVersion, Job, Observer, RunSettings, patiently};
use atlas_store::{Fault, StoreError};
use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field};

use super::Atlas;
use super::defaults::as_if_bound;
use super::failure::Failure;
use super::history::Recorder;
use super::kind::{Exit, Kind};
use super::messages::{ended_process, reservation_notice};
use super::report::{RunReport, write_reasons};
use super::scraps::{PAGE_SIZE_MAX, no_token, unknown_scrap};
use crate::config::{BATCH_MAX, RETRIES_MAX};
use crate::memory;

/// Retry window for recording a run's result after the `db_patience` setting is used up.
const LAST_PATIENCE: Duration = Duration::from_secs(3);
/// Runs in a row without a new page after which workers leave a scrap whose source fails to the
/// operator.
const RERUNS_MAX: i32 = 12;
/// The longest wait between two of those runs.
const RERUN_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The shortest wait for a spent quota, and the longest.
const QUOTA_WAIT_MIN: Duration = Duration::from_secs(1);
const QUOTA_WAIT_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// How soon a scrap may be taken again whose version was held. No host that knows of it takes the
/// scrap before another version serves its route.
const HELD_WAIT: Duration = Duration::from_secs(2);

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

/// How long a run retries a call to a database that does not answer: until a deadline, or shortly
/// after `stop`.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) until: Instant,
    pub(super) stop: &'a CancellationToken,
    /// Receives the waits as events.
    pub(super) observer: &'a dyn Observer,
}

impl Patience<'_> {
    pub(super) async fn wait<T, F: Future<Output = Result<T, StoreError>>>(
        self,
        call: impl FnMut() -> F,
    ) -> Result<T, StoreError> {
        let stopped = async {
            self.stop.cancelled().await;
            tokio::time::sleep(LAST_PATIENCE).await;
        };
        tokio::select! {
            biased;
            done = patiently(self.until.saturating_duration_since(Instant::now()), self.observer, call) => done,
            () = stopped => {
                let why = "it does not answer, and the run is to stop";
                Err(StoreError::new(Fault::Unavailable, "wait for the database", why))
            }
        }
    }
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
        scrap.ok_or_else(|| unknown_scrap(id))
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
        let again = Again { run_for, before: &before, first_wait: self.config().worker.rerun_after };
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
        let access = access.map_err(|error| Failure::store("op-run", &error))?.ok_or_else(|| no_token(cliente_id))?;
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
        let told = Arc::new(Told(observer));
        let facts = ScrapFacts { settings: whole.text, ..facts };
        Ok(ConnectorSource::new(registry, connector, http, endpoint, limits, facts, told))
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

/// Forwards waits and log lines of a run's pages to its observer.
struct Told(Arc<dyn Observer>);

impl Waiting for Told {
    fn throttled(&self, throttled: &Throttled) {
        self.0.on(pipeline::Event::Throttled { reason: &throttled.why, wait: throttled.wait });
    }

    fn logged(&self, line: &str) {
        self.0.on(pipeline::Event::Logged { line });
    }
}

/// When a scrap whose run ended is taken again, and by whom.
struct Again<'a> {
    run_for: RunFor<'a>,
    /// As it stood before the run.
    before: &'a Scrap,
    /// The wait after the first passing failure; it doubles with each.
    first_wait: Duration,
}

impl Again<'_> {
    /// The state in which a run leaves its scrap that has so many pages now, the wait until it is
    /// taken again, and how many runs in a row have failed.
    fn after(&self, end: &End, pages: i64) -> (ScrapState, Option<Duration>, i32) {
        let is_queues = matches!(self.run_for, RunFor::Queue(_));
        match end {
            // This worker stops; another goes on.
            End::Stopped if is_queues => (ScrapState::Pendente, None, self.before.failures),
            // Taken again by a worker even where an operator ran it, who need not be there at that
            // hour.
            End::Quota { until, .. } => match wait_until(until.as_deref()) {
                // The moment that the connector named is over, and the quota is still spent.
                Some(Duration::ZERO) => self.after_a_failure(end.state(), pages),
                wait => (end.state(), wait, 0),
            },
            End::VersionHeld(_) => (end.state(), Some(HELD_WAIT), self.before.failures),
            End::HandedBack => (end.state(), None, self.before.failures),
            End::WaitTooLong { seconds, .. } if is_queues => {
                (end.state(), Some(Duration::from_secs(*seconds).min(QUOTA_WAIT_MAX)), 0)
            }
            End::AttemptsExhausted { .. } | End::NeverReady { .. } if is_queues => {
                self.after_a_failure(end.state(), pages)
            }
            // The database did not answer for as long as it is waited for, and does again, or this
            // would not be written.
            End::Store(error)
                if is_queues && matches!(error.fault, Fault::Unavailable | Fault::TooSlow | Fault::Collision) =>
            {
                self.after_a_failure(ScrapState::Interrompido, pages)
            }
            _ => (end.state(), None, 0),
        }
    }

    /// The state and the wait after a failed run. The wait doubles if the run before failed as well
    /// and this one got no new page.
    fn after_a_failure(&self, state: ScrapState, pages: i64) -> (ScrapState, Option<Duration>, i32) {
        let failures = if pages > self.before.pages { 1 } else { self.before.failures + 1 };
        (state, rerun_in(failures, self.first_wait), failures)
    }
}

/// How long a scrap waits for its next run when so many in a row have failed. None: a person has to
/// look at it.
fn rerun_in(failures: i32, first_wait: Duration) -> Option<Duration> {
    let doubled = u32::try_from(failures - 1).unwrap_or_default().min(16);
    let wait = first_wait.saturating_mul(1 << doubled).min(RERUN_WAIT_MAX);
    (failures <= RERUNS_MAX).then_some(wait)
}

/// How long it is until the moment that a connector named, nothing if it is over. None: it named
/// none that can be read, and a person decides.
fn wait_until(until: Option<&str>) -> Option<Duration> {
    let until = DateTime::parse_from_rfc3339(until?.trim()).ok()?;
    let wait = (until.to_utc() - Utc::now()).to_std();
    Some(wait.map_or(Duration::ZERO, |wait| wait.clamp(QUOTA_WAIT_MIN, QUOTA_WAIT_MAX)))
}

/// The settings of a scrap's run: the host's, except for the scrap's own batch and attempts. Those
/// come from a row that any program may have inserted, so they are cut to the most that can be set.
fn own_settings(batch: Option<i32>, attempts: Option<i32>, host: RunSettings) -> RunSettings {
    let batch = batch.and_then(|batch| usize::try_from(batch).ok()).filter(|batch| *batch > 0);
    let attempts = attempts.and_then(|attempts| u32::try_from(attempts).ok()).map(|attempts| attempts.min(RETRIES_MAX));
    let retry = attempts.and_then(|attempts| host.retry.with_attempts(attempts)).unwrap_or(host.retry);
    RunSettings { batch: batch.map_or(host.batch, |batch| batch.min(BATCH_MAX)), retry, ..host }
}

/// The records to ask for in a page: the scrap's own number, else, for a row that another program
/// inserted without one, the connector's.
pub(super) fn own_page_size(asked: i32, descriptor: &Descriptor) -> i32 {
    let asked = if asked > 0 { asked } else { i32::try_from(descriptor.page_size).unwrap_or(PAGE_SIZE_MAX) };
    asked.min(PAGE_SIZE_MAX)
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

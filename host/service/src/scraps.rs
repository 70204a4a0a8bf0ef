//! Creating scraps, looking at them, and asking something of them.

use std::time::Instant;

use atlas_connectors::Descriptor;
use atlas_model::{ChangeOutcome, NewScrap, Notice, Scrap, ScrapFilter, ScrapState, Subject, notice};
use atlas_store::Fault;
use tokio_util::sync::CancellationToken;

use super::atlas::Atlas;
use super::defaults::as_if_bound;
use super::failure::Failure;
use super::nobody::Nobody;
use super::patience::Patience;
use super::period::{period, slices};
use super::report::write_reasons;
use super::scrap_request::{Created, PAGE_SIZE_MAX, ScrapRequest};
use crate::config::{BATCH_MAX, RETRIES_MAX};

/// A change of a scrap's state that an operator asks for.
#[derive(Clone, Copy)]
enum StateChange<'a> {
    /// Pause it, with this reason.
    Pause(&'a str),
    /// Put it back into the queue.
    Requeue,
}

impl Atlas {
    /// Creates a scrap, which any worker may take.
    pub async fn create_scrap(&self, request: &ScrapRequest) -> Result<Created, Failure> {
        self.create(request, None).await
    }

    /// Creates a scrap that this process runs next: no worker takes it before.
    pub async fn create_own_scrap(&self, request: &ScrapRequest) -> Result<Created, Failure> {
        let host = self.presence().await?.id().to_owned();
        self.create(request, Some(host)).await
    }

    /// Validates a request, and returns the scrap that it would create. One that could not run is
    /// refused now rather than by its first run.
    pub(super) async fn check_scrap(&self, request: &ScrapRequest) -> Result<NewScrap, Failure> {
        let connector = self.connectors().connector(&request.rota).await?;
        let period = period(request, &connector.descriptor)?;
        let slices = slices(request, &connector.descriptor)?;
        let page_size = page_size(request, &connector.descriptor)?;
        self.settle_defaults().await?;
        let access = self.store().access(request.cliente_id, &connector.descriptor.api).await;
        let access = access.map(|access| access.map(as_if_bound));
        self.endpoint(request.cliente_id, &connector.descriptor, access)?;
        let (cliente_id, rota) = (request.cliente_id, request.rota.clone());
        let batch = within("lote", request.batch, BATCH_MAX)?;
        let retries = within("tentativas", request.retries, RETRIES_MAX as usize)?;
        let settings = self.settings_for(cliente_id, &connector.descriptor).await?;
        let paused = request.paused;
        Ok(NewScrap { cliente_id, rota, period, page_size, settings, host: None, slices, batch, retries, paused })
    }

    async fn create(&self, request: &ScrapRequest, host: Option<String>) -> Result<Created, Failure> {
        let new = NewScrap { host, ..self.check_scrap(request).await? };
        let bound = self.bind_for(request.cliente_id, &request.rota).await?;
        let created = self.store().create_scrap(&new).await;
        let id = created.map_err(|error| match error.fault {
            Fault::Missing => Failure::no_token(request.cliente_id),
            _ => Failure::store("op-scrap", &error),
        })?;
        Ok(Created { id, bound })
    }

    /// Binds the client's default to a route's API if it serves none yet, for a caller who does not
    /// wait for the database.
    pub(super) async fn bind_for(&self, cliente_id: i32, route: &str) -> Result<Option<Notice>, Failure> {
        let connector = self.connectors().connector(route).await?;
        let stop = CancellationToken::new();
        let patience = Patience { until: Instant::now(), stop: &stop, observer: &Nobody };
        self.bind_at_first_run(cliente_id, &connector.descriptor, patience).await
    }

    /// One scrap.
    pub async fn scrap(&self, id: i64) -> Result<Scrap, Failure> {
        let scrap = self.store().scrap(id).await.map_err(|error| Failure::store("op-scrap", &error))?;
        scrap.ok_or_else(|| Failure::unknown_scrap(id))
    }

    /// The newest of some scraps.
    pub async fn scraps(&self, filter: &ScrapFilter, limit: i64) -> Result<Vec<Scrap>, Failure> {
        self.store().scraps(filter, limit).await.map_err(|error| Failure::store("op-scrap", &error))
    }

    /// The slices of a scrap that are not done.
    pub async fn unfinished_slices(&self, whole: i64) -> Result<Vec<i64>, Failure> {
        self.store().unfinished_slices(whole).await.map_err(|error| Failure::store("op-scrap", &error))
    }

    /// Cancels a scrap, or its unfinished slices, on whatever host they run. It can still be
    /// resumed.
    pub async fn cancel_scrap(&self, id: i64) -> Result<(), Failure> {
        let ids = if self.scrap(id).await?.slices > 0 { self.unfinished_slices(id).await? } else { vec![id] };
        let reason = write_reasons(&[notice!("end-cancelled", id = id)]).unwrap_or_default();
        let cancelled = self.store().cancel(id, &reason).await.map_err(|e| Failure::store("op-scrap", &e))?;
        if cancelled {
            // A run that is under way does the same when it notices.
            for id in ids {
                self.store().erase_cursors(id).await.map_err(|e| Failure::store("op-scrap", &e))?;
            }
            return Ok(());
        }
        // Another caller was quicker: the scrap is cancelled already.
        match self.scrap(id).await?.state {
            ScrapState::Cancelado => Ok(()),
            state => Err(scrap_ended(id, state)),
        }
    }

    /// A scrap that can be cancelled.
    pub async fn scrap_to_cancel(&self, id: i64) -> Result<Scrap, Failure> {
        let scrap = self.scrap(id).await?;
        if scrap.state.is_done() { Err(scrap_ended(id, scrap.state)) } else { Ok(scrap) }
    }

    /// Pauses a scrap, or its unfinished slices, on whatever host they run.
    pub async fn pause_scrap(&self, id: i64) -> Result<ChangeOutcome, Failure> {
        let scrap = self.scrap(id).await?;
        let reason = write_reasons(&[notice!("end-paused", id = id)]).unwrap_or_default();
        let asked = self.ask(&scrap, StateChange::Pause(&reason)).await?;
        refused(asked, id, || notice!("error-scrap-not-to-pause", id = id, state = scrap.state.name()))
    }

    /// Applies a change to a scrap, or to its unfinished slices; then it is refused only if all of
    /// them refuse it.
    async fn ask(&self, scrap: &Scrap, change: StateChange<'_>) -> Result<ChangeOutcome, Failure> {
        let ids = if scrap.slices > 0 { self.unfinished_slices(scrap.id).await? } else { vec![scrap.id] };
        let mut together = ChangeOutcome::Refused;
        for id in ids {
            let asked = match change {
                StateChange::Pause(reason) => self.store().pause(id, reason).await,
                StateChange::Requeue => self.store().requeue(id).await,
            };
            together = match (asked.map_err(|e| Failure::store("op-scrap", &e))?, together) {
                (ChangeOutcome::Forwarded, _) | (_, ChangeOutcome::Forwarded) => ChangeOutcome::Forwarded,
                (ChangeOutcome::Done, _) | (_, ChangeOutcome::Done) => ChangeOutcome::Done,
                (ChangeOutcome::Refused, ChangeOutcome::Refused) => ChangeOutcome::Refused,
            };
        }
        Ok(together)
    }

    /// Puts a scrap into the queue, so that a worker takes it at once, whatever ended its last run
    /// and however long it was to wait.
    pub async fn requeue_scrap(&self, id: i64) -> Result<ChangeOutcome, Failure> {
        let scrap = self.scrap(id).await?;
        let asked = self.ask(&scrap, StateChange::Requeue).await?;
        refused(asked, id, || notice!("error-scrap-not-to-queue", id = id, state = scrap.state.name()))
    }
}

/// Turns a change that the scrap's state does not allow into a failure.
fn refused(asked: ChangeOutcome, id: i64, why: impl FnOnce() -> Notice) -> Result<ChangeOutcome, Failure> {
    match asked {
        ChangeOutcome::Refused => Err(Failure::conflict(why().about(Subject::Scrap(id)))),
        ChangeOutcome::Done | ChangeOutcome::Forwarded => Ok(asked),
    }
}

/// The failure of a change of a scrap that has ended. The state is part of the message's key, since
/// it is translated with it.
fn scrap_ended(id: i64, state: ScrapState) -> Failure {
    let notice = match state {
        ScrapState::ConcluidoComRessalva => notice!("error-scrap-ended-with-reservations", id = id),
        _ => notice!("error-scrap-ended", id = id),
    };
    Failure::conflict(notice.about(Subject::Scrap(id)))
}

/// Checks a number that a request sets for a scrap against its range.
fn within(name: &str, value: Option<i32>, max: usize) -> Result<Option<i32>, Failure> {
    let fits = |value: i32| usize::try_from(value).is_ok_and(|value| (1..=max).contains(&value));
    match value {
        Some(value) if !fits(value) => {
            let expected = format!("1..{max}");
            Err(Failure::usage(notice!("error-setting-value", name = name, value = value, expected = expected)))
        }
        value => Ok(value),
    }
}

fn page_size(request: &ScrapRequest, descriptor: &Descriptor) -> Result<i32, Failure> {
    let own = i32::try_from(descriptor.page_size).unwrap_or(PAGE_SIZE_MAX);
    let size = request.page_size.unwrap_or(own);
    if !(1..=PAGE_SIZE_MAX).contains(&size) {
        return Err(Failure::usage(notice!("error-page-size", value = size, max = PAGE_SIZE_MAX)));
    }
    Ok(size)
}

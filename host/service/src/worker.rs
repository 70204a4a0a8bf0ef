//! Taking scraps from the queue and running them, for as long as it is wanted.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use atlas_model::{Lease, Offer, TAKE_OVERS_MAX, notice};
use atlas_store::{Fault, Store, StoreError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::atlas::Atlas;
use super::failure::Failure;
use super::report::write_reasons;
use super::runs::Taken;
use super::slots::Slots;

/// Pause between two polls of the queue by a worker with a free slot.
const LOOK: Duration = Duration::from_millis(500);
/// Pause between two queries, by a worker without a free slot, for clients whose scraps wait.
const WAITING_LOOK: Duration = Duration::from_secs(1);
/// How often it looks whether a schedule is due.
const SCHEDULES_LOOK: Duration = Duration::from_secs(1);
/// How often it looks for published connectors, and how long after one that it could not take.
const PUBLISHED_LOOK: Duration = Duration::from_secs(1);
const PUBLISHED_AGAIN: Duration = Duration::from_secs(30);
/// Time limit of one query of the queue. A scrap that it took after all is noticed at the next one.
const TAKE_MAX: Duration = Duration::from_secs(60);
/// The longest time between two looks while the database does not answer.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// When a worker ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkUntil {
    /// When `stop` is cancelled.
    Stopped,
    /// When the queue has no scrap for it, and it runs none.
    Empty,
}

/// Awaits a future while polling others, whose results are dropped.
async fn alongside<T, F: Future<Output = ()>>(
    mut wanted: Pin<&mut impl Future<Output = T>>,
    others: &mut FuturesUnordered<F>,
) -> T {
    loop {
        tokio::select! {
            got = &mut wanted => return got,
            Some(()) = others.next() => {}
        }
    }
}

impl Atlas {
    /// Takes scraps from the queue and runs each by `run`, as many at once as this process may,
    /// until `stop`, which has to stop the runs as well. Calls `complain` where the queue cannot be
    /// read, and retries for as long as it takes.
    pub async fn work<F: Future<Output = ()>>(
        &self,
        until: WorkUntil,
        stop: &CancellationToken,
        run: impl Fn(Taken) -> F,
        complain: impl Fn(&Failure),
    ) -> Result<(), Failure> {
        self.presence().await?;
        tokio::select! {
            settled = self.settle_crashes() => match settled {
                Ok(held) => held.iter().for_each(|held| complain(&held.failure)),
                Err(failure) => complain(&failure),
            },
            // If stopped meanwhile, the next process finds out the rest.
            () = stop.cancelled() => return Ok(()),
        }
        let slots = Mutex::new(Slots::default());
        let slots = || slots.lock();
        let run = async |taken: Taken| {
            let id = taken.lease.scrap_id;
            run(taken).await;
            slots().free(id);
        };
        let mut runs = FuturesUnordered::new();
        let mut pause = LOOK;
        let mut looked = None;
        let mut waiting_at = Instant::now();
        let mut published_at = Instant::now();
        let mut others = Others::default();
        let mut ended = Ok(());
        while !stop.is_cancelled() {
            if looked.is_none_or(|looked: Instant| looked.elapsed() >= SCHEDULES_LOOK) {
                looked = Some(Instant::now());
                // Schedules that cannot be read now are tried again, like the queue.
                let firing = pin!(tokio::time::timeout(TAKE_MAX, self.fire_schedules()));
                tokio::select! {
                    fired = alongside(firing, &mut runs) => if let Ok(Err(failure)) = fired {
                        complain(&failure);
                    },
                    () = stop.cancelled() => break,
                }
            }
            if published_at <= Instant::now() {
                published_at = Instant::now() + PUBLISHED_LOOK;
                let taking = async {
                    let mut failures = self.take_published().await;
                    if let Err(failure) = self.clear_scraps_of_secrets().await {
                        failures.push(failure);
                    }
                    match self.settle_defaults().await {
                        Ok(asked) => failures.extend(asked),
                        Err(failure) => failures.push(failure),
                    }
                    // Again, if the database did not answer at first.
                    match self.settle_crashes().await {
                        Ok(held) => failures.extend(held.into_iter().map(|held| held.failure)),
                        Err(failure) => failures.push(failure),
                    }
                    failures
                };
                let taking = pin!(tokio::time::timeout(TAKE_MAX, taking));
                tokio::select! {
                    taken = alongside(taking, &mut runs) => for failure in taken.unwrap_or_default() {
                        complain(&failure);
                        published_at = Instant::now() + PUBLISHED_AGAIN;
                    },
                    () = stop.cancelled() => break,
                }
            }
            let room = runs.len() < self.config().worker.scraps;
            let busy = slots().scraps();
            let taken = if room {
                let taking = pin!(self.take(&busy));
                tokio::select! {
                    // The runs go on meanwhile: one of them may have the very connection that this
                    // waits for.
                    taken = alongside(taking, &mut runs) => taken,
                    // A scrap that it may still have taken is free again once this process leaves
                    // the list of hosts.
                    () = stop.cancelled() => break,
                }
            } else if waiting_at <= Instant::now() {
                waiting_at = Instant::now() + WAITING_LOOK;
                let looking = pin!(self.waiting(&busy));
                let waiting = tokio::select! {
                    waiting = alongside(looking, &mut runs) => waiting,
                    () = stop.cancelled() => break,
                };
                waiting.map(|waiting| {
                    // A run may have ended while it was looked.
                    if runs.len() >= self.config().worker.scraps {
                        slots().ask_back(&waiting, Instant::now());
                    }
                    None
                })
            } else {
                Ok(None)
            };
            match taken {
                Ok(Some(lease)) => {
                    pause = LOOK;
                    let asked_back = slots().hold(lease.scrap_id, lease.cliente_id, Instant::now());
                    runs.push(run(Taken { lease, asked_back }));
                    continue;
                }
                Ok(None)
                    if until == WorkUntil::Empty && runs.is_empty() && !self.may_yet_take_over(&mut others).await =>
                {
                    break;
                }
                Ok(None) => pause = LOOK,
                // The database was replaced or removed: its queue will never be empty.
                Err(failure) if until == WorkUntil::Empty && self.is_displaced().await => {
                    ended = Err(failure);
                    break;
                }
                Err(failure) => {
                    complain(&failure);
                    pause = (pause * 2).min(LOOK_MAX);
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(()) = runs.next() => {}
                () = tokio::time::sleep(if room { pause } else { SCHEDULES_LOOK }) => {}
            }
        }
        // Running scraps hand themselves back.
        while runs.next().await.is_some() {}
        ended
    }

    /// Whether the database's file is not the one that was opened.
    async fn is_displaced(&self) -> bool {
        self.store().in_place().await.is_err_and(|error| error.fault == Fault::Displaced)
    }

    async fn take(&self, running: &[i64]) -> Result<Option<Lease>, Failure> {
        self.offering(running, async |store, offer| store.take(offer).await).await
    }

    /// The clients whose scraps would be taken if there were room.
    async fn waiting(&self, running: &[i64]) -> Result<Vec<i32>, Failure> {
        self.offering(running, async |store, offer| store.waiting(offer).await).await
    }

    /// Runs a query of the queue with an [`Offer`]: the routes and versions that this process can
    /// run.
    async fn offering<T>(
        &self,
        running: &[i64],
        ask: impl AsyncFnOnce(&dyn Store, &Offer<'_>) -> Result<T, StoreError>,
    ) -> Result<T, Failure> {
        let presence = self.presence().await?;
        let registry = self.connectors().registry().await?;
        let (routes, connectors) = (registry.routes(), registry.versions().await);
        let why = write_reasons(&[notice!("end-hosts-died", times = TAKE_OVERS_MAX)]).unwrap_or_default();
        let offer = Offer {
            host: presence.id(),
            routes: &routes,
            connectors: &connectors,
            running,
            per_client: self.config().worker.per_client,
            may_take_over: presence.knows_who_lives(),
            reason_to_give_up: &why,
        };
        let asked = tokio::time::timeout(TAKE_MAX, ask(self.store().as_ref(), &offer)).await;
        let silent = |_| StoreError::new(Fault::Unavailable, "look into the queue", "the database does not answer");
        asked.map_err(silent).and_then(|taken| taken).map_err(|error| Failure::store("op-run", &error))
    }

    /// Whether this process may be able to take over scraps of dead hosts later: once it may judge
    /// hosts as dead, or once the lease ends of a host that has just died.
    async fn may_yet_take_over(&self, others: &mut Others) -> bool {
        let Ok(presence) = self.presence().await else { return true };
        // If the database does not say, the next look will.
        let (Ok(orphans), Ok(holders)) = (self.store().orphans().await, self.store().holders().await) else {
            return true;
        };
        let holders = holders.into_iter().filter(|(host, _)| host != presence.id());
        others.any_silent(holders) || !presence.knows_who_lives() && !orphans.is_empty()
    }
}

/// Other hosts that hold scraps, each with its last heartbeat when this worker first met it. A host
/// whose heartbeat has moved on is alive and keeps its scraps; one whose has not may be dead.
#[derive(Default)]
struct Others(HashMap<String, String>);

impl Others {
    /// Whether any of these hosts was not seen again since it was first met.
    fn any_silent(&mut self, holders: impl Iterator<Item = (String, String)>) -> bool {
        let mut silent = false;
        for (host, seen) in holders {
            silent |= *self.0.entry(host).or_insert_with(|| seen.clone()) == seen;
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_not_seen_again_is_waited_for_and_one_that_is_is_not() {
        let mut others = Others::default();
        let mut silent = |hosts: &[(&str, &str)]| {
            others.any_silent(hosts.iter().map(|(host, seen)| ((*host).to_owned(), (*seen).to_owned())))
        };
        assert!(silent(&[("vivo", "10:00:00"), ("morto", "10:00:01")]));
        assert!(silent(&[("vivo", "10:00:10"), ("morto", "10:00:01")]), "the dead one's lease has not ended");
        assert!(!silent(&[("vivo", "10:00:10")]), "its lease has ended, and the living one was seen meanwhile");
        assert!(silent(&[("vivo", "10:00:20"), ("novo", "10:00:20")]));
        assert!(!silent(&[]));
    }
}

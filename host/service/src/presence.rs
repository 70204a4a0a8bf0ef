//! This process's heartbeat in the list of hosts, by which other hosts see that it is alive and
//! that its scraps are not to be taken over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::Host;
use atlas_store::{Store, StoreError};
use parking_lot::Mutex;
use rand::RngExt;
use tokio_util::task::AbortOnDropHandle;

use super::atlas::Atlas;
use super::failure::Failure;

/// How many times a process says that it is alive before it would count as dead.
const BEATS_A_LEASE: u32 = 5;

/// A process that is on the list of hosts.
pub(super) struct Presence {
    host: Host,
    steady: Arc<Mutex<Steady>>,
    beating: AbortOnDropHandle<()>,
}

/// The heartbeats of this process: since when they have had no gap, and the last one.
#[derive(Clone, Copy)]
struct Steady {
    since: Instant,
    last: Instant,
    /// Whether the last beat failed: the database takes no writes now.
    failing: bool,
}

impl Presence {
    async fn begin(store: Arc<dyn Store>, lease: Duration) -> Result<Self, StoreError> {
        let host = Host {
            id: format!("{:032x}", rand::rng().random::<u128>()),
            name: format!("{}:{}", rustix::system::uname().nodename().to_string_lossy(), std::process::id()),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            lease,
        };
        store.beat(&host).await?;
        let now = Instant::now();
        let steady = Arc::new(Mutex::new(Steady { since: now, last: now, failing: false }));
        let beating = AbortOnDropHandle::new(tokio::spawn(beat(store, host.clone(), Arc::clone(&steady))));
        Ok(Self { host, steady, beating })
    }

    /// The process's id among hosts.
    pub(super) fn id(&self) -> &str {
        &self.host.id
    }

    /// Whether the database took the last beat: a write of this process, some seconds ago at most.
    fn writes(&self) -> bool {
        !self.steady.lock().failing
    }

    /// Whether this process may judge other hosts as dead: its own heartbeat has been written
    /// without a gap for a whole lease. After an outage of the database all hosts look dead, and
    /// after a pause of this process the others may have taken it for dead.
    pub(super) fn knows_who_lives(&self) -> bool {
        let steady = *self.steady.lock();
        steady.last.elapsed() < self.host.lease && steady.since.elapsed() >= self.host.lease
    }
}

async fn beat(store: Arc<dyn Store>, host: Host, steady: Arc<Mutex<Steady>>) {
    let mut ticks = tokio::time::interval(host.lease / BEATS_A_LEASE);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // On a connection that has fallen silent it would wait for ever, and the next beat gets
        // another one.
        let beaten = tokio::time::timeout(host.lease / 2, store.beat(&host)).await;
        let mut steady = steady.lock();
        steady.failing = !matches!(beaten, Ok(Ok(())));
        match beaten {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::debug!(%error, "this host could not say that it is alive");
                continue;
            }
            Err(_) => {
                tracing::debug!("the database does not answer this host, which says that it is alive");
                continue;
            }
        }
        let now = Instant::now();
        if now.duration_since(steady.last) >= host.lease {
            steady.since = now;
        }
        steady.last = now;
    }
}

impl Atlas {
    /// This process's entry in the list of hosts, added at the first call.
    pub(super) async fn presence(&self) -> Result<&Presence, Failure> {
        let begin = || Presence::begin(Arc::clone(&self.store), self.config.worker.lease);
        self.presence.get_or_try_init(begin).await.map_err(|error| Failure::store("op-run", &error))
    }

    /// Whether the database takes this process's writes, as far as its last beat tells; true before
    /// the first.
    pub fn writes(&self) -> bool {
        self.presence.get().is_none_or(Presence::writes)
    }

    /// Takes this process off the list, if it is there.
    pub(super) async fn leave(&self) {
        let Some(presence) = self.presence.get() else { return };
        // Or it would be back on the list.
        presence.beating.abort();
        if let Err(error) = self.store.leave(presence.id()).await {
            // It will be missed soon enough.
            tracing::debug!(%error, "this host could not take itself off the list");
        }
    }
}

//! Finds the connector that crashed a process. Each guest call that was under way in it is repeated
//! alone, in a child process. A version that ends that one as well is held on all hosts, and no
//! scrap that ran beside it counts as failed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_connectors::{CallKind, CallUnderWay, Connector, Crash, FlightOwner, Quarantined, Registry, RegistryEvent};
use atlas_model::{CursorId, NewQuarantine, QuarantineRow, Scrap};
use atlas_pipeline::HeldVersion;
use atlas_sandbox::ScrapFacts;
use atlas_store::StoreError;
use atlas_store_sql::StoreUrl;
use futures_util::StreamExt;
use futures_util::stream;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::atlas::Atlas;
use super::failure::Failure;
use super::kind::Kind;
use super::messages::ended_process;
use super::nobody::Nobody;
use super::patience::Patience;
use super::report::write_reasons;
use super::sources::own_page_size;

/// Calls of one crash that are repeated: as many as are likely to have been under way.
const SUSPECTS_MAX: usize = 64;
/// How many are repeated at the same time, each in a process of its own.
const REPEATED_AT_ONCE: usize = 2;
/// How long the calls of one crash are repeated. A source that does not answer by then shows
/// nothing about its connector, and other scraps wait meanwhile.
const REPEATED_FOR: Duration = Duration::from_secs(5 * 60);

/// A version that ended a process, and ended another one alone.
struct Convicted {
    connector: Arc<Connector>,
    signal: &'static str,
}

/// A version that is held from now on.
pub(super) struct HeldNow {
    /// The failure to report.
    pub(super) failure: Failure,
    /// What became of its route, if anything did.
    event: Option<RegistryEvent>,
}

impl Atlas {
    /// Finds the connectors that crashed earlier processes, and starts recording this process's own
    /// calls; to be called before it runs anything. Returns the versions that are held from now on,
    /// for the caller to report. Runs once: a later call waits for the first, and repeats it if it
    /// failed.
    pub(super) async fn settle_crashes(&self) -> Result<Vec<HeldNow>, Failure> {
        let mut told = Vec::new();
        let settled = self.crashes_settled.get_or_try_init(|| async {
            let registry = self.connectors().registry().await?;
            let database = database_digest(&self.config().store);
            let host = self.presence().await?.id().to_owned();
            registry.record_flights(FlightOwner { host, database: database.clone() }).await;
            match registry.crashes(&database).await {
                Ok(crashes) => {
                    for crash in crashes {
                        self.settle_crash(registry, crash).await?;
                    }
                }
                Err(error) => tracing::warn!(%error, "what processes had under way cannot be read"),
            }
            told = self.hold(self.store().quarantined().await.map_err(failed)?).await?;
            Ok::<_, Failure>(())
        });
        settled.await?;
        Ok(told)
    }

    /// Leaves the events to the watcher of the connectors' folder, which reports them at its next
    /// poll.
    pub(super) async fn tell_later(&self, held_now: Vec<HeldNow>) -> Result<(), Failure> {
        let events = held_now.into_iter().filter_map(|held| held.event);
        self.connectors().registry().await?.tell_later(events);
        Ok(())
    }

    /// Holds the versions that the database says are held on all hosts.
    pub(super) async fn hold(&self, rows: Vec<QuarantineRow>) -> Result<Vec<HeldNow>, Failure> {
        let held: Vec<Quarantined> = rows.into_iter().map(Quarantined::from).collect();
        let held_now = self.connectors().registry().await?.quarantine(&held).await;
        let told = |(held, event): (Quarantined, _)| {
            let notice = ended_process("connector-ended-process", &held.into());
            HeldNow { failure: Failure::new("op-connector", notice, Kind::Connector), event }
        };
        Ok(held_now.into_iter().map(told).collect())
    }

    async fn settle_crash(&self, registry: &Arc<Registry>, crash: Crash) -> Result<(), Failure> {
        tracing::warn!(
            sinal = crash.signal, chamadas = crash.calls.len(), host = %crash.owner.host,
            "a process crashed while connectors ran in it: each call is repeated alone"
        );
        // One call of each version first: a second one of the same version tells least.
        let mut suspects: BTreeMap<(usize, &str), &CallUnderWay> = BTreeMap::new();
        for call in &crash.calls {
            let before = suspects.keys().filter(|(_, sha256)| *sha256 == call.sha256).count();
            suspects.insert((before, &call.sha256), call);
        }
        let repeated = stream::iter(suspects.into_values().take(SUSPECTS_MAX))
            .map(|call| self.repeat(registry, call))
            .buffer_unordered(REPEATED_AT_ONCE)
            .take_until(tokio::time::sleep(REPEATED_FOR));
        let convicted: Vec<Option<Convicted>> = repeated.collect().await;
        let convicted: BTreeMap<String, Convicted> =
            convicted.into_iter().flatten().map(|found| (found.connector.sha256.clone(), found)).collect();
        let beside = crash.calls.iter().filter(|call| !convicted.contains_key(&call.sha256));
        let mut beside: BTreeSet<i64> = beside.filter_map(|call| call.scrap_id).collect();
        for Convicted { connector, signal } in convicted.values() {
            // Passed with the first version alone, so that one crash counts once for each scrap.
            let beside: Vec<i64> = std::mem::take(&mut beside).into_iter().collect();
            let held = HeldVersion {
                route: connector.descriptor.route.clone(),
                version: connector.descriptor.version.clone(),
                sha256: connector.sha256.clone(),
                signal: (*signal).to_owned(),
            };
            self.convict(&crash.owner.host, &held, &beside).await?;
        }
        if let Err(error) = crash.forget() {
            tracing::warn!(%error, "what a process had under way could not be removed");
        }
        Ok(())
    }

    async fn convict(&self, host: &str, held: &HeldVersion, beside: &[i64]) -> Result<(), Failure> {
        let reason = |key: &str| write_reasons(&[ended_process(key, held)]).unwrap_or_default();
        let new = NewQuarantine {
            sha256: &held.sha256,
            route: &held.route,
            version: &held.version,
            signal: &held.signal,
            host,
            beside,
            reason: &reason("end-ended-process"),
            reason_beside: &reason("end-beside-ended-process"),
        };
        self.store().quarantine(&new).await.map_err(failed)
    }

    /// Repeats a call in a child process. `None` if the child survives, or if the call could not be
    /// repeated, which is no evidence against the version.
    async fn repeat(&self, registry: &Arc<Registry>, call: &CallUnderWay) -> Option<Convicted> {
        let Some(connector) = registry.version(&call.sha256).await else {
            tracing::warn!(rota = %call.route, sha256 = %call.sha256, "a call cannot be repeated: its version is not kept");
            return None;
        };
        if registry.is_accepted(&connector).await {
            // The operator let it run in spite of what is known of it: a death counts as a failed
            // run, as any other.
            tracing::warn!(rota = %call.route, sha256 = %call.sha256, "a call of a version that was accepted is not repeated");
            return None;
        }
        match self.repeat_with(registry, call, &connector).await {
            Ok(Some(signal)) => Some(Convicted { connector, signal }),
            Ok(None) => {
                tracing::info!(rota = %call.route, sha256 = %call.sha256, "a call that was under way ends no process alone");
                None
            }
            Err(why) => {
                tracing::warn!(rota = %call.route, sha256 = %call.sha256, why, "a call could not be repeated");
                None
            }
        }
    }

    async fn repeat_with(
        &self,
        registry: &Arc<Registry>,
        call: &CallUnderWay,
        connector: &Arc<Connector>,
    ) -> Result<Option<&'static str>, String> {
        let scrap = match call.scrap_id {
            Some(id) => self.store().scrap(id).await.map_err(|error| error.to_string())?,
            None => None,
        };
        let cursor = match (&call.cursor, &scrap) {
            (Some(id), Some(scrap)) => {
                let id = CursorId::from_hex(id).ok_or("its cursor is none")?;
                let known = self.store().cursor(scrap.id, id).await.map_err(|error| error.to_string())?;
                Some(known.ok_or("its cursor is not known any more")?)
            }
            _ => None,
        };
        let facts = facts(scrap.as_ref(), connector);
        let limits = self.config().limits_of(&connector.descriptor.route, facts.cliente_id);
        if call.kind == CallKind::Replay || scrap.is_none() {
            return registry.call_alone_without_source(connector, &limits, &facts, cursor.as_deref()).await;
        }
        let stop = CancellationToken::new();
        let patience = Patience { until: Instant::now(), stop: &stop, observer: &Nobody };
        let source = self.source(Arc::clone(connector), facts, patience, Arc::new(Nobody)).await;
        let source = source.map_err(|failure| format!("{:?}", failure.notice))?;
        source.call_alone(cursor.as_deref()).await
    }
}

/// The scrap's facts for the guest. A call of no stored scrap gets the least that a guest accepts.
fn facts(scrap: Option<&Scrap>, connector: &Connector) -> ScrapFacts {
    match scrap {
        Some(scrap) => ScrapFacts {
            scrap_id: Some(scrap.id),
            cliente_id: scrap.cliente_id,
            period: scrap.period.clone(),
            page_size: own_page_size(scrap.page_size, &connector.descriptor),
            settings: scrap.settings.clone(),
        },
        None => ScrapFacts {
            scrap_id: None,
            cliente_id: 0,
            period: None,
            page_size: own_page_size(0, &connector.descriptor),
            settings: "{}".to_owned(),
        },
    }
}

/// A digest of the database's location, by which hosts that share a folder of connectors tell their
/// databases apart.
fn database_digest(url: &StoreUrl) -> String {
    let location = match url {
        StoreUrl::Sqlite(file) => {
            let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
            format!("sqlite:{}", file.display())
        }
        StoreUrl::Postgres(_) => url.location(),
    };
    Sha256::digest(location.as_bytes()).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn failed(error: StoreError) -> Failure {
    Failure::store("op-connector", &error)
}

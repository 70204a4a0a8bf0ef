//! What processes left behind that crashed while guests ran in them: each call that was under way
//! is repeated alone, in a child process. A version that ends that one as well is held on all
//! hosts, and nothing else that ran beside it counts as failed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use super::Atlas;
use super::failure::{Exit, Failure};
use super::preview::Nobody;
use super::reload::DIGEST_SHOWN;
use super::report::write_reasons;
use super::runs::{Patience, own_page_size};
use crate::connector::{CallKind, CallUnderWay, Connector, Crash, FlightOwner, Quarantined, Registry, ScrapFacts};
use crate::notice::Notice;
use crate::store::{CursorId, NewQuarantine, Scrap, StoreError, StoreUrl};

/// Calls of one crash that are repeated: as many as are likely to have been under way.
const SUSPECTS_MAX: usize = 64;
/// How many are repeated at the same time, each in a process of its own.
const REPEATED_AT_ONCE: usize = 2;

/// A version that ended a process, and ended another one alone.
struct Convicted {
    connector: Arc<Connector>,
    signal: &'static str,
}

impl Atlas {
    /// Before this process runs anything: finds out which connectors ended those before it, and has
    /// its own calls noted from now on. Gives what there is to tell. The first call does it, each
    /// later one waits for that.
    pub(super) async fn settle_crashes(&self) -> Vec<Failure> {
        let mut told = Vec::new();
        let settled = self.crashes_settled.get_or_try_init(|| async {
            let registry = self.connectors().registry().await?;
            let database = database_digest(&self.config().store);
            match registry.crashes(&database).await {
                Ok(crashes) => {
                    for crash in crashes {
                        told.extend(self.settle_crash(registry, crash).await?);
                    }
                }
                Err(error) => tracing::warn!(%error, "what processes had under way cannot be read"),
            }
            self.take_quarantine().await?;
            let host = self.presence().await?.id().to_owned();
            registry.record_flights(FlightOwner { host, database }).await;
            Ok::<_, Failure>(())
        });
        if let Err(failure) = settled.await {
            told.push(failure);
        }
        told
    }

    /// Holds what is held on all hosts.
    pub(super) async fn take_quarantine(&self) -> Result<(), Failure> {
        let rows = self.store().quarantined().await.map_err(failed)?;
        let held = rows.into_iter().map(|row| Quarantined {
            sha256: row.sha256,
            route: row.rota,
            version: row.versao,
            signal: row.sinal,
        });
        self.connectors().registry().await?.quarantine(&held.collect::<Vec<_>>()).await;
        Ok(())
    }

    async fn settle_crash(&self, registry: &Arc<Registry>, crash: Crash) -> Result<Vec<Failure>, Failure> {
        tracing::warn!(
            sinal = crash.signal, chamadas = crash.calls.len(), host = %crash.owner.host,
            "a process crashed while connectors ran in it: each call is repeated alone"
        );
        // One call of each version first: whichever is repeated last has waited longest.
        let mut suspects: BTreeMap<(usize, &str), &CallUnderWay> = BTreeMap::new();
        for call in &crash.calls {
            let before = suspects.keys().filter(|(_, sha256)| *sha256 == call.sha256).count();
            suspects.insert((before, &call.sha256), call);
        }
        let repeated = stream::iter(suspects.into_values().take(SUSPECTS_MAX))
            .map(|call| self.repeat(registry, call))
            .buffer_unordered(REPEATED_AT_ONCE);
        let convicted: Vec<Option<Convicted>> = repeated.collect().await;
        let convicted: BTreeMap<String, Convicted> =
            convicted.into_iter().flatten().map(|found| (found.connector.sha256.clone(), found)).collect();
        let mut told = Vec::new();
        for Convicted { connector, signal } in convicted.values() {
            self.convict(&crash, connector, signal).await?;
            let notice = ended_notice("connector-ended-process", connector).with("signal", signal);
            told.push(Failure::new("op-connector", notice, Exit::Connector));
        }
        if let Err(error) = crash.forget() {
            tracing::warn!(%error, "what a process had under way could not be removed");
        }
        Ok(told)
    }

    async fn convict(&self, crash: &Crash, connector: &Connector, signal: &str) -> Result<(), Failure> {
        let others = crash.calls.iter().filter(|call| call.sha256 != connector.sha256);
        let beside: Vec<i64> = others.filter_map(|call| call.scrap_id).collect();
        let reason = |key: &str| {
            let notice = ended_notice(key, connector).with("signal", &signal);
            write_reasons(&[notice]).unwrap_or_default()
        };
        let new = NewQuarantine {
            sha256: &connector.sha256,
            route: &connector.descriptor.route,
            version: &connector.descriptor.version,
            signal,
            host: &crash.owner.host,
            beside: &beside,
            reason: &reason("end-ended-process"),
            reason_beside: &reason("end-beside-ended-process"),
        };
        self.store().quarantine(&new).await.map_err(failed)
    }

    /// Repeats a call. None: it ends no process, or could not be repeated, which is nothing against
    /// the version.
    async fn repeat(&self, registry: &Arc<Registry>, call: &CallUnderWay) -> Option<Convicted> {
        let Some(connector) = registry.version(&call.sha256).await else {
            tracing::warn!(rota = %call.route, sha256 = %call.sha256, "a call cannot be repeated: its version is not kept");
            return None;
        };
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

/// What a guest is told of the scrap; of none that is stored, as little as there may be.
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

/// A message about a version that ended a process.
fn ended_notice(key: &str, connector: &Connector) -> Notice {
    let digest = connector.sha256.get(..DIGEST_SHOWN).unwrap_or(&connector.sha256);
    Notice::new(key)
        .with("route", &connector.descriptor.route)
        .with("version", &connector.descriptor.version)
        .with("digest", digest)
}

/// What tells one database from another where a folder of connectors is used with several.
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

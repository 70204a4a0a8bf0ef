//! What a process does with a scrap, from its claim to its end, and how it dies in the middle of
//! it.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use atlas_model::Limits;
use atlas_pipeline::{self as pipeline, End, Event, Job, Observer, RetryPolicy, RunSettings, patiently};
use tokio_util::sync::CancellationToken;

use super::super::*;
use super::script::Script;

/// How long a process waits for a database that does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// What takes longer hangs.
const LONGEST: Duration = Duration::from_secs(60);

struct Nobody;

impl Observer for Nobody {
    fn on(&self, _: Event<'_>) {}
}

/// A process that takes a scrap to its end, as `service/scraps.rs` does: what it asks of the store,
/// it asks again until it is told. `None`: there was nothing left to do.
pub(super) async fn live(
    store: &Arc<dyn Store>,
    scrap_id: i64,
    source: Arc<Script>,
    batch: usize,
) -> Result<Option<End>> {
    let look = async || {
        let scrap = patiently(PATIENCE, &Nobody, || store.scrap(scrap_id)).await?;
        scrap.with_context(|| format!("scrap {scrap_id} is gone"))
    };
    if look().await?.state.is_done() {
        return Ok(None);
    }
    let stamp = stamp("1.0.0");
    let lease = match patiently(PATIENCE, &Nobody, || store.claim(scrap_id, &stamp, HOST)).await {
        Ok(lease) => lease,
        // What a process sent before it died may be done a little later: perhaps the scrap's end.
        Err(_) if look().await?.state.is_done() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let job = Job { lease: lease.clone(), scrap: look().await?, asked_back: CancellationToken::new() };
    let settings = RunSettings {
        batch,
        concurrency: 4,
        sweeps: 3,
        retry: RetryPolicy::new(1, Duration::ZERO, Duration::ZERO).context("a policy")?,
        db_patience: PATIENCE,
        limits: Limits::default(),
    };
    let stop = CancellationToken::new();
    let running = pipeline::run(job, settings, source, Arc::clone(store), Arc::new(Nobody), stop);
    let ran = tokio::time::timeout(LONGEST, running).await.context("the run hangs")?;
    let end = end(ran.state(), None, 1);
    let noted = patiently(PATIENCE, &Nobody, || store.finish(&lease, &end)).await?;
    anyhow::ensure!(noted, "somebody else has the scrap");
    Ok(Some(ran))
}

/// The same in a runtime of its own, which is gone as soon as `death` comes, with every task and
/// every connection in it: nothing is left of the process then but what the database and the source
/// have of it. `None`: it died.
pub(super) async fn live_until(
    death: CancellationToken,
    url: StoreUrl,
    scrap_id: i64,
    source: Arc<Script>,
    batch: usize,
) -> Result<Option<Option<End>>> {
    let process = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = death.cancelled() => Ok(None),
                ended = async {
                    // A process gives up where it cannot open the database. Whoever started it
                    // starts it again.
                    let store = patiently(PATIENCE, &Nobody, || open(&url, None)).await?;
                    let end = live(&store, scrap_id, source, batch).await?;
                    store.close().await;
                    Ok(end)
                } => ended.map(Some),
            }
        })
    };
    tokio::task::spawn_blocking(process).await?
}

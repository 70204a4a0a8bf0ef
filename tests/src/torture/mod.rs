//! The torture: what is done to an installation, and the oracle that says whether anything was lost
//! or doubled.
//!
//! - `dice`      what follows from the seed
//! - `proxy`     the way to the database, which can be cut
//! - `server`    the database's process, which can be killed
//! - `fleet`     the hosts, which can be killed and frozen
//! - `oracle`    what must hold all the while, and in the end

mod dice;
mod fleet;
mod oracle;
mod proxy;
mod server;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use self::dice::Dice;
use self::fleet::Fleet;
use self::oracle::Oracle;
use self::proxy::Proxy;
pub(crate) use self::proxy::authority;
use self::server::Server;
use crate::versions::{another, rename_over, version};
use crate::{Atlas, FaultKind, Faults, Rota, SampleApi, Settings, TOKEN};

/// The routes whose records are numbered without a gap. Those of the last come in pairs that add up
/// to nothing.
const ROUTES: [Rota; 2] = [Rota::Pedido, Rota::Financeiro];
/// Records of a route in a day.
const PER_DAY: u64 = 30;
/// Days that all scraps together cover; each covers some of them, so that they overlap.
const DAYS: u64 = 20;
/// Scraps that wait or run at most at once, for each client.
const OPEN_MAX: i64 = 6;
/// How long the installation has to come to its end once it is let be.
const REST: Duration = Duration::from_secs(300);

/// What is done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// For how long.
    pub time: Duration,
    /// What everything follows from.
    pub seed: u64,
    /// Worker processes.
    pub hosts: usize,
    /// Clients, from 1.
    pub clients: u32,
}

impl Default for Plan {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), seed: 1, hosts: 3, clients: 4 }
    }
}

/// What was done, and what it came to.
#[derive(Debug, Default)]
pub struct Toll {
    hosts_killed: u32,
    hosts_frozen: u32,
    hosts_stopped: u32,
    databases_killed: u32,
    connections_cut: u32,
    connectors_swapped: u32,
    scraps_paused: u32,
    scraps_cancelled: u32,
    scraps: i64,
    records: i64,
    looks: u64,
}

impl fmt::Display for Toll {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "hosts killed {}, frozen {}, stopped {}",
            self.hosts_killed, self.hosts_frozen, self.hosts_stopped
        )?;
        writeln!(f, "databases killed {}, connections cut {} times", self.databases_killed, self.connections_cut)?;
        writeln!(f, "connectors swapped {}", self.connectors_swapped)?;
        writeln!(f, "scraps paused {}, cancelled {}", self.scraps_paused, self.scraps_cancelled)?;
        writeln!(f, "{} scraps, all concluido; {} records, looked at {} times", self.scraps, self.records, self.looks)?;
        write!(f, "lost 0, doubled 0, strange 0")
    }
}

/// Does it all. An error is a finding.
pub async fn run(plan: &Plan) -> anyhow::Result<Toll> {
    let mut dice = Dice::new(plan.seed);
    let api = SampleApi::start(Settings {
        per_day: PER_DAY,
        seed: plan.seed,
        token: TOKEN.to_owned(),
        remember_records: false,
        ..Settings::default()
    })
    .await?;
    let mut atlas = Atlas::on_postgres().await?;
    let server = Server::from_environment()?;
    let proxy = Proxy::to(atlas.database.url()).await?;
    let direct = atlas.database.url().to_owned();
    atlas.set("DATABASE_URL", &proxy.url(&direct)?);
    for (name, value) in [("ATLAS_LEASE", "3"), ("ATLAS_RERUN_AFTER", "1"), ("ATLAS_DB_PATIENCE", "30")] {
        atlas.set(name, value);
    }
    let folder = atlas.own_connectors()?;
    let connector = folder.join("pedido.wasm");
    rename_over(&connector, &version("version=0")?)?;
    for client in 1..=plan.clients {
        atlas.register(client, &api).await?;
    }
    atlas.bind_all().await?;
    let oracle = Arc::new(Oracle::new(&direct, &api, plan.clients)?);
    let atlas = Arc::new(atlas);
    let mut fleet = Fleet::start(&atlas, plan.hosts)?;
    let mut toll = Toll::default();

    let over = Arc::new(AtomicBool::new(false));
    let watching = tokio::spawn(Arc::clone(&oracle).watch(Arc::clone(&over)));
    let began = Instant::now();
    let mut number = 0;
    while began.elapsed() < plan.time && !watching.is_finished() {
        // Half of a second to one and a half, so that something gets done in between.
        tokio::time::sleep(Duration::from_millis(300 + dice.roll(1_200))).await;
        oracle.fill_the_queue(&mut dice, OPEN_MAX).await;
        number += 1;
        match dice.roll(100) {
            0..30 => toll.hosts_killed += fleet.kill(&mut dice)?,
            30..40 => toll.hosts_frozen += fleet.freeze(&mut dice).await?,
            40..45 => toll.hosts_stopped += fleet.stop(&mut dice)?,
            45..55 => {
                server.kill_and_start().await?;
                toll.databases_killed += 1;
            }
            55..65 => {
                proxy.cut();
                toll.connections_cut += 1;
            }
            65..75 => {
                rename_over(&connector, &another(&version(&format!("version={number}"))?, number))?;
                toll.connectors_swapped += 1;
            }
            75..80 => toll.scraps_paused += oracle.pause_one(&mut dice).await,
            80..85 => toll.scraps_cancelled += oracle.cancel_one(&mut dice).await,
            _ => api.set_faults(faults(&mut dice))?,
        }
        fleet.revive()?;
        oracle.put_back().await;
    }
    // Let be.
    api.set_faults(Faults::default())?;
    fleet.revive()?;
    let rest = Instant::now();
    while !watching.is_finished() && !oracle.all_done().await {
        ensure!(rest.elapsed() < REST, "after {REST:?} of rest: {}", oracle.left().await);
        fleet.revive()?;
        oracle.put_back().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    over.store(true, Ordering::Relaxed);
    toll.looks = watching.await.context("the reader")??;
    fleet.end().await?;
    (toll.scraps, toll.records) = oracle.judge().await?;
    Ok(toll)
}

/// A source that fails in ways that pass.
fn faults(dice: &mut Dice) -> Faults {
    Faults {
        latency_ms: dice.roll(60),
        random_rate: [0.0, 0.1, 0.3][dice.index(3)],
        random_kinds: vec![
            FaultKind::Status429,
            FaultKind::Status500,
            FaultKind::Status503,
            FaultKind::Reset,
            FaultKind::Truncated,
            FaultKind::TruncatedJson,
            FaultKind::SlowBody,
        ],
        retry_after: [None, Some("0.05".to_owned()), Some("1".to_owned())][dice.index(3)].clone(),
        ..Faults::default()
    }
}

//! The database's process, killed as the power would, and started again.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::process::Command;

/// How long it has to come back.
const START: Duration = Duration::from_secs(60);

/// A PostgreSQL that belongs to the torture.
pub(super) struct Server {
    data: PathBuf,
    /// A command and its arguments, which start it.
    start: Vec<String>,
}

impl Server {
    /// The one that `cargo xtask torture` has started: `ATLAS_TORTURE_PGDATA`, and
    /// `ATLAS_TORTURE_PGSTART`, a line of words.
    pub(super) fn from_environment() -> anyhow::Result<Self> {
        let set = |name| std::env::var(name).with_context(|| format!("{name} is not set: use cargo xtask torture"));
        let start: Vec<String> = set("ATLAS_TORTURE_PGSTART")?.split_whitespace().map(str::to_owned).collect();
        ensure!(!start.is_empty(), "ATLAS_TORTURE_PGSTART is empty");
        Ok(Self { data: set("ATLAS_TORTURE_PGDATA")?.into(), start })
    }

    /// Kills it at once, all of its processes by way of the first, and starts it again.
    pub(super) async fn kill_and_start(&self) -> anyhow::Result<()> {
        let pids = std::fs::read_to_string(self.data.join("postmaster.pid")).context("postmaster.pid")?;
        let first = pids.lines().next().context("a process")?;
        Command::new("kill").args(["-9", first]).status().await?;
        let began = Instant::now();
        loop {
            // Refused as long as processes of the dead one still hold its memory.
            let mut start = Command::new(&self.start[0]);
            let started = start.args(&self.start[1..]).output().await?;
            if started.status.success() {
                return Ok(());
            }
            let said = String::from_utf8_lossy(&started.stderr).into_owned();
            ensure!(began.elapsed() < START, "PostgreSQL does not start again: {said}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

//! The hosts: worker processes, which are killed, frozen past their lease, and told to stop.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::process::{Child, Command};

use super::dice::Dice;
use crate::Atlas;

/// Longer than a host is believed to be alive without a word (`ATLAS_LEASE`, 3 s).
const FROZEN: Duration = Duration::from_millis(4_500);

pub(super) struct Fleet {
    atlas: Arc<Atlas>,
    hosts: Vec<Child>,
}

impl Fleet {
    pub(super) fn start(atlas: &Arc<Atlas>, hosts: usize) -> anyhow::Result<Self> {
        let hosts = (0..hosts).map(|number| worker(atlas, number)).collect::<anyhow::Result<_>>()?;
        Ok(Self { atlas: Arc::clone(atlas), hosts })
    }

    /// Kills one.
    pub(super) fn kill(&mut self, dice: &mut Dice) -> anyhow::Result<u32> {
        let host = dice.index(self.hosts.len());
        self.hosts[host].start_kill()?;
        Ok(1)
    }

    /// Freezes one for longer than its lease, and lets it go on.
    pub(super) async fn freeze(&mut self, dice: &mut Dice) -> anyhow::Result<u32> {
        let host = dice.index(self.hosts.len());
        let Some(id) = self.hosts[host].id() else { return Ok(0) };
        signal("STOP", id).await?;
        tokio::spawn(async move {
            tokio::time::sleep(FROZEN).await;
            // It may have been killed meanwhile.
            let _ = signal("CONT", id).await;
        });
        Ok(1)
    }

    /// Tells one to stop, as a supervisor does.
    pub(super) fn stop(&mut self, dice: &mut Dice) -> anyhow::Result<u32> {
        let host = dice.index(self.hosts.len());
        let Some(id) = self.hosts[host].id() else { return Ok(0) };
        std::process::Command::new("kill").args(["-s", "TERM", &id.to_string()]).stderr(Stdio::null()).status()?;
        Ok(1)
    }

    /// Starts those again that have ended.
    pub(super) fn revive(&mut self) -> anyhow::Result<()> {
        for (number, host) in self.hosts.iter_mut().enumerate() {
            if host.try_wait()?.is_some() {
                *host = worker(&self.atlas, number)?;
            }
        }
        Ok(())
    }

    /// Tells all to stop, and waits for them.
    pub(super) async fn end(mut self) -> anyhow::Result<()> {
        for host in &mut self.hosts {
            if let Some(id) = host.id() {
                let _ = signal("CONT", id).await;
                signal("TERM", id).await?;
            }
            let ended = tokio::time::timeout(Duration::from_secs(60), host.wait()).await;
            ended.context("a host does not stop")??;
        }
        Ok(())
    }
}

async fn signal(name: &str, process: u32) -> anyhow::Result<()> {
    // One that was killed meanwhile cannot be told.
    Command::new("kill").args(["-s", name, &process.to_string()]).stderr(Stdio::null()).status().await?;
    Ok(())
}

/// Odd hosts write each record in a transaction of its own, the others many.
fn worker(atlas: &Atlas, number: usize) -> anyhow::Result<Child> {
    let batch = if number % 2 == 1 { "1" } else { "40" };
    let mut command = atlas.command(&["worker", "--scraps", "3", "--per-client", "3", "--batch", batch, "-q"])?;
    let log = atlas.folder().join(format!("host-{number}.log"));
    let log = std::fs::File::options().create(true).append(true).open(log)?;
    command.stdout(Stdio::null()).stderr(log);
    command.spawn().context("start a host")
}

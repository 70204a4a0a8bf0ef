//! PostgreSQL: a primary, and a standby that has on its disk whatever the primary has said is
//! committed.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::{command, folder, until, until_it_listens};
use crate::{Database, closed_port};

/// The name by which the primary knows its standby.
const STANDBY: &str = "reserva";

/// Both servers.
pub struct Cluster {
    /// The one that takes writes, until it is killed.
    pub primary: Server,
    /// The one that follows it.
    pub standby: Server,
}

/// One of them.
pub struct Server {
    folder: TempDir,
    programs: PathBuf,
    /// Where it listens.
    pub port: u16,
    process: Child,
}

impl Cluster {
    /// Makes and starts both. From then on, a commit on the primary waits for the standby's disk.
    pub async fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let data = folder()?;
        let make = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "-D", "data"];
        execute(command(&programs.join("initdb"), data.path())?.args(make), data.path()).await?;
        let primary = Server::start(data, &programs).await?;
        let data = folder()?;
        let from = format!("host=127.0.0.1 port={} user=postgres application_name={STANDBY}", primary.port);
        let copy = ["--pgdata=data", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--dbname", &from];
        execute(command(&programs.join("pg_basebackup"), data.path())?.args(copy), data.path()).await?;
        // Copied from a primary that waits for no standby: once promoted, this one does not wait
        // for another that is not there.
        let standby = Server::start(data, &programs).await?;
        let database = primary.database();
        database.execute(&format!("ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'")).await?;
        database.execute("SELECT pg_reload_conf()").await?;
        let synchronous = "SELECT COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        until("the standby is synchronous", async || Ok(database.number(synchronous).await? == 1)).await?;
        Ok(Self { primary, standby })
    }
}

impl Server {
    async fn start(folder: TempDir, programs: &Path) -> anyhow::Result<Self> {
        let port = closed_port()?;
        let mut start = command(&programs.join("postgres"), folder.path())?;
        let settings =
            [format!("port={port}"), "listen_addresses=127.0.0.1".to_owned(), "max_connections=60".to_owned()];
        start.args(["-D", "data"]).args(settings.iter().flat_map(|setting| ["-c", setting]));
        let process = start.args(["-c", "unix_socket_directories="]).spawn()?;
        let mut server = Self { folder, programs: programs.to_owned(), port, process };
        until_it_listens(&mut server.process, port, server.folder.path()).await?;
        let database = server.database();
        until("the server answers", async || Ok(database.number("SELECT COUNT(*) FROM pg_class").await.is_ok()))
            .await?;
        Ok(server)
    }

    /// Its database, past whatever stands before it.
    pub fn database(&self) -> Database {
        Database::at(&format!("postgres://postgres@127.0.0.1:{}/postgres", self.port))
    }

    /// Kills it, as the power would: the first process and those it has started.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        let first = self.process.id().context("it has ended")?.to_string();
        let listed = Command::new("ps").args(["-o", "pid=", "--ppid", &first]).output().await?;
        let others = String::from_utf8(listed.stdout)?;
        // A process that ends by itself meanwhile is as dead.
        let mut kill = Command::new("kill");
        kill.args(["-9", &first]).args(others.split_whitespace()).stderr(Stdio::null()).status().await?;
        self.process.wait().await?;
        Ok(())
    }

    /// Makes a standby the primary.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let mut promote = command(&self.programs.join("pg_ctl"), self.folder.path())?;
        execute(promote.args(["promote", "-w", "-D", "data"]), self.folder.path()).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At once, and with all that it has started; whatever does not listen is killed after that.
        let Some(first) = self.process.id() else { return };
        let asked = std::process::Command::new("kill").args(["-s", "QUIT", &first.to_string()]).status();
        for _ in 0..100 {
            if asked.is_err() || !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

async fn execute(command: &mut Command, folder: &Path) -> anyhow::Result<()> {
    let done = command.status().await?;
    ensure!(done.success(), "{done}:\n{}", std::fs::read_to_string(folder.join("log")).unwrap_or_default());
    Ok(())
}

/// The folder with PostgreSQL's programs.
fn programs() -> anyhow::Result<PathBuf> {
    let configured = std::process::Command::new("pg_config").arg("--bindir").stderr(Stdio::null()).output().ok();
    let configured = configured.and_then(|told| String::from_utf8(told.stdout).ok()).map(|told| told.trim().into());
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<PathBuf> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let complete = |folder: &PathBuf| ["initdb", "pg_basebackup"].iter().all(|name| folder.join(name).is_file());
    let found =
        configured.into_iter().chain(debian.into_iter().rev()).chain(std::env::split_paths(&path)).find(complete);
    found.context("this test needs PostgreSQL's initdb and pg_basebackup (Debian: apt-get install postgresql)")
}

//! A PostgreSQL of our own: made for one run of the tests, and gone after it.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

use crate::command::{answers, execute, output, step, without_databases};

/// Its durability is PostgreSQL's default: the tests are about records that survive.
const SETTINGS: &str = "listen_addresses = '127.0.0.1'\nmax_connections = 200\n";

/// A running server. It is stopped, and its folder removed, when this is dropped.
pub(crate) struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    owner: Option<Owner>,
    port: u16,
}

/// PostgreSQL does not run as root; where we do, it runs as somebody else.
struct Owner {
    user: u32,
    group: u32,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new().prefix("atlas-pg-").tempdir().context("no temporary folder")?;
        let owner = owner()?;
        if let Some(owner) = &owner {
            chown(folder.path(), Some(owner.user), Some(owner.group)).context("cannot give the folder away")?;
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let server = Self { folder, programs, owner, port };
        step(format_args!("a PostgreSQL of our own, {} on port {port}", server.programs.display()));

        // Not synced to disk: that is about how long its making takes, not about how it then runs.
        let make = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--pgdata"];
        output(server.program("initdb").args(make).arg(server.data()))?;
        let sockets = server.folder.path().display();
        let settings = format!("{SETTINGS}port = {port}\nunix_socket_directories = '{sockets}'\n");
        let conf = server.data().join("postgresql.auto.conf");
        fs::write(&conf, settings).with_context(|| format!("cannot write {}", conf.display()))?;

        let log = server.log();
        let mut start = server.starter();
        output(&mut start).with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(server)
    }

    /// Where a test finds it. Everybody on this machine may connect.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The command that starts it again after it was killed, as a line of words.
    pub(crate) fn start_command(&self) -> String {
        let start = self.starter();
        let words = std::iter::once(start.get_program()).chain(start.get_args());
        words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    fn starter(&self) -> Command {
        let mut start = self.program("pg_ctl");
        start.args(["start", "-w", "-t", "60", "-s", "-D"]).arg(self.data()).arg("-l").arg(self.log());
        start
    }

    /// Its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn program(&self, name: &str) -> Command {
        let program = self.programs.join(name);
        let mut command = match &self.owner {
            None => Command::new(program),
            Some(owner) => {
                let mut command = Command::new("setpriv");
                command.args([format!("--reuid={}", owner.user), format!("--regid={}", owner.group)]);
                command.arg("--clear-groups").arg(program);
                command
            }
        };
        without_databases(&mut command).current_dir(self.folder.path());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "-w", "-s", "-m", "immediate", "-D"]).arg(self.data());
        if self.data().join("postmaster.pid").exists() && !answers(&mut stop) {
            step(format_args!("PostgreSQL could not be stopped; it is in {}", self.folder.path().display()));
        }
    }
}

/// The folder with PostgreSQL's programs; on a Debian where we are root, installed if need be.
fn programs() -> Result<PathBuf> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if is_root()? && answers(Command::new("apt-get").arg("--version")) {
        execute(Command::new("apt-get").args(["update", "-qq"]))?;
        let mut install = Command::new("apt-get");
        install.args(["install", "-qq", "--yes", "--no-install-recommends", "postgresql"]);
        execute(install.env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    find().context(
        "the tests need PostgreSQL's initdb and pg_ctl, and they are not here.\n\
         Install PostgreSQL (Debian: apt-get install postgresql), or set ATLAS_TEST_DATABASE_URL to a database that the \
         tests may use.",
    )
}

fn find() -> Option<PathBuf> {
    let configured = output(Command::new("pg_config").arg("--bindir")).ok().map(PathBuf::from);
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut debian: Vec<_> = debian.map(|version| version.path().join("bin")).collect();
    debian.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    let complete = |folder: &PathBuf| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file();
    configured.into_iter().chain(debian.into_iter().rev()).chain(env::split_paths(&path)).find(complete)
}

fn owner() -> Result<Option<Owner>> {
    if !is_root()? {
        return Ok(None);
    }
    let id = |what: &str, name: &str| output(Command::new("id").arg(what).arg(name));
    let name = if id("-u", "postgres").is_ok() { "postgres" } else { "nobody" };
    let owner = Owner { user: id("-u", name)?.parse()?, group: id("-g", name)?.parse()? };
    ensure!(owner.user != 0, "PostgreSQL does not run as root, and {name} is root here");
    Ok(Some(owner))
}

fn is_root() -> Result<bool> {
    Ok(output(Command::new("id").arg("-u"))? == "0")
}

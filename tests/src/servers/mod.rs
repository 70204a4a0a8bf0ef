//! Servers of a test's own, which it may kill: what stands between Atlas and its database, and
//! databases that follow each other. None outlives the test. PgBouncer and PostgreSQL do not run as
//! root; where we do, they run as another user.
//!
//! - `bouncer`     PgBouncer
//! - `balancer`    HAProxy
//! - `cluster`     PostgreSQL: a primary, and a standby that follows it

mod balancer;
mod bouncer;
mod cluster;

use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

pub use self::balancer::Balancer;
pub use self::bouncer::Bouncer;
pub use self::cluster::Cluster;

/// How long a server has to start.
const START: Duration = Duration::from_secs(30);

/// Waits until it is so; asks often, and not for ever.
pub async fn until(what: &str, mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let began = Instant::now();
    while !is_so().await? {
        ensure!(began.elapsed() < START, "it does not come to this: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// A program, where the user's shell or the system's administrator would find it.
fn find(name: &str, package: &str) -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    let found = folders.map(|folder| folder.join(name)).find(|program| program.is_file());
    found.with_context(|| format!("this test needs {name}: install it (Debian: apt-get install {package})"))
}

/// The user and the group that PostgreSQL and PgBouncer run as, if not as ourselves.
fn owner() -> anyhow::Result<Option<(u32, u32)>> {
    let id = |arguments: &[&str]| {
        let told = std::process::Command::new("id").args(arguments).stderr(Stdio::null()).output()?;
        anyhow::Ok(String::from_utf8(told.stdout)?.trim().parse().ok())
    };
    if id(&["-u"])?.context("id -u")? != 0 {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let (Some(user), Some(group)) = (id(&["-u", name])?, id(&["-g", name])?) {
            return Ok(Some((user, group)));
        }
    }
    bail!("PostgreSQL does not run as root, and there is nobody else")
}

/// A folder that they may write to.
fn folder() -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("atlas-server-").tempdir()?;
    if let Some((user, group)) = owner()? {
        chown(folder.path(), Some(user), Some(group))?;
    }
    Ok(folder)
}

/// A command in that folder, for whom it belongs to, and killed when it is dropped. What it says
/// goes to a file `log`.
fn command(program: &Path, folder: &Path) -> anyhow::Result<Command> {
    let mut command = match owner()? {
        None => Command::new(program),
        Some((user, group)) => {
            let mut command = Command::new("setpriv");
            command.args([format!("--reuid={user}"), format!("--regid={group}")]);
            command.arg("--clear-groups").arg(program);
            command
        }
    };
    for (name, _) in std::env::vars() {
        if name.starts_with("PG") {
            command.env_remove(name);
        }
    }
    let log = std::fs::File::options().create(true).append(true).open(folder.join("log"))?;
    command.current_dir(folder).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    Ok(command)
}

/// Waits until a server listens; fails as soon as it has ended.
async fn until_it_listens(server: &mut Child, port: u16, folder: &Path) -> anyhow::Result<()> {
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        let ended = server.try_wait()?;
        if ended.is_some() || began.elapsed() > START {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            bail!("it does not listen on port {port} ({ended:?}):\n{log}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

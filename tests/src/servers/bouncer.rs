//! PgBouncer.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::process::Child;

use super::{command, find, folder, until_it_listens};
use crate::closed_port;
use crate::torture::authority;

/// A PgBouncer in front of a server.
pub struct Bouncer {
    folder: TempDir,
    program: PathBuf,
    port: u16,
    process: Child,
}

impl Bouncer {
    /// Starts one in front of the server that a database's URL names. Beside what it has to be
    /// told, all is as PgBouncer has it by default; `more` are lines of its section `[pgbouncer]`.
    pub async fn start(url: &str, more: &str) -> anyhow::Result<Self> {
        let (program, folder, port) = (find("pgbouncer", "pgbouncer")?, folder()?, closed_port()?);
        let server = authority(url)?;
        let (host, server_port) = server.rsplit_once(':').unwrap_or((server, "5432"));
        let who = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map_or("postgres", |(who, _)| who);
        let login = match who.split_once(':') {
            None => format!("user={who}"),
            Some((user, password)) => format!("user={user} password={password}"),
        };
        let settings = format!(
            "[databases]\n* = host={host} port={server_port} {login}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n{more}\n"
        );
        std::fs::write(folder.path().join("pgbouncer.ini"), settings)?;
        let process = command(&program, folder.path())?.arg("pgbouncer.ini").spawn()?;
        let mut bouncer = Self { folder, program, port, process };
        until_it_listens(&mut bouncer.process, port, bouncer.folder.path()).await?;
        Ok(bouncer)
    }

    /// The same database's URL by way of it.
    pub fn url(&self, direct: &str) -> anyhow::Result<String> {
        Ok(direct.replacen(authority(direct)?, &format!("127.0.0.1:{}", self.port), 1))
    }

    /// Kills it, and starts it again.
    pub async fn kill_and_start(&mut self) -> anyhow::Result<()> {
        self.process.kill().await?;
        self.process = command(&self.program, self.folder.path())?.arg("pgbouncer.ini").spawn()?;
        until_it_listens(&mut self.process, self.port, self.folder.path()).await
    }
}

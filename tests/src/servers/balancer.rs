//! HAProxy.

use tempfile::TempDir;
use tokio::process::Child;

use super::{command, find, folder, until_it_listens};
use crate::{Database, closed_port};

/// An HAProxy in front of a primary and its standby. It leads to the first as long as that answers,
/// and then to the second, whether that takes writes or not: to find out is Atlas's part.
pub struct Balancer {
    _folder: TempDir,
    port: u16,
    _process: Child,
}

impl Balancer {
    /// Starts one in front of the servers at these ports.
    pub async fn start(primary: u16, standby: u16) -> anyhow::Result<Self> {
        let (program, folder, port) = (find("haproxy", "haproxy")?, folder()?, closed_port()?);
        let settings = format!(
            "defaults\n  mode tcp\n  timeout connect 2s\n  timeout client 1h\n  timeout server 1h\n  option redispatch\n\
             listen atlas\n  bind 127.0.0.1:{port}\n  option pgsql-check user postgres\n\
             \x20 default-server inter 200ms fall 2 rise 2 on-marked-down shutdown-sessions\n\
             \x20 server primary 127.0.0.1:{primary} check\n  server standby 127.0.0.1:{standby} check backup\n"
        );
        std::fs::write(folder.path().join("haproxy.cfg"), settings)?;
        let mut process = command(&program, folder.path())?.args(["-db", "-f", "haproxy.cfg"]).spawn()?;
        until_it_listens(&mut process, port, folder.path()).await?;
        Ok(Self { _folder: folder, port, _process: process })
    }

    /// The database that it leads to.
    pub fn database(&self) -> Database {
        Database::at(&format!("postgres://postgres@127.0.0.1:{}/postgres", self.port))
    }
}

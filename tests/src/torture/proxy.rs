//! The way to the database, which can be cut at any moment, in the middle of whatever travels on
//! it.

use anyhow::Context;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on.
pub(super) struct Proxy {
    port: u16,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// To the server that a database's URL names.
    pub(super) async fn to(url: &str) -> anyhow::Result<Self> {
        let server = authority(url)?.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (cuts, cut) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server.clone(), cut.clone()));
            }
        });
        Ok(Self { port, cuts })
    }

    /// The same database's URL by this way.
    pub(super) fn url(&self, direct: &str) -> anyhow::Result<String> {
        Ok(direct.replacen(authority(direct)?, &format!("127.0.0.1:{}", self.port), 1))
    }

    /// Ends every connection.
    pub(super) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

async fn pass(mut client: TcpStream, server: String, mut cut: watch::Receiver<u64>) {
    cut.mark_unchanged();
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // What is passed on must not wait for more: the database's own connections do not.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
        _ = cut.changed() => {}
    }
}

/// `HOST:PORT` of a URL.
pub(crate) fn authority(url: &str) -> anyhow::Result<&str> {
    let rest = url.split_once("://").context("a URL")?.1;
    let rest = rest.split('/').next().unwrap_or(rest);
    Ok(rest.rsplit_once('@').map_or(rest, |(_, authority)| authority))
}

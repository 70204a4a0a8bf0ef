//! The server: takes its address, accepts connections, answers requests, and works on the queue
//! until it is stopped.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use atlas_model::notice;
use atlas_service::{Atlas, Failure, Kind};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use tokio_util::sync::CancellationToken;

use super::connections::ConnectionLimits;
use super::lines::WholeLines;
use super::router::router;
use super::settings::ServeSettings;
use super::state::AppState;
use super::{api, prefix, tls};

/// How long requests under way may take after the server is asked to stop.
const GRACE: Duration = Duration::from_secs(10);
/// Pause between two removals of expired sessions, expired links and old stored responses.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a connection may take until its first request has come, and each request's headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(15);

/// A server that has bound its address, and answers no request yet.
pub struct Listening {
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    settings: ServeSettings,
    prefix: Option<Arc<str>>,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Listening {
    /// Takes the address, and reads the certificate.
    pub fn at(settings: ServeSettings) -> Result<Self, Failure> {
        let prefix = prefix::parse(&settings.path_prefix)?;
        let tls = settings.tls.as_ref().map(|(chain, key)| tls::config(chain, key)).transpose()?;
        let listen = settings.listen;
        let unusable = |error: std::io::Error| {
            let notice = notice!("error-listen", address = listen, reason = error);
            Failure::new("op-serve", notice, Kind::Configuration).because(&error)
        };
        let listener = TcpListener::bind(listen).map_err(unusable)?;
        listener.set_nonblocking(true).map_err(unusable)?;
        let address = listener.local_addr().map_err(unusable)?;
        Ok(Self { listener, tls, settings, prefix, address })
    }

    /// Its address, as a browser is given it.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin(), self.prefix.as_deref().unwrap_or_default())
    }

    fn origin(&self) -> String {
        let name = self.settings.hosts.first().cloned();
        if let (true, Some(name)) = (self.settings.behind_proxy, &name) {
            return format!("https://{name}");
        }
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let unspecified = self.address.ip().is_unspecified();
        match name {
            Some(name) => format!("{scheme}://{name}:{}", self.address.port()),
            None if unspecified => format!("{scheme}://localhost:{}", self.address.port()),
            None => format!("{scheme}://{}", self.address),
        }
    }

    /// Serves requests, and takes scraps from the queue and runs them, until `stop`: then requests
    /// under way are answered, and running scraps are checkpointed and handed back. Calls
    /// `complain` with each other failure, and what it is about.
    pub async fn serve(
        self,
        atlas: Arc<Atlas>,
        stop: CancellationToken,
        complain: impl Fn(&Failure, &str) + Send + Sync + 'static,
    ) -> Result<(), Failure> {
        let state = AppState::new(atlas, &self.settings, self.prefix.clone(), api::query_names(), stop.clone());
        let handle = axum_server::Handle::new();
        let stopping = (handle.clone(), stop.clone());
        tokio::spawn(async move {
            let (handle, stop) = stopping;
            stop.cancelled().await;
            handle.graceful_shutdown(Some(GRACE));
        });
        let app = router(Arc::clone(&state)).into_make_service_with_connect_info::<SocketAddr>();
        let listener = self.listener;
        let limits = ConnectionLimits::new(self.settings.behind_proxy);
        // HTTP/1.1 alone: there, an idle or stalled connection shows at the socket, while an HTTP/2
        // client that answers pings could hold one for ever. Hidden tabs close their event stream,
        // so the six connections that a browser opens are enough.
        let serving = match self.tls {
            Some(config) => {
                let config = RustlsConfig::from_config(config);
                let server = axum_server::from_tcp(listener).map_err(|e| broken(&e))?;
                let server = server.map(|_| WholeLines(RustlsAcceptor::new(config).acceptor(limits)));
                let mut server = server.handle(handle).http1_only().first_request_timeout(HEADERS_TIMEOUT);
                bound(server.http_builder());
                tokio::spawn(server.serve(app))
            }
            None => {
                let server = axum_server::from_tcp(listener).map_err(|e| broken(&e))?;
                let server = server.acceptor(WholeLines(limits)).handle(handle);
                let mut server = server.http1_only().first_request_timeout(HEADERS_TIMEOUT);
                bound(server.http_builder());
                tokio::spawn(server.serve(app))
            }
        };
        tokio::spawn(forget(Arc::clone(&state)));
        let worked = state.work(&complain).await;
        // Without workers there is nothing to serve for: the end of one is the end of the other.
        stop.cancel();
        let served = serving.await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        worked.and(served.map_err(|error| broken(&error)))
    }
}

/// Forgets expired accesses and old answers now and then: programs with tokens never sign in, and
/// would leave theirs for ever.
async fn forget(state: Arc<AppState>) {
    let each = async {
        loop {
            if let Err(failure) = state.atlas.forget_expired().await {
                tracing::debug!(reason = failure.notice.key, "nothing could be forgotten");
            }
            tokio::time::sleep(FORGET_EVERY).await;
        }
    };
    state.stop.run_until_cancelled(each).await;
}

fn bound(builder: &mut Builder<TokioExecutor>) {
    builder.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::new("op-serve", notice!("error-serve", reason = error), Kind::Configuration).because(error)
}

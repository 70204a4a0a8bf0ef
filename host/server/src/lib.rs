//! The page, the API, and what happens, live: `atlas serve`. One process that also takes scraps
//! from the queue and runs them.
//!
//! It decides nothing: page and API call [`service`](atlas_service), as the command line does, and
//! show what comes of it. Who may do what is decided there too (`Principal::may`).
//!
//! - `guard`    what every request passes: host, origin, headers
//! - `session`  authentication: sessions of browsers, tokens of programs, the tokens of forms
//! - `throttle` sign-ins that fail
//! - `page`     the page
//! - `api`      the API, `/api/v1`
//! - `events`   live events for listeners
//! - `counting` counts of a client's rows, which take minutes on a large table
//! - `export`   records as a file
//! - `lines`    refuses requests with bare line feeds
//! - `metrics`  metrics for Prometheus
//! - `view`     how things look to programs
//! - `prefix`   a path in front of all others
//! - `problem`  failures as HTTP tells them
//! - `room`     limits on connections
//! - `query`    the names that queries may have
//! - `request`  a request's id and span
//! - `run`      the runs of this process
//! - `search`   records that are searched by what they hold
//! - `tls`      the certificate

mod api;
mod counting;
mod events;
mod export;
mod guard;
mod lines;
mod metrics;
mod page;
mod prefix;
mod problem;
mod query;
mod request;
mod room;
mod run;
mod search;
mod session;
mod throttle;
mod tls;
mod view;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atlas_model::notice;
use atlas_service::i18n::{Catalogue, Lang};
use atlas_service::zone::Zone;
use atlas_service::{Atlas, Failure, Finding, Health, Kind};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto::Builder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use self::counting::Counting;
use self::events::{Journal, Listeners, Runs, Watch};
use self::lines::WholeLines;
use self::metrics::Metrics;
pub use self::request::ContinueTrace;
use self::room::Room;
use self::throttle::Throttle;

/// Bytes of a request's body: forms and JSON are small. Connectors are uploaded by other means.
const BODY_MAX: usize = 1024 * 1024;
/// How long requests under way may take after the server is asked to stop.
const GRACE: Duration = Duration::from_secs(10);
/// How soon the database has to answer for scraps to be run.
const READY_WITHIN: Duration = Duration::from_secs(5);
/// How often an open event stream or export checks again that its caller is still authorised.
const LET_IN_STILL: Duration = Duration::from_secs(5);
/// Searches through records at a time: each may read the whole table, and keep a core busy.
const SEARCHES_MAX: usize = 2;
/// How long `doctor` may take.
const EXAMINE_MAX: Duration = Duration::from_secs(5);
/// How long a request waits for one of the [`SEARCHES_MAX`] turns.
const SEARCH_WAIT: Duration = Duration::from_secs(10);
/// Exports and large answers at a time: each has some megabytes of records in hand.
const READINGS_MAX: usize = 16;
/// Pause between two removals of expired sessions, expired links and old stored responses.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long a connection may take until its first request has come, and each request's headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(15);

/// The settings of `atlas serve`.
#[derive(Debug, Clone)]
pub struct ServeSettings {
    /// The address; port 0 takes any that is free.
    pub listen: SocketAddr,
    /// Names under which browsers find it, beside addresses and `localhost`.
    pub hosts: Vec<String>,
    /// Certificate chain and key, PEM files.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// The path in front of all others, as it was typed; empty: none.
    pub path_prefix: String,
    /// Whether all requests come from a TLS proxy, which names its client in `X-Forwarded-For`.
    pub behind_proxy: bool,
    /// Called with each request's span and headers.
    pub continue_trace: ContinueTrace,
}

/// A server that has bound its address, and answers no request yet.
pub struct Listening {
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    settings: ServeSettings,
    prefix: Option<Arc<str>>,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Both catalogues.
pub(crate) struct Texts {
    pt_br: Catalogue,
    en: Catalogue,
}

impl Texts {
    fn new() -> Self {
        Self { pt_br: Catalogue::new(Lang::PtBr), en: Catalogue::new(Lang::En) }
    }

    /// The catalogue of a language.
    pub(crate) fn of(&self, lang: Lang) -> &Catalogue {
        match lang {
            Lang::PtBr => &self.pt_br,
            Lang::En => &self.en,
        }
    }
}

/// The state that all request handlers share.
struct House {
    atlas: Arc<Atlas>,
    texts: Arc<Texts>,
    journal: Arc<Journal>,
    listeners: Listeners,
    runs: Arc<Runs>,
    watch: Arc<Watch>,
    metrics: Arc<Metrics>,
    throttle: Throttle,
    counting: Counting,
    /// Searches through records that are under way.
    searches: Arc<Semaphore>,
    /// Exports and large answers that are under way.
    readings: Arc<Semaphore>,
    /// The time zone for callers that send none.
    zone: Zone,
    hosts: Vec<String>,
    /// The path in front of all others.
    prefix: Option<Arc<str>>,
    /// Whether there is a password: once there is one, there always is.
    has_password: AtomicBool,
    /// Whether browsers come over TLS, to here or to the proxy before it.
    is_tls: bool,
    behind_proxy: bool,
    continue_trace: ContinueTrace,
    stop: CancellationToken,
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
        let house = House::new(atlas, &self.settings, self.prefix.clone(), stop.clone());
        let handle = axum_server::Handle::new();
        let stopping = (handle.clone(), stop.clone());
        tokio::spawn(async move {
            let (handle, stop) = stopping;
            stop.cancelled().await;
            handle.graceful_shutdown(Some(GRACE));
        });
        let app = router(Arc::clone(&house)).into_make_service_with_connect_info::<SocketAddr>();
        let listener = self.listener;
        let room = Room::new(self.settings.behind_proxy);
        // HTTP/1.1 alone: there, an idle or stalled connection shows at the socket, while an HTTP/2
        // client that answers pings could hold one for ever. Hidden tabs close their event stream,
        // so the six connections that a browser opens are enough.
        let serving = match self.tls {
            Some(config) => {
                let config = RustlsConfig::from_config(config);
                let server = axum_server::from_tcp(listener).map_err(|e| broken(&e))?;
                let server = server.map(|_| WholeLines(RustlsAcceptor::new(config).acceptor(room)));
                let mut server = server.handle(handle).http1_only().first_request_timeout(HEADERS_TIMEOUT);
                bound(server.http_builder());
                tokio::spawn(server.serve(app))
            }
            None => {
                let server = axum_server::from_tcp(listener).map_err(|e| broken(&e))?;
                let server = server.acceptor(WholeLines(room)).handle(handle);
                let mut server = server.http1_only().first_request_timeout(HEADERS_TIMEOUT);
                bound(server.http_builder());
                tokio::spawn(server.serve(app))
            }
        };
        tokio::spawn(forget(Arc::clone(&house)));
        let worked = house.work(&complain).await;
        // Without workers there is nothing to serve for: the end of one is the end of the other.
        stop.cancel();
        let served = serving.await.unwrap_or_else(|panicked| Err(std::io::Error::other(panicked)));
        worked.and(served.map_err(|error| broken(&error)))
    }
}

/// Forgets expired accesses and old answers now and then: programs with tokens never sign in, and
/// would leave theirs for ever.
async fn forget(house: Arc<House>) {
    let each = async {
        loop {
            if let Err(failure) = house.atlas.forget_expired().await {
                tracing::debug!(reason = failure.notice.key, "nothing could be forgotten");
            }
            tokio::time::sleep(FORGET_EVERY).await;
        }
    };
    house.stop.run_until_cancelled(each).await;
}

fn bound(builder: &mut Builder<TokioExecutor>) {
    builder.http1().timer(hyper_util::rt::TokioTimer::new()).header_read_timeout(HEADERS_TIMEOUT);
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::new("op-serve", notice!("error-serve", reason = error), Kind::Configuration).because(error)
}

impl House {
    fn new(
        atlas: Arc<Atlas>,
        settings: &ServeSettings,
        prefix: Option<Arc<str>>,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let journal = Arc::new(Journal::new());
        let metrics = Arc::new(Metrics::new());
        let runs = Arc::new(Runs::new(Arc::clone(&journal), Arc::clone(&metrics), atlas.config().zone()));
        let watch = Watch::begin(Arc::clone(&atlas), Arc::clone(&journal), Arc::clone(&runs), stop.clone());
        Arc::new(Self {
            texts: Arc::new(Texts::new()),
            throttle: Throttle::default(),
            counting: Counting::new(),
            listeners: Listeners::default(),
            searches: Arc::new(Semaphore::new(SEARCHES_MAX)),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
            zone: atlas.config().zone(),
            hosts: settings.hosts.clone(),
            prefix,
            has_password: AtomicBool::new(false),
            is_tls: settings.tls.is_some() || settings.behind_proxy,
            behind_proxy: settings.behind_proxy,
            continue_trace: settings.continue_trace,
            atlas,
            journal,
            runs,
            watch,
            metrics,
            stop,
        })
    }
}

fn busy() -> Failure {
    Failure::new("op-browse", notice!("web-busy"), Kind::Configuration)
}

impl House {
    /// Runs the checks of `doctor`, and reports `doctor-late` instead after [`EXAMINE_MAX`]: a
    /// locked database would keep them waiting.
    async fn findings(&self) -> Vec<Finding> {
        let late =
            || vec![Finding { health: Health::Bad, notice: notice!("doctor-late", seconds = EXAMINE_MAX.as_secs()) }];
        tokio::time::timeout(EXAMINE_MAX, self.atlas.examine()).await.unwrap_or_else(|_| late())
    }

    /// Whether no password has been set yet: then the next sign-in needs a link from the command
    /// line.
    async fn lacks_password(&self) -> bool {
        if self.has_password.load(Ordering::Relaxed) {
            return false;
        }
        // While the database does not answer, assume that a password is set.
        let has_password = self.atlas.has_password().await.unwrap_or(true);
        self.has_password.store(has_password, Ordering::Relaxed);
        !has_password
    }

    /// Acquires one of the [`SEARCHES_MAX`] turns, and fails after [`SEARCH_WAIT`].
    async fn search_turn(&self) -> Result<OwnedSemaphorePermit, Failure> {
        let turn = tokio::time::timeout(SEARCH_WAIT, Arc::clone(&self.searches).acquire_owned()).await;
        turn.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// Acquires a turn for a response that may have megabytes; fails at once where none is free.
    fn reading(&self) -> Result<OwnedSemaphorePermit, Failure> {
        Arc::clone(&self.readings).try_acquire_owned().map_err(|_| busy())
    }
}

fn router(house: Arc<House>) -> Router {
    let prefix = house.prefix.clone();
    let routes = Router::new()
        .merge(page::router())
        .nest(api::PLACE, api::router(Arc::clone(&house)))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .fallback(page::unknown)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(middleware::from_fn_with_state(Arc::clone(&house), guard::guard))
        .layer(middleware::from_fn_with_state(Arc::clone(&house), request::identified))
        .with_state(house);
    let routes = match prefix {
        Some(prefix) => {
            // Around all routes, so that the address is changed before it is looked for.
            Router::new().fallback_service(routes).layer(middleware::from_fn_with_state(prefix, prefix::within))
        }
        None => routes,
    };
    // Exports are compressed as they stream; events and what is small are not (the layer's own
    // defaults). As fast as may be: the cores are for scraps.
    routes.layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
}

/// Whether scraps can be run: the database answers, has its tables, and takes writes.
async fn ready(State(house): State<Arc<House>>) -> Response {
    let schema = tokio::time::timeout(READY_WITHIN, house.atlas.schema()).await;
    match schema {
        Ok(Ok(schema)) if schema.is_ready() && house.atlas.writes() && !house.stop.is_cancelled() => {
            "ready\n".into_response()
        }
        _ => (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response(),
    }
}

/// Answers `/metrics`. Prometheus scrapes it without signing in, so it has numbers alone, and no
/// names but those of routes.
async fn metrics(State(house): State<Arc<House>>, headers: HeaderMap) -> Response {
    let scraps = house.atlas.scraps_by_state().await.unwrap_or_default();
    let routes = match house.atlas.connectors().registry().await {
        Ok(registry) => registry.routes().into_iter().map(|route| (route.clone(), registry.usage(&route))).collect(),
        Err(_) => Vec::new(),
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = metrics::Format::accepted(accept);
    let kind = [(header::CONTENT_TYPE, format.kind()), (header::VARY, "accept")];
    (kind, house.metrics.encode(format, &scraps, &routes)).into_response()
}

/// The cookie with the language that was chosen on the page.
const LANGUAGE_COOKIE: &str = "atlas_lang";

/// The cookie with the browser's time zone, which its script sets.
const ZONE_COOKIE: &str = "atlas_fuso";

/// The time zone of a response: the one that the operator configured, else the browser's cookie,
/// else the server's.
fn zone(house: &House, headers: &HeaderMap) -> Zone {
    if let Some(chosen) = house.atlas.config().timezone {
        return chosen;
    }
    // The script escapes the slash of a zone's name.
    let of_browser = session::cookie(headers, ZONE_COOKIE).map(|name| name.replace("%2F", "/"));
    of_browser.and_then(|name| Zone::parse(&name)).unwrap_or(house.zone)
}

/// The language of a response: the cookie's, else the first known one in `Accept-Language`, else
/// Portuguese.
fn language(headers: &HeaderMap) -> Lang {
    let chosen = session::cookie(headers, LANGUAGE_COOKIE).and_then(|name| Lang::parse(&name));
    let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    let accepted = || {
        accepted
            .into_iter()
            .flat_map(|list| list.split(','))
            .find_map(|entry| Lang::parse(entry.split(';').next().unwrap_or_default()))
    };
    chosen.or_else(accepted).unwrap_or_default()
}

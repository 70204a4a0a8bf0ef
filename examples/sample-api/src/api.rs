//! The server as a value that a test owns. It runs on a thread and a runtime of its own: what the
//! code under test does to its runtime (blocking it, for one) must not change how the source
//! behaves, and when the runtime goes, so does every connection.

use std::{net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

use anyhow::Context;
use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Form, Query, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    sync::{oneshot, watch},
};

use crate::{
    Faults, Opens, Rota, Served, Settings, TokensServed, answer,
    app::App,
    conn::{Connection, Listening},
    listing::{ListKey, Period},
    opens::TokenForm,
    page::Page,
    request::BASE,
};

/// How long answers under way get to end when the server stops; after that their connections end in
/// the middle.
const GRACE: Duration = Duration::from_millis(500);

/// A running source. Dropping it stops it, and waits (at most half a second) until its port is free
/// again.
pub struct SampleApi {
    app: Arc<App>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl SampleApi {
    /// Renders what is to be rendered ahead, binds 127.0.0.1 and begins to serve. A port that an
    /// earlier one of these held can be taken again as soon as that one is stopped.
    ///
    /// # Errors
    /// Settings that make no sense; a port that is taken.
    pub async fn start(settings: Settings) -> anyhow::Result<Self> {
        settings.check()?;
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = watch::channel(false);
        let thread =
            std::thread::Builder::new().name("sample-api".into()).spawn(move || run(settings, ready, stopped))?;
        let app = started.await.context("the server's thread ended before it served")??;
        Ok(Self { app, stop, thread: Some(thread) })
    }

    /// `http://127.0.0.1:PORT/sis/api/v1`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("{}{BASE}", self.origin())
    }

    /// `http://127.0.0.1:PORT`; `/_faults` and `/_served` stand below it.
    pub fn origin(&self) -> String {
        format!("http://{}", self.app.address)
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.app.address.port()
    }

    /// The exact JSON texts of the records that a standing source holds for a period, in the order
    /// in which it lists them. Routes without a period ignore the dates.
    ///
    /// # Errors
    /// Dates that are not `YYYY-MM-DD`, or the wrong way round.
    pub fn records(&self, cliente: u32, rota: Rota, from: &str, to: &str) -> anyhow::Result<Vec<String>> {
        let list = list_key(cliente, rota, from, to)?;
        let numbers: Vec<u64> = list.standing(&self.app.settings).collect();
        Ok(self.texts(&list, &numbers))
    }

    /// As [`SampleApi::records`], of the source as it stands now, after what has moved.
    ///
    /// # Errors
    /// As [`SampleApi::records`].
    pub fn records_now(&self, cliente: u32, rota: Rota, from: &str, to: &str) -> anyhow::Result<Vec<String>> {
        let list = list_key(cliente, rota, from, to)?;
        let all = self.app.listings.window(&self.app.settings, &list, 0..u64::MAX);
        Ok(self.texts(&list, &all.numbers))
    }

    /// The exact JSON texts of the events that this client has acknowledged, in the order in which
    /// it did. [`SampleApi::records_now`] has those that it has not.
    pub fn acknowledged(&self, cliente: u32) -> Vec<String> {
        let list = ListKey { cliente, rota: Rota::Evento, period: None };
        self.texts(&list, &self.app.listings.acknowledged(&list))
    }

    fn texts(&self, list: &ListKey, numbers: &[u64]) -> Vec<String> {
        let page = Page::render(&self.app.settings, list, numbers, 0);
        page.records().map(|text| String::from_utf8_lossy(&text).into_owned()).collect()
    }

    /// What was asked for and handed out so far.
    pub fn served(&self) -> Served {
        self.app.log.served()
    }

    /// What was asked of the token endpoint.
    pub fn tokens(&self) -> TokensServed {
        self.app.tokens.served()
    }

    /// The access and the refresh token that are good now, once there are any.
    pub fn current_tokens(&self) -> (Option<String>, Option<String>) {
        self.app.tokens.current()
    }

    /// Makes the access token worthless before its time.
    pub fn forget_access_token(&self) {
        self.app.tokens.forget_access();
    }

    /// How it misbehaves now.
    pub fn faults(&self) -> Faults {
        Faults::clone(&self.app.faults())
    }

    /// Replaces the faults, from the next request on. The attempts that [`Faults::fail_first`] and
    /// [`Faults::random_rate`] count begin anew.
    ///
    /// # Errors
    /// Faults that make no sense; the old ones stay.
    pub fn set_faults(&self, faults: Faults) -> anyhow::Result<()> {
        self.app.set_faults(faults)
    }

    /// Lets answers under way end (for at most half a second), stops, and says what was served. The
    /// port is free afterwards.
    pub async fn stop(mut self) -> Served {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // The thread's own panic, if there was one, has been printed; what was served still
            // stands.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        self.served()
    }
}

impl Drop for SampleApi {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn list_key(cliente: u32, rota: Rota, from: &str, to: &str) -> anyhow::Result<ListKey> {
    let period = if rota.takes_period() { Some(Period::parse(from, to)?) } else { None };
    Ok(ListKey { cliente, rota, period })
}

/// The whole life of the server's thread.
fn run(settings: Settings, ready: oneshot::Sender<anyhow::Result<Arc<App>>>, mut stopped: watch::Receiver<bool>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => return drop(ready.send(Err(e.into()))),
    };
    runtime.block_on(async move {
        let (listener, app) = match open(settings).await {
            Ok(both) => both,
            Err(e) => return drop(ready.send(Err(e))),
        };
        let service = router(app.clone()).into_make_service_with_connect_info::<Connection>();
        if ready.send(Ok(app)).is_err() {
            return;
        }
        let mut also_stopped = stopped.clone();
        // An error here means that the owner is gone, which is the same request.
        let signal = async move { drop(also_stopped.wait_for(|stop| *stop).await) };
        let serving = axum::serve(listener, service).with_graceful_shutdown(signal);
        tokio::select! {
            _ = serving => {}
            () = async { drop(stopped.wait_for(|stop| *stop).await); tokio::time::sleep(GRACE).await } => {}
        }
    });
}

async fn open(settings: Settings) -> anyhow::Result<(Listening, Arc<App>)> {
    let wanted = SocketAddr::from(([127, 0, 0, 1], settings.port));
    let listener = TcpListener::bind(wanted).await.with_context(|| format!("cannot listen on {wanted}"))?;
    let app = App::new(settings, listener.local_addr()?)?;
    Ok((Listening(listener), Arc::new(app)))
}

#[derive(Deserialize)]
struct ServedQuery {
    #[serde(default)]
    records: bool,
}

fn router(app: Arc<App>) -> Router {
    let faults = get(|State(app): State<Arc<App>>| async move { Json(Faults::clone(&app.faults())) }).post(
        |State(app): State<Arc<App>>, Json(faults): Json<Faults>| async move {
            match app.set_faults(faults) {
                Ok(()) => (StatusCode::OK, Json(serde_json::json!({ "ok": true }))),
                Err(e) => (StatusCode::UNPROCESSABLE_ENTITY, Json(serde_json::json!({ "message": e.to_string() }))),
            }
        },
    );
    let served = get(|State(app): State<Arc<App>>, Query(query): Query<ServedQuery>| async move {
        Json(app.log.served().to_json(query.records))
    });
    let token = post(|State(app): State<Arc<App>>, headers: HeaderMap, form: Form<TokenForm>| async move {
        let Opens::OAuth(oauth) = &app.settings.opens else { return StatusCode::NOT_FOUND.into_response() };
        // As slow sources are: what was asked for is done long before it is answered.
        let answer = app.tokens.answer(oauth, app.faults().revoked, &headers, form);
        tokio::time::sleep(Duration::from_millis(oauth.latency_ms)).await;
        answer
    });
    Router::new()
        .route("/_faults", faults)
        .route("/_served", served)
        .route("/oauth/token", token)
        .fallback(answer::handle)
        // A raw element of 20 MiB is one of the things to be asked for.
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

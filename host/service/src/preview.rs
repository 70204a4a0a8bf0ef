//! Previews of a scrap: its first request, and its first page, without storing anything.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atlas_model::{Subject, notice};
use atlas_pipeline::{FetchFailure, FetchedPage, PageSource};

use super::atlas::Atlas;
use super::failure::Failure;
use super::kind::Kind;
use super::messages::ungranted_headers;
use super::nobody::Nobody;
use super::scrap_request::ScrapRequest;

/// Records of a tried page that are shown, and bytes of each.
const SHOWN: usize = 5;
const SHOWN_BYTES: usize = 16 * 1024;
/// How long one page is waited for, budgets of requests included.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a scrap would ask for first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// Method, path below the base URL, and query; none: the connector did not say.
    pub request: Option<String>,
    /// The API.
    pub api: String,
    /// Its connector's version.
    pub version: String,
    /// Records a page.
    pub page_size: i32,
    /// How many slices it would be divided into; 0: it is one.
    pub slices: usize,
}

/// A page that was fetched, and not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriedPage {
    /// How many records it has.
    pub records: usize,
    /// Its first ones, perhaps cut.
    pub first: Vec<String>,
    /// How many cursors it names.
    pub next: usize,
    /// What the source declares.
    pub total: Option<u64>,
    /// How long it took.
    pub took: Duration,
}

impl Atlas {
    /// What a scrap would ask for first, without asking it.
    pub async fn preview(&self, request: &ScrapRequest) -> Result<Preview, Failure> {
        let new = self.check_scrap(request).await?;
        let connector = self.connectors().connector(&request.rota).await?;
        let descriptor = &connector.descriptor;
        let (api, version) = (descriptor.api.clone(), descriptor.version.clone());
        let source = self.source_to_look(&new, Arc::clone(&connector), Arc::new(Nobody)).await?;
        let request = source.first_request().await;
        Ok(Preview { request, api, version, page_size: new.page_size, slices: new.slices.len() })
    }

    /// Fetches a scrap's first page, and stores nothing of it.
    pub async fn try_page(&self, request: &ScrapRequest) -> Result<TriedPage, Failure> {
        let new = self.check_scrap(request).await?;
        let connector = self.connectors().connector(&request.rota).await?;
        let source = self.source_to_look(&new, connector, Arc::new(Nobody)).await?;
        let began = Instant::now();
        let page = tokio::time::timeout(PATIENCE, fetch_first(&source)).await;
        let page = match page {
            Ok(page) => page.map_err(|failure| not_fetched(request, &failure))?,
            Err(_) => {
                let notice = notice!("error-page-late", seconds = PATIENCE.as_secs());
                return Err(Failure::new("op-run", notice, Kind::Source));
            }
        };
        let shown = |record: &bytes::Bytes| {
            let cut = record.get(..SHOWN_BYTES).unwrap_or(record);
            let mut text = String::from_utf8_lossy(cut).into_owned();
            if cut.len() < record.len() {
                text.push('…');
            }
            text
        };
        Ok(TriedPage {
            records: page.records.len(),
            first: page.records.iter().take(SHOWN).map(shown).collect(),
            next: page.next.len() + page.after_commit.len(),
            total: page.total_records,
            took: began.elapsed(),
        })
    }
}

/// The first page; once more where what failed is out of the way.
async fn fetch_first(source: &impl PageSource) -> Result<FetchedPage, FetchFailure> {
    match source.fetch(None).await {
        Err(FetchFailure::AtOnce { .. }) => source.fetch(None).await,
        fetched => fetched,
    }
}

fn not_fetched(request: &ScrapRequest, failure: &FetchFailure) -> Failure {
    let kind = match failure {
        FetchFailure::Unauthorized(_) => Kind::Credential,
        FetchFailure::Crashed(_) | FetchFailure::Limit { .. } => Kind::Connector,
        FetchFailure::NotGranted(_) | FetchFailure::HeadersNotGranted { .. } => Kind::Connector,
        _ => Kind::Source,
    };
    let client = request.cliente_id;
    let notice = match failure {
        FetchFailure::AddressRefused { .. } => {
            notice!("error-page-private", client = client, reason = failure).about(Subject::Address(client))
        }
        FetchFailure::HeadersNotGranted { api, headers } => ungranted_headers("error-page-header", api, headers),
        FetchFailure::Unauthorized(reason) => {
            notice!("error-page-token", client = client, reason = reason).about(Subject::Credential(client))
        }
        FetchFailure::NotReady { reason, wait } => {
            let seconds = wait.as_secs_f64().ceil();
            notice!("error-page-not-ready", client = client, seconds = seconds, reason = reason)
        }
        FetchFailure::Passing { reason, wait: Some(wait) } => {
            let seconds = wait.as_secs_f64().ceil();
            notice!("error-page-wait", client = client, seconds = seconds, reason = reason)
        }
        FetchFailure::Passing { .. } | FetchFailure::AtOnce { .. } => {
            notice!("error-page-passing", client = client, reason = failure).about(Subject::Client(client))
        }
        _ => notice!("error-page", route = request.rota, client = client, reason = failure)
            .about(Subject::Client(client)),
    };
    Failure::new("op-run", notice, kind)
}

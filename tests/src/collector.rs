//! A collector of traces: takes what an exporter sends by OTLP (protobuf over HTTP), and keeps it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long it waits for spans that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a collector takes what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// With this status.
    Answers(u16),
    /// Without an answer, for as long as the sender waits.
    Stalls,
}

/// A collector that listens.
pub struct Collector {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` has to be.
    pub url: String,
    kept: Arc<Mutex<Kept>>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    requests: Vec<(HeaderMap, Bytes)>,
    resource: BTreeMap<String, String>,
    spans: Vec<SpanSeen>,
}

/// A span as it was exported.
#[derive(Debug, Clone)]
pub struct SpanSeen {
    /// Its name.
    pub name: String,
    /// Its trace, in hexadecimal.
    pub trace: String,
    /// Its own id, in hexadecimal.
    pub id: String,
    /// Its parent's; empty: it has none.
    pub parent: String,
    /// Its kind, as the protocol numbers it.
    pub kind: i32,
    /// Its fields, as text.
    pub fields: BTreeMap<String, String>,
    /// How many events it carries.
    pub events: usize,
}

impl SpanSeen {
    /// A field; empty where it has none of this name.
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

impl Collector {
    /// Begins to listen on a free port.
    pub async fn start(manner: Manner) -> anyhow::Result<Self> {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let app = Router::new().route("/v1/traces", post(take)).with_state((manner, Arc::clone(&kept)));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let serving = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, kept, serving })
    }

    /// All spans that came.
    pub fn spans(&self) -> Vec<SpanSeen> {
        locked(&self.kept).spans.clone()
    }

    /// Waits until a span came that is the one looked for.
    pub async fn until(&self, wanted: impl Fn(&SpanSeen) -> bool) -> anyhow::Result<SpanSeen> {
        let began = Instant::now();
        loop {
            let spans = self.spans();
            if let Some(found) = spans.iter().find(|span| wanted(span)) {
                return Ok(found.clone());
            }
            ensure!(began.elapsed() < PATIENCE, "no such span came: {spans:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// What all requests said of the process, as text.
    pub fn resource(&self) -> BTreeMap<String, String> {
        locked(&self.kept).resource.clone()
    }

    /// The headers of each request.
    pub fn headers(&self) -> Vec<HeaderMap> {
        locked(&self.kept).requests.iter().map(|(headers, _)| headers.clone()).collect()
    }

    /// Whether a text stands anywhere in the bodies that came.
    pub fn has_anywhere(&self, text: &str) -> bool {
        let is_in = |body: &Bytes| body.windows(text.len()).any(|part| part == text.as_bytes());
        locked(&self.kept).requests.iter().any(|(_, body)| is_in(body))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn locked(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(State((manner, kept)): State<(Manner, Arc<Mutex<Kept>>)>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let Ok(sent) = ExportTraceServiceRequest::decode(body.clone()) else { return StatusCode::BAD_REQUEST };
    {
        let mut kept = locked(&kept);
        kept.requests.push((headers, body));
        for of_process in sent.resource_spans {
            let resource = of_process.resource.unwrap_or_default();
            kept.resource.extend(fields(resource.attributes));
            let spans = of_process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.spans.extend(spans.map(|span| SpanSeen {
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind,
                fields: fields(span.attributes),
                events: span.events.len(),
            }));
        }
    }
    match manner {
        Manner::Answers(status) => StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT),
        Manner::Stalls => std::future::pending().await,
    }
}

fn fields(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|attribute| (attribute.key, text(attribute.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

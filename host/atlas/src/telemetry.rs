//! Traces: the spans of this process, sent to a collector (OTLP, protobuf over HTTP) where the
//! environment names one. All other crates make spans of `tracing`, and know no exporter.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use atlas_service::{CollectorClient, config};
use http::{HeaderMap, Uri};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Spans that wait to be sent, at most. Those that end while so many wait are dropped: no page
/// waits for a collector.
const SPANS_WAITING_MAX: usize = 4096;
/// How long the end of the process waits until the last spans are sent.
const FLUSH_MAX: Duration = Duration::from_secs(3);
/// The service's name in traces, where the environment gives none.
const SERVICE: &str = "atlas";

/// The export of this process's spans.
pub(super) struct Telemetry {
    provider: SdkTracerProvider,
    complaint: Arc<Complaint>,
}

impl Telemetry {
    /// Sets up the export, if the environment names a collector: a thread of its own collects and
    /// sends, and its requests are made by `runtime`. Calls `say` once, with the reason, when
    /// spans do not reach the collector.
    pub(super) fn begin(runtime: &Handle, say: impl Fn(&str) + Send + Sync + 'static) -> Option<Self> {
        let endpoint = config::collector()?;
        let complaint = Arc::new(Complaint { said: AtomicBool::new(false), say: Box::new(say) });
        let client = Collector { client: OnceLock::new(), runtime: runtime.clone(), complaint: Arc::clone(&complaint) };
        let exporter = match exporter(&endpoint, client) {
            Ok(exporter) => exporter,
            Err(reason) => {
                complaint.say_once(&reason);
                return None;
            }
        };
        let batches = BatchConfigBuilder::default().with_max_queue_size(SPANS_WAITING_MAX).build();
        let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
        let provider = SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource()).build();
        Some(Self { provider, complaint })
    }

    /// What makes the exported spans.
    pub(super) fn tracer(&self) -> SdkTracer {
        self.provider.tracer(SERVICE)
    }

    /// Sends what waits, within [`FLUSH_MAX`]; what is not sent by then is dropped.
    pub(super) fn end(self) {
        if self.provider.shutdown_with_timeout(FLUSH_MAX).is_err() {
            self.complaint.say_once(&format!("no answer within {} s", FLUSH_MAX.as_secs()));
        }
    }
}

/// Makes a request's span a part of its caller's trace, where the headers name one (`traceparent`,
/// W3C Trace Context).
pub(super) fn continue_trace(span: &Span, headers: &HeaderMap) {
    let caller = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    // It fails where no span is exported, and then there is nothing to be a part of.
    let _ = span.set_parent(caller);
}

fn exporter(endpoint: &str, client: Collector) -> Result<SpanExporter, String> {
    // The exporter's own error would show the address, and a password may stand in it.
    endpoint.parse::<Uri>().map_err(|error| format!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))?;
    let exporter = SpanExporter::builder().with_http().with_protocol(Protocol::HttpBinary).with_endpoint(endpoint);
    exporter.with_http_client(client).build().map_err(|error| error.to_string())
}

/// What traces say of this process: what the environment says, and else its name and version.
fn resource() -> Resource {
    let of_environment = Resource::builder().build();
    let name = of_environment.get(&Key::from_static_str("service.name")).map(|name| name.to_string());
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let resource = Resource::builder().with_attribute(version);
    match name {
        Some(name) if !name.starts_with("unknown_service") => resource.with_service_name(name).build(),
        _ => resource.with_service_name(SERVICE).build(),
    }
}

/// Says once that spans do not reach their collector, and why: each batch would say the same.
struct Complaint {
    said: AtomicBool,
    say: Box<dyn Fn(&str) + Send + Sync>,
}

impl Complaint {
    fn say_once(&self, reason: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            (self.say)(reason);
        }
    }
}

/// The exporter's way to the collector: requests are made on the process's runtime, while the
/// exporter's thread, which has none, waits for their answers.
struct Collector {
    /// Set up for the first request, since it reads the system's certificates.
    client: OnceLock<Result<CollectorClient, String>>,
    runtime: Handle,
    complaint: Arc<Complaint>,
}

impl Collector {
    async fn post(&self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let client = self.client.get_or_init(|| CollectorClient::new().map_err(|error| error.to_string())).clone()?;
        let posting = self.runtime.spawn(async move { client.post(request).await.map_err(|error| error.to_string()) });
        posting.await.map_err(|ended| ended.to_string())?
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.post(request).await;
        match &answer {
            Ok(answer) if answer.status().is_success() => {}
            Ok(answer) => self.complaint.say_once(&format!("HTTP {}", answer.status().as_u16())),
            Err(reason) => self.complaint.say_once(reason),
        }
        Ok(answer?)
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

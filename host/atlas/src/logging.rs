//! The log on stderr: which lines, and how they look.

use std::fmt;

use atlas_service::Failure;
use atlas_service::config::{self, ConfigError, Environment};
use opentelemetry_sdk::trace::SdkTracer;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{Directive, EnvFilter, FilterExt, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt as lines};

use super::args::{Common, LogFormat};
use super::terminal::LogWriter;

/// What a directive of a filter may be, as an operator is told.
const DIRECTIVES: &str = "off, error, warn, info, debug, trace, atlas_http=debug";

/// The lines that are shown: connectors' and warnings of ours, more with `-v`; and what the
/// environment's filter says over that. A level that it names for everything takes the place of
/// the built-in ones.
pub(super) fn filter(common: &Common, environment: &Environment) -> Result<EnvFilter, Failure> {
    let level = match (common.quiet, common.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let built_in = format!("error,atlas={level}");
    let Some((name, own)) = config::log_filter(environment) else { return Ok(EnvFilter::new(built_in)) };
    let directives = || own.split(',').map(str::trim).filter(|directive| !directive.is_empty());
    if let Some(wrong) = directives().find(|directive| directive.parse::<Directive>().is_err()) {
        let (name, value, expected) = (name.to_owned(), wrong.to_owned(), DIRECTIVES.to_owned());
        return Err(ConfigError::BadValue { name, value, expected }.into());
    }
    let names_all = directives().any(|directive| directive.parse::<LevelFilter>().is_ok());
    let own = directives().collect::<Vec<_>>().join(",");
    Ok(EnvFilter::new(if names_all { own } else { format!("{built_in},{own}") }))
}

/// Begins the log, and the export of spans where there is a tracer for it. As JSON, each line has
/// the spans that it was written in, whatever the filter says of spans.
pub(super) fn begin(format: LogFormat, filter: EnvFilter, tracer: Option<SdkTracer>) {
    // Only the first subscriber of a process counts; this is it.
    let _ = subscriber(format, filter, tracer).try_init();
}

fn subscriber(format: LogFormat, filter: EnvFilter, tracer: Option<SdkTracer>) -> impl Subscriber + Send + Sync {
    let lines = lines::layer().with_writer(|| LogWriter);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match format {
        LogFormat::Text => Box::new(lines.event_format(Plain).with_filter(filter)),
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_target(false);
            Box::new(lines.with_filter(filter.or(our_spans())))
        }
    };
    let traces = tracer.map(|tracer| {
        let traces = tracing_opentelemetry::layer().with_tracer(tracer);
        // No field but a span's own, and no work for each poll of a task.
        let traces = traces.with_location(false).with_threads(false).with_target(false);
        traces.with_tracked_inactivity(false).with_context_activation(false).with_filter(our_spans())
    });
    tracing_subscriber::registry().with(lines).with(traces)
}

/// Lets our own spans pass, and no event: a line of the log may hold what a source answered.
fn our_spans() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    fn is_ours(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() <= Level::INFO && metadata.target().starts_with("atlas")
    }
    filter_fn(is_ours as fn(&Metadata<'_>) -> bool).with_max_level_hint(LevelFilter::INFO)
}

/// A line for people: the level, what happened, and its fields. It leaves out the spans that it
/// happened in, which tell a person little that the line does not.
struct Plain;

impl<S, N> FormatEvent<S, N> for Plain
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(line, "{:>5} ", event.metadata().level())?;
        context.format_fields(line.by_ref(), event)?;
        writeln!(line)
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    /// The level beyond which spans and lines are not even looked at.
    fn most(format: LogFormat, tracer: Option<SdkTracer>) -> Option<LevelFilter> {
        subscriber(format, EnvFilter::new("error,atlas=warn"), tracer).max_level_hint()
    }

    #[test]
    fn a_span_that_nothing_reads_is_disabled_by_its_level_alone() {
        assert_eq!(most(LogFormat::Text, None), Some(LevelFilter::WARN));
        assert_eq!(most(LogFormat::Json, None), Some(LevelFilter::INFO));
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        assert_eq!(most(LogFormat::Text, Some(tracer)), Some(LevelFilter::INFO));
    }
}

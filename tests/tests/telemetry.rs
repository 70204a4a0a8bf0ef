//! What is seen of a process from outside: its traces, and the lines of its log that were chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use atlas_tests::collector::{Collector, Manner, SpanSeen};
use atlas_tests::{Atlas, FROM, Faults, LANGUAGES, Rota, TO, TOKEN, api, closed_port};
use serde_json::Value;

const CLIENT: u32 = 2151;
/// The line that says that spans do not arrive, in both languages.
const COMPLAINTS: [&str; 2] = ["não chegam ao coletor", "do not reach their collector"];
/// The longest that a collector may hold up a command's end: the product's bound, and room for a
/// busy machine.
const HELD_UP_MAX: Duration = Duration::from_secs(30);
/// The fields that each kind of span may have.
const FIELDS: [(&str, &[&str]); 5] = [
    ("scrap", &["scrap", "client", "route", "state"]),
    ("page", &["sweep", "depth"]),
    ("attempt", &["n"]),
    ("request", &["method", "host", "status"]),
    ("store", &["operation", "records", "begun", "done"]),
];

fn exports_to(atlas: &mut Atlas, collector: &Collector) {
    atlas.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
}

fn named<'a>(spans: &'a [SpanSeen], name: &'a str) -> impl Iterator<Item = &'a SpanSeen> {
    spans.iter().filter(move |span| span.name == name)
}

/// Fails unless each span of a name has a parent of this name.
fn ensure_below(spans: &[SpanSeen], name: &str, parent: &str) -> anyhow::Result<()> {
    let parents: BTreeSet<&str> = named(spans, parent).map(|span| span.id.as_str()).collect();
    let stray = named(spans, name).find(|span| !parents.contains(span.parent.as_str()));
    ensure!(stray.is_none(), "not below a {parent}: {stray:?}");
    Ok(())
}

#[tokio::test]
async fn a_run_is_one_trace_from_the_scrap_to_each_request_and_each_write() -> anyhow::Result<()> {
    for mut atlas in Atlas::on_both().await? {
        let faults = Faults { fail_page: Some(3), fail_first: 0, ..Faults::default() };
        let api = api(120, faults).await?;
        let collector = Collector::start(Manner::Answers(200)).await?;
        exports_to(&mut atlas, &collector);
        atlas.register(CLIENT, &api).await?;
        // One page never comes: its attempts are spans like any other.
        let failed = atlas.run_pedido(CLIENT, &["--page-size", "70", "--retries", "3"]).await?.expect(5)?;
        api.set_faults(Faults::default())?;
        let id = failed.number("scrap_id")?.to_string();
        atlas.run(&["scrap", "resume", &id, "--batch", "50"]).await?.expect(0)?;
        atlas.database.expect_exactly(CLIENT, "pedido", &api.records(CLIENT, Rota::Pedido, FROM, TO)?).await?;

        let spans = collector.spans();
        for (name, fields) in FIELDS {
            ensure!(named(&spans, name).next().is_some(), "no {name} among {spans:#?}");
            let other =
                named(&spans, name).flat_map(|span| span.fields.keys()).find(|key| !fields.contains(&key.as_str()));
            ensure!(other.is_none(), "{name} has {other:?}");
        }
        ensure!(spans.iter().all(|span| FIELDS.iter().any(|(name, _)| *name == span.name) && span.events == 0));
        for (name, parent) in [("page", "scrap"), ("attempt", "page"), ("request", "attempt"), ("store", "scrap")] {
            ensure_below(&spans, name, parent)?;
        }
        let scraps: Vec<&SpanSeen> = named(&spans, "scrap").collect();
        let states: Vec<&str> = scraps.iter().map(|span| span.field("state")).collect();
        assert_eq!(states, ["interrompido", "concluido"]);
        for scrap in &scraps {
            assert_eq!((scrap.parent.as_str(), scrap.field("client"), scrap.field("route")), ("", "2151", "pedido"));
            assert_eq!(scrap.field("scrap"), id);
        }
        let traces: BTreeSet<&str> = spans.iter().map(|span| span.trace.as_str()).collect();
        assert_eq!(traces.len(), 2, "a trace for each run");

        // As many requests as the source had, each by one attempt, with the status that it gave.
        let served = api.served();
        let statuses = named(&spans, "request").fold(BTreeMap::new(), |mut all: BTreeMap<u16, u64>, span| {
            *all.entry(span.field("status").parse().unwrap_or_default()).or_default() += 1;
            all
        });
        assert_eq!(statuses, served.statuses);
        assert!(
            named(&spans, "request").all(|span| span.field("method") == "GET" && span.field("host") == "127.0.0.1")
        );
        assert_eq!(named(&spans, "attempt").count() as u64, served.requests);
        assert!(named(&spans, "attempt").any(|span| span.field("n") == "3"));
        // Each record was written once, in the batches that were asked for.
        let written = named(&spans, "store").filter(|span| span.field("operation") == "insert");
        let batches: Vec<u64> = written.map(|span| span.field("records").parse()).collect::<Result<_, _>>()?;
        assert_eq!(batches.iter().sum::<u64>(), 600);
        assert!(batches.contains(&1) && batches.iter().any(|records| *records > 1), "{batches:?}");
        let done = named(&spans, "store").filter_map(|span| span.field("done").parse::<u64>().ok());
        // Each page, and the second look.
        assert_eq!(done.sum::<u64>(), 10);

        for secret in [TOKEN, "Bearer", "uthorization", "per_page", "page=", "data_inicial", FROM, "sis/api"] {
            assert!(!collector.has_anywhere(secret), "{secret} was exported");
        }
        assert_eq!(collector.resource().get("service.name").map(String::as_str), Some("atlas"));
    }
    Ok(())
}

#[tokio::test]
async fn the_standard_variables_say_where_as_what_and_whether_at_all() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let collector = Collector::start(Manner::Answers(200)).await?;
    let mut atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    // In the file that sets everything else of ours they mean nothing.
    std::fs::write(atlas.folder().join(".env"), format!("OTEL_EXPORTER_OTLP_ENDPOINT={}\n", collector.url))?;
    atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    exports_to(&mut atlas, &collector);
    for (name, value) in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_SAMPLER", "always_off")] {
        atlas.set(name, value);
        atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
        atlas.unset(name);
    }
    assert!(collector.headers().is_empty());

    atlas.set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9/");
    atlas.set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &format!("{}/v1/traces", collector.url));
    atlas.set("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=casa%20grande");
    atlas.set("OTEL_SERVICE_NAME", "coleta-2");
    atlas.set("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=ensaio");
    let run = atlas.run_pedido(CLIENT, &[]).await?.expect(0)?;
    assert!(!COMPLAINTS.iter().any(|complaint| run.stderr.contains(complaint)), "{}", run.stderr);
    let headers = collector.headers();
    let headers = headers.first().context("a request")?;
    assert_eq!(headers["x-scope"], "casa grande");
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let resource = collector.resource();
    let text = |name: &str| resource.get(name).map(String::as_str);
    assert_eq!(text("service.name"), Some("coleta-2"));
    assert_eq!(text("deployment.environment.name"), Some("ensaio"));
    Ok(())
}

#[tokio::test]
async fn a_collector_that_is_gone_stalls_or_refuses_costs_a_line_and_nothing_else() -> anyhow::Result<()> {
    let api = api(150, Faults::default()).await?;
    let served = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    let stalls = Collector::start(Manner::Stalls).await?;
    let refuses = Collector::start(Manner::Answers(503)).await?;
    let gone = format!("http://127.0.0.1:{}", closed_port()?);
    for (url, reason) in
        [(gone.as_str(), "127.0.0.1"), (&stalls.url, "3 s"), (&refuses.url, "HTTP 503"), ("http://[", "")]
    {
        for (lang, complaint) in LANGUAGES.into_iter().zip(COMPLAINTS) {
            let mut atlas = Atlas::on_sqlite()?;
            atlas.register(CLIENT, &api).await?;
            atlas.set("OTEL_EXPORTER_OTLP_ENDPOINT", url);
            let began = Instant::now();
            // A span for each record: more than one batch of them.
            let run = atlas.run_pedido(CLIENT, &["--batch", "1", "--lang", lang]).await?.expect(0)?;
            assert_eq!((run.text("status")?.as_str(), run.number("inseridos")?), ("concluido", 750));
            atlas.database.expect_exactly(CLIENT, "pedido", &served).await?;
            let lines: Vec<&str> = run.stderr.lines().filter(|line| line.contains(complaint)).collect();
            assert_eq!(lines.len(), 1, "{url}: {}", run.stderr);
            assert!(lines[0].contains(reason), "{url}: {}", lines[0]);
            assert!(began.elapsed() < HELD_UP_MAX, "{url}: {:?}", began.elapsed());
            let quiet = atlas.run_pedido(CLIENT, &["--quiet", "--lang", lang]).await?.expect(0)?;
            assert_eq!(quiet.stderr, "", "{url}");
        }
    }
    assert!(!stalls.headers().is_empty() && refuses.headers().len() > 1);
    Ok(())
}

#[tokio::test]
async fn an_address_with_a_password_is_not_shown() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let mut atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    for url in ["http://coleta:senha-do-coletor@127.0.0.1:9", "http://coleta:senha-do-coletor@["] {
        atlas.set("OTEL_EXPORTER_OTLP_ENDPOINT", url);
        let run = atlas.run_pedido(CLIENT, &["-vv"]).await?.expect(0)?;
        assert!(run.stderr.contains(COMPLAINTS[0]) && !run.stderr.contains("senha-do-coletor"), "{}", run.stderr);
    }
    Ok(())
}

/// What a run says under a filter.
async fn said_under(atlas: &Atlas, more: &[&str]) -> anyhow::Result<String> {
    Ok(atlas.run_pedido(CLIENT, more).await?.expect(0)?.stderr)
}

#[tokio::test]
async fn the_environment_chooses_the_lines_of_the_log() -> anyhow::Result<()> {
    const PAGE: &str = "DEBUG page scrap=";
    let api = api(20, Faults::default()).await?;
    let mut atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    assert!(!said_under(&atlas, &[]).await?.contains("DEBUG"));
    assert!(said_under(&atlas, &["-vv"]).await?.contains(PAGE));
    // Over what the flags say, for one crate or for all.
    atlas.set("RUST_LOG", "atlas_pipeline=debug");
    let lines = said_under(&atlas, &[]).await?;
    assert!(lines.contains(PAGE) && !lines.contains("scrap{"), "{lines}");
    atlas.set("ATLAS_LOG", " atlas_http=debug , atlas_pipeline=info ");
    assert!(!said_under(&atlas, &[]).await?.contains(PAGE), "RUST_LOG counts where ATLAS_LOG is not set");
    assert!(!said_under(&atlas, &["-vv"]).await?.contains(PAGE));
    atlas.set("ATLAS_LOG", "off");
    assert!(!said_under(&atlas, &["-vv"]).await?.contains("DEBUG"));
    atlas.set("ATLAS_LOG", "debug");
    assert!(said_under(&atlas, &["-q"]).await?.contains(PAGE));
    for name in ["RUST_LOG", "ATLAS_LOG"] {
        atlas.unset(name);
    }
    std::fs::write(atlas.folder().join(".env"), "ATLAS_LOG=atlas_pipeline=debug\n")?;
    assert!(said_under(&atlas, &[]).await?.contains(PAGE));
    Ok(())
}

#[tokio::test]
async fn a_line_in_json_has_the_spans_that_it_was_written_in() -> anyhow::Result<()> {
    let api = api(20, Faults::default()).await?;
    let mut atlas = Atlas::on_sqlite()?;
    atlas.register(CLIENT, &api).await?;
    atlas.set("ATLAS_LOG", "atlas_pipeline=debug");
    let said = said_under(&atlas, &["--log-format", "json"]).await?;
    let lines = said.lines().filter(|line| line.starts_with('{')).map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>()?;
    let page = lines.iter().find(|line| line["message"] == "page").with_context(|| said.clone())?;
    let spans = page["spans"].as_array().context("spans")?;
    let names: Vec<&str> = spans.iter().filter_map(|span| span["name"].as_str()).collect();
    assert_eq!(names, ["scrap", "page"], "{page}");
    assert_eq!((&spans[0]["client"], &spans[0]["route"]), (&Value::from(CLIENT), &Value::from("pedido")), "{page}");
    assert!(page["timestamp"].is_string() && page["span"].is_null(), "{page}");
    Ok(())
}

//! What a request is known by: its id in the answer, in problems and in the log, and its span.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use atlas_tests::collector::{Collector, Manner};
use atlas_tests::{Atlas, Faults, api};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::client::{Server, header, scrap};

const CLIENT: u32 = 2151;
const ID: &str = "x-request-id";

/// The id that an answer names, which has to be one that could be given.
fn id_of(answer: &Response) -> anyhow::Result<String> {
    let id = header(answer, ID);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    ensure!((1..=64).contains(&id.len()) && id.chars().all(is_plain), "{id:?}");
    Ok(id.to_owned())
}

#[tokio::test]
async fn every_answer_has_an_id_and_it_is_the_callers_if_that_is_plain() -> anyhow::Result<()> {
    let atlas = Atlas::on_sqlite()?;
    for more in [&[][..], &["--path-prefix", "/atlas"]] {
        let server = Server::start(&atlas, more).await?;
        let stranger = server.stranger()?;
        let program = server.program(&atlas, true).await?;
        let mut ids = BTreeSet::new();
        let paths =
            ["/healthz", "/readyz", "/metrics", "/entrar", "/scraps", "/nada", "/api/v1/nada", "/api/v1/scraps"];
        for path in paths {
            ids.insert(id_of(&stranger.get(path).await?).with_context(|| path)?);
            let known = stranger.ask(Method::GET, path).header(ID, "meu-Pedido_1.2").send().await?;
            assert_eq!(header(&known, ID), "meu-Pedido_1.2", "{path}");
        }
        assert_eq!(ids.len(), paths.len(), "{ids:?}");
        for other in ["", "a b", "a\"b", "../a", "%0a", &"x".repeat(65)] {
            let answer = stranger.ask(Method::GET, "/healthz").header(ID, other).send().await?;
            assert_ne!(id_of(&answer)?, other);
        }
        // Refused before any handler, and by each of them.
        let misdirected = stranger.ask(Method::GET, "/healthz").header("host", "evil.example").send().await?;
        assert_eq!(misdirected.status(), StatusCode::MISDIRECTED_REQUEST);
        let refused = [
            misdirected,
            stranger.get("/api/v1/scraps").await?,
            program.get("/api/v1/scraps/999").await?,
            program.get("/api/v1/scraps?nada=1").await?,
            program.send(Method::POST, "/scraps", &json!({})).send().await?,
            program.send(Method::POST, "/scraps", &scrap(999)).header("idempotency-key", "um").send().await?,
            program.send(Method::PUT, "/scraps", &json!({})).send().await?,
        ];
        for answer in refused {
            assert_eq!(header(&answer, "content-type"), "application/problem+json", "{answer:?}");
            let id = id_of(&answer)?;
            let problem: Value = serde_json::from_str(&answer.text().await?)?;
            assert_eq!(problem["request_id"], id, "{problem}");
        }
        let again = program.send(Method::POST, "/scraps", &scrap(999)).header("idempotency-key", "um").send().await?;
        let (id, problem) = (id_of(&again)?, serde_json::from_str::<Value>(&again.text().await?)?);
        ensure!(problem["request_id"].is_string() && problem["request_id"] != id, "{problem}");
        server.stop().await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_log_and_the_trace_know_a_request_by_its_id() -> anyhow::Result<()> {
    let api = api(5, Faults::default()).await?;
    let collector = Collector::start(Manner::Answers(200)).await?;
    let mut atlas = Atlas::on_sqlite()?;
    atlas.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
    atlas.set("OTEL_BSP_SCHEDULE_DELAY", "200");
    atlas.set("ATLAS_LOG", "atlas_server=debug");
    atlas.register(CLIENT, &api).await?;
    let server = Server::start(&atlas, &["--log-format", "json"]).await?;
    let program = server.program(&atlas, true).await?;
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let asked = program.ask(Method::GET, "/api/v1/scraps/999?").header(ID, "pedido-1");
    let asked = asked.header("traceparent", format!("00-{trace}-{parent}-01")).send().await?;
    assert_eq!(asked.status(), StatusCode::NOT_FOUND);
    let id = program.create(CLIENT, json!({})).await?;
    program.until(id, "concluido").await?;
    server.stranger()?.get("/entrar?chave=uma-chave-que-foi-dada").await?;

    let span = collector.until(|span| span.field("request_id") == "pedido-1").await?;
    assert_eq!((span.name.as_str(), span.trace.as_str(), span.parent.as_str()), ("request", trace, parent));
    let fields = ["method", "route", "status"].map(|name| span.field(name));
    assert_eq!(fields, ["GET", "/api/v1/scraps/{id}", "404"]);
    assert_eq!(span.kind, 2, "a server's");
    let scrap = collector.until(|span| span.name == "scrap").await?;
    assert_eq!((scrap.parent.as_str(), scrap.field("state")), ("", "concluido"));
    let entered = collector.until(|span| span.field("route") == "/entrar").await?;
    assert_eq!(entered.parent, "");
    let bearer = program.bearer.clone().context("a token")?;
    let key = server.key().to_owned();
    let said = server.stop().await?;
    for secret in [bearer.as_str(), &key, "uma-chave-que-foi-dada"] {
        ensure!(!collector.has_anywhere(secret) && !said.contains(secret), "{secret}");
    }
    let lines: Vec<Value> =
        said.lines().filter(|line| line.starts_with('{')).filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = lines.iter().find(|line| line["request_id"] == "pedido-1").with_context(|| said.clone())?;
    assert_eq!((&line["message"], &line["status"]), (&json!("request"), &json!(404)), "{line}");
    Ok(())
}

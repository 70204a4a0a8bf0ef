//! The API against its own document, by programs of others: one that reads it and tries what it
//! allows and what it does not, one that holds it against its specification, and one that makes a
//! client of it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, Faults, api, programs};
use serde_json::json;

use crate::client::Server;

/// How long it tries.
const SECONDS: &str = "40";

/// A program that `cargo xtask test` has installed beside Schemathesis.
fn beside_schemathesis(name: &str) -> anyhow::Result<PathBuf> {
    Ok(schemathesis()?.parent().context("its folder")?.join(name))
}

/// Runs a program to its end, which has to be a good one.
async fn expect_good(command: &mut tokio::process::Command) -> anyhow::Result<()> {
    command.env_remove("http_proxy").env("NO_PROXY", "127.0.0.1").stdin(Stdio::null()).kill_on_drop(true);
    let ran = tokio::time::timeout(Duration::from_secs(180), command.output()).await.context("it does not end")??;
    let said = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    ensure!(ran.status.success(), "{command:?}:\n{said}");
    Ok(())
}

#[tokio::test]
async fn the_document_is_valid_and_a_client_that_is_made_of_it_does_the_main_job() -> anyhow::Result<()> {
    let api = api(5, Faults::default()).await?;
    let atlas = Atlas::on_sqlite()?;
    atlas.register(2151, &api).await?;
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let document = atlas.folder().join("openapi.json");
    std::fs::write(&document, program.page("/api/v1/openapi.json").await?)?;
    let mut validator = tokio::process::Command::new(beside_schemathesis("openapi-spec-validator")?);
    expect_good(validator.arg(&document)).await?;
    let folder = atlas.folder().join("gerado");
    let tools = schemathesis()?;
    let tools = tools.parent().context("its folder")?;
    let path = std::env::join_paths(
        std::iter::once(tools.to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    )?;
    let mut generator = tokio::process::Command::new(beside_schemathesis("openapi-python-client")?);
    generator.args(["generate", "--meta", "none", "--fail-on-warning", "--path"]).arg(&document);
    expect_good(generator.arg("--output-path").arg(&folder).env("PATH", path)).await?;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemathesis/main_job.py");
    let mut job = tokio::process::Command::new(beside_schemathesis("python")?);
    let bearer = program.bearer.clone().context("a token")?;
    job.arg(&script).args([&format!("{}/api/v1", server.url), &bearer, &api.base_url(), atlas_tests::TOKEN]);
    expect_good(job.env("PYTHONPATH", atlas.folder())).await?;
    server.stop().await?;
    Ok(())
}

/// Schemathesis, which `cargo xtask test` has installed.
fn schemathesis() -> anyhow::Result<PathBuf> {
    let named = std::env::var_os("ATLAS_SCHEMATHESIS").map(PathBuf::from);
    let program = named.map_or_else(
        || Ok(programs()?.parent().context("target folder")?.join("tools/schemathesis/bin/schemathesis")),
        anyhow::Ok,
    )?;
    ensure!(program.is_file(), "{} is missing: cargo xtask test installs it", program.display());
    Ok(program)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_is_as_its_document_says_whatever_it_is_asked() -> anyhow::Result<()> {
    let api = api(5, Faults::default()).await?;
    // What one database refuses the other may take.
    let tried = Atlas::on_both().await?.map(|atlas| try_it(atlas, api.base_url()));
    let [sqlite, postgres] = tried;
    let (sqlite, postgres) = tokio::join!(sqlite, postgres);
    sqlite.context("on SQLite")?;
    postgres.context("on PostgreSQL")
}

async fn try_it(atlas: Atlas, base_url: String) -> anyhow::Result<()> {
    for client in ["1", "2151"] {
        let add = ["client", "add", client, "--token", "-", "--base-url", &base_url];
        atlas.run_with_input(&add, atlas_tests::TOKEN).await?.expect(0)?;
    }
    let server = Server::start(&atlas, &[]).await?;
    let program = server.program(&atlas, true).await?;
    let id = program.create(1, json!({})).await?;
    program.until(id, "concluido").await?;
    let bearer = program.bearer.clone().context("a token")?;
    let mut command = tokio::process::Command::new(schemathesis()?);
    command
        .args([
            "run",
            &format!("{}/api/v1/openapi.json", server.url),
            "--header",
            &format!("Authorization: Bearer {bearer}"),
        ])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        // Events have no end, and what it tries goes to no invented address.
        .args(["--exclude-path", "/events", "--exclude-path", "/scraps/try"])
        .args([
            "--phases",
            "examples,coverage,fuzzing",
            "--max-time",
            SECONDS,
            "--max-examples",
            "50",
            "--request-timeout",
            "20",
        ])
        .args([
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
            "--no-color",
            "--seed",
            "1",
            "--continue-on-failure",
        ])
        .current_dir(atlas.folder())
        .env_remove("http_proxy")
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let tried = tokio::time::timeout(Duration::from_secs(180), command.output()).await.context("it does not end")??;
    let said = String::from_utf8_lossy(&tried.stdout).into_owned() + &String::from_utf8_lossy(&tried.stderr);
    ensure!(tried.status.success(), "{said}");
    #[allow(clippy::disallowed_macros)] // worth knowing
    {
        eprintln!(
            "{}",
            said.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    server.stop().await?;
    Ok(())
}

//! The whole way of a record, in half a minute, on a laptop without a database server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{fs, io};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{cargo, execute, step, target_dir, terminate, without_databases};
use crate::connectors;

/// The client of the users' own document, and their period.
const CLIENT: &str = "2151";
const PERIOD: [&str; 4] = ["--from", "2025-10-20", "--to", "2025-10-24"];
const TOKEN: &str = "demo-token";
/// 5 days of 130 orders: 650, in pages of 150.
const ORDERS_PER_DAY: &str = "130";
/// Slow enough that the progress can be seen.
const LATENCY_MS: &str = "500";

pub(crate) fn run() -> Result<()> {
    let connectors = connectors::build()?;
    // The two programs alone: no test program is needed. `tidy` holds that this selection builds
    // the large crates as all others do.
    execute(&mut cargo(["build", "--quiet", "--bins", "--package", "atlas", "--package", "sample-api"]))?;

    let begun = Instant::now();
    let target = target_dir()?;
    let folder = target.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let database = folder.join("atlas.db");

    let api = SampleApi::start(&target.join("debug/sample-api"))?;
    step(format_args!("an order API answers at {}", api.base_url));
    let atlas = |arguments: &[&str]| {
        let mut atlas = Command::new(target.join("debug/atlas"));
        atlas.args(arguments).arg("--db").arg(format!("sqlite:{}", database.display()));
        atlas.current_dir(&folder).env("ATLAS_CONNECTORS", &connectors);
        without_databases(&mut atlas);
        atlas
    };
    let add = ["client", "add", CLIENT, "--token", "-", "--base-url", &api.base_url];
    type_in(&mut atlas(&add), TOKEN)?;
    let pull = ["run", "--client", CLIENT, "--route", "pedido", "--page-size", "150"];
    execute(atlas(&pull).args(PERIOD))?;
    execute(&mut atlas(&["verify", "--client", CLIENT]))?;
    let served = api.stop()?;

    step(format_args!("the order API says that it served {served}"));
    step(format_args!("done in {:.1} s", begun.elapsed().as_secs_f32()));
    step(format_args!("the records stay in {}; look at them with", database.display()));
    let query = "SELECT id, cliente_id, origem, hash_conteudo, payload FROM dados_raw LIMIT 3";
    println!("sqlite3 -json {} '{query}'", database.display());
    Ok(())
}

/// Runs a program that reads one line from its standard input.
fn type_in(command: &mut Command, line: &str) -> Result<()> {
    let (reader, mut writer) = io::pipe().context("no pipe")?;
    writeln!(writer, "{line}").context("cannot write to a pipe")?;
    drop(writer);
    execute(command.stdin(reader))
}

/// The sample API, as a process of its own. It ends when this is dropped.
struct SampleApi {
    base_url: String,
    process: Child,
    /// What it prints after its first line: at its end, what it served.
    rest: Option<JoinHandle<String>>,
}

impl SampleApi {
    fn start(program: &Path) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--port", "0", "--token", TOKEN]);
        command.args(["--per-day", ORDERS_PER_DAY, "--latency-ms", LATENCY_MS]);
        let process = without_databases(&mut command).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let process = process.with_context(|| format!("cannot start {}", program.display()))?;
        let mut api = Self { base_url: String::new(), process, rest: None };

        let mut lines = BufReader::new(api.process.stdout.take().context("the order API has no output")?).lines();
        let first = lines.next().transpose()?.unwrap_or_default();
        let url = first.split_whitespace().find(|word| word.starts_with("http://"));
        let Some(url) = url else {
            bail!("the order API did not say where it listens: {first:?}");
        };
        api.base_url = url.to_owned();
        api.rest = Some(thread::spawn(move || lines.map_while(Result::ok).collect::<String>()));
        Ok(api)
    }

    /// Ends it, and gives what it says it served.
    fn stop(mut self) -> Result<String> {
        self.end();
        let rest = self.rest.take().and_then(|rest| rest.join().ok());
        let served: Value = serde_json::from_str(&rest.unwrap_or_default())
            .context("the order API ended without saying what it served")?;
        Ok(format!("{} different orders in {} requests", served["routes"][0]["distinct_records"], served["requests"]))
    }

    fn end(&mut self) {
        terminate(self.process.id());
        for _ in 0..50 {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Drop for SampleApi {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

//! The program, run as its users run it.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use sample_api::SampleApi;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use crate::database::Database;
use crate::{FROM, LANGUAGES, TO, TOKEN};

/// Longer than any command of the tests takes: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// An installation: a working directory, a database, and settings.
pub struct Atlas {
    folder: TempDir,
    /// The database that it writes to.
    pub database: Database,
    /// Variables and their values; none: not set at all.
    environment: Vec<(String, Option<String>)>,
}

impl Atlas {
    /// On an embedded database.
    pub fn on_sqlite() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let database = Database::sqlite(&folder.path().join("atlas.db"));
        Ok(Self::new(folder, database))
    }

    /// On a fresh database of the PostgreSQL server.
    pub async fn on_postgres() -> anyhow::Result<Self> {
        Ok(Self::new(tempfile::tempdir()?, Database::postgres().await?))
    }

    /// On this database.
    pub fn on(database: Database) -> anyhow::Result<Self> {
        Ok(Self::new(tempfile::tempdir()?, database))
    }

    /// One on each.
    pub async fn on_both() -> anyhow::Result<[Self; 2]> {
        Ok([Self::on_sqlite()?, Self::on_postgres().await?])
    }

    fn new(folder: TempDir, database: Database) -> Self {
        // Short waits between attempts: the tests make many.
        let environment = vec![("ATLAS_RETRY_BASE_MS".to_owned(), Some("5".to_owned()))];
        Self { folder, database, environment }
    }

    /// The working directory.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable for all commands to come.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), Some(value.to_owned())));
    }

    /// Leaves a variable out for all commands to come, be it one that names the installation's own
    /// database or connectors.
    pub fn unset(&mut self, name: &str) {
        self.environment.push((name.to_owned(), None));
    }

    /// Gives this installation a folder of connectors of its own, with a copy of all that ship with
    /// Atlas.
    pub fn own_connectors(&mut self) -> anyhow::Result<PathBuf> {
        let folder = self.folder().join("connectors");
        std::fs::create_dir(&folder)?;
        for entry in std::fs::read_dir(connectors()?)? {
            let entry = entry?;
            std::fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
        self.set("ATLAS_CONNECTORS", &folder.display().to_string());
        Ok(folder)
    }

    /// A command, ready to be started: nothing of the tests' own environment decides about
    /// databases, language, the log, traces or proxies.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(program()?);
        for (name, _) in std::env::vars() {
            let decides = [
                "DB_",
                "DATABASE_URL",
                "ATLAS_LANG",
                "ATLAS_LOG",
                "BATCH_",
                "RETRY_",
                "RUST_LOG",
                "OTEL_",
                "LC_",
                "LANG",
            ];
            if decides.iter().any(|prefix| name.starts_with(prefix)) || name.to_lowercase().ends_with("_proxy") {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("ATLAS_CONNECTORS", connectors()?)
            .env("ATLAS_CACHE", cache()?)
            .env("ATLAS_STATE", self.folder.path().join("state"))
            .env("DATABASE_URL", self.database.url())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ok(command)
    }

    /// Runs a command to its end.
    pub async fn run(&self, arguments: &[&str]) -> anyhow::Result<Finished> {
        self.start(arguments)?.finish().await
    }

    /// Starts a command.
    pub fn start(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        let child = self.command(arguments)?.spawn().context("start atlas")?;
        Ok(Running { child, log: self.log(), said: Vec::new() })
    }

    /// Runs a command with something on its standard input.
    pub async fn run_with_input(&self, arguments: &[&str], input: &str) -> anyhow::Result<Finished> {
        let mut child = self.command(arguments)?.stdin(Stdio::piped()).spawn().context("start atlas")?;
        let mut stdin = child.stdin.take().context("standard input")?;
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        Running { child, log: self.log(), said: Vec::new() }.finish().await
    }

    /// Runs a command once in each language. Both must end with this exit code and, if that is not
    /// 0, say what to do.
    pub async fn run_in_both_languages(&self, arguments: &[&str], code: i32) -> anyhow::Result<String> {
        let mut said = format!("$ atlas {}\n", arguments.join(" "));
        for lang in LANGUAGES {
            let finished = self.run(&[arguments, &["--lang", lang]].concat()).await?.expect(code)?;
            said.push_str(&finished.said(lang)?);
        }
        Ok(said)
    }

    /// The file in which failures are kept in full.
    pub fn log(&self) -> PathBuf {
        self.folder().join("erros_scraps.log")
    }

    /// Makes its folder one that keeps such a file: commands that only look leave others alone.
    pub fn keep_log(&self) -> anyhow::Result<()> {
        std::fs::OpenOptions::new().create(true).append(true).open(self.log())?;
        Ok(())
    }

    /// Registers a client at the sample API, with the right token.
    pub async fn register(&self, client: u32, api: &SampleApi) -> anyhow::Result<()> {
        let (client, url) = (client.to_string(), api.base_url());
        let added = self.run_with_input(&["client", "add", &client, "--token", "-", "--base-url", &url], TOKEN).await?;
        added.expect(0).map(drop)
    }

    /// Lets every client's default serve the sample API, as `atlas client bind` does: scraps that
    /// SQL puts into the queue bind none.
    pub async fn bind_all(&self) -> anyhow::Result<()> {
        let bind = "INSERT INTO clientes_padrao (cliente_id, tipo, nome) \
             SELECT cliente_id, 'api', 'jueri' FROM clientes_tokens WHERE TRUE ON CONFLICT DO NOTHING";
        self.database.execute(bind).await
    }

    /// Lets the route `evento` acknowledge what it was handed out.
    pub fn grant_acknowledgments(&self) -> anyhow::Result<()> {
        let grant = "[[grant]]\napi = \"jueri\"\nrequests = [\"POST /*/evento/ack\"]\n";
        Ok(std::fs::write(self.folder().join("atlas.toml"), grant)?)
    }

    /// Points the client 2151 at this API, whether it is registered already or not.
    pub async fn set_registered(&self, api: &SampleApi) -> anyhow::Result<()> {
        let url = api.base_url();
        let added = self.run_with_input(&["client", "add", "2151", "--token", "-", "--base-url", &url], TOKEN).await?;
        if added.code != 0 {
            self.run(&["client", "set", "2151", "--base-url", &url]).await?.expect(0)?;
        }
        Ok(())
    }

    /// Runs route `pedido` of a client for the tests' period, and gives the JSON summary beside the
    /// rest.
    pub async fn run_pedido(&self, client: u32, more: &[&str]) -> anyhow::Result<Finished> {
        let client = client.to_string();
        let mut arguments = vec!["run", "--client", &client, "--route", "pedido", "--from", FROM, "--to", TO];
        arguments.extend(["--output", "json"]);
        arguments.extend(more);
        self.run(&arguments).await
    }

    /// Runs a scrap again until it is done: what an operator does after each fault.
    pub async fn resume_until_done(&self, id: i64, times: usize) -> anyhow::Result<Finished> {
        let id = id.to_string();
        for _ in 0..times {
            let finished = self.run(&["scrap", "resume", &id, "--output", "json"]).await?;
            if matches!(finished.code, 0 | 6) {
                return Ok(finished);
            }
        }
        bail!("scrap {id} is not done after {times} more runs")
    }
}

/// A command under way.
pub struct Running {
    /// The process.
    pub child: Child,
    log: PathBuf,
    /// What it printed for people and was read already.
    said: Vec<u8>,
}

impl Running {
    /// Waits for its end. Whatever the command was, the token must stand neither in what it printed
    /// nor in the log.
    pub async fn finish(self) -> anyhow::Result<Finished> {
        let output = tokio::time::timeout(PATIENCE, self.child.wait_with_output()).await;
        let Output { status, stdout, stderr } = output.context("atlas hangs")??;
        let finished = Finished {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&[self.said, stderr].concat()).into_owned(),
        };
        let log = std::fs::read(&self.log).unwrap_or_default();
        for text in [&finished.stdout, &finished.stderr, &String::from_utf8_lossy(&log).into_owned()] {
            anyhow::ensure!(!text.contains(TOKEN), "the token was shown:\n{text}");
        }
        Ok(finished)
    }

    /// Waits until it has printed this for people.
    pub async fn until_it_says(&mut self, text: &str) -> anyhow::Result<()> {
        let stderr = self.child.stderr.as_mut().context("standard error")?;
        let told = async {
            while !String::from_utf8_lossy(&self.said).contains(text) {
                if stderr.read_buf(&mut self.said).await? == 0 {
                    bail!("it ended without saying {text:?}:\n{}", String::from_utf8_lossy(&self.said));
                }
            }
            Ok(())
        };
        let waited = tokio::time::timeout(PATIENCE, told).await;
        waited.unwrap_or_else(|_| bail!("it does not say {text:?}:\n{}", String::from_utf8_lossy(&self.said)))
    }

    /// Reads the first line of its result while it goes on.
    pub async fn first_line(&mut self) -> anyhow::Result<String> {
        let stdout = self.child.stdout.as_mut().context("standard output")?;
        let read = async {
            let mut line = Vec::new();
            while line.last() != Some(&b'\n') {
                // One byte at a time: the rest is for the caller that waits for its end.
                let byte = stdout.read_u8().await;
                line.push(byte.context("it ended without a result")?);
            }
            Ok(String::from_utf8(line)?)
        };
        tokio::time::timeout(PATIENCE, read).await.context("atlas says nothing")?
    }

    /// Sends a signal by its name (`INT`, `KILL`, …).
    pub async fn signal(&self, name: &str) -> anyhow::Result<()> {
        let id = self.child.id().context("it has ended")?.to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().await?;
        anyhow::ensure!(sent.success(), "kill -s {name} {id}");
        Ok(())
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it printed as a result.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
}

impl Finished {
    /// The same, if the exit code is this one; else an error that shows everything.
    pub fn expect(self, code: i32) -> anyhow::Result<Self> {
        if self.code != code {
            bail!(
                "exit code {} instead of {code}\n--- stdout\n{}\n--- stderr\n{}",
                self.code,
                self.stdout,
                self.stderr
            );
        }
        Ok(self)
    }

    /// What it printed for people, under its language and exit code. Fails if it says that
    /// something is wrong, and not what to do about it.
    pub fn said(&self, lang: &str) -> anyhow::Result<String> {
        anyhow::ensure!(self.code == 0 || self.stderr.contains("\n   👉 "), "not what to do: {}", self.stderr);
        Ok(format!("[{lang}] exit code {}\n{}", self.code, self.stderr))
    }

    /// The JSON object on the last line of the result.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        let last = self.stdout.lines().last().with_context(|| format!("no result; stderr:\n{}", self.stderr))?;
        serde_json::from_str(last).with_context(|| format!("not JSON: {last}"))
    }

    /// A number of the JSON summary.
    pub fn number(&self, name: &str) -> anyhow::Result<i64> {
        let json = self.json()?;
        json[name].as_i64().with_context(|| format!("no number {name:?} in {json}"))
    }

    /// A text of the JSON summary.
    pub fn text(&self, name: &str) -> anyhow::Result<String> {
        let json = self.json()?;
        Ok(json[name].as_str().with_context(|| format!("no text {name:?} in {json}"))?.to_owned())
    }
}

/// The folder of programs that this one was built with.
pub fn programs() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    // A test is in `PROFILE/deps`, the benchmark beside the program.
    let profile = own.ancestors().skip(1).find(|folder| folder.join("atlas").is_file());
    Ok(profile.context("no program `atlas` beside the tests: cargo xtask test builds it")?.to_owned())
}

fn program() -> anyhow::Result<PathBuf> {
    Ok(programs()?.join("atlas"))
}

/// The folder of connectors that `cargo xtask connectors` made.
pub fn connectors() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ATLAS_CONNECTORS") {
        return Ok(folder.into());
    }
    let folder = programs()?.parent().context("target folder")?.join("connectors");
    anyhow::ensure!(folder.is_dir(), "{} is missing: cargo xtask connectors makes it", folder.display());
    Ok(folder)
}

/// The folder of connectors for tests alone, that `cargo xtask test` made.
pub fn test_guests() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ATLAS_TEST_GUESTS") {
        return Ok(folder.into());
    }
    let folder = programs()?.parent().context("target folder")?.join("test-guests");
    anyhow::ensure!(folder.is_dir(), "{} is missing: cargo xtask test makes it", folder.display());
    Ok(folder)
}

/// The folder of the example connectors in other languages.
pub fn example_connectors() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("ATLAS_EXAMPLE_CONNECTORS") {
        return Ok(folder.into());
    }
    let folder = programs()?.parent().context("target folder")?.join("examples-connectors");
    anyhow::ensure!(folder.is_dir(), "{} is missing: cargo xtask connectors --examples makes it", folder.display());
    Ok(folder)
}

/// The folder of the connectors that attack.
pub fn hostile_connectors() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("ATLAS_HOSTILE_CONNECTORS").map(PathBuf::from);
    let folder = folder
        .map_or_else(|| Ok(programs()?.parent().context("target folder")?.join("hostile-connectors")), anyhow::Ok)?;
    anyhow::ensure!(folder.is_dir(), "{} is missing: cargo xtask test makes it", folder.display());
    Ok(folder)
}

/// One cache for all tests, so that each connector is compiled once.
pub fn cache() -> anyhow::Result<PathBuf> {
    Ok(programs()?.parent().context("target folder")?.join("test-cache"))
}

//! `atlas connector
//! list|inspect|componentize|accept|rollback|publish|published|keygen|sign|verify`.

use std::path::Path;

use atlas_model::{Notice, Secret, notice};
use atlas_service::config::Config;
use atlas_service::{Connectors, Exit, Failure, Signed, Standing, Usage, hold_notice};
use serde::Serialize;

use super::args::{ConnectorArgs, ConnectorCommand};
use super::output::{Output, printable};
use super::published;
use super::{input, inspect};

/// More than any password is long.
const PASSWORD_MAX: u64 = 4 * 1024;

pub(super) async fn run(args: ConnectorArgs, config: Config, output: &Output) -> Result<Exit, Failure> {
    let connectors = Connectors::new(&config);
    match args.command {
        ConnectorCommand::List => list(&connectors, output).await,
        ConnectorCommand::Inspect { file } => {
            let connector = connectors.inspect(&file).await?;
            inspect::show(&connector, output);
            Ok(Exit::Done)
        }
        ConnectorCommand::Accept { route, digest } => {
            let accepted = connectors.accept(&route, digest.as_deref()).await?;
            say_version("connector-accepted", &route, &accepted.version, &accepted.sha256, output);
            Ok(Exit::Done)
        }
        ConnectorCommand::Rollback { route, to } => {
            let earlier = connectors.roll_back(&route, to.as_deref()).await?;
            say_version("connector-went-back", &route, &earlier.version, &earlier.sha256, output);
            Ok(Exit::Done)
        }
        ConnectorCommand::Publish { file, accept } => published::publish(&file, accept, config, output).await,
        ConnectorCommand::Published => published::list(config, output).await,
        ConnectorCommand::Keygen { key, no_password } => {
            let password = if no_password { None } else { Some(password(&config)?) };
            let (public, public_key) = connectors.make_key(&key, password.as_ref())?;
            output.remark(&notice!("connector-key-made", key = key.display(), public = public.display()));
            result(output, &serde_json::json!({ "chave_publica": public_key }), &public_key);
            Ok(Exit::Done)
        }
        ConnectorCommand::Sign { file, key, no_password } => {
            let password = if no_password { None } else { Some(password(&config)?) };
            let signed = connectors.sign(&file, &key, password.as_ref())?;
            output.remark(&notice!("connector-signed", file = file.display(), signature = signed.signature.display()));
            result(output, &told(&signed), &signed.sha256);
            Ok(Exit::Done)
        }
        ConnectorCommand::Verify { file, key } => {
            let signed = connectors.verify(&file, key.as_deref())?;
            output.remark(&notice!(
                "connector-verified",
                file = file.display(),
                signature = signed.signature.display()
            ));
            result(output, &told(&signed), &signed.sha256);
            Ok(Exit::Done)
        }
        ConnectorCommand::Componentize { module, to } => {
            let bytes = connectors.componentize(&module, &to).await?;
            output.remark(&notice!("componentize-done", file = to.display(), bytes = bytes));
            Ok(Exit::Done)
        }
    }
}

/// The signing key's password: the environment's, else the first line of standard input. Never an
/// argument, which every list of processes would show.
fn password(config: &Config) -> Result<Secret, Failure> {
    if let Some(password) = &config.signing_password {
        return Ok(password.clone());
    }
    let text = input::read("-", PASSWORD_MAX)?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(Failure::usage(notice!("error-no-password"))),
    }
}

fn told(signed: &Signed) -> serde_json::Value {
    serde_json::json!({ "sha256": signed.sha256, "assinatura": signed.signature.display().to_string() })
}

fn result(output: &Output, json: &serde_json::Value, text: &str) {
    if output.is_json() { output.json(json) } else { output.line(text) }
}

/// Prints the version that an operator's decision was about.
pub(super) fn say_version(key: &str, route: &str, version: &str, sha256: &str, output: &Output) {
    if output.is_json() {
        output.json(&serde_json::json!({ "rota": route, "versao": version, "sha256": sha256 }));
    }
    output.remark(&Notice::new(key).with("route", route).with("version", version).with("digest", digest(sha256)));
}

pub(super) fn digest(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

/// A version that serves in place of the file's.
#[derive(Serialize)]
struct Instead {
    rota: String,
    versao: String,
    sha256: String,
}

/// What the route's pages have used on this installation.
#[derive(Serialize)]
struct Used {
    paginas: u64,
    traps: u64,
    recusas: u64,
    cpu_ms: u64,
    memoria_pico: u64,
}

impl From<Usage> for Used {
    fn from(usage: Usage) -> Self {
        Self {
            paginas: usage.pages,
            traps: usage.traps,
            recusas: usage.refusals,
            cpu_ms: usage.cpu_us / 1_000,
            memoria_pico: usage.peak_memory,
        }
    }
}

impl Used {
    fn text(&self, output: &Output) -> String {
        let cpu = format!("{:.1}", self.cpu_ms as f64 / 1_000.0);
        let memory = format!("{:.1}", self.memoria_pico as f64 / (1024.0 * 1024.0));
        output.text(&notice!(
            "connector-used",
            pages = self.paginas,
            traps = self.traps,
            refusals = self.recusas,
            cpu = cpu,
            memory = memory
        ))
    }
}

#[derive(Serialize)]
struct Row {
    arquivo: String,
    rota: Option<String>,
    api: Option<String>,
    versao: Option<String>,
    sha256: Option<String>,
    /// `servindo`, `retida`, `revertida` or `recusada`.
    estado: &'static str,
    /// Why it waits for the operator's word, if it does.
    motivos: Vec<String>,
    servindo: Option<Instead>,
    uso: Option<Used>,
    erro: Option<String>,
}

async fn list(connectors: &Connectors, output: &Output) -> Result<Exit, Failure> {
    let registry = connectors.registry().await?;
    let entries = registry.entries();
    let rows: Vec<Row> = entries
        .iter()
        .map(|entry| {
            let connector = entry.loaded.as_ref().ok();
            let descriptor = connector.map(|c| &c.descriptor);
            let error = entry.loaded.as_ref().err().map(|e| Failure::load(&entry.path, e));
            Row {
                arquivo: entry.path.display().to_string(),
                rota: descriptor.map(|d| d.route.clone()),
                api: descriptor.map(|d| d.api.clone()),
                versao: descriptor.map(|d| d.version.clone()),
                sha256: entry.sha256.clone(),
                estado: state(&entry.standing),
                motivos: match &entry.standing {
                    Standing::Held(reasons) => reasons.iter().map(|r| output.text(&hold_notice(r))).collect(),
                    _ => Vec::new(),
                },
                servindo: entry.instead.as_ref().map(|c| Instead {
                    rota: c.descriptor.route.clone(),
                    versao: c.descriptor.version.clone(),
                    sha256: c.sha256.clone(),
                }),
                uso: descriptor.map(|d| registry.usage(&d.route).into()),
                erro: error.map(|failure| output.text(&failure.notice)),
            }
        })
        .collect();
    if rows.is_empty() {
        output.remark(&notice!("doctor-no-connectors", folder = connectors.folder().display()));
    }
    let headings = [
        "heading-route",
        "heading-api",
        "heading-version",
        "heading-sha256",
        "heading-state",
        "heading-used",
        "heading-file",
    ];
    output.list(&headings, &rows, |row| {
        let dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let mut state = output.text(&Notice::new(&format!("connector-{}", row.estado)));
        if let Some(Instead { rota, versao, sha256 }) = &row.servindo {
            let goes_on = notice!("connector-goes-on", route = rota, version = versao, digest = digest(sha256));
            state = format!("{state}\n{}", output.text(&goes_on));
        }
        let used = row.uso.as_ref().map_or_else(|| "-".to_owned(), |used| used.text(output));
        let sha256 = row.sha256.as_deref().map_or("-", digest).to_owned();
        vec![dash(&row.rota), dash(&row.api), dash(&row.versao), sha256, state, used, file_name(row)]
    });
    if !output.is_json() {
        // Below the table, which stays as wide as its names are long.
        for row in &rows {
            row.erro.iter().for_each(|error| output.line(&format!("⚠️ {error}")));
            row.motivos.iter().for_each(|reason| output.line(&format!("↳ {}: {reason}", file_name(row))));
        }
    }
    Ok(Exit::Done)
}

/// The file's name within the folder. It may have a line break.
fn file_name(row: &Row) -> String {
    printable(&Path::new(&row.arquivo).file_name().unwrap_or_default().to_string_lossy())
}

fn state(standing: &Standing) -> &'static str {
    match standing {
        Standing::Serves => "servindo",
        Standing::Held(_) => "retida",
        Standing::RolledBack => "revertida",
        Standing::Refused => "recusada",
    }
}

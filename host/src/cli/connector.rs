//! `atlas connector list|inspect`.

use serde::Serialize;

use super::args::{ConnectorArgs, ConnectorCommand};
use super::output::Output;
use crate::config::Config;
use crate::connector::Connector;
use crate::notice;
use crate::notice::Notice;
use crate::service::{Connectors, Exit, Failure};

pub(super) async fn run(args: ConnectorArgs, config: Config, output: &Output) -> Result<Exit, Failure> {
    let connectors = Connectors::new(&config);
    match args.command {
        ConnectorCommand::List => list(&connectors, output).await,
        ConnectorCommand::Inspect { file } => {
            let connector = connectors.inspect(&file).await?;
            inspect(&connector, output);
            Ok(Exit::Done)
        }
    }
}

#[derive(Serialize)]
struct Row {
    arquivo: String,
    rota: Option<String>,
    api: Option<String>,
    versao: Option<String>,
    sha256: Option<String>,
    erro: Option<String>,
}

async fn list(connectors: &Connectors, output: &Output) -> Result<Exit, Failure> {
    let entries = connectors.registry().await?.entries();
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
                sha256: connector.map(|c| c.sha256.clone()),
                erro: error.map(|failure| output.text(&failure.notice)),
            }
        })
        .collect();
    if rows.is_empty() {
        output.remark(&notice!("doctor-no-connectors", folder = connectors.folder().display()));
    }
    let headings = ["heading-route", "heading-api", "heading-version", "heading-sha256", "heading-file"];
    output.list(&headings, &rows, |row| {
        let dash = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let digest = row.sha256.as_deref().and_then(|sha| sha.get(..12)).unwrap_or("-").to_owned();
        let file = match &row.erro {
            Some(error) => format!("⚠️ {error}"),
            None => row.arquivo.clone(),
        };
        vec![dash(&row.rota), dash(&row.api), dash(&row.versao), digest, file]
    });
    Ok(Exit::Done)
}

fn inspect(connector: &Connector, output: &Output) {
    let descriptor = &connector.descriptor;
    let pointers = |list: &[crate::json::Pointer]| list.iter().map(|p| p.as_str().to_owned()).collect::<Vec<_>>();
    if output.is_json() {
        output.json(&serde_json::json!({
            "rota": descriptor.route,
            "api": descriptor.api,
            "versao": descriptor.version,
            "sha256": connector.sha256,
            "formato_cursor": descriptor.cursor_format,
            "usa_periodo": descriptor.takes_period,
            "tamanho_pagina": descriptor.page_size,
            "chave": pointers(&descriptor.key),
            "fora_do_hash": pointers(&descriptor.unhashed),
        }));
        return;
    }
    let yes_no = |yes: bool| output.text(&if yes { notice!("yes") } else { notice!("no") });
    let lines = [
        ("heading-route", descriptor.route.clone()),
        ("heading-api", descriptor.api.clone()),
        ("heading-version", descriptor.version.clone()),
        ("heading-sha256", connector.sha256.clone()),
        ("heading-takes-period", yes_no(descriptor.takes_period)),
        ("heading-page-size", descriptor.page_size.to_string()),
        ("heading-key", pointers(&descriptor.key).join(", ")),
        ("heading-unhashed", pointers(&descriptor.unhashed).join(", ")),
    ];
    for (heading, value) in lines {
        output.line(&format!("{}: {value}", output.text(&Notice::new(heading))));
    }
}

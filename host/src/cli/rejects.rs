//! `atlas rejects list|export`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::args::{RejectsArgs, RejectsCommand};
use super::output::{Output, printable};
use crate::notice::Notice;
use crate::service::{Atlas, Exit, Failure};
use crate::store::Rejected;

/// Read at a time: each may have megabytes.
const PAGE: i64 = 20;
/// Bytes of a record that a list shows.
const SHOWN: usize = 60;

pub(super) async fn run(args: RejectsArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        RejectsCommand::Export { scrap } => each(atlas, scrap, |rejected| output.json(&Exported::of(rejected))).await?,
        RejectsCommand::List { scrap } => {
            let mut rows = Vec::new();
            each(atlas, scrap, |rejected| rows.push(Listed::of(&rejected))).await?;
            let headings = [
                "heading-id",
                "heading-scrap",
                "heading-cursor",
                "heading-position",
                "heading-reason",
                "heading-detail",
                "heading-content",
            ];
            output.list(&headings, &rows, |row| {
                vec![
                    row.id.to_string(),
                    row.scrap_id.to_string(),
                    row.cursor.clone().unwrap_or_else(|| "-".to_owned()),
                    row.posicao.to_string(),
                    output.text(&Notice::new(&format!("rejected-{}", row.codigo))),
                    row.motivo.clone(),
                    row.inicio.clone(),
                ]
            });
        }
    }
    Ok(Exit::Done)
}

async fn each(atlas: &Atlas, scrap: Option<i64>, mut tell: impl FnMut(Rejected)) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page =
            atlas.store().rejects(scrap, after, PAGE).await.map_err(|error| Failure::store("op-rejects", &error))?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = last.id;
        page.into_iter().for_each(&mut tell);
    }
}

#[derive(Serialize)]
struct Listed {
    id: i64,
    scrap_id: i64,
    cliente_id: i32,
    rota: String,
    cursor: Option<String>,
    posicao: i64,
    codigo: String,
    motivo: String,
    bytes: usize,
    inicio: String,
}

impl Listed {
    fn of(rejected: &Rejected) -> Self {
        let text = String::from_utf8_lossy(&rejected.content);
        let start: String = text.chars().take(SHOWN).collect();
        Self {
            id: rejected.id,
            scrap_id: rejected.scrap_id,
            cliente_id: rejected.cliente_id,
            rota: rejected.origem.clone(),
            cursor: rejected.cursor.clone(),
            posicao: rejected.position,
            codigo: rejected.code.clone(),
            motivo: rejected.reason.clone(),
            bytes: rejected.content.len(),
            inicio: printable(&start),
        }
    }
}

/// A rejected record with its bytes: as text where they are text, else in base64.
#[derive(Serialize)]
struct Exported {
    id: i64,
    scrap_id: i64,
    cliente_id: i32,
    rota: String,
    cursor: Option<String>,
    posicao: i64,
    codigo: String,
    motivo: String,
    criado_em: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    conteudo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conteudo_base64: Option<String>,
}

impl Exported {
    fn of(rejected: Rejected) -> Self {
        let (text, base64) = match String::from_utf8(rejected.content) {
            Ok(text) => (Some(text), None),
            Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
        };
        Self {
            id: rejected.id,
            scrap_id: rejected.scrap_id,
            cliente_id: rejected.cliente_id,
            rota: rejected.origem,
            cursor: rejected.cursor,
            posicao: rejected.position,
            codigo: rejected.code,
            motivo: rejected.reason,
            criado_em: rejected.created_at,
            conteudo: text,
            conteudo_base64: base64,
        }
    }
}

//! `atlas rejects list|show|export|replay`.

use atlas_model::{Notice, Rejected, notice};
use atlas_service::zone::Zone;
use atlas_service::{Atlas, Exit, Failure, Replayed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use super::args::{RejectsArgs, RejectsCommand};
use super::output::{Output, printable};

/// Bytes of a record that a list shows.
const SHOWN: usize = 60;

pub(super) async fn run(args: RejectsArgs, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    match args.command {
        RejectsCommand::Show { id } => {
            // Its bytes may be anything, and a terminal acts on some of them: as JSON they are what
            // they are.
            output.json(&Exported::of(atlas.rejected(id).await?, atlas.config().zone()));
        }
        RejectsCommand::Replay { ids, scrap } => return replay(&ids, scrap, atlas, output).await,
        RejectsCommand::Export { scrap } => {
            atlas.each_rejected(scrap, |rejected| output.json(&Exported::of(rejected, atlas.config().zone()))).await?
        }
        RejectsCommand::List { scrap } => {
            let mut rows = Vec::new();
            atlas.each_rejected(scrap, |rejected| rows.push(RejectedRow::of(&rejected, atlas.config().zone()))).await?;
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
                    match &row.reprocessado_em {
                        Some(when) => output.text(&notice!("reject-in-table", when = when)),
                        None => output.text(&Notice::new(&format!("rejected-{}", row.codigo))),
                    },
                    output.catalogue.reason(&row.motivo),
                    row.inicio.clone(),
                ]
            });
        }
    }
    Ok(Exit::Done)
}

/// What was put into the table, and what was not.
#[derive(Default, Serialize)]
struct Sum {
    inseridos: u64,
    duplicados: u64,
    rejeitados: u64,
}

async fn replay(ids: &[i64], scrap: Option<i64>, atlas: &Atlas, output: &Output) -> Result<Exit, Failure> {
    let mut sum = Sum::default();
    let tell = |rejected: &Rejected, replayed: &Replayed| match replayed {
        Replayed::Inserted => sum.inseridos += 1,
        Replayed::Duplicate => sum.duplicados += 1,
        Replayed::Before => output.remark(&notice!("reject-replayed-before", id = rejected.id)),
        Replayed::Rejected(code, reason) => {
            sum.rejeitados += 1;
            let why = output.text(&Notice::new(&format!("rejected-{code}")));
            output.remark(&notice!("reject-still", id = rejected.id, text = why, reason = printable(reason)));
        }
    };
    atlas.replay(ids, scrap, tell).await?;
    if output.is_json() {
        output.json(&sum);
    } else {
        output.line(&output.text(&notice!(
            "rejects-replayed",
            inserted = sum.inseridos,
            duplicate = sum.duplicados,
            rejected = sum.rejeitados
        )));
    }
    Ok(if sum.rejeitados > 0 { Exit::Reservations } else { Exit::Done })
}

#[derive(Serialize)]
struct RejectedRow {
    id: i64,
    scrap_id: i64,
    cliente_id: i32,
    rota: String,
    cursor: Option<String>,
    posicao: i64,
    codigo: String,
    motivo: String,
    reprocessado_em: Option<String>,
    bytes: usize,
    inicio: String,
}

impl RejectedRow {
    fn of(rejected: &Rejected, zone: Zone) -> Self {
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
            reprocessado_em: rejected.replayed_at.as_deref().map(|at| zone.rfc3339(at)),
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
    reprocessado_em: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conteudo: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conteudo_base64: Option<String>,
}

impl Exported {
    fn of(rejected: Rejected, zone: Zone) -> Self {
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
            criado_em: zone.rfc3339(&rejected.created_at),
            reprocessado_em: rejected.replayed_at.map(|at| zone.rfc3339(&at)),
            conteudo: text,
            conteudo_base64: base64,
        }
    }
}

//! Records.

use atlas_model::{OrigemTotal, RawRecord, RecordFilter, notice};
use atlas_service::zone::Zone;
use atlas_service::{Failure, collected};
use axum::Json;
use axum::body::Body as Streamed;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::extract::{At, Params, cursor, limit};
use super::scraps::Part;
use crate::export::{Format, caveat, export, large_json};
use crate::problem::{Failed, Problem};
use crate::search::{Search, find};
use crate::session::{Caller, Looking};
use crate::view::rfc3339;

/// Characters of a payload in a listing.
const EXCERPT: i64 = 1_000;

/// Which client.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfClient {
    #[serde(alias = "cliente_id")]
    cliente: i32,
}

/// What a client has of a route.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TotalView {
    origem: String,
    registros: i64,
    /// Rows whose hash another row has too: always 0.
    repetidos: i64,
    primeira_coleta: Option<String>,
    ultima_coleta: Option<String>,
}

impl From<OrigemTotal> for TotalView {
    fn from(total: OrigemTotal) -> Self {
        Self {
            origem: total.origem,
            registros: total.registros,
            repetidos: total.repetidos,
            primeira_coleta: total.primeira_coleta.as_deref().map(rfc3339),
            ultima_coleta: total.ultima_coleta.as_deref().map(rfc3339),
        }
    }
}

/// What a client has of each route, and that no row is there twice.
#[utoipa::path(get, path = "/records/totals", tag = "records", params(OfClient), responses(
    (status = OK, body = Vec<TotalView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn totals(
    Looking(caller): Looking,
    Params(of): Params<OfClient>,
) -> Result<Json<Vec<TotalView>>, Failed> {
    let atlas = &caller.state.atlas;
    atlas.known_client(of.cliente).await?;
    let counted = caller.state.counting.overview(atlas, of.cliente, caller.state.zone).await?;
    Ok(Json(counted.totals.iter().cloned().map(TotalView::from).collect()))
}

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    #[serde(alias = "cliente_id")]
    cliente: Option<i32>,
    #[serde(alias = "origem")]
    rota: Option<String>,
    /// Collected on this day or later, YYYY-MM-DD.
    de: Option<String>,
    /// Collected on this day or before.
    ate: Option<String>,
    /// The time zone (`America/Sao_Paulo`) in which days begin and times are written; where nothing
    /// is said, the server's.
    fuso: Option<String>,
    /// With something at this JSON path (RFC 9535), or member of this name. Records of more than 2
    /// MiB are not looked into.
    caminho: Option<String>,
    /// With this there. Numbers are equal however they are written.
    valor: Option<String>,
}

/// How an export is written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct As {
    /// `jsonl` (where nothing is said), `csv`, or `excel` (CSV with semicolons and a byte order
    /// mark).
    formato: Option<String>,
}

/// The zone that is asked for, else the server's.
fn zone(caller: &Caller, which: &Which) -> Result<Zone, Failure> {
    let Some(name) = which.fuso.as_deref().filter(|name| !name.trim().is_empty()) else {
        return Ok(caller.state.zone);
    };
    let unknown = || Failure::usage(notice!("error-timezone", value = name));
    Zone::parse(name).ok_or_else(unknown)
}

fn search(caller: &Caller, which: &Which) -> Result<Search, Failure> {
    // What is empty is not said.
    let said = |text: &'_ Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let (from, until) = collected(zone(caller, which)?, said(&which.de).as_deref(), said(&which.ate).as_deref())?;
    let filter = RecordFilter { cliente_id: which.cliente, origem: said(&which.rota), from, until };
    let (path, value) = (said(&which.caminho), said(&which.valor));
    Search::new(filter, path.as_deref(), value.as_deref())
}

/// A record, its payload perhaps cut.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordView {
    id: i64,
    cliente_id: i32,
    origem: String,
    data_coleta: Option<String>,
    hash_conteudo: Option<String>,
    /// How the payload begins.
    inicio: String,
    /// What stands where the search looked.
    encontrado: Option<String>,
}

impl RecordView {
    fn of(record: RawRecord, found: Option<String>, zone: Zone) -> Self {
        let cut = |text: String| match text.char_indices().nth(usize::try_from(EXCERPT).unwrap_or(usize::MAX)) {
            Some((at, _)) => text[..at].to_owned(),
            None => text,
        };
        Self {
            id: record.id,
            cliente_id: record.cliente_id,
            origem: record.origem,
            data_coleta: record.data_coleta.map(|at| zone.rfc3339(&at)),
            hash_conteudo: record.hash_conteudo,
            inicio: cut(record.payload),
            encontrado: found.map(cut),
        }
    }
}

/// Some of the records that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FoundRecords {
    /// These. A search by a path may find none in the part of the table that one request reads.
    itens: Vec<RecordView>,
    /// `cursor` of the next ones, or from where the search goes on; none: all records were looked
    /// at.
    proximo: Option<String>,
    /// How many records were looked at.
    examinados: usize,
    /// How many of them have more than 2 MiB, and were not looked into.
    grandes_demais: usize,
}

/// Records, the newest first, with the beginnings of their payloads.
#[utoipa::path(get, path = "/records", tag = "records", params(Which, Part), responses(
    (status = OK, body = FoundRecords),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    Looking(caller): Looking,
    Params(which): Params<Which>,
    Params(part): Params<Part>,
) -> Result<Json<FoundRecords>, Failed> {
    let (search, zone) = (search(&caller, &which)?, zone(&caller, &which)?);
    let before = cursor(part.cursor.as_deref())?.unwrap_or(i64::MAX);
    let limit = usize::try_from(limit(part.limite)).unwrap_or_default();
    let found = find(&caller.state, &search, before, limit, EXCERPT).await?;
    Ok(Json(FoundRecords {
        itens: found.records.into_iter().map(|(record, at)| RecordView::of(record, at, zone)).collect(),
        proximo: found.next.map(|id| id.to_string()),
        examinados: found.searched,
        grandes_demais: found.too_large,
    }))
}

/// A record, whole.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WholeRecord {
    id: i64,
    cliente_id: i32,
    origem: String,
    data_coleta: Option<String>,
    hash_conteudo: Option<String>,
    /// The payload, each number as it is written.
    #[schema(value_type = serde_json::Value)]
    payload: Box<RawValue>,
}

/// One record.
#[utoipa::path(get, path = "/records/{id}", tag = "records", params(("id" = i64, Path)), responses(
    (status = OK, body = WholeRecord),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(Looking(caller): Looking, At(id): At<i64>) -> Result<Response, Failed> {
    let turn = caller.state.reading()?;
    let record = caller.state.atlas.record(id).await?;
    let unreadable = |_| Failure::not_found(notice!("web-record-unknown", id = id));
    let record = WholeRecord {
        id,
        cliente_id: record.cliente_id,
        origem: record.origem,
        data_coleta: record.data_coleta.as_deref().map(rfc3339),
        hash_conteudo: record.hash_conteudo,
        payload: RawValue::from_string(record.payload).map_err(unreadable)?,
    };
    Ok(large_json(&record, turn))
}

/// All records that are meant, the oldest first, as JSON Lines or CSV. Where they are searched by
/// `caminho`, the header `Atlas-Not-Searched` says from which size on records are not looked into,
/// and not there.
#[utoipa::path(get, path = "/records/export", tag = "records", params(Which, As), responses(
    (status = OK, description = "The records", content((String = "application/jsonl"), (String = "text/csv"))),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn export_all(
    Looking(caller): Looking,
    Params(which): Params<Which>,
    Params(written): Params<As>,
) -> Result<Response, Failed> {
    let (search, zone) = (search(&caller, &which)?, zone(&caller, &which)?);
    let name = written.formato.as_deref().filter(|name| !name.is_empty()).unwrap_or("jsonl");
    let unknown = || Failure::usage(notice!("web-format-unknown", format = name));
    let format = Format::from_name(name).ok_or_else(unknown)?;
    let caveat = caveat(&search);
    let records = export(&caller.state, caller.principal.access, search, format, zone)?;
    let body = Streamed::from_stream(records);
    Ok((caveat, [(header::CONTENT_TYPE, format.kind())], body).into_response())
}

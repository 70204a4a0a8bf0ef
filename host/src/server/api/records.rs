//! Records.

use axum::Json;
use axum::body::Body as Streamed;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::ask::{Asked, At, Listed, cursor, limit};
use crate::notice;
use crate::server::export::{Format, export, large_json};
use crate::server::problem::Problem;
use crate::server::session::{Caller, Looking};
use crate::server::view::rfc3339;
use crate::service::Failure;
use crate::store::{OrigemTotal, RawRecord, RecordFilter};

/// Characters of a payload in a listing.
const EXCERPT: i64 = 1_000;

/// Which client.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct OfClient {
    cliente_id: i32,
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
    Asked(of): Asked<OfClient>,
) -> Result<Json<Vec<TotalView>>, Problem> {
    let atlas = &caller.house.atlas;
    atlas.known_client(of.cliente_id).await.map_err(|f| caller.problem(&f))?;
    let counted = caller.house.counting.overview(atlas, of.cliente_id).await.map_err(|f| caller.problem(&f))?;
    Ok(Json(counted.totals.iter().cloned().map(TotalView::from).collect()))
}

/// Which records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    cliente_id: Option<i32>,
    origem: Option<String>,
    /// Collected on this day or later, YYYY-MM-DD.
    de: Option<String>,
    /// Collected on this day or before.
    ate: Option<String>,
    /// `proximo` of the answer before.
    cursor: Option<String>,
    /// How many, at most 1,000.
    #[param(minimum = 1, maximum = 1000)]
    limite: Option<i64>,
    /// Of an export: `jsonl`, `csv`, or `excel` (CSV with semicolons and a byte order mark).
    formato: Option<String>,
}

fn filter(caller: &Caller, which: &Which) -> Result<RecordFilter, Problem> {
    let day = |text: &Option<String>| match text.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => crate::service::day(text).map(Some).map_err(|f| caller.problem(&f)),
    };
    let origem = which.origem.clone().filter(|origem| !origem.is_empty());
    Ok(RecordFilter { cliente_id: which.cliente_id, origem, from: day(&which.de)?, to: day(&which.ate)? })
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
}

impl From<RawRecord> for RecordView {
    fn from(record: RawRecord) -> Self {
        Self {
            id: record.id,
            cliente_id: record.cliente_id,
            origem: record.origem,
            data_coleta: record.data_coleta.as_deref().map(rfc3339),
            hash_conteudo: record.hash_conteudo,
            inicio: record.payload,
        }
    }
}

/// Records, the newest first, with the beginnings of their payloads.
#[utoipa::path(get, path = "/records", tag = "records", params(Which), responses(
    (status = OK, body = Listed<RecordView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    Looking(caller): Looking,
    Asked(which): Asked<Which>,
) -> Result<Json<Listed<RecordView>>, Problem> {
    let filter = filter(&caller, &which)?;
    let before = cursor(&caller, which.cursor.as_deref())?.unwrap_or(i64::MAX);
    let limit = limit(which.limite);
    let _turn = caller.house.search_turn().await.map_err(|f| caller.problem(&f))?;
    let records = caller.house.atlas.records(&filter, before, limit, EXCERPT).await.map_err(|f| caller.problem(&f))?;
    let next = records.last().filter(|_| records.len() as i64 == limit).map(|last| last.id.to_string());
    Ok(Json(Listed { itens: records.into_iter().map(RecordView::from).collect(), proximo: next }))
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
pub(super) async fn show(Looking(caller): Looking, At(id): At<i64>) -> Result<Response, Problem> {
    let turn = caller.house.reading().map_err(|f| caller.problem(&f))?;
    let record = caller.house.atlas.record(id).await.map_err(|f| caller.problem(&f))?;
    let unreadable = |_| caller.problem(&Failure::usage(notice!("web-record-unknown", id = id)));
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

/// All records that are meant, the oldest first, as JSON Lines or CSV.
#[utoipa::path(get, path = "/records/export", tag = "records", params(Which), responses(
    (status = OK, description = "The records", content((String = "application/jsonl"), (String = "text/csv"))),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn export_all(Looking(caller): Looking, Asked(which): Asked<Which>) -> Result<Response, Problem> {
    let filter = filter(&caller, &which)?;
    let name = which.formato.as_deref().filter(|name| !name.is_empty()).unwrap_or("jsonl");
    let unknown = || caller.problem(&Failure::usage(notice!("web-format-unknown", format = name)));
    let format = Format::from_name(name).ok_or_else(unknown)?;
    let records = export(&caller.house, caller.principal.access, filter, format).map_err(|f| caller.problem(&f))?;
    let body = Streamed::from_stream(records);
    Ok(([(header::CONTENT_TYPE, format.kind())], body).into_response())
}

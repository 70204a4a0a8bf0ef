//! Scraps, their pages, their rejected records.

use atlas_model::{PageRow, Rejected, ScrapFilter, ScrapState, notice};
use atlas_service::{Created, Failure, HistoryLine, HistoryPoint, Preview, Replayed, ScrapRequest, TriedPage};
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::SecondsFormat;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::{At, Body, ListPage, Params, cursor, limit};
use crate::export::large_json;
use crate::problem::{Failed, Problem};
use crate::session::{Caller, Configuring, Looking, Operating};
use crate::view::{ScrapView, rfc3339};

/// Rejected records of one answer, where the request does not say and at most: each may have
/// megabytes.
const REJECTS: i64 = 20;
const REJECTS_MAX: i64 = 100;

/// Which scraps.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    #[serde(alias = "cliente_id")]
    cliente: Option<i32>,
    #[serde(alias = "origem")]
    rota: Option<String>,
    /// A scrap in this state, or with a slice that is.
    estado: Option<String>,
    /// The slices of this scrap.
    fatia_de: Option<i64>,
    /// `proximo` of the answer before.
    cursor: Option<String>,
    /// How many, at most 1,000.
    #[param(minimum = 1, maximum = 1000)]
    limite: Option<i64>,
}

/// Scraps, the newest first.
#[utoipa::path(get, path = "/scraps", tag = "scraps", params(Which), responses(
    (status = OK, body = ListPage<ScrapView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(
    Looking(caller): Looking,
    Params(which): Params<Which>,
) -> Result<Json<ListPage<ScrapView>>, Failed> {
    let unknown = |name: &str| Failure::usage(notice!("web-state-unknown", state = name));
    let named = which.estado.as_deref().filter(|name| !name.is_empty());
    let state = named.map(|name| ScrapState::from_name(name).ok_or_else(|| unknown(name))).transpose()?;
    let filter = ScrapFilter {
        cliente_id: which.cliente,
        rota: which.rota.filter(|rota| !rota.is_empty()),
        state,
        slice_of: which.fatia_de,
        before: cursor(which.cursor.as_deref())?,
    };
    let limit = limit(which.limite);
    let scraps = caller.state.atlas.scraps(&filter, limit).await?;
    let next = scraps.last().filter(|_| scraps.len() as i64 == limit).map(|last| last.id.to_string());
    let items = scraps.iter().map(|scrap| ScrapView::of(scrap, caller.texts())).collect();
    Ok(Json(ListPage { itens: items, proximo: next }))
}

/// A scrap to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewScrap {
    cliente_id: i32,
    rota: String,
    /// First day, YYYY-MM-DD, where the route takes a period.
    de: Option<String>,
    /// Last day, included.
    ate: Option<String>,
    /// Records to ask for in a page.
    tamanho_pagina: Option<i32>,
    /// Divide the period into slices: `1d`, `2w`.
    fatia: Option<String>,
    /// Records a transaction.
    lote: Option<i32>,
    /// Attempts at a page.
    tentativas: Option<i32>,
    /// Whether it waits until it is told to run.
    #[serde(default)]
    pausado: bool,
}

impl From<NewScrap> for ScrapRequest {
    fn from(new: NewScrap) -> Self {
        Self {
            cliente_id: new.cliente_id,
            rota: new.rota,
            from: new.de,
            to: new.ate,
            page_size: new.tamanho_pagina,
            slice: new.fatia,
            batch: new.lote,
            retries: new.tentativas,
            paused: new.pausado,
        }
    }
}

/// Creates a scrap. A worker takes it at once, unless it is paused.
#[utoipa::path(post, path = "/scraps", tag = "scraps", request_body = NewScrap, responses(
    (status = CREATED, body = ScrapView, headers(("location" = String, description = "The scrap"))),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn create(Operating(caller): Operating, Body(new): Body<NewScrap>) -> Result<Response, Failed> {
    let atlas = &caller.state.atlas;
    let Created { id, .. } = atlas.create_scrap(&new.into()).await?;
    let scrap = now(&caller, id).await?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/api/v1/scraps/{id}"))], Json(scrap)).into_response())
}

/// The scrap as it stands, and everybody who listens is told.
async fn now(caller: &Caller, id: i64) -> Result<ScrapView, Failed> {
    caller.state.watch.look_at(id);
    let scrap = caller.state.atlas.scrap(id).await?;
    Ok(ScrapView::of(&scrap, caller.texts()))
}

/// What a scrap would ask for first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PreviewView {
    /// Method, path below the base URL, and query; none: the connector did not say.
    pedido: Option<String>,
    api: String,
    /// The connector's version.
    versao: String,
    tamanho_pagina: i32,
    /// How many slices it would be divided into; 0: it is one.
    fatias: usize,
}

impl From<Preview> for PreviewView {
    fn from(preview: Preview) -> Self {
        Self {
            pedido: preview.request,
            api: preview.api,
            versao: preview.version,
            tamanho_pagina: preview.page_size,
            fatias: preview.slices,
        }
    }
}

/// What a scrap would ask for first, without asking it.
#[utoipa::path(post, path = "/scraps/preview", tag = "scraps", request_body = NewScrap, responses(
    (status = OK, body = PreviewView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn preview(
    Operating(caller): Operating,
    Body(new): Body<NewScrap>,
) -> Result<Json<PreviewView>, Failed> {
    let preview = caller.state.atlas.preview(&new.into()).await?;
    Ok(Json(preview.into()))
}

/// A page that was fetched, and not stored.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TriedView {
    registros: usize,
    /// The first ones, perhaps cut.
    primeiros: Vec<String>,
    /// Cursors that the page names.
    proximos: usize,
    total_declarado: Option<u64>,
    duracao_ms: u64,
}

impl From<TriedPage> for TriedView {
    fn from(page: TriedPage) -> Self {
        Self {
            registros: page.records,
            primeiros: page.first,
            proximos: page.next,
            total_declarado: page.total,
            duracao_ms: u64::try_from(page.took.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// Fetches a scrap's first page, and stores nothing.
#[utoipa::path(post, path = "/scraps/try", tag = "scraps", request_body = NewScrap, responses(
    (status = OK, body = TriedView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn try_page(
    Configuring(caller): Configuring,
    Body(new): Body<NewScrap>,
) -> Result<Json<TriedView>, Failed> {
    let page = caller.state.atlas.try_page(&new.into()).await?;
    Ok(Json(page.into()))
}

/// One scrap.
#[utoipa::path(get, path = "/scraps/{id}", tag = "scraps", params(("id" = i64, Path)), responses(
    (status = OK, body = ScrapView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn show(Looking(caller): Looking, At(id): At<i64>) -> Result<Json<ScrapView>, Failed> {
    let scrap = caller.state.atlas.scrap(id).await?;
    Ok(Json(ScrapView::of(&scrap, caller.texts())))
}

/// Leaves a scrap to the workers, who go on with it at once.
#[utoipa::path(post, path = "/scraps/{id}/run", tag = "scraps", params(("id" = i64, Path)), responses(
    (status = OK, body = ScrapView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn run(Operating(caller): Operating, At(id): At<i64>) -> Result<Json<ScrapView>, Failed> {
    caller.state.atlas.requeue_scrap(id).await?;
    Ok(Json(now(&caller, id).await?))
}

/// Pauses a scrap, whoever runs it.
#[utoipa::path(post, path = "/scraps/{id}/pause", tag = "scraps", params(("id" = i64, Path)), responses(
    (status = OK, body = ScrapView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn pause(Operating(caller): Operating, At(id): At<i64>) -> Result<Json<ScrapView>, Failed> {
    caller.state.atlas.pause_scrap(id).await?;
    Ok(Json(now(&caller, id).await?))
}

/// Cancels a scrap, whoever runs it. It can be run again all the same.
#[utoipa::path(post, path = "/scraps/{id}/cancel", tag = "scraps", params(("id" = i64, Path)), responses(
    (status = OK, body = ScrapView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn cancel(Operating(caller): Operating, At(id): At<i64>) -> Result<Json<ScrapView>, Failed> {
    caller.state.atlas.cancel_scrap(id).await?;
    Ok(Json(now(&caller, id).await?))
}

/// Where a listing goes on, and how many it gives.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// `proximo` of the answer before.
    pub(super) cursor: Option<String>,
    /// How many, at most 1,000.
    #[param(minimum = 1, maximum = 1000)]
    pub(super) limite: Option<i64>,
}

/// A page of a scrap.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PageView {
    /// Its place in the order in which pages became known.
    ordem: i64,
    /// The reading of the source that it belongs to, from 0.
    varredura: i32,
    /// Once it is erased, `sha256:` and its hash. None: the first page.
    cursor: Option<String>,
    /// `pendente`, `feita` or `conferida`.
    estado: String,
    /// Whether writing it was begun.
    iniciado: bool,
    tentativas: i32,
    lidos: i64,
    inseridos: i64,
    duplicados: i64,
    reencontrados: i64,
    rejeitados: i64,
    total_declarado: Option<i64>,
    conector_sha256: Option<String>,
    gravado_em: Option<String>,
}

impl From<PageRow> for PageView {
    fn from(page: PageRow) -> Self {
        Self {
            ordem: page.ordem,
            varredura: page.varredura,
            cursor: page.name(),
            estado: page.estado,
            iniciado: page.iniciado,
            tentativas: page.tentativas,
            lidos: page.counts.lidos,
            inseridos: page.counts.inseridos,
            duplicados: page.counts.duplicados,
            reencontrados: page.counts.reencontrados,
            rejeitados: page.counts.rejeitados,
            total_declarado: page.total_declarado,
            conector_sha256: page.conector_sha256,
            gravado_em: page.gravado_em.as_deref().map(rfc3339),
        }
    }
}

/// The pages of a scrap, in the order in which they became known.
#[utoipa::path(get, path = "/scraps/{id}/pages", tag = "scraps", params(("id" = i64, Path), Part), responses(
    (status = OK, body = ListPage<PageView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn pages(
    Looking(caller): Looking,
    At(id): At<i64>,
    Params(part): Params<Part>,
) -> Result<Json<ListPage<PageView>>, Failed> {
    let (after, limit) = (cursor(part.cursor.as_deref())?.unwrap_or(0), limit(part.limite));
    let atlas = &caller.state.atlas;
    atlas.scrap(id).await?;
    let pages = atlas.pages(id, after, limit).await?;
    let next = pages.last().filter(|_| pages.len() as i64 == limit).map(|last| last.ordem.to_string());
    Ok(Json(ListPage { itens: pages.into_iter().map(PageView::from).collect(), proximo: next }))
}

/// How a scrap went for a moment.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Point {
    /// When (RFC 3339).
    at: String,
    /// Records a second.
    rate: f64,
    /// Mean time of a page in milliseconds; none: none came.
    page_ms: Option<f64>,
}

/// How a scrap went while it ran, whichever process ran it: a point every two seconds, and fewer of
/// a long one.
#[utoipa::path(get, path = "/scraps/{id}/plot", tag = "scraps", params(("id" = i64, Path)), responses(
    (status = OK, body = Vec<Point>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn plot(Looking(caller): Looking, At(id): At<i64>) -> Result<Json<Vec<Point>>, Failed> {
    let (_, points) = history(&caller, id).await?;
    let point = |point: HistoryPoint| {
        let at = point.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        Point { at, rate: point.rate, page_ms: point.page_ms }
    };
    Ok(Json(points.into_iter().map(point).collect()))
}

async fn history(caller: &Caller, id: i64) -> Result<(Vec<HistoryLine>, Vec<HistoryPoint>), Failed> {
    let atlas = &caller.state.atlas;
    let scrap = atlas.scrap(id).await?;
    Ok(atlas.history(scrap.cliente_id, id).await?)
}

/// A line of a scrap's log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LineView {
    em: String,
    texto: String,
}

/// What is kept of a scrap's log, whichever process ran it: the last lines, the oldest first.
#[utoipa::path(get, path = "/scraps/{id}/log", tag = "scraps", params(("id" = i64, Path)), responses(
    (status = OK, body = Vec<LineView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn log(Looking(caller): Looking, At(id): At<i64>) -> Result<Json<Vec<LineView>>, Failed> {
    let (lines, _) = history(&caller, id).await?;
    let line = |line: HistoryLine| {
        let em = line.at.to_rfc3339_opts(SecondsFormat::Millis, true);
        LineView { em, texto: caller.texts().text(&line.notice) }
    };
    Ok(Json(lines.into_iter().map(line).collect()))
}

/// A rejected record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RejectView {
    id: i64,
    scrap_id: i64,
    cliente_id: i32,
    origem: String,
    cursor: Option<String>,
    /// Its place on the page, from 0.
    posicao: i64,
    codigo: String,
    motivo: String,
    /// Its bytes, Base64.
    conteudo: String,
    criado_em: String,
    /// When it was put into the table after all.
    reprocessado_em: Option<String>,
}

impl From<Rejected> for RejectView {
    fn from(rejected: Rejected) -> Self {
        use base64::Engine;

        Self {
            id: rejected.id,
            scrap_id: rejected.scrap_id,
            cliente_id: rejected.cliente_id,
            origem: rejected.origem,
            cursor: rejected.cursor,
            posicao: rejected.position,
            codigo: rejected.code,
            motivo: rejected.reason,
            conteudo: base64::engine::general_purpose::STANDARD.encode(rejected.content),
            criado_em: rfc3339(&rejected.created_at),
            reprocessado_em: rejected.replayed_at.as_deref().map(rfc3339),
        }
    }
}

/// Which rejected records.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct WhichRejects {
    /// Of this scrap.
    #[serde(alias = "scrap_id")]
    scrap: Option<i64>,
    /// `proximo` of the answer before.
    cursor: Option<String>,
    /// How many, at most 100, and fewer where they are large.
    #[param(minimum = 1, maximum = 100)]
    limite: Option<i64>,
}

/// Rejected records, the oldest first.
#[utoipa::path(get, path = "/rejects", tag = "rejects", params(WhichRejects), responses(
    (status = OK, body = ListPage<RejectView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn rejects(Looking(caller): Looking, Params(which): Params<WhichRejects>) -> Result<Response, Failed> {
    let turn = caller.state.reading()?;
    let after = cursor(which.cursor.as_deref())?.unwrap_or(0);
    let limit = which.limite.unwrap_or(REJECTS).clamp(1, REJECTS_MAX);
    let rejects = caller.state.atlas.rejects(which.scrap, after, limit).await?;
    let next = match rejects.last().map(|last| last.id) {
        Some(last) => {
            let more = caller.state.atlas.rejects(which.scrap, last, 1).await?;
            (!more.is_empty()).then(|| last.to_string())
        }
        None => None,
    };
    let listed = ListPage { itens: rejects.into_iter().map(RejectView::from).collect(), proximo: next };
    Ok(large_json(&listed, turn))
}

/// What became of a rejected record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReplayView {
    id: i64,
    /// `inserido`, `duplicado`, `antes` (it was put there before) or `rejeitado`.
    resultado: &'static str,
    /// Why it was rejected again.
    motivo: Option<String>,
}

/// Puts a rejected record into the table, if it can be kept by now.
#[utoipa::path(post, path = "/rejects/{id}/replay", tag = "rejects", params(("id" = i64, Path)), responses(
    (status = OK, body = ReplayView),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn replay(Operating(caller): Operating, At(id): At<i64>) -> Result<Json<ReplayView>, Failed> {
    let mut view = ReplayView { id, resultado: "rejeitado", motivo: None };
    let tell = |_: &Rejected, replayed: &Replayed| match replayed {
        Replayed::Inserted => view.resultado = "inserido",
        Replayed::Duplicate => view.resultado = "duplicado",
        Replayed::Before => view.resultado = "antes",
        Replayed::Rejected(_, reason) => view.motivo = Some(reason.clone()),
    };
    caller.state.atlas.replay(&[id], None, tell).await?;
    Ok(Json(view))
}

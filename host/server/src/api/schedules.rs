//! Schedules.

use atlas_model::Schedule;
use atlas_service::{Created, ScheduleRequest};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::{At, Body};
use crate::problem::{Failed, Problem};
use crate::session::{Looking, Operating};

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduleView {
    id: i64,
    cliente_id: i32,
    rota: String,
    /// When: five fields.
    cron: String,
    /// The time zone that they are read in.
    fuso: String,
    /// The days that a scrap asks for, the present one included.
    janela_dias: Option<i32>,
    ativa: bool,
    /// Whether a scrap is created although the one before has not ended.
    sobrepor: bool,
    /// When it is due next.
    proxima: Option<String>,
    ultimo_scrap: Option<i64>,
}

impl From<Schedule> for ScheduleView {
    fn from(schedule: Schedule) -> Self {
        let next = DateTime::from_timestamp(schedule.next, 0).filter(|_| schedule.active);
        Self {
            id: schedule.id,
            cliente_id: schedule.cliente_id,
            rota: schedule.rota,
            cron: schedule.cron,
            fuso: schedule.timezone,
            janela_dias: schedule.window_days,
            ativa: schedule.active,
            sobrepor: schedule.overlap,
            proxima: next.map(|next| next.to_rfc3339_opts(SecondsFormat::Secs, true)),
            ultimo_scrap: schedule.last_scrap,
        }
    }
}

/// All schedules.
#[utoipa::path(get, path = "/schedules", tag = "schedules", responses(
    (status = OK, body = Vec<ScheduleView>),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn list(Looking(caller): Looking) -> Result<Json<Vec<ScheduleView>>, Failed> {
    let schedules = caller.state.atlas.schedules().await?;
    Ok(Json(schedules.into_iter().map(ScheduleView::from).collect()))
}

/// A schedule to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewSchedule {
    cliente_id: i32,
    rota: String,
    /// When: five fields.
    cron: String,
    /// The time zone that they are read in; none: UTC.
    fuso: Option<String>,
    /// The days that a scrap asks for: `2d`, `1w`, where the route takes a period.
    janela: Option<String>,
    tamanho_pagina: Option<i32>,
    #[serde(default)]
    sobrepor: bool,
}

/// A schedule's number.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduleId {
    id: i64,
}

/// Adds a schedule.
#[utoipa::path(post, path = "/schedules", tag = "schedules", request_body = NewSchedule, responses(
    (status = CREATED, body = ScheduleId),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn add(Operating(caller): Operating, Body(new): Body<NewSchedule>) -> Result<Response, Failed> {
    let request = ScheduleRequest {
        cliente_id: new.cliente_id,
        rota: new.rota,
        cron: new.cron,
        timezone: new.fuso,
        window: new.janela,
        page_size: new.tamanho_pagina,
        overlap: new.sobrepor,
    };
    let Created { id, .. } = caller.state.atlas.add_schedule(request).await?;
    Ok((StatusCode::CREATED, Json(ScheduleId { id })).into_response())
}

/// What changes about a schedule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangedSchedule {
    /// Whether it creates scraps.
    ativa: bool,
}

/// Lets a schedule create no scraps, or again those that are due from now on.
#[utoipa::path(patch, path = "/schedules/{id}", tag = "schedules", params(("id" = i64, Path)), request_body = ChangedSchedule, responses(
    (status = NO_CONTENT),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn change(
    Operating(caller): Operating,
    At(id): At<i64>,
    Body(changed): Body<ChangedSchedule>,
) -> Result<StatusCode, Failed> {
    caller.state.atlas.set_schedule(id, changed.ativa).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a schedule. Its scraps stay.
#[utoipa::path(delete, path = "/schedules/{id}", tag = "schedules", params(("id" = i64, Path)), responses(
    (status = NO_CONTENT),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn remove(Operating(caller): Operating, At(id): At<i64>) -> Result<StatusCode, Failed> {
    caller.state.atlas.remove_schedule(id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The scrap that was created.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedScrap {
    scrap_id: i64,
}

/// Creates a schedule's scrap now, beside those that are due.
#[utoipa::path(post, path = "/schedules/{id}/run", tag = "schedules", params(("id" = i64, Path)), responses(
    (status = CREATED, body = CreatedScrap),
    (status = "4XX", body = Problem, content_type = "application/problem+json"),
    (status = "5XX", body = Problem, content_type = "application/problem+json"),
))]
pub(super) async fn run(Operating(caller): Operating, At(id): At<i64>) -> Result<Response, Failed> {
    let scrap_id = caller.state.atlas.run_schedule(id).await?;
    Ok((StatusCode::CREATED, Json(CreatedScrap { scrap_id })).into_response())
}

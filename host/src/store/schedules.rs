//! Schedules: scraps that are created by themselves, by whichever host sees first that one is due.

use async_trait::async_trait;
use sqlx::FromRow;

use super::error::StoreError;
use super::types::NewScrap;

/// A schedule, as somebody asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// When: five fields.
    pub cron: String,
    /// The time zone that they are read in.
    pub timezone: String,
    /// The days that a scrap asks for, the present one included; none: the route takes no period.
    pub window_days: Option<i32>,
    /// Records a page; 0: as the connector says.
    pub page_size: i32,
    /// Whether a scrap is created although the one before has not ended.
    pub overlap: bool,
    /// When it is due first, in seconds since 1970.
    pub next: i64,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct Schedule {
    /// Its number.
    pub id: i64,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// When: five fields.
    pub cron: String,
    /// The time zone that they are read in.
    #[sqlx(rename = "fuso")]
    pub timezone: String,
    /// The days that a scrap asks for, the present one included.
    #[sqlx(rename = "janela_dias")]
    pub window_days: Option<i32>,
    /// Records a page; 0: as the connector says.
    #[sqlx(rename = "tamanho_pagina")]
    pub page_size: i32,
    /// Whether a scrap is created although the one before has not ended.
    #[sqlx(rename = "sobrepor")]
    pub overlap: bool,
    /// Whether it creates any.
    #[sqlx(rename = "ativa")]
    pub active: bool,
    /// When it is due next, in seconds since 1970.
    #[sqlx(rename = "proxima")]
    pub next: i64,
    /// The scrap that it created last.
    #[sqlx(rename = "ultimo_scrap")]
    pub last_scrap: Option<i64>,
    /// The last day that was read for certain, ISO 8601; before anything was, the first that was asked for.
    #[sqlx(rename = "ultimo_dia")]
    pub last_day: Option<String>,
}

/// A schedule that is due, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// When it is due after this.
    pub next: i64,
    /// The scrap.
    pub scrap: &'a NewScrap,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// A scrap, by its number.
    Scrap(i64),
    /// None: the one before has not ended.
    Overlaps,
    /// None: another host was first, or somebody changed the schedule.
    Passed,
}

/// Schedules. Every call is atomic.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Adds one, and gives its number.
    async fn add_schedule(&self, schedule: &NewSchedule) -> Result<i64, StoreError>;

    /// All of them, by their numbers.
    async fn schedules(&self) -> Result<Vec<Schedule>, StoreError>;

    /// Those of active clients that are due by the moment `now`, the longest due first.
    async fn due_schedules(&self, now: i64) -> Result<Vec<Schedule>, StoreError>;

    /// Lets one create scraps from now on, due next at this moment, or none; false if it is not there.
    async fn set_schedule(&self, id: i64, active: bool, next: i64) -> Result<bool, StoreError>;

    /// Removes one; false if it was not there.
    async fn remove_schedule(&self, id: i64) -> Result<bool, StoreError>;

    /// Creates a scrap of one that is as it was read, and sets when it is due next: both or neither.
    async fn fire(&self, firing: &Firing<'_>) -> Result<Fired, StoreError>;
}

/// The columns of [`Schedule`]. As long as its last scrap is not done, what is read for certain is what was before that.
macro_rules! schedule_columns {
    ($rest:literal) => {
        concat!(
            "SELECT a.id, a.cliente_id, a.rota, a.cron, a.fuso, a.janela_dias, a.tamanho_pagina, a.sobrepor, a.ativa, \
             a.proxima, a.ultimo_scrap, CASE WHEN s.estado IN ('concluido', 'concluido_com_ressalva') THEN s.periodo_fim \
               ELSE COALESCE(a.ultimo_dia, s.periodo_inicio) END AS ultimo_dia \
             FROM atlas_agendas a LEFT JOIN scraps s ON s.id = a.ultimo_scrap ",
            $rest
        )
    };
}

pub(super) const ADD: &str = "INSERT INTO atlas_agendas (cliente_id, rota, cron, fuso, janela_dias, tamanho_pagina, sobrepor, \
     proxima) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";

pub(super) const ALL: &str = schedule_columns!("ORDER BY a.id");

pub(super) const DUE: &str = schedule_columns!(
    "JOIN clientes_tokens c ON c.cliente_id = a.cliente_id \
     WHERE a.ativa AND a.proxima <= $1 AND COALESCE(c.ativo, TRUE) ORDER BY a.proxima, a.id"
);

pub(super) const SET: &str = "UPDATE atlas_agendas SET ativa = $2, proxima = $3 WHERE id = $1";

pub(super) const REMOVE: &str = "DELETE FROM atlas_agendas WHERE id = $1";

/// Only if it is as it was read; the row is this transaction's from then on.
pub(super) const ADVANCE: &str =
    "UPDATE atlas_agendas SET proxima = $3 WHERE id = $1 AND proxima = $2 AND ativa RETURNING ultimo_scrap";

/// Whether a scrap goes on by itself.
pub(super) const GOES_ON: &str = "SELECT EXISTS (SELECT 1 FROM scraps WHERE id = $1 \
     AND (estado IN ('pendente', 'executando') OR estado IN ('suspenso', 'interrompido') AND retomar_em IS NOT NULL))";

pub(super) const NOTE: &str = "UPDATE atlas_agendas SET ultimo_scrap = $2, ultimo_dia = $3 WHERE id = $1";

/// The same on either database, but for how a transaction begins that writes.
macro_rules! impl_schedules {
    (for $store:ty, begin: $begin:expr) => {
        const _: () = {
            use crate::store::brief::Brief;
            use crate::store::{Fault, Fired, Firing, NewSchedule, Schedule, Schedules, StoreError, schedules};
            use async_trait::async_trait;

            #[async_trait]
            impl Schedules for $store {
                async fn add_schedule(&self, schedule: &NewSchedule) -> Result<i64, StoreError> {
                    let added = sqlx::query_scalar(schedules::ADD)
                        .bind(schedule.cliente_id)
                        .bind(&schedule.rota)
                        .bind(&schedule.cron)
                        .bind(&schedule.timezone)
                        .bind(schedule.window_days)
                        .bind(schedule.page_size)
                        .bind(schedule.overlap)
                        .bind(schedule.next);
                    let mut tx = Brief::begin(&self.pool, $begin, "add the schedule").await?;
                    let id = added.fetch_one(&mut *tx).await.map_err(tx.sort())?;
                    tx.commit().await?;
                    Ok(id)
                }

                async fn schedules(&self) -> Result<Vec<Schedule>, StoreError> {
                    let mut tx = Brief::begin(&self.pool, $begin, "list the schedules").await?;
                    let all = sqlx::query_as(schedules::ALL).fetch_all(&mut *tx).await.map_err(tx.sort())?;
                    tx.commit().await?;
                    Ok(all)
                }

                async fn due_schedules(&self, now: i64) -> Result<Vec<Schedule>, StoreError> {
                    let mut tx = Brief::begin(&self.pool, $begin, "look for schedules that are due").await?;
                    let due = sqlx::query_as(schedules::DUE).bind(now).fetch_all(&mut *tx).await.map_err(tx.sort())?;
                    tx.commit().await?;
                    Ok(due)
                }

                async fn set_schedule(&self, id: i64, active: bool, next: i64) -> Result<bool, StoreError> {
                    let mut tx = Brief::begin(&self.pool, $begin, "change the schedule").await?;
                    let set = sqlx::query(schedules::SET).bind(id).bind(active).bind(next).execute(&mut *tx).await;
                    let set = set.map_err(tx.sort())?.rows_affected() > 0;
                    tx.commit().await?;
                    Ok(set)
                }

                async fn remove_schedule(&self, id: i64) -> Result<bool, StoreError> {
                    let mut tx = Brief::begin(&self.pool, $begin, "remove the schedule").await?;
                    let removed = sqlx::query(schedules::REMOVE).bind(id).execute(&mut *tx).await;
                    let removed = removed.map_err(tx.sort())?.rows_affected() > 0;
                    tx.commit().await?;
                    Ok(removed)
                }

                async fn fire(&self, firing: &Firing<'_>) -> Result<Fired, StoreError> {
                    let doing = "create a schedule's scrap";
                    let Firing { schedule, next, scrap } = firing;
                    let mut tx = Brief::begin(&self.pool, $begin, doing).await?;
                    let advanced: Option<Option<i64>> = sqlx::query_scalar(schedules::ADVANCE)
                        .bind(schedule.id)
                        .bind(schedule.next)
                        .bind(next)
                        .fetch_optional(&mut *tx)
                        .await
                        .map_err(tx.sort())?;
                    let Some(last) = advanced else { return Ok(Fired::Passed) };
                    let goes_on = match last.filter(|_| !schedule.overlap) {
                        Some(last) => sqlx::query_scalar(schedules::GOES_ON)
                            .bind(last)
                            .fetch_one(&mut *tx)
                            .await
                            .map_err(tx.sort())?,
                        None => false,
                    };
                    if goes_on {
                        tx.commit().await?;
                        return Ok(Fired::Overlaps);
                    }
                    let created = Self::insert_scrap_within(&mut tx, scrap).await?;
                    let noted = sqlx::query(schedules::NOTE).bind(schedule.id).bind(created).bind(&schedule.last_day);
                    if noted.execute(&mut *tx).await.map_err(tx.sort())?.rows_affected() == 0 {
                        return Err(StoreError::new(Fault::Missing, doing, schedule.id.to_string()));
                    }
                    tx.commit().await?;
                    Ok(Fired::Scrap(created))
                }
            }
        };
    };
}
pub(super) use impl_schedules;

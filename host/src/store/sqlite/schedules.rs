//! Schedules.

use sqlx::SqlitePool;

use super::super::error::{Fault, StoreError};
use super::super::rows;
use super::super::schedules::{self, Fired, Firing, NewSchedule, Schedule};
use super::super::types::CursorId;

pub(super) async fn add(pool: &SqlitePool, schedule: &NewSchedule) -> Result<i64, StoreError> {
    let added = sqlx::query_scalar(schedules::ADD)
        .bind(schedule.cliente_id)
        .bind(&schedule.rota)
        .bind(&schedule.cron)
        .bind(&schedule.timezone)
        .bind(schedule.window_days)
        .bind(schedule.page_size)
        .bind(schedule.overlap)
        .bind(schedule.next);
    added.fetch_one(pool).await.map_err(StoreError::sort("add the schedule"))
}

pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<Schedule>, StoreError> {
    sqlx::query_as(schedules::ALL).fetch_all(pool).await.map_err(StoreError::sort("list the schedules"))
}

pub(super) async fn due(pool: &SqlitePool, now: i64) -> Result<Vec<Schedule>, StoreError> {
    let due = sqlx::query_as(schedules::DUE).bind(now).fetch_all(pool).await;
    due.map_err(StoreError::sort("look for schedules that are due"))
}

pub(super) async fn set(pool: &SqlitePool, id: i64, active: bool, next: i64) -> Result<bool, StoreError> {
    let set = sqlx::query(schedules::SET).bind(id).bind(active).bind(next).execute(pool).await;
    Ok(set.map_err(StoreError::sort("change the schedule"))?.rows_affected() > 0)
}

pub(super) async fn remove(pool: &SqlitePool, id: i64) -> Result<bool, StoreError> {
    let removed = sqlx::query(schedules::REMOVE).bind(id).execute(pool).await;
    Ok(removed.map_err(StoreError::sort("remove the schedule"))?.rows_affected() > 0)
}

pub(super) async fn fire(pool: &SqlitePool, firing: &Firing<'_>) -> Result<Fired, StoreError> {
    let sort = || StoreError::sort("create a schedule's scrap");
    let Firing { schedule, next, scrap } = firing;
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(sort())?;
    let advanced: Option<Option<i64>> = sqlx::query_scalar(schedules::ADVANCE)
        .bind(schedule.id)
        .bind(schedule.next)
        .bind(next)
        .fetch_optional(&mut *tx)
        .await
        .map_err(sort())?;
    let Some(last) = advanced else { return Ok(Fired::Passed) };
    let goes_on = match last.filter(|_| !schedule.overlap) {
        Some(last) => sqlx::query_scalar(schedules::GOES_ON).bind(last).fetch_one(&mut *tx).await.map_err(sort())?,
        None => false,
    };
    if goes_on {
        tx.commit().await.map_err(sort())?;
        return Ok(Fired::Overlaps);
    }
    let period = scrap.period.as_ref();
    let created: i64 = sqlx::query_scalar(rows::INSERT_SCRAP)
        .bind(scrap.cliente_id)
        .bind(&scrap.rota)
        .bind(period.map(|(from, _)| from))
        .bind(period.map(|(_, to)| to))
        .bind(scrap.page_size)
        .bind(&scrap.settings)
        .bind(&scrap.host)
        .fetch_one(&mut *tx)
        .await
        .map_err(sort())?;
    sqlx::query(rows::INSERT_ROOT)
        .bind(created)
        .bind(0)
        .bind(CursorId::ROOT.0.as_slice())
        .execute(&mut *tx)
        .await
        .map_err(sort())?;
    let noted = sqlx::query(schedules::NOTE).bind(schedule.id).bind(created).bind(&schedule.last_day);
    if noted.execute(&mut *tx).await.map_err(sort())?.rows_affected() == 0 {
        return Err(StoreError::new(Fault::Missing, "create a schedule's scrap", schedule.id.to_string()));
    }
    tx.commit().await.map_err(sort())?;
    Ok(Fired::Scrap(created))
}

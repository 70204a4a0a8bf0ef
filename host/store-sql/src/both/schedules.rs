//! Schedules: hosts create their scraps when they are due; the first host to see it does.

use async_trait::async_trait;
use atlas_model::{Fired, Firing, NewSchedule, Schedule};
use atlas_store::{Fault, Schedules, StoreError};

use super::dialect::{BEGIN_BRIEFLY, SqlStore};
use super::scraps::insert_scrap;
use crate::brief::Brief;
use crate::values::{ScheduleRow, values};

/// The columns of [`Schedule`]. As long as its last scrap is not done, what is read for certain is
/// what was before that.
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

const ADD: &str = "INSERT INTO atlas_agendas (cliente_id, rota, cron, fuso, janela_dias, tamanho_pagina, sobrepor, \
     proxima) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING id";

const ALL: &str = schedule_columns!("ORDER BY a.id");

const DUE: &str = schedule_columns!(
    "JOIN clientes_tokens c ON c.cliente_id = a.cliente_id \
     WHERE a.ativa AND a.proxima <= $1 AND COALESCE(c.ativo, TRUE) ORDER BY a.proxima, a.id"
);

const SET: &str = "UPDATE atlas_agendas SET ativa = $2, proxima = $3 WHERE id = $1";

const REMOVE: &str = "DELETE FROM atlas_agendas WHERE id = $1";

/// Moves a schedule to its next time, only if it is as it was read. Locks the row for the rest of
/// the transaction.
const ADVANCE: &str =
    "UPDATE atlas_agendas SET proxima = $3 WHERE id = $1 AND proxima = $2 AND ativa RETURNING ultimo_scrap";

/// Whether a scrap runs, or a worker will take it without an operator.
const GOES_ON: &str = "SELECT EXISTS (SELECT 1 FROM scraps WHERE id = $1 \
     AND (estado IN ('pendente', 'executando') OR estado IN ('suspenso', 'interrompido') AND retomar_em IS NOT NULL))";

const NOTE: &str = "UPDATE atlas_agendas SET ultimo_scrap = $2, ultimo_dia = $3 WHERE id = $1";

#[async_trait]
impl Schedules for SqlStore {
    async fn add_schedule(&self, schedule: &NewSchedule) -> Result<i64, StoreError> {
        let added = sqlx::query_scalar(ADD)
            .bind(schedule.cliente_id)
            .bind(&schedule.rota)
            .bind(&schedule.cron)
            .bind(&schedule.timezone)
            .bind(schedule.window_days)
            .bind(schedule.page_size)
            .bind(schedule.overlap)
            .bind(schedule.next);
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "add the schedule").await?;
        let id = added.fetch_one(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(id)
    }

    async fn schedules(&self) -> Result<Vec<Schedule>, StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "list the schedules").await?;
        let all = sqlx::query_as::<_, ScheduleRow>(ALL).fetch_all(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(values(all))
    }

    async fn due_schedules(&self, now: i64) -> Result<Vec<Schedule>, StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "look for schedules that are due").await?;
        let due = sqlx::query_as::<_, ScheduleRow>(DUE).bind(now).fetch_all(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(values(due))
    }

    async fn set_schedule(&self, id: i64, active: bool, next: i64) -> Result<bool, StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "change the schedule").await?;
        let set = sqlx::query(SET).bind(id).bind(active).bind(next).execute(&mut *tx).await;
        let set = set.map_err(tx.sort())?.rows_affected() > 0;
        tx.commit().await?;
        Ok(set)
    }

    async fn remove_schedule(&self, id: i64) -> Result<bool, StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "remove the schedule").await?;
        let removed = sqlx::query(REMOVE).bind(id).execute(&mut *tx).await;
        let removed = removed.map_err(tx.sort())?.rows_affected() > 0;
        tx.commit().await?;
        Ok(removed)
    }

    async fn fire(&self, firing: &Firing<'_>) -> Result<Fired, StoreError> {
        let doing = "create a schedule's scrap";
        let Firing { schedule, next, scrap } = firing;
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, doing).await?;
        let advanced: Option<Option<i64>> = sqlx::query_scalar(ADVANCE)
            .bind(schedule.id)
            .bind(schedule.next)
            .bind(next)
            .fetch_optional(&mut *tx)
            .await
            .map_err(tx.sort())?;
        let Some(last) = advanced else { return Ok(Fired::Passed) };
        let goes_on = match last.filter(|_| !schedule.overlap) {
            Some(last) => sqlx::query_scalar(GOES_ON).bind(last).fetch_one(&mut *tx).await.map_err(tx.sort())?,
            None => false,
        };
        if goes_on {
            tx.commit().await?;
            return Ok(Fired::Overlaps);
        }
        let created = insert_scrap(&mut tx, scrap).await?;
        let noted = sqlx::query(NOTE).bind(schedule.id).bind(created).bind(&schedule.last_day);
        if noted.execute(&mut *tx).await.map_err(tx.sort())?.rows_affected() == 0 {
            return Err(StoreError::new(Fault::Missing, doing, schedule.id.to_string()));
        }
        tx.commit().await?;
        Ok(Fired::Scrap(created))
    }
}

//! Taking scraps, and the processes that run them.

use async_trait::async_trait;
use atlas_model::{ChangeOutcome, Host, Lease, Offer, Standing, TAKE_OVERS_MAX};
use atlas_store::{Queue, Store, StoreError};

use super::dialect::{BEGIN_BRIEFLY, BEGIN_LOOK, SqlStore, list, lock_queue};
use super::statements;
use crate::brief::Brief;
use crate::rows::LeaseRow;

/// Scraps of dead hosts that are named at a time.
const ORPHANS_MAX: i64 = 100;

/// Clients whose scraps wait that are named at a time.
const WAITING_MAX: i64 = 100;

/// What the holder of a lease is asked to do; no row if the lease is not the newest.
const STANDING: &str = "SELECT pedido FROM scraps WHERE id = $1 AND epoca = $2";

fn standing(asked: Option<Option<String>>) -> Standing {
    match asked {
        None => Standing::Lost,
        Some(None) => Standing::Held,
        Some(Some(_)) => Standing::AskedToPause,
    }
}

pub(super) const LEAVE: &str = "DELETE FROM atlas_hosts WHERE id = $1";

/// Puts a scrap back into the queue, or withdraws the request to pause a running one. Returns
/// whether it is running.
const REQUEUE: &str = "UPDATE scraps SET pedido = NULL, retomar_em = NULL, falhas = 0, \
       motivo = CASE WHEN estado = 'executando' THEN motivo END, host = CASE WHEN estado = 'executando' THEN host END, \
       terminado_em = CASE WHEN estado = 'executando' THEN terminado_em END, \
       estado = CASE WHEN estado = 'executando' THEN estado ELSE 'pendente' END \
     WHERE id = $1 AND fatias = 0 AND estado NOT IN ('concluido', 'concluido_com_ressalva') \
       AND (estado <> 'executando' OR pedido IS NOT NULL) RETURNING estado = 'executando'";

/// The outcome of a request, by whether the scrap is running; `None` if no row's state allowed it.
fn asked(somebody_runs_it: Option<bool>) -> ChangeOutcome {
    match somebody_runs_it {
        None => ChangeOutcome::Refused,
        Some(false) => ChangeOutcome::Done,
        Some(true) => ChangeOutcome::Forwarded,
    }
}

#[async_trait]
impl Queue for SqlStore {
    async fn beat(&self, host: &Host) -> Result<(), StoreError> {
        let lease = i32::try_from(host.lease.as_secs()).unwrap_or(i32::MAX);
        let known = sqlx::query(statements::BEAT).bind(&host.id).bind(&host.name).bind(&host.version).bind(lease);
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "say that this host is alive").await?;
        known.execute(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        // In a transaction of its own: this host's heartbeat must not wait for a lock on another
        // host's row.
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "forget hosts that are gone").await?;
        sqlx::query(statements::FORGET).execute(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await
    }

    async fn leave(&self, host: &str) -> Result<(), StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "take this host off the list").await?;
        sqlx::query(LEAVE).bind(host).execute(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await
    }

    async fn take(&self, offer: &Offer<'_>) -> Result<Option<Lease>, StoreError> {
        self.in_place().await?;
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "take the next scrap").await?;
        lock_queue(&mut tx).await.map_err(tx.sort())?;
        let orphans =
            sqlx::query(statements::PAUSE_ORPHANS).bind(offer.host).bind(list(offer.running)).bind(offer.may_take_over);
        orphans.execute(&mut *tx).await.map_err(tx.sort())?;
        let given_up = sqlx::query(statements::GIVE_UP)
            .bind(offer.may_take_over)
            .bind(TAKE_OVERS_MAX)
            .bind(offer.reason_to_give_up);
        given_up.execute(&mut *tx).await.map_err(tx.sort())?;
        let taken: Option<LeaseRow> = sqlx::query_as(statements::TAKE)
            .bind(offer.host)
            .bind(list(offer.routes))
            .bind(list(offer.connectors))
            .bind(list(offer.running))
            .bind(offer.per_client)
            .bind(offer.may_take_over)
            .fetch_optional(&mut *tx)
            .await
            .map_err(tx.sort())?;
        tx.commit().await?;
        Ok(taken.map(Lease::from))
    }

    async fn waiting(&self, offer: &Offer<'_>) -> Result<Vec<i32>, StoreError> {
        let mut tx = Brief::begin(&self.readers, BEGIN_LOOK, "look whose scraps wait").await?;
        let waiting = sqlx::query_scalar(statements::WAITING)
            .bind(offer.host)
            .bind(list(offer.routes))
            .bind(list(offer.connectors))
            .bind(list(offer.running))
            .bind(offer.per_client)
            .bind(offer.may_take_over)
            .bind(WAITING_MAX)
            .fetch_all(&mut *tx)
            .await
            .map_err(tx.sort())?;
        tx.commit().await?;
        Ok(waiting)
    }

    async fn orphans(&self) -> Result<Vec<i64>, StoreError> {
        let mut tx = Brief::begin(&self.readers, BEGIN_LOOK, "look for scraps of dead hosts").await?;
        let ids =
            sqlx::query_scalar(statements::ORPHANS).bind(ORPHANS_MAX).fetch_all(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(ids)
    }

    async fn holders(&self) -> Result<Vec<(String, String)>, StoreError> {
        let mut tx = Brief::begin(&self.readers, BEGIN_LOOK, "look for hosts that run something").await?;
        let hosts =
            sqlx::query_as(statements::HOLDERS).bind(ORPHANS_MAX).fetch_all(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(hosts)
    }

    async fn standing(&self, lease: &Lease) -> Result<Standing, StoreError> {
        self.in_place().await?;
        let mut tx = Brief::begin(&self.readers, BEGIN_LOOK, "check the lease").await?;
        let asked = sqlx::query_scalar(STANDING).bind(lease.scrap_id).bind(lease.epoch);
        let asked = asked.fetch_optional(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(standing(asked))
    }

    async fn pause(&self, id: i64, reason: &str) -> Result<ChangeOutcome, StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "pause the scrap").await?;
        let lives: Option<bool> = sqlx::query_scalar(statements::PAUSE)
            .bind(id)
            .bind(reason)
            .fetch_optional(&mut *tx)
            .await
            .map_err(tx.sort())?;
        tx.commit().await?;
        Ok(asked(lives))
    }

    async fn requeue(&self, id: i64) -> Result<ChangeOutcome, StoreError> {
        let mut tx = Brief::begin(&self.pool, BEGIN_BRIEFLY, "put the scrap back into the queue").await?;
        let runs: Option<bool> =
            sqlx::query_scalar(REQUEUE).bind(id).fetch_optional(&mut *tx).await.map_err(tx.sort())?;
        tx.commit().await?;
        Ok(asked(runs))
    }
}

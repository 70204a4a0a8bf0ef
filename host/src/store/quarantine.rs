//! Versions of connectors that ended a host's process: held on all hosts, for all read it here.

use async_trait::async_trait;
use sqlx::FromRow;

use super::error::StoreError;
use super::types::CursorId;

/// Versions that are listed, the newest: there is one for each fault of the engine that was found.
pub(super) const QUARANTINED_MAX: i64 = 1_000;

/// A version that is to be held, and what the process ran that died of it.
#[derive(Debug, Clone, Copy)]
pub struct NewQuarantine<'a> {
    /// The component's SHA-256, lower-case hex.
    pub sha256: &'a str,
    /// Its route.
    pub route: &'a str,
    /// Its own version, for people.
    pub version: &'a str,
    /// The signal's name.
    pub signal: &'a str,
    /// The process's id among hosts.
    pub host: &'a str,
    /// Scraps of other versions whose calls were under way as well.
    pub beside: &'a [i64],
    /// The reason to keep with the version's own scraps.
    pub reason: &'a str,
    /// The reason to keep with the others that the process ran.
    pub reason_beside: &'a str,
}

/// A version that is held.
#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct QuarantineRow {
    /// The component's SHA-256.
    pub sha256: String,
    /// Its route.
    pub rota: String,
    /// Its own version, for people.
    pub versao: String,
    /// The signal's name.
    pub sinal: String,
}

/// Holding versions on all hosts. Every call is atomic.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// Holds a version, and puts what its host ran back into the queue: the host is dead, and none
    /// of it counts as a failed run, since it is known what the host died of.
    async fn quarantine(&self, new: &NewQuarantine<'_>) -> Result<(), StoreError>;

    /// The versions that are held.
    async fn quarantined(&self) -> Result<Vec<QuarantineRow>, StoreError>;

    /// A cursor of a scrap by its identity. None: it is not known, or is that of the first page.
    async fn cursor(&self, scrap_id: i64, id: CursorId) -> Result<Option<String>, StoreError>;
}

pub(super) const HOLD: &str = "INSERT INTO atlas_quarentena (sha256, rota, versao, sinal) VALUES ($1, $2, $3, $4) \
     ON CONFLICT (sha256) DO NOTHING";

/// As a process hands back that ends by itself; one that was to be paused is paused.
pub(super) const HAND_BACK: &str = "UPDATE scraps SET epoca = epoca + 1, \
       estado = CASE WHEN pedido = 'pausar' THEN 'pausado' ELSE 'interrompido' END, \
       retomar_em = CASE WHEN pedido = 'pausar' THEN NULL ELSE CURRENT_TIMESTAMP END, \
       motivo = CASE WHEN conector_sha256 = $2 THEN $3 ELSE $4 END, \
       pedido = NULL, host = NULL, terminado_em = CURRENT_TIMESTAMP \
     WHERE host = $1 AND estado = 'executando'";

/// What another host has taken over since counts the death of the one before it, which it did not
/// cause.
pub(super) const NOT_COUNTED: &str = "UPDATE scraps SET falhas = falhas - 1 WHERE id = $1 AND falhas > 0 \
       AND estado = 'executando' AND host <> $2 AND (conector_sha256 IS NULL OR conector_sha256 <> $3)";

pub(super) const ALL: &str =
    "SELECT sha256, rota, versao, sinal FROM atlas_quarentena ORDER BY criado_em DESC, sha256 LIMIT $1";

pub(super) const CURSOR: &str = "SELECT cursor FROM scrap_cursores WHERE scrap_id = $1 AND cursor_hash = $2 LIMIT 1";

/// Taken off the list, when the operator accepts the version on every host.
pub(super) const RELEASE: &str = "DELETE FROM atlas_quarentena WHERE sha256 = $1";

/// The same on either database, but for how a transaction begins that writes.
macro_rules! impl_quarantine {
    (for $store:ty, begin: $begin:literal) => {
        const _: () = {
            use crate::store::quarantine::{self, QUARANTINED_MAX};
            use crate::store::{CursorId, NewQuarantine, Quarantine, QuarantineRow, StoreError};
            use async_trait::async_trait;

            #[async_trait]
            impl Quarantine for $store {
                async fn quarantine(&self, new: &NewQuarantine<'_>) -> Result<(), StoreError> {
                    let sort = || StoreError::sort("hold the connector on all hosts");
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    let hold = sqlx::query(quarantine::HOLD).bind(new.sha256).bind(new.route);
                    let hold = hold.bind(new.version).bind(new.signal);
                    let is_new = hold.execute(&mut *tx).await.map_err(sort())?.rows_affected() > 0;
                    let back = sqlx::query(quarantine::HAND_BACK).bind(new.host).bind(new.sha256);
                    let back = back.bind(new.reason).bind(new.reason_beside);
                    back.execute(&mut *tx).await.map_err(sort())?;
                    // A process that died before it had this done for good does it again.
                    for id in new.beside.iter().filter(|_| is_new) {
                        let not_counted = sqlx::query(quarantine::NOT_COUNTED).bind(id).bind(new.host);
                        not_counted.bind(new.sha256).execute(&mut *tx).await.map_err(sort())?;
                    }
                    let left = sqlx::query(crate::store::rows::LEAVE).bind(new.host);
                    left.execute(&mut *tx).await.map_err(sort())?;
                    tx.commit().await.map_err(sort())
                }

                async fn quarantined(&self) -> Result<Vec<QuarantineRow>, StoreError> {
                    let all = sqlx::query_as(quarantine::ALL).bind(QUARANTINED_MAX).fetch_all(&self.pool).await;
                    all.map_err(StoreError::sort("list the connectors that are held on all hosts"))
                }

                async fn cursor(&self, scrap_id: i64, id: CursorId) -> Result<Option<String>, StoreError> {
                    let found = sqlx::query_scalar(quarantine::CURSOR).bind(scrap_id).bind(id.0.as_slice());
                    let found: Option<Option<String>> =
                        found.fetch_optional(&self.pool).await.map_err(StoreError::sort("read a cursor"))?;
                    Ok(found.flatten())
                }
            }
        };
    };
}
pub(super) use impl_quarantine;

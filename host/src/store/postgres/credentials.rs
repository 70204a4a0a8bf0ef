//! Credentials of several parts, the lock under which access tokens are renewed, and a new key for everything.

use std::time::Instant;

use async_trait::async_trait;
use sqlx::{PgPool, Postgres, Transaction};

use super::super::credential_lock::credential_lock;
use super::super::error::{Fault, StoreError};
use super::super::rows::{self, SecretRow};
use super::super::seal::{Column, Place, Sealer, StoreKey};
use super::super::types::HeldCredential;
use super::super::{CREDENTIAL_LEASE, CREDENTIAL_LET_GO_MAX, CREDENTIAL_PATIENCE, CREDENTIAL_POLL, CredentialLock};
use crate::source::{AccessToken, Parts};

const LOCKING: &str = "lock the client's credential";
/// Why somebody gave up to wait for a lock.
const RENEWED_ALWAYS: &str = "access tokens were being renewed all the time";
const KEEPING: &str = "store the client's access token";

/// The parts and the access token of an API's credential, if it has several.
pub(super) async fn held(
    tx: &mut Transaction<'_, Postgres>,
    sealer: &Sealer,
    cliente_id: i32,
    api: &str,
) -> Result<Option<HeldCredential>, StoreError> {
    let row: Option<rows::CredentialRow> = sqlx::query_as(rows::CREDENTIAL)
        .bind(cliente_id)
        .bind(api)
        .fetch_optional(&mut **tx)
        .await
        .map_err(StoreError::sort("look up the client's credential"))?;
    row.map(|row| row.open(sealer, cliente_id, api)).transpose()
}

credential_lock! {
    on PgPool,
    now: "clock_timestamp()",
    later: "clock_timestamp() + $4 * INTERVAL '1 second'"
}

/// Locks all that holds secrets against writers, in the order in which a client that is removed takes its rows along.
const EVERYTHING: &str = "LOCK TABLE clientes_tokens, clientes_apis, clientes_credenciais IN SHARE ROW EXCLUSIVE MODE";

pub(super) async fn rekey(pool: &PgPool, old: &Sealer, key: &StoreKey) -> Result<u64, StoreError> {
    let doing = "seal every secret with the new key";
    let new = Sealer::new(Some(key.clone()));
    let given_up = Instant::now() + CREDENTIAL_PATIENCE;
    // A renewal under way ends first: what it gets would be sealed with the old key, and a new refresh token lost with it.
    let mut tx = loop {
        let mut tx = pool.begin().await.map_err(StoreError::sort(doing))?;
        sqlx::query(EVERYTHING).execute(&mut *tx).await.map_err(StoreError::sort(doing))?;
        if !sqlx::query_scalar::<_, bool>(LOCKED).fetch_one(&mut *tx).await.map_err(StoreError::sort(doing))? {
            break tx;
        }
        if Instant::now() >= given_up {
            return Err(StoreError::new(Fault::Unavailable, doing, RENEWED_ALWAYS));
        }
        tx.rollback().await.map_err(StoreError::sort(doing))?;
        tokio::time::sleep(CREDENTIAL_POLL).await;
    };
    let mut sealed = 0;
    for (column, read, write) in rows::SECRETS {
        let stored: Vec<SecretRow> = sqlx::query_as(read).fetch_all(&mut *tx).await.map_err(StoreError::sort(doing))?;
        for row in stored {
            let place = Place { cliente_id: row.cliente_id, api: &row.api, column };
            let secret = old.open(place, row.valor)?;
            sqlx::query(write)
                .bind(row.cliente_id)
                .bind(&row.api)
                .bind(new.seal(place, &secret)?)
                .execute(&mut *tx)
                .await
                .map_err(StoreError::sort(doing))?;
            sealed += 1;
        }
    }
    tx.commit().await.map_err(StoreError::sort(doing))?;
    Ok(sealed)
}

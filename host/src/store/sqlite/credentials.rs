//! Credentials of several parts, the lock under which access tokens are renewed, and a new key for everything.

use std::time::Instant;

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::super::credential_lock::credential_lock;
use super::super::error::{Fault, StoreError};
use super::super::rows::{self, SecretRow};
use super::super::seal::{Column, Place, Sealer, StoreKey};
use super::super::types::{ApiChange, HeldCredential};
use super::super::{CREDENTIAL_LEASE, CREDENTIAL_LET_GO_MAX, CREDENTIAL_PATIENCE, CREDENTIAL_POLL, CredentialLock};
use crate::source::{AccessToken, Parts};

const LOCKING: &str = "lock the client's credential";
/// Why somebody gave up to wait for a lock.
const RENEWED_ALWAYS: &str = "access tokens were being renewed all the time";
const KEEPING: &str = "store the client's access token";

/// Sets where an API is, and a sealed credential if there is one; what is `None` stays as it is. False if there is no such API and
/// no base URL for it.
pub(super) async fn place_api(
    tx: &mut Transaction<'_, Sqlite>,
    cliente_id: i32,
    api: &str,
    change: ApiChange<'_>,
    credential: Option<&str>,
) -> Result<bool, sqlx::Error> {
    // An UPDATE first: a new entry needs its base URL, an old one may keep it.
    let changed = sqlx::query(
        "UPDATE clientes_apis SET base_url = COALESCE($3, base_url), credencial = COALESCE($4, credencial), \
         rede_privada = COALESCE($5, rede_privada), atualizado_em = CURRENT_TIMESTAMP WHERE cliente_id = $1 AND api = $2",
    )
    .bind(cliente_id)
    .bind(api)
    .bind(change.base_url)
    .bind(credential)
    .bind(change.private)
    .execute(&mut **tx)
    .await?;
    if changed.rows_affected() > 0 {
        return Ok(true);
    }
    let Some(base_url) = change.base_url else { return Ok(false) };
    sqlx::query(
        "INSERT INTO clientes_apis (cliente_id, api, base_url, credencial, rede_privada) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(cliente_id)
    .bind(api)
    .bind(base_url)
    .bind(credential)
    .bind(change.private.unwrap_or(false))
    .execute(&mut **tx)
    .await?;
    Ok(true)
}

/// Sets where an API is and what its credential is, in one transaction.
pub(super) async fn set(
    pool: &SqlitePool,
    sealer: &Sealer,
    cliente_id: i32,
    api: &str,
    change: ApiChange<'_>,
    parts: Option<&Parts>,
) -> Result<bool, StoreError> {
    let doing = "set the client's credential";
    let place = |column| Place { cliente_id, api, column };
    let token = parts.and_then(Parts::only_token).map(|token| sealer.seal(place(Column::Credencial), token));
    let several = parts.filter(|p| p.only_token().is_none()).map(|p| sealer.seal(place(Column::Partes), &p.to_json()));
    let (token, several) = (token.transpose()?, several.transpose()?);
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::sort(doing))?;
    if !place_api(&mut tx, cliente_id, api, change, None).await.map_err(StoreError::sort(doing))? {
        return Ok(false);
    }
    let changed = sqlx::query(rows::SET_TOKEN).bind(cliente_id).bind(api).bind(token).execute(&mut *tx).await;
    changed.map_err(StoreError::sort(doing))?;
    let statement = if several.is_some() { rows::SET_PARTS } else { rows::REMOVE_PARTS };
    let mut query = sqlx::query(statement).bind(cliente_id).bind(api);
    if let Some(several) = several {
        query = query.bind(several);
    }
    query.execute(&mut *tx).await.map_err(StoreError::sort(doing))?;
    tx.commit().await.map_err(StoreError::sort(doing))?;
    Ok(true)
}

/// The parts and the access token of an API's credential, if it has several.
pub(super) async fn held(
    tx: &mut Transaction<'_, Sqlite>,
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
    on SqlitePool,
    now: "strftime('%Y-%m-%d %H:%M:%f', 'now')",
    later: "strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || $4 || ' seconds')"
}

pub(super) async fn rekey(pool: &SqlitePool, old: &Sealer, key: &StoreKey) -> Result<u64, StoreError> {
    let doing = "seal every secret with the new key";
    let new = Sealer::new(Some(key.clone()));
    let given_up = Instant::now() + CREDENTIAL_PATIENCE;
    // A renewal under way ends first: what it gets would be sealed with the old key, and a new refresh token lost with it.
    let mut tx = loop {
        let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::sort(doing))?;
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

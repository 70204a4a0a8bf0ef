//! Credentials of several parts, the lock under which access tokens are renewed, and a new key for everything.
//!
//! The lock is the file's write lock (`BEGIN IMMEDIATE`), held over the request to the token URL, which is therefore given up
//! long before others' patience with a busy file ends.

use async_trait::async_trait;
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::super::CredentialLock;
use super::super::error::{Fault, StoreError};
use super::super::rows::{self, SecretRow};
use super::super::seal::{Column, Place, Sealer, StoreKey};
use super::super::types::{ApiChange, HeldCredential};
use crate::source::{AccessToken, Parts};

const LOCKING: &str = "lock the client's credential";
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

struct Lock {
    tx: Transaction<'static, Sqlite>,
    sealer: Sealer,
    cliente_id: i32,
    api: String,
    held: HeldCredential,
}

pub(super) async fn lock(
    pool: &SqlitePool,
    sealer: &Sealer,
    cliente_id: i32,
    api: &str,
) -> Result<Box<dyn CredentialLock>, StoreError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::sort(LOCKING))?;
    let row: Option<rows::CredentialRow> = sqlx::query_as(rows::CREDENTIAL)
        .bind(cliente_id)
        .bind(api)
        .fetch_optional(&mut *tx)
        .await
        .map_err(StoreError::sort(LOCKING))?;
    let row = row.ok_or_else(|| StoreError::new(Fault::Missing, LOCKING, "it was removed"))?;
    let held = row.open(sealer, cliente_id, api)?;
    Ok(Box::new(Lock { tx, sealer: sealer.clone(), cliente_id, api: api.to_owned(), held }))
}

#[async_trait]
impl CredentialLock for Lock {
    fn parts(&self) -> &Parts {
        &self.held.parts
    }

    fn access(&self) -> Option<&AccessToken> {
        self.held.access.as_ref()
    }

    async fn keep(mut self: Box<Self>, parts: &Parts, access: &AccessToken) -> Result<(), StoreError> {
        let place = |column| Place { cliente_id: self.cliente_id, api: &self.api, column };
        let sealed = self.sealer.seal(place(Column::Partes), &parts.to_json())?;
        let sealed_access = self.sealer.seal(place(Column::Acesso), &access.to_json())?;
        sqlx::query(rows::KEEP_CREDENTIAL)
            .bind(self.cliente_id)
            .bind(&self.api)
            .bind(sealed)
            .bind(sealed_access)
            .execute(&mut *self.tx)
            .await
            .map_err(StoreError::sort(KEEPING))?;
        self.tx.commit().await.map_err(StoreError::sort(KEEPING))
    }

    async fn release(self: Box<Self>) {
        // Nothing was changed, and a connection that broke has let go already.
        let _ = self.tx.rollback().await;
    }
}

pub(super) async fn rekey(pool: &SqlitePool, old: &Sealer, key: &StoreKey) -> Result<u64, StoreError> {
    let doing = "seal every secret with the new key";
    let new = Sealer::new(Some(key.clone()));
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.map_err(StoreError::sort(doing))?;
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

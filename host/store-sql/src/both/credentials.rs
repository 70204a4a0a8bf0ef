//! The lock under which access tokens are renewed: a lease that stands in the credential's row, on
//! either database.
//!
//! It is not the row's own lock, nor the file's: those would hold a connection during the request
//! to a token URL, for as long as that server takes. Other renewals of the credential, in any
//! process on any host, wait until the lease is released and then find the new token.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use atlas_model::{AccessToken, HeldCredential, Parts, StoreKey};
use atlas_store::{CREDENTIAL_LEASE, CredentialLock, Fault, StoreError};
use sqlx::{Pool, Transaction};

use super::dialect::{BEGIN, Db, SqlStore, lock_secrets};
use crate::error::sorted;
use crate::rows::{CredentialRow, SecretRow};
use crate::seal::{Column, Sealer, SecretLocation};

const LOCKING: &str = "lock the client's credential";

/// The error's text where a wait for the lock was given up.
const RENEWED_ALWAYS: &str = "access tokens were being renewed all the time";

const KEEPING: &str = "store the client's access token";

/// Pause between two attempts at taking the lock; [`CREDENTIAL_PATIENCE`] bounds the whole wait.
const CREDENTIAL_POLL: Duration = Duration::from_millis(100);

const CREDENTIAL_PATIENCE: Duration = Duration::from_secs(90);

/// Time limit of releasing the lock.
const CREDENTIAL_LET_GO_MAX: Duration = Duration::from_secs(5);

/// A credential of several parts.
const CREDENTIAL: &str = "SELECT partes, acesso FROM clientes_credenciais WHERE cliente_id = $1 AND api = $2";

/// Whether a credential is locked, its lease expired or not.
const CREDENTIAL_HELD: &str =
    "SELECT renovando IS NOT NULL FROM clientes_credenciais WHERE cliente_id = $1 AND api = $2";

/// Stores parts and access token and releases the lock, if `$3` holds it.
const KEEP_CREDENTIAL: &str = "UPDATE clientes_credenciais SET partes = $4, acesso = $5, renovando = NULL, \
     renovando_ate = NULL, atualizado_em = CURRENT_TIMESTAMP WHERE cliente_id = $1 AND api = $2 AND renovando = $3";

const RELEASE_CREDENTIAL: &str = "UPDATE clientes_credenciais SET renovando = NULL, renovando_ate = NULL \
     WHERE cliente_id = $1 AND api = $2 AND renovando = $3";

/// Every column that holds secrets: how all of them are read, and how one is written.
const SECRETS: [(Column, &str, &str); 5] = [
    (
        Column::Token,
        "SELECT cliente_id, '' AS api, token AS valor FROM clientes_tokens WHERE token <> ''",
        "UPDATE clientes_tokens SET token = $3 WHERE cliente_id = $1 AND $2 = ''",
    ),
    (
        Column::Credencial,
        "SELECT cliente_id, api, credencial AS valor FROM clientes_apis WHERE credencial <> ''",
        "UPDATE clientes_apis SET credencial = $3 WHERE cliente_id = $1 AND api = $2",
    ),
    (
        Column::Partes,
        "SELECT cliente_id, api, partes AS valor FROM clientes_credenciais",
        // A process that is renewing has the old key: it loses its lock, so that it stores nothing
        // sealed with it.
        "UPDATE clientes_credenciais SET partes = $3, renovando = NULL, renovando_ate = NULL \
           WHERE cliente_id = $1 AND api = $2",
    ),
    (
        Column::Acesso,
        "SELECT cliente_id, api, acesso AS valor FROM clientes_credenciais WHERE acesso IS NOT NULL",
        "UPDATE clientes_credenciais SET acesso = $3 WHERE cliente_id = $1 AND api = $2",
    ),
    (
        Column::Configuracao,
        "SELECT cliente_id, api, configuracao AS valor FROM clientes_configuracoes",
        "UPDATE clientes_configuracoes SET configuracao = $3 WHERE cliente_id = $1 AND api = $2",
    ),
];

/// Takes the lock if it is free, or its lease has expired by the database's clock.
const LOCK: &str = concat!(
    "UPDATE clientes_credenciais SET renovando = $3, renovando_ate = ",
    later!(),
    " \
             WHERE cliente_id = $1 AND api = $2 AND (renovando IS NULL OR renovando_ate < ",
    text_clock!(),
    ") RETURNING partes, acesso"
);

/// Whether any credential is locked at present.
const LOCKED: &str = concat!(
    "SELECT EXISTS (SELECT 1 FROM clientes_credenciais WHERE renovando IS NOT NULL AND renovando_ate >= ",
    text_clock!(),
    ")"
);

struct Lock {
    pool: Pool<Db>,
    sealer: Sealer,
    cliente_id: i32,
    api: String,
    /// The holder's name in the table, which is unique.
    holder: String,
    held: HeldCredential,
    in_anothers_place: bool,
}

pub(super) async fn lock(store: &SqlStore, cliente_id: i32, api: &str) -> Result<Box<dyn CredentialLock>, StoreError> {
    let (pool, sealer) = (&store.pool, &store.sealer);
    let holder = format!("{:032x}", rand::random::<u128>());
    let given_up = Instant::now() + CREDENTIAL_PATIENCE;
    let lease = i32::try_from(CREDENTIAL_LEASE.as_secs()).unwrap_or(i32::MAX);
    loop {
        let held: Option<bool> = sqlx::query_scalar(CREDENTIAL_HELD)
            .bind(cliente_id)
            .bind(api)
            .fetch_optional(pool)
            .await
            .map_err(sorted(LOCKING))?;
        let Some(in_anothers_place) = held else {
            return Err(StoreError::new(Fault::Missing, LOCKING, "it was removed"));
        };
        let lock = sqlx::query_as(LOCK).bind(cliente_id).bind(api).bind(&holder).bind(lease).fetch_optional(pool).await;
        let locked: Option<CredentialRow> = lock.map_err(sorted(LOCKING))?;
        if let Some(row) = locked {
            let opened = row.open(sealer, cliente_id, api);
            if opened.is_err() {
                let_go(pool, cliente_id, api, &holder).await;
            }
            let (pool, sealer, api) = (pool.clone(), sealer.clone(), api.to_owned());
            return Ok(Box::new(Lock { pool, sealer, cliente_id, api, holder, held: opened?, in_anothers_place }));
        }
        if Instant::now() >= given_up {
            return Err(StoreError::new(Fault::Unavailable, LOCKING, RENEWED_ALWAYS));
        }
        tokio::time::sleep(CREDENTIAL_POLL).await;
    }
}

async fn let_go(pool: &Pool<Db>, cliente_id: i32, api: &str, holder: &str) {
    let release = sqlx::query(RELEASE_CREDENTIAL).bind(cliente_id).bind(api).bind(holder).execute(pool);
    // If this fails, the lease expires by itself.
    let _ = tokio::time::timeout(CREDENTIAL_LET_GO_MAX, release).await;
}

#[async_trait]
impl CredentialLock for Lock {
    fn parts(&self) -> &Parts {
        &self.held.parts
    }

    fn access(&self) -> Option<&AccessToken> {
        self.held.access.as_ref()
    }

    fn is_in_anothers_place(&self) -> bool {
        self.in_anothers_place
    }

    async fn keep(&self, parts: &Parts, access: &AccessToken) -> Result<(), StoreError> {
        let place = |column| SecretLocation { cliente_id: self.cliente_id, api: &self.api, column };
        let sealed = self.sealer.seal(place(Column::Partes), &parts.to_json())?;
        let sealed_access = self.sealer.seal(place(Column::Acesso), &access.to_json())?;
        let kept = sqlx::query(KEEP_CREDENTIAL)
            .bind(self.cliente_id)
            .bind(&self.api)
            .bind(&self.holder)
            .bind(sealed)
            .bind(sealed_access)
            .execute(&self.pool)
            .await
            .map_err(sorted(KEEPING))?;
        match kept.rows_affected() {
            0 => Err(StoreError::new(Fault::Collision, KEEPING, "it is not this process's to renew any more")),
            _ => Ok(()),
        }
    }

    async fn release(self: Box<Self>) {
        let_go(&self.pool, self.cliente_id, &self.api, &self.holder).await;
    }
}

/// The parts and the access token of an API's credential, if it has several.
pub(super) async fn held(
    tx: &mut Transaction<'_, Db>,
    sealer: &Sealer,
    cliente_id: i32,
    api: &str,
) -> Result<Option<HeldCredential>, StoreError> {
    let row: Option<CredentialRow> = sqlx::query_as(CREDENTIAL)
        .bind(cliente_id)
        .bind(api)
        .fetch_optional(&mut **tx)
        .await
        .map_err(sorted("look up the client's credential"))?;
    row.map(|row| row.open(sealer, cliente_id, api)).transpose()
}

/// Seals every secret with a new key, all or none.
pub(super) async fn rekey(store: &SqlStore, key: &StoreKey) -> Result<u64, StoreError> {
    let doing = "seal every secret with the new key";
    let old = &store.sealer;
    let new = Sealer::new(Some(key.clone()));
    let given_up = Instant::now() + CREDENTIAL_PATIENCE;
    // A renewal under way ends first: what it gets would be sealed with the old key, and a new
    // refresh token lost with it.
    let mut tx = loop {
        let mut tx = store.pool.begin_with(BEGIN).await.map_err(sorted(doing))?;
        lock_secrets(&mut tx).await.map_err(sorted(doing))?;
        if !sqlx::query_scalar::<_, bool>(LOCKED).fetch_one(&mut *tx).await.map_err(sorted(doing))? {
            break tx;
        }
        if Instant::now() >= given_up {
            return Err(StoreError::new(Fault::Unavailable, doing, RENEWED_ALWAYS));
        }
        tx.rollback().await.map_err(sorted(doing))?;
        tokio::time::sleep(CREDENTIAL_POLL).await;
    };
    let mut sealed = 0;
    for (column, read, write) in SECRETS {
        let stored: Vec<SecretRow> = sqlx::query_as(read).fetch_all(&mut *tx).await.map_err(sorted(doing))?;
        for row in stored {
            let place = SecretLocation { cliente_id: row.cliente_id, api: &row.api, column };
            let secret = old.open(place, row.valor)?;
            sqlx::query(write)
                .bind(row.cliente_id)
                .bind(&row.api)
                .bind(new.seal(place, &secret)?)
                .execute(&mut *tx)
                .await
                .map_err(sorted(doing))?;
            sealed += 1;
        }
    }
    tx.commit().await.map_err(sorted(doing))?;
    Ok(sealed)
}

//! Changes of clients. A token, an API's base URL and its credential change together or not at all,
//! so that no reader ever gets a credential beside a base URL that it was not meant for.

use async_trait::async_trait;
use atlas_model::{Access, ApiAccess, ApiChange, Client, ClientWrite, Secret, StoreKey};
use atlas_store::{Clients, CredentialLock, Defaults, Fault, StoreError};
use sqlx::{Row, Transaction};

use super::credentials::{held, lock, rekey};
use super::dialect::{BEGIN, BEGIN_SNAPSHOT, Db, SqlStore};
use crate::error::sorted;
use crate::rows::{default_for, group_clients};
use crate::seal::{Column, SecretLocation};

const ADD: &str = "INSERT INTO clientes_tokens (cliente_id, token) VALUES ($1, $2) ON CONFLICT (cliente_id) DO NOTHING";

/// The base URL of the API that a guarded change is about, and whether it has a credential of its
/// own.
const PLACED: &str = "SELECT base_url, (credencial IS NOT NULL OR EXISTS (SELECT 1 FROM clientes_credenciais c \
       WHERE c.cliente_id = a.cliente_id AND c.api = a.api)) AS tem FROM clientes_apis a WHERE cliente_id = $1 AND api = $2";

const INSERT: &str =
    "INSERT INTO clientes_apis (cliente_id, api, base_url, credencial, rede_privada) VALUES ($1, $2, $3, $4, $5)";

/// Binds a default to an API ($2); where $3 is true, only if it serves none yet. What was asked
/// about it is answered.
const BIND: &str = "INSERT INTO clientes_padrao (cliente_id, tipo, nome) SELECT $1, 'api', $2 \
     WHERE NOT ($3 AND EXISTS (SELECT 1 FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'api')) \
     ON CONFLICT (cliente_id, tipo, nome) DO NOTHING";

const UNSETTLED: &str = "SELECT cliente_id, nome FROM clientes_padrao WHERE tipo = 'rota' ORDER BY cliente_id, nome";

const ASKED: &str = "SELECT cliente_id, nome FROM clientes_padrao WHERE tipo = 'pedida' ORDER BY cliente_id, nome";

const FORGET_ROUTE: &str = "DELETE FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'rota' AND nome = $2";

const FORGET_ASKED: &str = "DELETE FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'pedida'";

const SETTLE: &str = "INSERT INTO clientes_padrao (cliente_id, tipo, nome) VALUES ($1, $2, $3) \
     ON CONFLICT (cliente_id, tipo, nome) DO NOTHING";

/// Restricts a guarded change to what may be made of it. `token` is the stored default token,
/// `placed` the API's base URL and whether it has a credential of its own, `comes_with_one` whether
/// the change has a new credential. Fails, with the present base URL, if a stored credential would
/// move elsewhere.
fn guarded<'a>(
    api: &str,
    change: ApiChange<'a>,
    token: &str,
    placed: Option<(String, bool)>,
    comes_with_one: bool,
) -> Result<ApiChange<'a>, String> {
    let Some(wanted) = change.base_url else { return Ok(change) };
    // The default token goes to the default base URL, and an API's own credential to the API's.
    let has_secret = if api.is_empty() { !token.is_empty() } else { placed.as_ref().is_some_and(|(_, has)| *has) };
    match placed {
        Some((present, _)) if present == wanted => Ok(ApiChange { base_url: None, private: None, ..change }),
        _ if comes_with_one || !has_secret => Ok(change),
        placed => Err(placed.map_or_else(|| "-".to_owned(), |(present, _)| present)),
    }
}

const CHANGE: &str = concat!(
    "UPDATE clientes_tokens SET token = COALESCE($2, token), ativo = COALESCE($3, ativo), atualizado_em = ",
    now!(),
    " WHERE cliente_id = $1"
);
/// Locks the client's row for as long as the change takes, so that two changes of one client come
/// one after the other.
const LOCK: &str = concat!("SELECT token FROM clientes_tokens WHERE cliente_id = $1", lock!());
const PLACE: &str = concat!(
    "UPDATE clientes_apis SET base_url = COALESCE($3, base_url), credencial = COALESCE($4, credencial), \
     rede_privada = COALESCE($5, rede_privada), atualizado_em = ",
    now!(),
    " WHERE cliente_id = $1 AND api = $2"
);
const DOING: &str = "change the client";

/// Sets where an API is, and a sealed credential if there is one. False if there is no such API and
/// no base URL for it.
async fn place_api(
    tx: &mut Transaction<'_, Db>,
    cliente_id: i32,
    api: &str,
    change: ApiChange<'_>,
    credential: Option<&str>,
) -> Result<bool, sqlx::Error> {
    // An UPDATE first: a new entry needs its base URL, an old one may keep it.
    let changed = sqlx::query(PLACE)
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
    sqlx::query(INSERT)
        .bind(cliente_id)
        .bind(api)
        .bind(base_url)
        .bind(credential)
        .bind(change.private.unwrap_or(false))
        .execute(&mut **tx)
        .await?;
    Ok(true)
}

const CLIENTS: &str = "SELECT c.cliente_id, c.ativo, a.api, a.base_url, a.rede_privada, \
       (a.credencial IS NOT NULL OR k.api IS NOT NULL) AS propria \
     FROM clientes_tokens c LEFT JOIN clientes_apis a ON a.cliente_id = c.cliente_id \
     LEFT JOIN clientes_credenciais k ON k.cliente_id = a.cliente_id AND k.api = a.api ORDER BY c.cliente_id, a.api";

const ACCESS: &str = "SELECT c.ativo, c.token, p.base_url AS base_padrao, p.rede_privada AS privada_padrao, \
     a.base_url, a.credencial, a.rede_privada, \
     EXISTS (SELECT 1 FROM clientes_padrao d WHERE d.cliente_id = c.cliente_id AND d.tipo = 'api' AND d.nome = $2) AS serve, \
     EXISTS (SELECT 1 FROM clientes_padrao d WHERE d.cliente_id = c.cliente_id AND d.tipo = 'api') AS vinculado \
     FROM clientes_tokens c \
     LEFT JOIN clientes_apis p ON p.cliente_id = c.cliente_id AND p.api = '' \
     LEFT JOIN clientes_apis a ON a.cliente_id = c.cliente_id AND a.api = $2 AND $2 <> '' \
     WHERE c.cliente_id = $1";

/// What the clients' defaults serve.
const SERVED: &str = "SELECT cliente_id, nome FROM clientes_padrao WHERE tipo = 'api' ORDER BY cliente_id, nome";

const REMOVE_API: &str = "DELETE FROM clientes_apis WHERE cliente_id = $1 AND api = $2";

const UNBIND: &str = "DELETE FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'api' AND nome = $2";

const SET_TOKEN: &str = "UPDATE clientes_apis SET credencial = $3, atualizado_em = CURRENT_TIMESTAMP \
     WHERE cliente_id = $1 AND api = $2";

/// Stores a credential's parts. Removes the access token that was got with other parts, and the
/// lock of the process that is renewing it.
const SET_PARTS: &str = "INSERT INTO clientes_credenciais (cliente_id, api, partes) VALUES ($1, $2, $3) \
     ON CONFLICT (cliente_id, api) DO UPDATE SET partes = excluded.partes, acesso = NULL, \
       renovando = NULL, renovando_ate = NULL, atualizado_em = CURRENT_TIMESTAMP";

const REMOVE_PARTS: &str = "DELETE FROM clientes_credenciais WHERE cliente_id = $1 AND api = $2";

#[async_trait]
impl Clients for SqlStore {
    async fn change_client(&self, cliente_id: i32, write: ClientWrite<'_>) -> Result<(), StoreError> {
        let ClientWrite { is_new, token, active, api, parts, withdraws_grant, is_guarded } = write;
        let seal =
            |api: &str, column, secret: &Secret| self.sealer.seal(SecretLocation { cliente_id, api, column }, secret);
        let sealed_token = token.map(|token| seal("", Column::Token, token)).transpose()?;
        let sort = || sorted(DOING);
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        if is_new {
            let added = sqlx::query(ADD).bind(cliente_id).bind(sealed_token.as_deref().unwrap_or_default());
            let added = added.execute(&mut *tx).await.map_err(sort())?.rows_affected() > 0;
            // One that is there may be given one more API.
            if !added && api.is_none_or(|(api, _)| api.is_empty()) {
                return Err(StoreError::new(Fault::Exists, DOING, cliente_id.to_string()));
            }
        }
        let locked = sqlx::query_scalar::<_, String>(LOCK).bind(cliente_id).fetch_optional(&mut *tx).await;
        let Some(stored) = locked.map_err(sort())? else {
            return Err(StoreError::new(Fault::Missing, DOING, "client"));
        };
        if !is_new && (sealed_token.is_some() || active.is_some()) {
            let changed = sqlx::query(CHANGE).bind(cliente_id).bind(sealed_token).bind(active);
            changed.execute(&mut *tx).await.map_err(sort())?;
        }
        let Some((api, mut change)) = api else { return tx.commit().await.map_err(sort()) };
        if is_guarded {
            let placed = sqlx::query(PLACED).bind(cliente_id).bind(api).fetch_optional(&mut *tx).await;
            let placed = placed.map_err(sort())?.map(|row| (row.get("base_url"), row.get("tem")));
            let comes_with_one = match api {
                "" => token.is_some(),
                _ => change.credential.is_some() || parts.is_some(),
            };
            change = guarded(api, change, &stored, placed, comes_with_one)
                .map_err(|present| StoreError::new(Fault::Guarded, DOING, present))?;
        }
        if withdraws_grant {
            change.private = Some(false);
        }
        let own = change.credential.map(|secret| seal(api, Column::Credencial, secret)).transpose()?;
        if !place_api(&mut tx, cliente_id, api, change, own.as_deref()).await.map_err(sort())? {
            return Err(StoreError::new(Fault::Missing, DOING, "base URL"));
        }
        // A new credential is in the place of any other, of one part or of several.
        let several = match parts {
            Some(parts) => {
                let one = parts.and_then(|parts| parts.only_token());
                let one = one.map(|token| seal(api, Column::Credencial, token)).transpose()?;
                let set = sqlx::query(SET_TOKEN).bind(cliente_id).bind(api).bind(one);
                set.execute(&mut *tx).await.map_err(sort())?;
                let several = parts.filter(|parts| parts.only_token().is_none()).map(|parts| parts.to_json());
                several.map(|json| seal(api, Column::Partes, &json)).transpose()?
            }
            None if own.is_none() => return tx.commit().await.map_err(sort()),
            None => None,
        };
        let set = match several {
            Some(several) => sqlx::query(SET_PARTS).bind(cliente_id).bind(api).bind(several),
            None => sqlx::query(REMOVE_PARTS).bind(cliente_id).bind(api),
        };
        set.execute(&mut *tx).await.map_err(sort())?;
        tx.commit().await.map_err(sort())
    }

    async fn lock_credential(&self, cliente_id: i32, api: &str) -> Result<Box<dyn CredentialLock>, StoreError> {
        lock(self, cliente_id, api).await
    }

    async fn rekey(&self, key: &StoreKey) -> Result<u64, StoreError> {
        rekey(self, key).await
    }

    async fn remove_api(&self, cliente_id: i32, api: &str) -> Result<bool, StoreError> {
        let sort = || sorted("remove the client's API");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        let mut removed = 0;
        for statement in [REMOVE_API, UNBIND] {
            let done = sqlx::query(statement).bind(cliente_id).bind(api).execute(&mut *tx).await;
            removed += done.map_err(sort())?.rows_affected();
        }
        tx.commit().await.map_err(sort())?;
        Ok(removed > 0)
    }

    async fn remove_client(&self, cliente_id: i32) -> Result<bool, StoreError> {
        let doing = "remove the client";
        let removed = sqlx::query("DELETE FROM clientes_tokens WHERE cliente_id = $1")
            .bind(cliente_id)
            .execute(&self.pool)
            .await
            .map_err(sorted(doing));
        match removed {
            Ok(done) => Ok(done.rows_affected() > 0),
            Err(e) if e.fault == Fault::Missing => Err(StoreError::new(Fault::InUse, doing, cliente_id.to_string())),
            Err(e) => Err(e),
        }
    }

    async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        let sort = || sorted("list the clients");
        let rows = sqlx::query_as(CLIENTS).fetch_all(&self.readers).await.map_err(sort())?;
        let served = sqlx::query_as(SERVED).fetch_all(&self.readers).await.map_err(sort())?;
        Ok(group_clients(rows, served))
    }

    async fn access(&self, cliente_id: i32, api: &str) -> Result<Option<Access>, StoreError> {
        let doing = "look up the client's credential";
        // One snapshot for all rows: those from before a change are never read together with those
        // from after it.
        let mut tx = self.readers.begin_with(BEGIN_SNAPSHOT).await.map_err(sorted(doing))?;
        let row =
            sqlx::query(ACCESS).bind(cliente_id).bind(api).fetch_optional(&mut *tx).await.map_err(sorted(doing))?;
        let Some(row) = row else { return Ok(None) };
        let open = |api, column, stored| self.sealer.open(SecretLocation { cliente_id, api, column }, stored);
        let credential =
            row.get::<Option<String>, _>("credencial").map(|c| open(api, Column::Credencial, c)).transpose()?;
        let held = held(&mut tx, &self.sealer, cliente_id, api).await?;
        tx.commit().await.map_err(sorted(doing))?;
        let (parts, access_token) = held.map(|held| (held.parts, held.access)).unzip();
        Ok(Some(Access {
            active: row.get::<Option<bool>, _>("ativo").unwrap_or(true),
            token: open("", Column::Token, row.get("token"))?,
            default_base_url: row.get("base_padrao"),
            default_private: row.get::<Option<bool>, _>("privada_padrao").unwrap_or(false),
            default_for: default_for(row.get("serve"), row.get("vinculado")),
            api: row.get::<Option<String>, _>("base_url").map(|base_url| ApiAccess {
                base_url,
                credential,
                private: row.get::<Option<bool>, _>("rede_privada").unwrap_or(false),
            }),
            parts,
            access_token: access_token.flatten(),
        }))
    }
}

#[async_trait]
impl Defaults for SqlStore {
    async fn bind_default(&self, cliente_id: i32, api: &str, only_first: bool) -> Result<bool, StoreError> {
        let sort = || sorted("bind the client's default");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        let locked = sqlx::query_scalar::<_, String>(LOCK).bind(cliente_id).fetch_optional(&mut *tx).await;
        if locked.map_err(sort())?.is_none() {
            return Err(StoreError::new(Fault::Missing, DOING, "client"));
        }
        let bind = sqlx::query(BIND).bind(cliente_id).bind(api).bind(only_first);
        let is_new = bind.execute(&mut *tx).await.map_err(sort())?.rows_affected() > 0;
        if is_new {
            let answered = sqlx::query(FORGET_ASKED).bind(cliente_id).execute(&mut *tx).await;
            answered.map_err(sort())?;
        }
        tx.commit().await.map_err(sort())?;
        Ok(is_new)
    }

    async fn unsettled_defaults(&self) -> Result<Vec<(i32, String)>, StoreError> {
        let all = sqlx::query_as(UNSETTLED).fetch_all(&self.pool).await;
        all.map_err(sorted("list what the clients' defaults served"))
    }

    async fn settle_default(&self, cliente_id: i32, route: &str, api: Option<&str>) -> Result<(), StoreError> {
        let sort = || sorted("bind the client's default");
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        let forgotten = sqlx::query(FORGET_ROUTE).bind(cliente_id).bind(route);
        // Another process has settled it.
        if forgotten.execute(&mut *tx).await.map_err(sort())?.rows_affected() == 0 {
            return Ok(());
        }
        let (kind, name) = api.map_or(("pedida", route), |api| ("api", api));
        let settled = sqlx::query(SETTLE).bind(cliente_id).bind(kind).bind(name);
        settled.execute(&mut *tx).await.map_err(sort())?;
        tx.commit().await.map_err(sort())
    }

    async fn asked_defaults(&self) -> Result<Vec<(i32, String)>, StoreError> {
        let all = sqlx::query_as(ASKED).fetch_all(&self.pool).await;
        all.map_err(sorted("list what the clients' defaults served"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_credential_goes_nowhere_else_unless_it_is_given_again() {
        let to = |base_url| ApiChange { base_url: Some(base_url), private: Some(false), ..ApiChange::default() };
        let at_a = || Some(("https://a/".to_owned(), true));
        let keeps = |change: Result<ApiChange<'_>, String>| change.map(|c| (c.base_url.map(str::to_owned), c.private));
        // Where it is: nothing of it changes, and no grant is lost.
        assert_eq!(keeps(guarded("", to("https://a/"), "t", at_a(), false)), Ok((None, None)));
        let moved = Ok((Some("https://b/".to_owned()), Some(false)));
        // Elsewhere: with the credential, or where there is none.
        assert_eq!(keeps(guarded("", to("https://b/"), "t", at_a(), true)), moved);
        assert_eq!(keeps(guarded("", to("https://b/"), "", at_a(), false)), moved);
        assert_eq!(
            keeps(guarded("bling", to("https://b/"), "t", Some(("https://a/".to_owned(), false)), false)),
            moved
        );
        assert_eq!(keeps(guarded("bling", to("https://b/"), "t", None, false)), moved);
        assert_eq!(keeps(guarded("", to("https://b/"), "t", at_a(), false)), Err("https://a/".to_owned()));
        assert_eq!(keeps(guarded("bling", to("https://b/"), "", at_a(), false)), Err("https://a/".to_owned()));
        // A token that was stored without a base URL was given for none.
        assert_eq!(keeps(guarded("", to("https://b/"), "t", None, false)), Err("-".to_owned()));
    }
}

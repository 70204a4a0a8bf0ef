//! Changes of clients: a token, where an API is, and what goes there change together or not at all, so that nobody ever reads a credential
//! beside a base URL that it was not meant for.

use async_trait::async_trait;

use super::error::{Fault, StoreError};
use super::types::ApiChange;
use crate::source::{Parts, Secret};

/// A change of a client. What is `None` stays as it is.
#[derive(Clone, Copy, Default)]
pub struct ClientWrite<'a> {
    /// Whether the client is registered with it, if it is not there yet.
    pub is_new: bool,
    /// The default token.
    pub token: Option<&'a Secret>,
    /// Whether scraps of it may run.
    pub active: Option<bool>,
    /// The API meant, and what changes about it; the API `""` is the client's default.
    pub api: Option<(&'a str, ApiChange<'a>)>,
    /// The API's own credential in the place of any that it has, with its access token; `Some(None)` removes it.
    pub parts: Option<Option<&'a Parts>>,
    /// Whether the API may be at a private address no more, wherever it is: its token URL leads elsewhere now.
    pub withdraws_grant: bool,
    /// Whether a stored credential stays where it was given for: it is said by somebody who may not know it. Then a new base URL is only
    /// taken with a new credential, or where none is stored, and one that is there already leaves its grant as it is.
    pub is_guarded: bool,
}

/// Clients. Every call is atomic.
#[async_trait]
pub trait Clients: Send + Sync {
    /// Changes a client. Fails with [`Fault::Exists`] where a new one is there already (unless it comes with one more API of its own),
    /// with [`Fault::Missing`] where it is not there, or a new API comes without a base URL, and with [`Fault::Guarded`].
    async fn change_client(&self, cliente_id: i32, write: ClientWrite<'_>) -> Result<(), StoreError>;

    /// Registers a client, or fails with [`Fault::Exists`].
    async fn add_client(&self, cliente_id: i32, token: &Secret) -> Result<(), StoreError> {
        let write = ClientWrite { is_new: true, token: Some(token), ..ClientWrite::default() };
        self.change_client(cliente_id, write).await
    }

    /// Changes a client's token or whether it is active; false if there is no such client.
    async fn set_client(
        &self,
        cliente_id: i32,
        token: Option<&Secret>,
        active: Option<bool>,
    ) -> Result<bool, StoreError> {
        found(self.change_client(cliente_id, ClientWrite { token, active, ..ClientWrite::default() }).await)
    }

    /// Sets where an API of a client is, and its own credential. Fails with [`Fault::Missing`] if a new API comes without a base URL.
    async fn set_api(&self, cliente_id: i32, api: &str, change: ApiChange<'_>) -> Result<(), StoreError> {
        self.change_client(cliente_id, ClientWrite { api: Some((api, change)), ..ClientWrite::default() }).await
    }

    /// Sets an API's own credential, or removes it. False if the client has no such API.
    async fn set_credential(&self, cliente_id: i32, api: &str, parts: Option<&Parts>) -> Result<bool, StoreError> {
        let api = Some((api, ApiChange::default()));
        found(self.change_client(cliente_id, ClientWrite { api, parts: Some(parts), ..ClientWrite::default() }).await)
    }
}

/// What clients' default tokens and addresses serve. Every call is atomic.
#[async_trait]
pub trait Defaults: Send + Sync {
    /// Lets a client's default serve an API; with `only_first`, only if it serves none yet. Whether
    /// it serves it now by this call. Fails with [`Fault::Missing`] if there is no such client.
    async fn bind_default(&self, cliente_id: i32, api: &str, only_first: bool) -> Result<bool, StoreError>;

    /// Clients and routes from before defaults were bound, whose APIs are still to be found among
    /// the connectors.
    async fn unsettled_defaults(&self) -> Result<Vec<(i32, String)>, StoreError>;

    /// Settles one of those: the default serves this API; none: no connector has the route, and the
    /// operator is asked.
    async fn settle_default(&self, cliente_id: i32, route: &str, api: Option<&str>) -> Result<(), StoreError>;

    /// Clients and routes that the operator is asked about, because their connectors were missing.
    async fn asked_defaults(&self) -> Result<Vec<(i32, String)>, StoreError>;
}

fn found(changed: Result<(), StoreError>) -> Result<bool, StoreError> {
    match changed {
        Err(error) if error.fault == Fault::Missing => Ok(false),
        changed => changed.map(|()| true),
    }
}

pub(super) const ADD: &str =
    "INSERT INTO clientes_tokens (cliente_id, token) VALUES ($1, $2) ON CONFLICT (cliente_id) DO NOTHING";
/// What an API is like that a guarded change is about: where it is, and whether it has a credential of its own.
pub(super) const PLACED: &str = "SELECT base_url, (credencial IS NOT NULL OR EXISTS (SELECT 1 FROM clientes_credenciais c \
       WHERE c.cliente_id = a.cliente_id AND c.api = a.api)) AS tem FROM clientes_apis a WHERE cliente_id = $1 AND api = $2";
pub(super) const INSERT: &str =
    "INSERT INTO clientes_apis (cliente_id, api, base_url, credencial, rede_privada) VALUES ($1, $2, $3, $4, $5)";

/// Binds a default to an API ($2); where $3 is true, only if it serves none yet. What was asked
/// about it is answered.
pub(super) const BIND: &str = "INSERT INTO clientes_padrao (cliente_id, tipo, nome) SELECT $1, 'api', $2 \
     WHERE NOT ($3 AND EXISTS (SELECT 1 FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'api')) \
     ON CONFLICT (cliente_id, tipo, nome) DO NOTHING";
pub(super) const UNSETTLED: &str =
    "SELECT cliente_id, nome FROM clientes_padrao WHERE tipo = 'rota' ORDER BY cliente_id, nome";
pub(super) const ASKED: &str =
    "SELECT cliente_id, nome FROM clientes_padrao WHERE tipo = 'pedida' ORDER BY cliente_id, nome";
pub(super) const FORGET_ROUTE: &str =
    "DELETE FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'rota' AND nome = $2";
pub(super) const FORGET_ASKED: &str = "DELETE FROM clientes_padrao WHERE cliente_id = $1 AND tipo = 'pedida'";
pub(super) const SETTLE: &str = "INSERT INTO clientes_padrao (cliente_id, tipo, nome) VALUES ($1, $2, $3) \
     ON CONFLICT (cliente_id, tipo, nome) DO NOTHING";

/// A change as it may be made, given what is there: `token` is the default one as it is stored, `placed` where the API is and whether it
/// has a credential of its own, `comes_with_one` whether a new credential comes along. Fails with the base URL that the stored one was
/// given for.
pub(super) fn guarded<'a>(
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

/// The same on either database.
macro_rules! impl_clients {
    (for $store:ty, of: $database:ty, begin: $begin:literal, now: $now:literal, lock: $lock:literal) => {
        const _: () = {
            use crate::store::rows;
            use crate::store::seal::{Column, Place};
            use crate::store::{ApiChange, ClientWrite, Clients, Defaults, Fault, StoreError, clients};
            use async_trait::async_trait;
            use sqlx::{Row, Transaction};

            const CHANGE: &str = concat!(
                "UPDATE clientes_tokens SET token = COALESCE($2, token), ativo = COALESCE($3, ativo), atualizado_em = ",
                $now,
                " WHERE cliente_id = $1"
            );
            /// The client's row is locked for as long as the change takes: two changes of one client come one after the other.
            const LOCK: &str = concat!("SELECT token FROM clientes_tokens WHERE cliente_id = $1", $lock);
            const PLACE: &str = concat!(
                "UPDATE clientes_apis SET base_url = COALESCE($3, base_url), credencial = COALESCE($4, credencial), \
                 rede_privada = COALESCE($5, rede_privada), atualizado_em = ",
                $now,
                " WHERE cliente_id = $1 AND api = $2"
            );
            const DOING: &str = "change the client";

            /// Sets where an API is, and a sealed credential if there is one. False if there is no such API and no base URL for it.
            async fn place_api(
                tx: &mut Transaction<'_, $database>,
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
                sqlx::query(clients::INSERT)
                    .bind(cliente_id)
                    .bind(api)
                    .bind(base_url)
                    .bind(credential)
                    .bind(change.private.unwrap_or(false))
                    .execute(&mut **tx)
                    .await?;
                Ok(true)
            }

            #[async_trait]
            impl Clients for $store {
                async fn change_client(&self, cliente_id: i32, write: ClientWrite<'_>) -> Result<(), StoreError> {
                    let ClientWrite { is_new, token, active, api, parts, withdraws_grant, is_guarded } = write;
                    let seal = |api: &str, column, secret: &crate::source::Secret| {
                        self.sealer.seal(Place { cliente_id, api, column }, secret)
                    };
                    let sealed_token = token.map(|token| seal("", Column::Token, token)).transpose()?;
                    let sort = || StoreError::sort(DOING);
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    if is_new {
                        let added = sqlx::query(clients::ADD)
                            .bind(cliente_id)
                            .bind(sealed_token.as_deref().unwrap_or_default());
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
                        let placed =
                            sqlx::query(clients::PLACED).bind(cliente_id).bind(api).fetch_optional(&mut *tx).await;
                        let placed = placed.map_err(sort())?.map(|row| (row.get("base_url"), row.get("tem")));
                        let comes_with_one = match api {
                            "" => token.is_some(),
                            _ => change.credential.is_some() || parts.is_some(),
                        };
                        change = clients::guarded(api, change, &stored, placed, comes_with_one)
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
                            let set = sqlx::query(rows::SET_TOKEN).bind(cliente_id).bind(api).bind(one);
                            set.execute(&mut *tx).await.map_err(sort())?;
                            let several =
                                parts.filter(|parts| parts.only_token().is_none()).map(|parts| parts.to_json());
                            several.map(|json| seal(api, Column::Partes, &json)).transpose()?
                        }
                        None if own.is_none() => return tx.commit().await.map_err(sort()),
                        None => None,
                    };
                    let set = match several {
                        Some(several) => sqlx::query(rows::SET_PARTS).bind(cliente_id).bind(api).bind(several),
                        None => sqlx::query(rows::REMOVE_PARTS).bind(cliente_id).bind(api),
                    };
                    set.execute(&mut *tx).await.map_err(sort())?;
                    tx.commit().await.map_err(sort())
                }
            }

            #[async_trait]
            impl Defaults for $store {
                async fn bind_default(&self, cliente_id: i32, api: &str, only_first: bool) -> Result<bool, StoreError> {
                    let sort = || StoreError::sort("bind the client's default");
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    let locked = sqlx::query_scalar::<_, String>(LOCK).bind(cliente_id).fetch_optional(&mut *tx).await;
                    if locked.map_err(sort())?.is_none() {
                        return Err(StoreError::new(Fault::Missing, DOING, "client"));
                    }
                    let bind = sqlx::query(clients::BIND).bind(cliente_id).bind(api).bind(only_first);
                    let is_new = bind.execute(&mut *tx).await.map_err(sort())?.rows_affected() > 0;
                    if is_new {
                        let answered = sqlx::query(clients::FORGET_ASKED).bind(cliente_id).execute(&mut *tx).await;
                        answered.map_err(sort())?;
                    }
                    tx.commit().await.map_err(sort())?;
                    Ok(is_new)
                }

                async fn unsettled_defaults(&self) -> Result<Vec<(i32, String)>, StoreError> {
                    let all = sqlx::query_as(clients::UNSETTLED).fetch_all(&self.pool).await;
                    all.map_err(StoreError::sort("list what the clients' defaults served"))
                }

                async fn settle_default(
                    &self,
                    cliente_id: i32,
                    route: &str,
                    api: Option<&str>,
                ) -> Result<(), StoreError> {
                    let sort = || StoreError::sort("bind the client's default");
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    let forgotten = sqlx::query(clients::FORGET_ROUTE).bind(cliente_id).bind(route);
                    // Another process has settled it.
                    if forgotten.execute(&mut *tx).await.map_err(sort())?.rows_affected() == 0 {
                        return Ok(());
                    }
                    let (kind, name) = api.map_or(("pedida", route), |api| ("api", api));
                    let settled = sqlx::query(clients::SETTLE).bind(cliente_id).bind(kind).bind(name);
                    settled.execute(&mut *tx).await.map_err(sort())?;
                    tx.commit().await.map_err(sort())
                }

                async fn asked_defaults(&self) -> Result<Vec<(i32, String)>, StoreError> {
                    let all = sqlx::query_as(clients::ASKED).fetch_all(&self.pool).await;
                    all.map_err(StoreError::sort("list what the clients' defaults served"))
                }
            }
        };
    };
}
pub(super) use impl_clients;

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

//! What clients have set of APIs. Secrets may stand among it, and only its connector says which:
//! all of it is sealed, like a token.

use async_trait::async_trait;

use super::error::StoreError;
use crate::source::Secret;

/// Settings. Every call is atomic.
#[async_trait]
pub trait Settings: Send + Sync {
    /// What a client has set of an API, a JSON object.
    async fn settings(&self, cliente_id: i32, api: &str) -> Result<Option<Secret>, StoreError>;

    /// Sets it, or takes it away. Fails with [`Fault::Missing`](super::Fault::Missing) if there is no such client.
    async fn set_settings(&self, cliente_id: i32, api: &str, settings: Option<&Secret>) -> Result<(), StoreError>;

    /// Seals what stands in the clear from before, where there is a key.
    async fn seal_settings(&self) -> Result<(), StoreError>;

    /// The settings of a route's scraps that have any, after an id, by id: at most `limit`.
    async fn scrap_settings(&self, route: &str, after: i64, limit: i64) -> Result<Vec<(i64, String)>, StoreError>;

    /// Puts others in their place, if they still stand there.
    async fn replace_scrap_settings(&self, id: i64, before: &str, now: &str) -> Result<(), StoreError>;
}

pub(super) const GET: &str = "SELECT configuracao FROM clientes_configuracoes WHERE cliente_id = $1 AND api = $2";

pub(super) const SET: &str = "INSERT INTO clientes_configuracoes (cliente_id, api, configuracao) VALUES ($1, $2, $3) \
     ON CONFLICT (cliente_id, api) DO UPDATE SET configuracao = excluded.configuracao, atualizado_em = CURRENT_TIMESTAMP";

pub(super) const REMOVE: &str = "DELETE FROM clientes_configuracoes WHERE cliente_id = $1 AND api = $2";

pub(super) const IN_THE_CLEAR: &str =
    "SELECT cliente_id, api, configuracao AS valor FROM clientes_configuracoes WHERE configuracao LIKE '{%'";

pub(super) const SEAL: &str = "UPDATE clientes_configuracoes SET configuracao = $3 \
     WHERE cliente_id = $1 AND api = $2 AND configuracao = $4";

pub(super) const OF_SCRAPS: &str = "SELECT id, configuracao FROM scraps \
     WHERE rota = $1 AND configuracao <> '{}' AND id > $2 ORDER BY id LIMIT $3";

pub(super) const REPLACE: &str = "UPDATE scraps SET configuracao = $3 WHERE id = $1 AND configuracao = $2";

/// The same on either database.
macro_rules! impl_settings {
    (for $store:ty) => {
        const _: () = {
            use crate::source::Secret;
            use crate::store::rows::SecretRow;
            use crate::store::seal::{Column, Place};
            use crate::store::{Settings, StoreError, settings};
            use async_trait::async_trait;

            fn place(cliente_id: i32, api: &str) -> Place<'_> {
                Place { cliente_id, api, column: Column::Configuracao }
            }

            #[async_trait]
            impl Settings for $store {
                async fn settings(&self, cliente_id: i32, api: &str) -> Result<Option<Secret>, StoreError> {
                    let found = sqlx::query_scalar(settings::GET).bind(cliente_id).bind(api);
                    let found: Option<String> = found
                        .fetch_optional(&self.pool)
                        .await
                        .map_err(StoreError::sort("read the client's settings"))?;
                    found.map(|stored| self.sealer.open(place(cliente_id, api), stored)).transpose()
                }

                async fn set_settings(
                    &self,
                    cliente_id: i32,
                    api: &str,
                    text: Option<&Secret>,
                ) -> Result<(), StoreError> {
                    let sealed = text.map(|text| self.sealer.seal(place(cliente_id, api), text)).transpose()?;
                    let set = match sealed {
                        Some(sealed) => sqlx::query(settings::SET).bind(cliente_id).bind(api).bind(sealed),
                        None => sqlx::query(settings::REMOVE).bind(cliente_id).bind(api),
                    };
                    let set = set.execute(&self.pool).await;
                    set.map(|_| ()).map_err(StoreError::sort("set the client's settings"))
                }

                async fn seal_settings(&self) -> Result<(), StoreError> {
                    if !self.sealer.has_key() {
                        return Ok(());
                    }
                    let sort = || StoreError::sort("seal the clients' settings");
                    let stored: Vec<SecretRow> =
                        sqlx::query_as(settings::IN_THE_CLEAR).fetch_all(&self.pool).await.map_err(sort())?;
                    for row in stored {
                        let text = Secret::new(row.valor.clone());
                        let sealed = self.sealer.seal(place(row.cliente_id, &row.api), &text)?;
                        let seal = sqlx::query(settings::SEAL).bind(row.cliente_id).bind(&row.api);
                        seal.bind(sealed).bind(&row.valor).execute(&self.pool).await.map_err(sort())?;
                    }
                    Ok(())
                }

                async fn scrap_settings(
                    &self,
                    route: &str,
                    after: i64,
                    limit: i64,
                ) -> Result<Vec<(i64, String)>, StoreError> {
                    let read = sqlx::query_as(settings::OF_SCRAPS).bind(route).bind(after).bind(limit);
                    read.fetch_all(&self.pool).await.map_err(StoreError::sort("read the scraps' settings"))
                }

                async fn replace_scrap_settings(&self, id: i64, before: &str, now: &str) -> Result<(), StoreError> {
                    let replace = sqlx::query(settings::REPLACE).bind(id).bind(before).bind(now);
                    replace.execute(&self.pool).await.map_err(StoreError::sort("take secrets out of a scrap"))?;
                    Ok(())
                }
            }
        };
    };
}
pub(super) use impl_settings;

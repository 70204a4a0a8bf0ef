//! What clients have set of APIs.

use async_trait::async_trait;

use super::error::StoreError;

/// Settings. Every call is atomic.
#[async_trait]
pub trait Settings: Send + Sync {
    /// What a client has set of an API, a JSON object.
    async fn settings(&self, cliente_id: i32, api: &str) -> Result<Option<String>, StoreError>;

    /// Sets it, or takes it away. Fails with [`Fault::Missing`](super::Fault::Missing) if there is no such client.
    async fn set_settings(&self, cliente_id: i32, api: &str, settings: Option<&str>) -> Result<(), StoreError>;
}

pub(super) const GET: &str = "SELECT configuracao FROM clientes_configuracoes WHERE cliente_id = $1 AND api = $2";

pub(super) const SET: &str = "INSERT INTO clientes_configuracoes (cliente_id, api, configuracao) VALUES ($1, $2, $3) \
     ON CONFLICT (cliente_id, api) DO UPDATE SET configuracao = excluded.configuracao, atualizado_em = CURRENT_TIMESTAMP";

pub(super) const REMOVE: &str = "DELETE FROM clientes_configuracoes WHERE cliente_id = $1 AND api = $2";

/// The same on either database.
macro_rules! impl_settings {
    (for $store:ty) => {
        const _: () = {
            use crate::store::{Settings, StoreError, settings};
            use async_trait::async_trait;

            #[async_trait]
            impl Settings for $store {
                async fn settings(&self, cliente_id: i32, api: &str) -> Result<Option<String>, StoreError> {
                    let found = sqlx::query_scalar(settings::GET).bind(cliente_id).bind(api);
                    found.fetch_optional(&self.pool).await.map_err(StoreError::sort("read the client's settings"))
                }

                async fn set_settings(&self, cliente_id: i32, api: &str, text: Option<&str>) -> Result<(), StoreError> {
                    let set = match text {
                        Some(text) => sqlx::query(settings::SET).bind(cliente_id).bind(api).bind(text),
                        None => sqlx::query(settings::REMOVE).bind(cliente_id).bind(api),
                    };
                    let set = set.execute(&self.pool).await;
                    set.map(|_| ()).map_err(StoreError::sort("set the client's settings"))
                }
            }
        };
    };
}
pub(super) use impl_settings;

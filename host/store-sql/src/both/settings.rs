//! Settings of clients for their APIs. Some may be secrets, and only the connector knows which, so
//! all of them are sealed, like a token.

use async_trait::async_trait;
use atlas_model::Secret;
use atlas_store::{Settings, StoreError};

use super::dialect::SqlStore;
use crate::error::sorted;
use crate::rows::SecretRow;
use crate::seal::{Column, SecretLocation};

const GET: &str = "SELECT configuracao FROM clientes_configuracoes WHERE cliente_id = $1 AND api = $2";

const SET: &str = "INSERT INTO clientes_configuracoes (cliente_id, api, configuracao) VALUES ($1, $2, $3) \
     ON CONFLICT (cliente_id, api) DO UPDATE SET configuracao = excluded.configuracao, atualizado_em = CURRENT_TIMESTAMP";

const REMOVE: &str = "DELETE FROM clientes_configuracoes WHERE cliente_id = $1 AND api = $2";

const IN_THE_CLEAR: &str =
    "SELECT cliente_id, api, configuracao AS valor FROM clientes_configuracoes WHERE configuracao LIKE '{%'";

const SEAL: &str = "UPDATE clientes_configuracoes SET configuracao = $3 \
     WHERE cliente_id = $1 AND api = $2 AND configuracao = $4";

const OF_SCRAPS: &str = "SELECT id, configuracao FROM scraps \
     WHERE rota = $1 AND configuracao <> '{}' AND id > $2 ORDER BY id LIMIT $3";

const REPLACE: &str = "UPDATE scraps SET configuracao = $3 WHERE id = $1 AND configuracao = $2";

fn place(cliente_id: i32, api: &str) -> SecretLocation<'_> {
    SecretLocation { cliente_id, api, column: Column::Configuracao }
}

#[async_trait]
impl Settings for SqlStore {
    async fn settings(&self, cliente_id: i32, api: &str) -> Result<Option<Secret>, StoreError> {
        let found = sqlx::query_scalar(GET).bind(cliente_id).bind(api);
        let found: Option<String> =
            found.fetch_optional(&self.pool).await.map_err(sorted("read the client's settings"))?;
        found.map(|stored| self.sealer.open(place(cliente_id, api), stored)).transpose()
    }

    async fn set_settings(&self, cliente_id: i32, api: &str, text: Option<&Secret>) -> Result<(), StoreError> {
        let sealed = text.map(|text| self.sealer.seal(place(cliente_id, api), text)).transpose()?;
        let set = match sealed {
            Some(sealed) => sqlx::query(SET).bind(cliente_id).bind(api).bind(sealed),
            None => sqlx::query(REMOVE).bind(cliente_id).bind(api),
        };
        let set = set.execute(&self.pool).await;
        set.map(|_| ()).map_err(sorted("set the client's settings"))
    }

    async fn seal_settings(&self) -> Result<(), StoreError> {
        if !self.sealer.has_key() {
            return Ok(());
        }
        let sort = || sorted("seal the clients' settings");
        let stored: Vec<SecretRow> = sqlx::query_as(IN_THE_CLEAR).fetch_all(&self.pool).await.map_err(sort())?;
        for row in stored {
            let text = Secret::new(row.valor.clone());
            let sealed = self.sealer.seal(place(row.cliente_id, &row.api), &text)?;
            let seal = sqlx::query(SEAL).bind(row.cliente_id).bind(&row.api);
            seal.bind(sealed).bind(&row.valor).execute(&self.pool).await.map_err(sort())?;
        }
        Ok(())
    }

    async fn scrap_settings(&self, route: &str, after: i64, limit: i64) -> Result<Vec<(i64, String)>, StoreError> {
        let read = sqlx::query_as(OF_SCRAPS).bind(route).bind(after).bind(limit);
        read.fetch_all(&self.pool).await.map_err(sorted("read the scraps' settings"))
    }

    async fn replace_scrap_settings(&self, id: i64, before: &str, now: &str) -> Result<(), StoreError> {
        let replace = sqlx::query(REPLACE).bind(id).bind(before).bind(now);
        replace.execute(&self.pool).await.map_err(sorted("take secrets out of a scrap"))?;
        Ok(())
    }
}

//! Counters of the rows and bytes kept for each client: rejected records, cursors, rows. They
//! change in the transaction that adds the rows, in one row for each client, so that checking a
//! budget counts nothing.

use async_trait::async_trait;
use atlas_model::{ClientUsage, Kept};
use atlas_store::{StoreError, Usages};

use super::dialect::{BEGIN, SqlStore};
use crate::error::sorted;
use crate::values::{ClientUsageRow, row};

const READ: &str = concat!("SELECT ", usage_columns!(), " FROM atlas_uso WHERE cliente_id = $1");

const ALL: &str =
    concat!("SELECT cliente_id, ", usage_columns!(), " FROM atlas_uso ORDER BY registros DESC, cliente_id LIMIT $1");

/// Locks the client's counters for this transaction: transactions that add rows wait until the
/// recount is done.
const HOLD: &str = "INSERT INTO atlas_uso (cliente_id) VALUES ($1) \
     ON CONFLICT (cliente_id) DO UPDATE SET cliente_id = excluded.cliente_id";

const RECOUNT_REJECTS: &str = concat!(
    "UPDATE atlas_uso SET (rejeitados, rejeitados_bytes) = (SELECT COUNT(*), \
       COALESCE(SUM(OCTET_LENGTH(conteudo) + COALESCE(OCTET_LENGTH(cursor), 0)), 0) FROM dados_rejeitados \
       WHERE cliente_id = $1) WHERE cliente_id = $1 RETURNING ",
    usage_columns!()
);

const RECOUNT_CURSORS: &str = concat!(
    "UPDATE atlas_uso SET (cursores, cursores_bytes) = (SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(c.cursor)), 0) \
       FROM scrap_cursores c JOIN scraps s ON s.id = c.scrap_id WHERE s.cliente_id = $1) WHERE cliente_id = $1 RETURNING ",
    usage_columns!()
);

const RECOUNT_RECORDS: &str = concat!(
    "UPDATE atlas_uso SET (registros, registros_bytes) = (SELECT COUNT(*), \
       COALESCE(SUM(OCTET_LENGTH(CAST(payload AS TEXT))), 0) FROM dados_raw \
       WHERE cliente_id = $1) WHERE cliente_id = $1 RETURNING ",
    usage_columns!()
);

row! {
    /// A row of [`ALL`].
    struct UsageRow {
        cliente_id: i32,
    } + {
        usage: ClientUsageRow,
    }
}

#[async_trait]
impl Usages for SqlStore {
    async fn usage(&self, cliente_id: i32) -> Result<ClientUsage, StoreError> {
        let row = sqlx::query_as::<_, ClientUsageRow>(READ).bind(cliente_id).fetch_optional(&self.pool).await;
        Ok(row.map_err(sorted("read what is kept for the client"))?.map(ClientUsage::from).unwrap_or_default())
    }

    async fn recount(&self, cliente_id: i32, kept: Kept) -> Result<ClientUsage, StoreError> {
        let sort = || sorted("count what is kept for the client");
        let statement = match kept {
            Kept::Rejects => RECOUNT_REJECTS,
            Kept::Cursors => RECOUNT_CURSORS,
            Kept::Records => RECOUNT_RECORDS,
        };
        let mut tx = self.pool.begin_with(BEGIN).await.map_err(sort())?;
        sqlx::query(HOLD).bind(cliente_id).execute(&mut *tx).await.map_err(sort())?;
        let counted: ClientUsageRow =
            sqlx::query_as(statement).bind(cliente_id).fetch_one(&mut *tx).await.map_err(sort())?;
        tx.commit().await.map_err(sort())?;
        Ok(counted.into())
    }

    async fn usages(&self, limit: i64) -> Result<Vec<(i32, ClientUsage)>, StoreError> {
        let rows: Vec<UsageRow> = sqlx::query_as(ALL)
            .bind(limit)
            .fetch_all(&self.pool)
            .await
            .map_err(sorted("read what is kept for clients"))?;
        Ok(rows.into_iter().map(|row| (row.cliente_id, row.usage.into())).collect())
    }
}

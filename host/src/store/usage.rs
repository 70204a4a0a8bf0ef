//! What is kept for each client: rejected records, cursors, rows. Counted in the transaction that
//! keeps it, in one row for each client, so that a budget costs no counting.

use async_trait::async_trait;
use sqlx::FromRow;

use super::error::StoreError;

/// What the database keeps for a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromRow)]
pub struct ClientUsage {
    /// Rejected records.
    #[sqlx(rename = "rejeitados")]
    pub rejects: i64,
    /// Their bytes, those of their cursors included.
    #[sqlx(rename = "rejeitados_bytes")]
    pub reject_bytes: i64,
    /// Cursors that its scraps know.
    #[sqlx(rename = "cursores")]
    pub cursors: i64,
    /// Their bytes.
    #[sqlx(rename = "cursores_bytes")]
    pub cursor_bytes: i64,
    /// Rows in `dados_raw`, of pages that are done.
    #[sqlx(rename = "registros")]
    pub records: i64,
    /// The bytes of their payloads.
    #[sqlx(rename = "registros_bytes")]
    pub record_bytes: i64,
}

/// One kind of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Rejected records.
    Rejects,
    /// Cursors.
    Cursors,
    /// Rows.
    Records,
}

/// The counters.
#[async_trait]
pub trait Usages: Send + Sync {
    /// What is kept for a client, as it is counted: never too little, and too much where rows were
    /// deleted by hand.
    async fn usage(&self, cliente_id: i32) -> Result<ClientUsage, StoreError>;

    /// Counts one kind anew, which reads every row of it that the client has, and gives all.
    async fn recount(&self, cliente_id: i32, kept: Kept) -> Result<ClientUsage, StoreError>;

    /// What is kept for every client, those with most rows first; at most `limit`.
    async fn usages(&self, limit: i64) -> Result<Vec<(i32, ClientUsage)>, StoreError>;
}

macro_rules! usage_columns {
    () => {
        "rejeitados, rejeitados_bytes, cursores, cursores_bytes, registros, registros_bytes"
    };
}

pub(super) const READ: &str = concat!("SELECT ", usage_columns!(), " FROM atlas_uso WHERE cliente_id = $1");

pub(super) const ALL: &str =
    concat!("SELECT cliente_id, ", usage_columns!(), " FROM atlas_uso ORDER BY registros DESC, cliente_id LIMIT $1");

/// Has the client's row for this transaction alone: a transaction that keeps something waits until
/// it is counted.
pub(super) const HOLD: &str = "INSERT INTO atlas_uso (cliente_id) VALUES ($1) \
     ON CONFLICT (cliente_id) DO UPDATE SET cliente_id = excluded.cliente_id";

pub(super) const RECOUNT_REJECTS: &str = concat!(
    "UPDATE atlas_uso SET (rejeitados, rejeitados_bytes) = (SELECT COUNT(*), \
       COALESCE(SUM(OCTET_LENGTH(conteudo) + COALESCE(OCTET_LENGTH(cursor), 0)), 0) FROM dados_rejeitados \
       WHERE cliente_id = $1) WHERE cliente_id = $1 RETURNING ",
    usage_columns!()
);

pub(super) const RECOUNT_CURSORS: &str = concat!(
    "UPDATE atlas_uso SET (cursores, cursores_bytes) = (SELECT COUNT(*), COALESCE(SUM(OCTET_LENGTH(c.cursor)), 0) \
       FROM scrap_cursores c JOIN scraps s ON s.id = c.scrap_id WHERE s.cliente_id = $1) WHERE cliente_id = $1 RETURNING ",
    usage_columns!()
);

pub(super) const RECOUNT_RECORDS: &str = concat!(
    "UPDATE atlas_uso SET (registros, registros_bytes) = (SELECT COUNT(*), \
       COALESCE(SUM(OCTET_LENGTH(CAST(payload AS TEXT))), 0) FROM dados_raw \
       WHERE cliente_id = $1) WHERE cliente_id = $1 RETURNING ",
    usage_columns!()
);

/// Adds to a client's counters: `$1` client, then each counter in the order of the columns. Gives
/// what they are then.
pub(super) const ADD: &str = concat!(
    "INSERT INTO atlas_uso AS u (cliente_id, ",
    usage_columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (cliente_id) DO UPDATE SET \
       rejeitados = u.rejeitados + excluded.rejeitados, rejeitados_bytes = u.rejeitados_bytes + excluded.rejeitados_bytes, \
       cursores = u.cursores + excluded.cursores, cursores_bytes = u.cursores_bytes + excluded.cursores_bytes, \
       registros = u.registros + excluded.registros, registros_bytes = u.registros_bytes + excluded.registros_bytes \
     RETURNING ",
    usage_columns!()
);

/// The same on either database, but for how a transaction begins that writes.
macro_rules! impl_usages {
    (for $store:ty, begin: $begin:literal) => {
        const _: () = {
            use crate::store::{ClientUsage, Kept, StoreError, Usages, usage};
            use async_trait::async_trait;

            #[async_trait]
            impl Usages for $store {
                async fn usage(&self, cliente_id: i32) -> Result<ClientUsage, StoreError> {
                    let row = sqlx::query_as(usage::READ).bind(cliente_id).fetch_optional(&self.pool).await;
                    Ok(row.map_err(StoreError::sort("read what is kept for the client"))?.unwrap_or_default())
                }

                async fn recount(&self, cliente_id: i32, kept: Kept) -> Result<ClientUsage, StoreError> {
                    let sort = || StoreError::sort("count what is kept for the client");
                    let statement = match kept {
                        Kept::Rejects => usage::RECOUNT_REJECTS,
                        Kept::Cursors => usage::RECOUNT_CURSORS,
                        Kept::Records => usage::RECOUNT_RECORDS,
                    };
                    let mut tx = self.pool.begin_with($begin).await.map_err(sort())?;
                    sqlx::query(usage::HOLD).bind(cliente_id).execute(&mut *tx).await.map_err(sort())?;
                    let counted =
                        sqlx::query_as(statement).bind(cliente_id).fetch_one(&mut *tx).await.map_err(sort())?;
                    tx.commit().await.map_err(sort())?;
                    Ok(counted)
                }

                async fn usages(&self, limit: i64) -> Result<Vec<(i32, ClientUsage)>, StoreError> {
                    let rows: Vec<usage::UsageRow> = sqlx::query_as(usage::ALL)
                        .bind(limit)
                        .fetch_all(&self.pool)
                        .await
                        .map_err(StoreError::sort("read what is kept for clients"))?;
                    Ok(rows.into_iter().map(|row| (row.cliente_id, row.usage)).collect())
                }
            }
        };
    };
}
pub(super) use impl_usages;

/// A row of [`ALL`].
#[derive(FromRow)]
pub(super) struct UsageRow {
    pub(super) cliente_id: i32,
    #[sqlx(flatten)]
    pub(super) usage: ClientUsage,
}

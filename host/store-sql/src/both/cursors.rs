//! Erasing the texts of cursors: signed URLs, sessions and pieces of records may stand in them. A
//! page that is done is known by the hash of its cursor, and its text is needed by nothing any
//! more.

use async_trait::async_trait;
use atlas_store::{Cursors, StoreError};

use super::dialect::SqlStore;
use crate::error::sorted;

/// Pages that one statement goes through.
pub(crate) const PART: i64 = 5_000;

/// The last page of the next part, after a page.
const PART_ENDS: &str = "SELECT varredura, cursor_hash FROM (SELECT varredura, cursor_hash FROM scrap_cursores \
       WHERE scrap_id = $1 AND (varredura, cursor_hash) > ($2, $3) ORDER BY varredura, cursor_hash LIMIT $4) parte \
     ORDER BY varredura DESC, cursor_hash DESC LIMIT 1";

const ERASE: &str = "UPDATE scrap_cursores SET cursor = NULL \
     WHERE scrap_id = $1 AND (varredura, cursor_hash) > ($2, $3) AND (varredura, cursor_hash) <= ($4, $5) \
       AND estado <> 'pendente' AND cursor IS NOT NULL";

const ERASE_OF_REJECTED: &str = "UPDATE dados_rejeitados SET cursor = NULL \
     WHERE scrap_id = $1 AND cursor IS NOT NULL AND NOT EXISTS (SELECT 1 FROM scrap_cursores c \
       WHERE c.scrap_id = $1 AND c.cursor_hash = dados_rejeitados.cursor_hash AND c.estado = 'pendente')";

#[async_trait]
impl Cursors for SqlStore {
    async fn erase_cursors(&self, scrap_id: i64) -> Result<(), StoreError> {
        let sort = || sorted("erase the cursors of pages that are done");
        let mut from: (i32, Vec<u8>) = (-1, Vec::new());
        loop {
            let next = sqlx::query_as(PART_ENDS).bind(scrap_id).bind(from.0).bind(&from.1);
            let next = next.bind(PART).fetch_optional(&self.pool).await.map_err(sort())?;
            let Some(to): Option<(i32, Vec<u8>)> = next else { break };
            let erase = sqlx::query(ERASE).bind(scrap_id).bind(from.0).bind(&from.1);
            erase.bind(to.0).bind(&to.1).execute(&self.pool).await.map_err(sort())?;
            from = to;
        }
        let rejected = sqlx::query(ERASE_OF_REJECTED).bind(scrap_id).execute(&self.pool).await;
        rejected.map(drop).map_err(sort())
    }
}

//! Erasing the texts of cursors: signed URLs, sessions and pieces of records may stand in them. A
//! page that is done is known by the hash of its cursor, and its text is needed by nothing any
//! more.

use async_trait::async_trait;

use super::error::StoreError;

/// Erasing.
#[async_trait]
pub trait Cursors: Send + Sync {
    /// Erases the cursors of a scrap's pages that are done, here and beside what was rejected of
    /// them, a part in each transaction. Those of pages that are still to be fetched stay.
    /// Repeating it changes nothing.
    async fn erase_cursors(&self, scrap_id: i64) -> Result<(), StoreError>;
}

/// Pages that one statement goes through.
pub(super) const PART: i64 = 5_000;

/// The last page of the next part, after a page.
pub(super) const PART_ENDS: &str = "SELECT varredura, cursor_hash FROM (SELECT varredura, cursor_hash FROM scrap_cursores \
       WHERE scrap_id = $1 AND (varredura, cursor_hash) > ($2, $3) ORDER BY varredura, cursor_hash LIMIT $4) parte \
     ORDER BY varredura DESC, cursor_hash DESC LIMIT 1";

pub(super) const ERASE: &str = "UPDATE scrap_cursores SET cursor = NULL \
     WHERE scrap_id = $1 AND (varredura, cursor_hash) > ($2, $3) AND (varredura, cursor_hash) <= ($4, $5) \
       AND estado <> 'pendente' AND cursor IS NOT NULL";

pub(super) const ERASE_OF_REJECTED: &str = "UPDATE dados_rejeitados SET cursor = NULL \
     WHERE scrap_id = $1 AND cursor IS NOT NULL AND NOT EXISTS (SELECT 1 FROM scrap_cursores c \
       WHERE c.scrap_id = $1 AND c.cursor_hash = dados_rejeitados.cursor_hash AND c.estado = 'pendente')";

/// What people and programs know a page by: its cursor as long as that is there, then the cursor's
/// SHA-256. None: the first page.
pub(super) fn name_of(cursor: Option<&str>, hash: &[u8]) -> Option<String> {
    let is_first = hash.iter().all(|byte| *byte == 0);
    let erased = || format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    cursor.map(str::to_owned).or_else(|| (!is_first).then(erased))
}

/// The same on either database.
macro_rules! impl_cursors {
    (for $store:ty) => {
        const _: () = {
            use crate::store::{Cursors, StoreError, cursors};
            use async_trait::async_trait;

            #[async_trait]
            impl Cursors for $store {
                async fn erase_cursors(&self, scrap_id: i64) -> Result<(), StoreError> {
                    let sort = || StoreError::sort("erase the cursors of pages that are done");
                    let mut from: (i32, Vec<u8>) = (-1, Vec::new());
                    loop {
                        let next = sqlx::query_as(cursors::PART_ENDS).bind(scrap_id).bind(from.0).bind(&from.1);
                        let next = next.bind(cursors::PART).fetch_optional(&self.pool).await.map_err(sort())?;
                        let Some(to): Option<(i32, Vec<u8>)> = next else { break };
                        let erase = sqlx::query(cursors::ERASE).bind(scrap_id).bind(from.0).bind(&from.1);
                        erase.bind(to.0).bind(&to.1).execute(&self.pool).await.map_err(sort())?;
                        from = to;
                    }
                    let rejected = sqlx::query(cursors::ERASE_OF_REJECTED).bind(scrap_id).execute(&self.pool).await;
                    rejected.map(drop).map_err(sort())
                }
            }
        };
    };
}
pub(super) use impl_cursors;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_whose_cursor_is_erased_is_known_by_its_hash() {
        assert_eq!(name_of(Some("p2"), &[7; 32]).as_deref(), Some("p2"));
        assert_eq!(name_of(None, &[7; 32]), Some(format!("sha256:{}", "07".repeat(32))));
        assert_eq!(name_of(None, &[0; 32]), None);
    }
}

//! Pools of connections to the file, which let go of a connection whose transaction ended by
//! itself.

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnection, SqlitePoolOptions};

/// What all pools have in common: a connection is looked at after each use, not before the next.
pub(super) fn pool_options() -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_between_transactions(connection)))
}

/// Whether a returned connection may be used again. False after an error on which SQLite ended the
/// transaction by itself (FULL, IOERR, NOMEM, INTERRUPT:
/// <https://www.sqlite.org/lang_transaction.html>, 3): sqlx's ROLLBACK fails then, sqlx counts the
/// transaction as open for good, and refuses every later `BEGIN IMMEDIATE`. The same after a
/// ROLLBACK that failed and left the transaction open. The pool closes such a connection and opens
/// another one.
async fn is_between_transactions(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // Commands are carried out in their order: once this is answered, the ROLLBACK has been tried.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sqlx::sqlite::SqliteConnectOptions;
    use sqlx::{AssertSqlSafe, ConnectOptions, Row};

    use super::super::SqliteStore;
    use super::*;
    use crate::error::sorted;
    use atlas_store::{Fault, Store};

    const GROW: &str = "INSERT INTO cresce (texto) VALUES (zeroblob(20000))";

    async fn store(folder: &Path) -> SqliteStore {
        let store = SqliteStore::open(&folder.join("atlas.db"), None).await.expect("a store");
        store.init().await.expect("tables");
        sqlx::query("CREATE TABLE cresce (texto BLOB)").execute(&store.pool).await.expect("a table");
        store
    }

    /// The file may not grow on this connection any more: what a full disk is to SQLite.
    async fn fill_up(connection: &mut SqliteConnection) {
        let row = sqlx::query("PRAGMA page_count").fetch_one(&mut *connection).await.expect("a count");
        let pages = AssertSqlSafe(format!("PRAGMA max_page_count = {}", row.get::<i64, _>(0)));
        sqlx::query(pages).fetch_one(connection).await.expect("a limit");
    }

    async fn rows(store: &SqliteStore) -> i64 {
        sqlx::query_scalar("SELECT COUNT(*) FROM cresce").fetch_one(&store.readers).await.expect("a count")
    }

    #[tokio::test]
    async fn a_connection_whose_transaction_a_full_disk_ended_is_not_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path()).await;
        let mut tx = store.pool.begin_with("BEGIN IMMEDIATE").await.expect("a transaction");
        fill_up(&mut tx).await;
        let full = loop {
            if let Err(error) = sqlx::query(GROW).execute(&mut *tx).await {
                break sorted("grow")(error);
            }
        };
        assert_eq!(full.fault, Fault::Unavailable, "{full:?}");
        drop(tx);
        // With room again, the same process writes.
        let mut tx = store.pool.begin_with("BEGIN IMMEDIATE").await.expect("the process writes again");
        sqlx::query(GROW).execute(&mut *tx).await.expect("there is room");
        tx.commit().await.expect("it is kept");
        assert_eq!(rows(&store).await, 1, "what the disk had no room for was taken back");
    }

    #[tokio::test]
    async fn a_connection_whose_transaction_ended_by_itself_is_not_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(folder.path()).await;
        for end in ["ROLLBACK", "COMMIT"] {
            // The transaction ends under sqlx's feet, as SQLite ends it on an error.
            let mut tx = store.pool.begin_with("BEGIN IMMEDIATE").await.expect("a transaction");
            sqlx::query(GROW).execute(&mut *tx).await.expect("a row");
            sqlx::raw_sql(end).execute(&mut *tx).await.expect("ended");
            assert!(tx.commit().await.is_err(), "there is nothing to commit after {end}");
            store.pool.begin_with("BEGIN IMMEDIATE").await.expect("the process writes again");
        }
        assert_eq!(rows(&store).await, 1);
        let options = SqliteConnectOptions::new().filename(folder.path().join("atlas.db"));
        options.connect().await.expect("another process is not locked out").close().await.expect("closed");
    }
}

//! The store in a SQLite file: its connections, and how it is opened.

use std::path::Path;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use atlas_model::{Concern, InitReport, SchemaStatus, StoreKey};
use atlas_store::{Fault, STATEMENT_MAX, Settings, Store, StoreError};
use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqliteSynchronous};

use super::place::DatabasePlace;
use super::pools::pool_options;
use super::{concerns, schema};
use crate::error::sorted;
use crate::seal::Sealer;

/// How long a statement waits for another process that is writing to the same file.
const BUSY_PATIENCE: Duration = Duration::from_secs(30);

/// How long a caller waits for the one writing connection: longer than any batch takes.
const WRITER_PATIENCE: Duration = Duration::from_secs(600);

const READERS: u32 = 4;

const LOOKS: u32 = 4;

/// Steps of SQLite's machine between two looks at the clock: some 100 µs.
const PROGRESS_STEPS: i32 = 10_000;

/// How long to wait before a file that others open too is tried again.
const OPEN_PAUSE: Duration = Duration::from_millis(20);

/// The tables in a SQLite file.
pub struct SqliteStore {
    /// One connection: the writer.
    pub(super) pool: SqlitePool,
    pub(super) readers: SqlitePool,
    /// For queries of the page, which may take [`STATEMENT_MAX`] each.
    pub(super) looks: SqlitePool,
    pub(super) place: DatabasePlace,
    pub(super) sealer: Sealer,
}

impl SqliteStore {
    /// Opens the file, creating it if it is not there.
    pub async fn open(path: &Path, key: Option<StoreKey>) -> Result<Self, StoreError> {
        create_private(path);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            // What is erased, or replaced by its sealed form, is in no page of the file any more.
            .pragma("secure_delete", "ON")
            .busy_timeout(BUSY_PATIENCE)
            .disable_statement_logging();
        let pool = open_writer(&options).await?;
        // Later connections must not create a new database in the place of one that was deleted.
        let options = options.create_if_missing(false);
        let place = DatabasePlace::of(path, &options).await.map_err(sorted("open the SQLite file"))?;
        pool.set_connect_options(options.clone());
        let reading = |connections| pool_options().max_connections(connections);
        let readers = reading(READERS).connect_lazy_with(options.clone());
        let looks = reading(LOOKS)
            .after_connect(|connection, _| Box::pin(end_within(STATEMENT_MAX, connection)))
            .before_acquire(|connection, _| {
                Box::pin(async { end_within(STATEMENT_MAX, connection).await.map(|()| true) })
            })
            .connect_lazy_with(options);
        Ok(Self { pool, readers, looks, place, sealer: Sealer::new(key) })
    }
}

/// Interrupts the statement that a connection is running after `limit`, counted from now. SQLite
/// has no timeout of its own for a running statement.
async fn end_within(limit: Duration, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    let began = Instant::now();
    connection.lock_handle().await?.set_progress_handler(PROGRESS_STEPS, move || began.elapsed() < limit);
    Ok(())
}

/// Opens the writing connection, and retries while another process is switching a new file to WAL:
/// for that, SQLite does not wait as it does for a statement, but refuses the others at once.
async fn open_writer(options: &SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    let began = Instant::now();
    loop {
        let pool = pool_options()
            .max_connections(1)
            .acquire_timeout(WRITER_PATIENCE)
            .connect_with(options.clone())
            .await
            .map_err(sorted("open the SQLite file"));
        match pool {
            Err(error) if error.fault == Fault::Collision && began.elapsed() < BUSY_PATIENCE => {
                tokio::time::sleep(OPEN_PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// Creates the file, if it is not there, readable by its owner alone, since it holds tokens. SQLite
/// gives the files beside it the same mode. Errors are ignored here: SQLite meets them again when
/// it opens the file, and reports them.
fn create_private(path: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

#[async_trait]
impl Store for SqliteStore {
    fn writers(&self, _batch: usize) -> usize {
        1
    }

    async fn close(&self) {
        // The readers first: the last connection to go folds the write-ahead log into the file and
        // removes it.
        self.looks.close().await;
        self.readers.close().await;
        self.place.close().await;
        self.pool.close().await;
    }

    async fn init(&self) -> Result<InitReport, StoreError> {
        let report = schema::init(&self.pool).await?;
        self.seal_settings().await?;
        Ok(report)
    }

    async fn in_place(&self) -> Result<(), StoreError> {
        self.place.check(&self.readers).await
    }

    async fn schema(&self) -> Result<SchemaStatus, StoreError> {
        self.in_place().await?;
        schema::status(&self.pool).await
    }

    async fn concerns(&self) -> Result<Vec<Concern>, StoreError> {
        concerns::find(&self.pool).await
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, Result, bail};

    use super::*;
    use atlas_store::Browse;

    /// A store on a file, with a client, and the path of that file.
    async fn store() -> Result<(tempfile::TempDir, SqliteStore, std::path::PathBuf)> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("atlas.db");
        let store = SqliteStore::open(&path, None).await?;
        store.init().await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool).await?;
        store.in_place().await?;
        Ok((folder, store, path))
    }

    async fn is_displaced(store: &SqliteStore) -> Result<()> {
        let error = store.in_place().await.err().context("it is taken for the file that was opened")?;
        if error.fault != Fault::Displaced {
            bail!("{error}");
        }
        let schema = store.schema().await.err().context("a server would call itself ready")?;
        assert_eq!(schema.fault, Fault::Displaced);
        Ok(())
    }

    #[tokio::test]
    async fn a_file_that_is_deleted_or_replaced_under_the_store_is_noticed() -> Result<()> {
        let (_folder, store, path) = store().await?;
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside)?;
        is_displaced(&store).await?;
        std::fs::copy(&aside, &path)?;
        is_displaced(&store).await?;
        std::fs::rename(&aside, &path)?;
        store.in_place().await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_log_that_is_deleted_under_the_store_is_noticed() -> Result<()> {
        for end in ["-wal", "-shm"] {
            let (_folder, store, path) = store().await?;
            // None of the pools' connections is open: the log stays for all that.
            store.looks.close().await;
            store.readers.close().await;
            store.pool.close().await;
            store.place.check(&store.readers).await?;
            let mut log = path.into_os_string();
            log.push(end);
            std::fs::remove_file(&log)?;
            let error = store.place.check(&store.readers).await.err().context(end)?;
            assert_eq!(error.fault, Fault::Displaced, "{error}");
            std::fs::write(&log, "")?;
            assert!(store.place.check(&store.readers).await.is_err(), "another {end} is taken for the first");
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_file_that_is_written_over_is_noticed_whatever_is_written() -> Result<()> {
        let (_folder, store, path) = store().await?;
        let (_other_folder, other, other_path) = self::store().await?;
        other.close().await;
        let own = std::fs::read(&path)?;
        let mut long = own.clone();
        long[..16].fill(b'x');
        for written in [Vec::new(), vec![0; own.len()], long, own[..4096].to_vec(), std::fs::read(&other_path)?] {
            std::fs::write(&path, &written)?;
            is_displaced(&store).await?;
            std::fs::write(&path, &own)?;
            store.in_place().await?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn a_database_that_was_made_smaller_by_its_own_means_is_in_its_place() -> Result<()> {
        let (_folder, store, path) = store().await?;
        sqlx::query("CREATE TABLE ballast (x)").execute(&store.pool).await?;
        sqlx::query("INSERT INTO ballast VALUES (zeroblob(1000000))").execute(&store.pool).await?;
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool).await?;
        store.in_place().await?;
        let before = std::fs::metadata(&path)?.len();
        for statement in ["DROP TABLE ballast", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"] {
            sqlx::query(statement).execute(&store.pool).await?;
        }
        assert!(std::fs::metadata(&path)?.len() < before);
        store.in_place().await?;
        Ok(())
    }

    #[tokio::test]
    async fn what_was_erased_is_in_no_page_of_the_file() -> Result<()> {
        let (_folder, store, path) = store().await?;
        sqlx::query("CREATE TABLE kept (id INTEGER PRIMARY KEY, x TEXT)").execute(&store.pool).await?;
        let secret = "cursor-secreto";
        // Within a page, and beyond one.
        for length in [1, 500] {
            let text = secret.repeat(length);
            sqlx::query("INSERT INTO kept (x) VALUES (?)").bind(&text).execute(&store.pool).await?;
            sqlx::query("INSERT INTO kept (x) VALUES (?)").bind(&text).execute(&store.pool).await?;
        }
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&store.pool).await?;
        sqlx::query("UPDATE kept SET x = NULL WHERE id % 2 = 0").execute(&store.pool).await?;
        sqlx::query("DELETE FROM kept WHERE id % 2 = 1").execute(&store.pool).await?;
        store.close().await;
        let file = std::fs::read(&path)?;
        assert!(!file.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "it can still be read");
        Ok(())
    }

    #[tokio::test]
    async fn a_question_without_end_is_ended_and_the_next_one_is_answered() -> Result<()> {
        let (_folder, store, _path) = store().await?;
        let mut look = store.looks.acquire().await?;
        end_within(Duration::from_millis(50), &mut look).await?;
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT COUNT(*) FROM n";
        let ended = sqlx::query(endless).fetch_one(&mut *look).await.err().context("it has an end")?;
        assert_eq!(sorted("test")(ended).fault, Fault::TooSlow);
        drop(look);
        assert_eq!(store.newest_scrap().await?, 0);
        Ok(())
    }
}

//! Checks that the database's files are still the ones that were opened.
//!
//! An open file outlives its name: a database that is deleted, moved, or replaced under a running
//! process goes on taking rows, and no reader will ever find them. So what stands at the path is
//! compared with what stood there when it was opened. The same holds for the log beside it, which
//! has the latest rows: the next process would begin another one, and the two would overwrite each
//! other's pages.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use atlas_store::{Fault, StoreError};
use parking_lot::{Mutex, MutexGuard};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, SqlitePool};
use tokio::sync::Mutex as AsyncMutex;

use crate::error::sorted;

/// Bytes of the header that say which database it is,
/// <https://www.sqlite.org/fileformat.html#the_database_header>: the magic text, and the
/// application id, which [`mark`] sets to a number of the file's own.
const MAGIC: &[u8] = b"SQLite format 3\0";
const APPLICATION_ID: std::ops::Range<usize> = 68..72;
const HEADER_BYTES: usize = 72;

/// What the bytes behind the present database may have, by what the pager knows.
const PAGES_BYTES: &str = "SELECT p.page_count * s.page_size FROM pragma_page_count p, pragma_page_size s";

/// What opens the write-ahead log and its index, for a connection that has not read yet.
const OPEN_THE_LOG: &str = "SELECT COUNT(*) FROM sqlite_schema";

/// What SQLite appends to the database's name for its write-ahead log and for the log's index.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

/// The place of an open database.
#[derive(Clone)]
pub(super) struct DatabasePlace {
    path: PathBuf,
    known: Arc<Mutex<Known>>,
    /// A connection that stays open as long as the store. The last connection to be closed removes
    /// the files beside the database, and those of the pools come and go: while this one is open,
    /// nothing but an operator removes them. `None` once the store is closed.
    watcher: Arc<AsyncMutex<Option<SqliteConnection>>>,
}

/// The files' identities, and the length and application id of the database at the last check.
#[derive(Default)]
struct Known {
    file: Option<FileId>,
    /// As [`BESIDE`] names them. `None` where there is no such file, as without a log.
    beside: [Option<FileId>; 2],
    length: u64,
    application_id: [u8; 4],
}

/// Which file it is, whatever its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

/// The outcome of a check.
enum Found {
    Same,
    /// Shorter than before, to so many bytes: by `VACUUM`, or because something else was written
    /// over it.
    Shorter(u64),
    /// Not the file that was opened, and in which way.
    Another(&'static str),
}

impl DatabasePlace {
    /// Takes note of a file that was opened a moment ago, with these options.
    pub(super) async fn of(path: &Path, options: &SqliteConnectOptions) -> Result<Self, sqlx::Error> {
        let mut watcher = options.connect().await?;
        sqlx::query(OPEN_THE_LOG).execute(&mut watcher).await?;
        // The log stands beside the file itself, not beside a link to it.
        let whole = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let known = Known { file: id(path), beside: BESIDE.map(|end| id(&beside(&whole, end))), ..Known::default() };
        let watcher = Arc::new(AsyncMutex::new(Some(watcher)));
        Ok(Self { path: path.to_owned(), known: Arc::new(Mutex::new(known)), watcher })
    }

    /// Lets go of the files.
    pub(super) async fn close(&self) {
        if let Some(watcher) = self.watcher.lock().await.take() {
            // An error here is met by the pools' connections too, which write.
            let _ = watcher.close().await;
        }
    }

    /// Fails with [`Fault::Displaced`] if a file is not the one that was opened.
    pub(super) async fn check(&self, readers: &SqlitePool) -> Result<(), StoreError> {
        let place = self.clone();
        let found = tokio::task::spawn_blocking(move || place.look()).await;
        match found {
            Ok(Found::Same) => {}
            Ok(Found::Another(why)) => return Err(self.displaced(why)),
            Ok(Found::Shorter(length)) => {
                let pages: Result<i64, _> = sqlx::query_scalar(PAGES_BYTES).fetch_one(readers).await;
                match pages.map_err(sorted("look how long the database is")) {
                    Ok(pages) if u64::try_from(pages).is_ok_and(|pages| length >= pages) => {}
                    Err(busy) if busy.fault == Fault::Collision => return Err(busy),
                    // Treated alike if the database cannot be read any more.
                    Ok(_) | Err(_) => return Err(self.displaced("it was cut short")),
                }
                self.known().length = length;
            }
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
        // Not while the store is being closed: then they go, and rightly so.
        let watcher = self.watcher.lock().await;
        match watcher.is_some() && !self.look_beside() {
            true => Err(self.displaced("the files beside it (-wal, -shm) are gone or others")),
            false => Ok(()),
        }
    }

    /// Whether the files beside the database are the ones that were there when it was opened.
    fn look_beside(&self) -> bool {
        let whole = std::fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let known = self.known().beside;
        BESIDE.iter().zip(known).all(|(end, was)| was.is_none() || id(&beside(&whole, end)) == was)
    }

    fn displaced(&self, why: &str) -> StoreError {
        let detail = format!("{}: {why}", self.path.display());
        StoreError::new(Fault::Displaced, "look whether the database's file is still there", detail)
    }

    fn look(&self) -> Found {
        let mut known = self.known();
        // On a file system that tells nothing of a file there is nothing to compare.
        let Some(was) = known.file else { return Found::Same };
        match id(&self.path) {
            Some(is) if is == was => {}
            Some(_) => return Found::Another("another file stands there"),
            None => return Found::Another("it is gone"),
        }
        // If the file cannot be read now, the next statement reports why.
        let Ok((header, length)) = read(&self.path, was) else { return Found::Same };
        if length == 0 && known.length == 0 {
            return Found::Same;
        }
        if !header.starts_with(MAGIC) {
            return Found::Another("something else was written over it");
        }
        let id = header.get(APPLICATION_ID).and_then(|id| id.try_into().ok()).unwrap_or_default();
        if known.application_id != [0; 4] && known.application_id != id {
            return Found::Another("another database was written over it");
        }
        known.application_id = id;
        if length < known.length {
            return Found::Shorter(length);
        }
        known.length = length;
        Found::Same
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// `None`: there is no such file.
#[cfg(unix)]
fn id(path: &Path) -> Option<FileId> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).ok().map(|file| FileId { device: file.dev(), inode: file.ino() })
}

/// Elsewhere an open file cannot be deleted or replaced.
#[cfg(not(unix))]
fn id(path: &Path) -> Option<FileId> {
    std::fs::metadata(path).ok().map(|_| FileId { device: 0, inode: 0 })
}

/// Databases that this process has looked at, each opened once and never closed. To close a file is
/// to give up every lock that the process has on it, SQLite's own too (POSIX,
/// <https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_>),
/// and then the next command that ends beside this process removes the log that it writes to.
static OPENED: Mutex<Vec<(FileId, File)>> = Mutex::new(Vec::new());

/// The beginning of the file, and its length in bytes.
fn read(path: &Path, which: FileId) -> std::io::Result<(Vec<u8>, u64)> {
    let mut opened = OPENED.lock();
    if !opened.iter().any(|(known, _)| *known == which) {
        opened.push((which, File::open(path)?));
    }
    let found = opened.iter().find(|(known, _)| *known == which);
    let mut file = &found.ok_or(std::io::ErrorKind::NotFound)?.1;
    let length = file.metadata()?.len();
    let mut header = Vec::with_capacity(HEADER_BYTES);
    file.seek(SeekFrom::Start(0))?;
    file.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    Ok((header, length))
}

/// Gives a database that has no application id one of its own, by which it is known from any other.
pub(super) async fn mark(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *tx).await?;
    if id == 0 {
        let own = rand::random_range(1..i32::MAX);
        let set = sqlx::AssertSqlSafe(format!("PRAGMA application_id = {own}"));
        sqlx::query(set).execute(&mut *tx).await?;
    }
    tx.commit().await
}

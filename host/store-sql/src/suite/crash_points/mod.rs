//! The checkpoint, held against every moment at which a process can die: before and after each
//! statement that a run makes, from its claim to its end, the process is gone, another one resumes
//! the scrap, and the oracle looks at the tables.
//!
//! No statement is named for it or marked in the product, so that none can be forgotten:
//!
//! - On PostgreSQL all that a process does goes over a wire. `wire` counts how often each statement
//!   is sent, and stops the nth of each: before the server gets it, or when it is done and the
//!   answer is under way. For each statement n is counted up until a run ends without reaching it.
//!   Writers work side by side, so which record the nth insert carries may differ from one run to
//!   the next; that each is stopped does not. What becomes of a transaction that is half done is
//!   the server's business, as it would be. A third harm leaves the process alive and takes the
//!   answer away, a COMMIT's among them: the run has to cope by itself.
//! - On SQLite all that a process leaves is the file and its write-ahead log, which is only ever
//!   appended to. So every moment of a run is in the log of one that was let be: `log` cuts it
//!   after each page, within a COMMIT too. A statement before its COMMIT leaves nothing, or pages
//!   at the log's end that count for nothing.
//!
//! A process is a runtime that is dropped with all that is in it (`life`); `tests/tests/crashes.rs`
//! kills real ones. The source is no part of what dies: what it was told to forget stays forgotten.

mod life;
mod log;
mod oracle;
mod script;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use anyhow::{Context, Result, ensure};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::life::{live, live_until};
use self::oracle::judge;
use self::script::Script;
use self::wire::{Harm, Point, Wire};
use super::*;

/// Runs on PostgreSQL at once; each has a client of its own.
const AT_ONCE: usize = 6;
/// What a run cannot do without, by words of it: batches of rows are written in transactions.
const NEEDED: [&str; 8] = [
    "SET epoca = epoca + 1, estado = 'executando'",
    "iniciadas AS",
    "INSERT INTO dados_raw",
    "INSERT INTO dados_rejeitados",
    "novas AS",
    "SET varredura =",
    "COMMIT",
    "terminado_em = CURRENT_TIMESTAMP WHERE id = $1 AND epoca = $2",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_run_may_die_at_each_statement_of_single_rows() -> Result<()> {
    at_least(180, walk(1).await?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres_a_run_may_die_at_each_statement_of_batches() -> Result<()> {
    at_least(180, walk(500).await?)
}

#[tokio::test]
async fn on_sqlite_a_run_may_die_at_each_page_of_the_log_of_single_rows() -> Result<()> {
    at_least(110, cut(1).await?)
}

#[tokio::test]
async fn on_sqlite_a_run_may_die_at_each_page_of_the_log_of_batches() -> Result<()> {
    at_least(100, cut(500).await?)
}

/// A walk over nothing would pass too.
fn at_least(least: usize, points: usize) -> Result<()> {
    #[allow(clippy::disallowed_macros)] // docs/src/contributor/reliability.md has it from here
    {
        eprintln!("{points} crash points");
    }
    ensure!(points >= least, "only {points} crash points");
    Ok(())
}

/// Does every harm to every statement on PostgreSQL. How many there were.
async fn walk(batch: usize) -> Result<usize> {
    let ground = Arc::new(Ground::ready(Database::postgres().await?).await?);
    let StoreUrl::Postgres(server) = ground.database.url() else { anyhow::bail!("another database") };
    let (clients, turns) = (AtomicI32::new(CLIENT), Semaphore::new(AT_ONCE));
    let walker = Arc::new(Walker { ground, server: *server, batch, clients, turns });
    let sent = walker.run_at(None).await?.sent();
    for needed in NEEDED {
        ensure!(sent.keys().any(|statement| statement.contains(needed)), "nothing like {needed:?} was sent: {sent:#?}");
    }
    let mut walks = JoinSet::new();
    for statement in sent.into_keys() {
        for harm in Harm::ALL {
            walks.spawn(Arc::clone(&walker).walk(statement.clone(), harm));
        }
    }
    let mut points = 0;
    while let Some(walked) = walks.join_next().await {
        points += walked??;
    }
    Ok(points)
}

struct Walker {
    ground: Arc<Ground>,
    server: PgConnectOptions,
    batch: usize,
    clients: AtomicI32,
    turns: Semaphore,
}

impl Walker {
    /// Does a harm to each sending of a statement.
    async fn walk(self: Arc<Self>, statement: String, harm: Harm) -> Result<usize> {
        let mut reached = 0;
        loop {
            let _turn = self.turns.acquire().await?;
            let nth = reached + 1;
            let point = Point { statement: statement.clone(), nth, harm };
            let what = || format!("{harm:?}, time {nth} of: {statement}");
            if !self.run_at(Some(point)).await.with_context(what)?.was_reached() {
                return Ok(reached);
            }
            reached = nth;
        }
    }

    /// A scrap that is run with one harm on the way, and resumed if the process died.
    async fn run_at(&self, point: Option<Point>) -> Result<Wire> {
        let store = &self.ground.store;
        let client = self.clients.fetch_add(1, Ordering::Relaxed);
        store.add_client(client, &secret("token")).await?;
        let scrap_id = store.create_scrap(&new_scrap(client)).await?;
        let source = Arc::new(Script::default());
        let wire = Wire::to(&self.server, point).await?;
        let url = StoreUrl::Postgres(Box::new(wire.options()));
        let end = match live_until(wire.death(), url, scrap_id, Arc::clone(&source), self.batch).await? {
            Some(end) => end,
            None => live(store, scrap_id, source, self.batch).await.context("the next process")?,
        };
        judge(&self.ground, client, scrap_id, end.as_ref()).await?;
        Ok(wire)
    }
}

/// Runs a scrap on SQLite once, and resumes it from every moment of that run. How many there were.
async fn cut(batch: usize) -> Result<usize> {
    let database = Database::sqlite()?;
    let StoreUrl::Sqlite(file) = database.url() else { anyhow::bail!("another database") };
    let log = beside(&file, "-wal");
    let ground = Ground::ready(database).await?;
    let scrap_id = ground.scrap().await?;
    ground.store.close().await;
    let before = std::fs::read(&file)?;
    ensure!(!log.exists(), "something of the log is left");

    // As long as a reader holds an earlier snapshot, the log does not go into the file.
    let mut reader = SqliteConnection::connect(&format!("sqlite:{}", file.display())).await?;
    let mut reading = reader.begin().await?;
    let _: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM dados_raw").fetch_one(&mut *reading).await?;
    let store = ground.another().await?;
    let source = Arc::new(Script::noting(log.clone()));
    live(&store, scrap_id, Arc::clone(&source), batch).await?.context("there was nothing to do")?;
    let (after, log) = (std::fs::read(&file)?, std::fs::read(&log)?);
    ensure!(before == after, "the log went into the file");
    let told = usize::try_from(source.noted().context("the source was not told to forget")?)?;

    let cuts = log::cuts(&log)?;
    for cut in &cuts {
        let what = || format!("the log cut at {cut} of {} bytes", log.len());
        resume(&before, &log[..*cut], scrap_id, told <= *cut, batch).await.with_context(what)?;
    }
    Ok(cuts.len())
}

/// A process that finds a file and a log as they are, and a source that was told to forget or was
/// not.
async fn resume(file: &[u8], log: &[u8], scrap_id: i64, told: bool, batch: usize) -> Result<()> {
    let database = Database::sqlite()?;
    let StoreUrl::Sqlite(path) = database.url() else { anyhow::bail!("another database") };
    std::fs::write(&path, file)?;
    std::fs::write(beside(&path, "-wal"), log)?;
    let ground = Ground::empty(database).await?;
    let end = live(&ground.store, scrap_id, Arc::new(Script::told(told)), batch).await?;
    judge(&ground, CLIENT, scrap_id, end.as_ref()).await
}

fn beside(file: &Path, ending: &str) -> std::path::PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

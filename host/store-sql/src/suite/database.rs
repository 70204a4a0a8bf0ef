//! A database of a test's own, and plain SQL on it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::super::StoreUrl;

/// The server that the tests may do with as they like.
const SERVER: &str = "ATLAS_TEST_DATABASE_URL";

/// A fresh database, gone with its last user.
pub(super) enum Database {
    Sqlite { folder: TempDir, pool: SqlitePool },
    Postgres(Box<Server>),
}

/// A database on the server.
pub(super) struct Server {
    server: PgConnectOptions,
    name: String,
    options: PgConnectOptions,
    pool: PgPool,
    roles: Mutex<Vec<String>>,
}

impl Database {
    pub(super) fn sqlite() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let options = SqliteConnectOptions::new().filename(folder.path().join("atlas.db")).create_if_missing(true);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        Ok(Self::Sqlite { folder, pool })
    }

    /// A database on the server that the environment names. Without one the test fails: it is not
    /// skipped.
    pub(super) async fn postgres() -> Result<Self> {
        let server = std::env::var(SERVER)
            .with_context(|| format!("{SERVER} names no PostgreSQL server: `cargo xtask test` starts one"))?;
        let server: PgConnectOptions = server.parse().with_context(|| format!("{SERVER} is no PostgreSQL URL"))?;
        let server = server.disable_statement_logging();
        let name = format!("atlas_suite_{}", unique()?);
        let mut connection = server.connect().await.with_context(|| format!("connect to the server of {SERVER}"))?;
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        sqlx::query(AssertSqlSafe(create)).execute(&mut connection).await?;
        connection.close().await?;
        let options = server.clone().database(&name);
        let pool = PgPoolOptions::new().max_connections(2).connect_lazy_with(options.clone());
        Ok(Self::Postgres(Box::new(Server { server, name, options, pool, roles: Mutex::default() })))
    }

    pub(super) fn is_postgres(&self) -> bool {
        matches!(self, Self::Postgres(_))
    }

    pub(super) fn url(&self) -> StoreUrl {
        match self {
            Self::Sqlite { folder, .. } => StoreUrl::Sqlite(folder.path().join("atlas.db")),
            Self::Postgres(server) => StoreUrl::Postgres(Box::new(server.options.clone())),
        }
    }

    /// A new role that may log in and do nothing else, and the URL with which it does.
    pub(super) async fn role(&self) -> Result<(String, StoreUrl)> {
        let Self::Postgres(server) = self else { anyhow::bail!("SQLite has no roles") };
        let role = format!("atlas_role_{}", unique()?);
        self.execute(&format!("CREATE ROLE {role} LOGIN PASSWORD 'suite'")).await?;
        server.roles.lock().expect("no test panics with it").push(role.clone());
        // The default since PostgreSQL 15.
        self.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC").await?;
        let options = server.options.clone().username(&role).password("suite");
        Ok((role, StoreUrl::Postgres(Box::new(options))))
    }

    /// Runs statements as they stand.
    pub(super) async fn execute(&self, sql: &str) -> Result<()> {
        let text = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite { pool, .. } => sqlx::raw_sql(text).execute(pool).await.map(drop),
            Self::Postgres(server) => sqlx::raw_sql(text).execute(&server.pool).await.map(drop),
        }
        .with_context(|| sql.to_owned())
    }

    /// Runs the statements of the database that this is.
    pub(super) async fn execute_either(&self, sqlite: &str, postgres: &str) -> Result<()> {
        self.execute(if self.is_postgres() { postgres } else { sqlite }).await
    }

    /// The one number that a query gives.
    pub(super) async fn number(&self, sql: &str) -> Result<i64> {
        let text = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite { pool, .. } => sqlx::query_scalar(text).fetch_one(pool).await,
            Self::Postgres(server) => sqlx::query_scalar(text).fetch_one(&server.pool).await,
        }
        .with_context(|| sql.to_owned())
    }

    /// The one column of text that a query gives.
    pub(super) async fn texts(&self, sql: &str) -> Result<Vec<String>> {
        let text = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite { pool, .. } => sqlx::query_scalar(text).fetch_all(pool).await,
            Self::Postgres(server) => sqlx::query_scalar(text).fetch_all(&server.pool).await,
        }
        .with_context(|| sql.to_owned())
    }

    /// How many rows `dados_raw` has.
    pub(super) async fn rows(&self) -> Result<i64> {
        self.number("SELECT COUNT(*) FROM dados_raw").await
    }
}

fn unique() -> Result<String> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    Ok(format!("{}_{now}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed)))
}

impl Drop for Server {
    fn drop(&mut self) {
        let server = self.server.clone();
        let roles = std::mem::take(&mut *self.roles.lock().expect("no test panics with it"));
        let mut statements = vec![format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)];
        statements.extend(roles.into_iter().map(|role| format!("DROP ROLE IF EXISTS {role}")));
        // A runtime of its own, for the test's may be on its way out. What cannot be dropped goes
        // with the server.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = server.connect().await?;
                for statement in statements {
                    sqlx::query(AssertSqlSafe(statement)).execute(&mut connection).await?;
                }
                anyhow::Ok(())
            })
        });
        let _ = dropping.join();
    }
}

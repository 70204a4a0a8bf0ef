//! A database of a test's own, and what stands in it: read with plain SQL, past the program.

use std::path::Path;

use anyhow::Context;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row as _, SqlitePool};

/// A row of `dados_raw`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub origem: String,
    /// The payload, as the database writes it.
    pub payload: String,
    /// The content's hash.
    pub hash_conteudo: Option<String>,
}

/// A database of a test's own; one that was made on the tests' server is dropped with it.
pub struct Database {
    url: String,
    /// The server's URL, and the database's name there.
    made: Option<(String, String)>,
}

impl Database {
    /// A file, which the program has created or will create.
    pub fn sqlite(path: &Path) -> Self {
        Self { url: format!("sqlite:{}", path.display()), made: None }
    }

    /// A fresh database on the server that `ATLAS_TEST_DATABASE_URL` names.
    pub async fn postgres() -> anyhow::Result<Self> {
        let server = std::env::var("ATLAS_TEST_DATABASE_URL")
            .context("ATLAS_TEST_DATABASE_URL names no PostgreSQL server: `cargo xtask test` starts one")?;
        let unique = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_nanos();
        let name = format!("atlas_test_{}_{unique}", std::process::id());
        let pool = PgPoolOptions::new().max_connections(1).connect(&server).await.context("connect to the server")?;
        let create = AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"));
        sqlx::query(create).execute(&pool).await?;
        pool.close().await;
        let (base, query) = server.split_once('?').unwrap_or((&server, ""));
        let (authority, _) = base.rsplit_once('/').context("a URL with a database")?;
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        Ok(Self { url: format!("{authority}/{name}{query}"), made: Some((server, name)) })
    }

    /// One on a PostgreSQL server of the test's own, with which it goes.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.to_owned(), made: None }
    }

    /// Its URL, as the program takes it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether it is on PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        !self.url.starts_with("sqlite:")
    }

    /// A connection to it on PostgreSQL, for SQL of a test's own.
    pub async fn postgres_pool(&self) -> anyhow::Result<PgPool> {
        Ok(PgPoolOptions::new().max_connections(2).connect(&self.url).await?)
    }

    async fn sqlite_pool(&self) -> anyhow::Result<SqlitePool> {
        Ok(SqlitePool::connect(&self.url).await?)
    }

    /// Runs SQL that both databases understand.
    pub async fn execute(&self, sql: &str) -> anyhow::Result<()> {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_postgres() {
            let pool = self.postgres_pool().await?;
            sqlx::raw_sql(sql).execute(&pool).await?;
            pool.close().await;
        } else {
            let pool = self.sqlite_pool().await?;
            sqlx::raw_sql(sql).execute(&pool).await?;
            pool.close().await;
        }
        Ok(())
    }

    /// One number.
    pub async fn number(&self, sql: &str) -> anyhow::Result<i64> {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_postgres() {
            let pool = self.postgres_pool().await?;
            let number = sqlx::query_scalar(sql).fetch_one(&pool).await?;
            pool.close().await;
            Ok(number)
        } else {
            let pool = self.sqlite_pool().await?;
            let number = sqlx::query_scalar(sql).fetch_one(&pool).await?;
            pool.close().await;
            Ok(number)
        }
    }

    /// One text.
    pub async fn text(&self, sql: &str) -> anyhow::Result<String> {
        let sql = AssertSqlSafe(sql.to_owned());
        if self.is_postgres() {
            let pool = self.postgres_pool().await?;
            let text = sqlx::query_scalar(sql).fetch_one(&pool).await?;
            pool.close().await;
            Ok(text)
        } else {
            let pool = self.sqlite_pool().await?;
            let text = sqlx::query_scalar(sql).fetch_one(&pool).await?;
            pool.close().await;
            Ok(text)
        }
    }

    /// Every row of `dados_raw`, sorted.
    pub async fn rows(&self) -> anyhow::Result<Vec<Row>> {
        let sql = "SELECT cliente_id, origem, CAST(payload AS TEXT) AS payload, hash_conteudo FROM dados_raw";
        let mut rows: Vec<Row> = if self.is_postgres() {
            let pool = self.postgres_pool().await?;
            let rows = sqlx::query(sql).fetch_all(&pool).await?;
            pool.close().await;
            let row = |r: &sqlx::postgres::PgRow| Row {
                cliente_id: r.get(0),
                origem: r.get(1),
                payload: r.get(2),
                hash_conteudo: r.get(3),
            };
            rows.iter().map(row).collect()
        } else {
            let pool = self.sqlite_pool().await?;
            let rows = sqlx::query(sql).fetch_all(&pool).await?;
            pool.close().await;
            let row = |r: &sqlx::sqlite::SqliteRow| Row {
                cliente_id: r.get(0),
                origem: r.get(1),
                payload: r.get(2),
                hash_conteudo: r.get(3),
            };
            rows.iter().map(row).collect()
        };
        rows.sort();
        Ok(rows)
    }

    /// Fails unless `dados_raw` holds exactly these records of a client and route: each once, none
    /// else, and each equal to what was served, number for number. SQLite keeps the text;
    /// PostgreSQL itself compares the values.
    pub async fn expect_exactly(&self, client: u32, origem: &str, served: &[String]) -> anyhow::Result<()> {
        let client = i32::try_from(client)?;
        let rows: Vec<Row> = self.rows().await?;
        let rows = rows.into_iter().filter(|r| r.cliente_id == client && r.origem == origem);
        let found: Vec<String> = rows.map(|r| r.payload).collect();
        anyhow::ensure!(found.len() == served.len(), "{} rows for {} records served", found.len(), served.len());
        if !self.is_postgres() {
            let mut expected = served.to_vec();
            expected.sort();
            anyhow::ensure!(found == expected, "the rows differ from the records served");
            return Ok(());
        }
        let pool = self.postgres_pool().await?;
        let equal: i64 = sqlx::query_scalar(
            "SELECT COUNT(DISTINCT d.id) FROM dados_raw d JOIN unnest($1::text[]) s ON d.payload = s::jsonb \
             WHERE d.cliente_id = $2 AND d.origem = $3",
        )
        .bind(served)
        .bind(client)
        .bind(origem)
        .fetch_one(&pool)
        .await?;
        pool.close().await;
        anyhow::ensure!(equal == i64::try_from(served.len())?, "only {equal} of {} rows equal a record", served.len());
        Ok(())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some((server, name)) = self.made.take() else { return };
        // A runtime of its own, for a test's may be gone by now. What cannot be dropped goes with
        // the throw-away cluster.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let pool = PgPoolOptions::new().max_connections(1).connect(&server).await?;
                let drop = AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                sqlx::query(drop).execute(&pool).await?;
                anyhow::Ok(())
            })
        });
        let _ = dropping.join();
    }
}

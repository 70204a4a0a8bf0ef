//! Creating the tables, or adopting those that are there.

use std::time::Duration;

use atlas_model::{InitReport, SchemaStatus};
use atlas_store::{Fault, StoreError};
use sqlx::migrate::MigrateError;
use sqlx::{AssertSqlSafe, SqlitePool};

use super::place;
use crate::error::{sorted, sorted_index};
use crate::migrations::{MIGRATIONS_TABLE, SQLITE, SQLITE_SQL, migrator};
use crate::tables;

/// How often the migrations are tried while another process is at them, and the pause between.
const MIGRATION_TRIES: u32 = 10;
const MIGRATION_PAUSE: Duration = Duration::from_millis(20);

const HASH_IS_UNIQUE: &str = "SELECT EXISTS (SELECT 1 FROM pragma_index_list('dados_raw') l \
     WHERE l.\"unique\" AND NOT l.partial AND (SELECT COUNT(*) FROM pragma_index_info(l.name)) = 1 \
       AND EXISTS (SELECT 1 FROM pragma_index_info(l.name) WHERE name = 'hash_conteudo'))";

pub(super) async fn init(pool: &SqlitePool) -> Result<InitReport, StoreError> {
    let doing = "create or adopt the tables";
    let sort = || sorted(doing);
    let existed = is_there(pool, "dados_raw").await.map_err(sort())?;
    // Made by us, or by a DBA from our SQL.
    let migrated =
        is_there(pool, MIGRATIONS_TABLE).await.map_err(sort())? || is_there(pool, "scraps").await.map_err(sort())?;
    migrate(pool, doing).await?;
    place::mark(pool).await.map_err(sort())?;
    complete(pool, doing).await?;
    let unique: bool = sqlx::query_scalar(HASH_IS_UNIQUE).fetch_one(pool).await.map_err(sort())?;
    if !unique {
        sqlx::query("CREATE UNIQUE INDEX IF NOT EXISTS atlas_dados_raw_hash ON dados_raw (hash_conteudo)")
            .execute(pool)
            .await
            .map_err(sorted_index(doing))?;
    }
    let adopted = existed && !migrated;
    let foreign_rows = if adopted {
        sqlx::query_scalar("SELECT COUNT(*) FROM dados_raw WHERE hash_conteudo IS NULL OR length(hash_conteudo) <> 64")
            .fetch_one(pool)
            .await
            .map_err(sort())?
    } else {
        0
    };
    Ok(InitReport { existed, adopted, foreign_rows })
}

/// SQLite's migrator takes no lock: where another process creates the same tables, the slower one
/// has to look again.
async fn migrate(pool: &SqlitePool, doing: &'static str) -> Result<(), StoreError> {
    let mut tries = 1;
    loop {
        let error = match migrator(SQLITE).run(pool).await {
            Ok(()) => return Ok(()),
            Err(MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _)) => sorted(doing)(e),
            Err(other) => return Err(StoreError::new(Fault::Schema, doing, other.to_string())),
        };
        // The other one added the column between this one's look at the list and its own statement.
        let added_meanwhile = error.database_message().starts_with("duplicate column name");
        if !(error.fault == Fault::Collision || added_meanwhile) || tries == MIGRATION_TRIES {
            return Err(error);
        }
        tries += 1;
        tokio::time::sleep(MIGRATION_PAUSE).await;
    }
}

/// Creates what is missing although its migration is recorded: a table that was dropped, or
/// renamed, since.
async fn complete(pool: &SqlitePool, doing: &'static str) -> Result<(), StoreError> {
    let mut is_whole = status(pool).await?.missing_tables.is_empty();
    for index in tables::indexes(SQLITE_SQL) {
        let there = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = $1)";
        let is_there: bool = sqlx::query_scalar(there).bind(index).fetch_one(pool).await.map_err(sorted(doing))?;
        is_whole &= is_there;
    }
    if is_whole {
        return Ok(());
    }
    for statement in tables::definitions(SQLITE_SQL) {
        match sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await.map_err(sorted(doing)) {
            // SQLite has no `ADD COLUMN IF NOT EXISTS`.
            Err(error) if !error.database_message().starts_with("duplicate column name") => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

pub(super) async fn status(pool: &SqlitePool) -> Result<SchemaStatus, StoreError> {
    let sort = || sorted("read the database's schema");
    let server: String =
        sqlx::query_scalar("SELECT 'SQLite ' || sqlite_version()").fetch_one(pool).await.map_err(sort())?;
    let mut missing_tables = Vec::new();
    for table in tables::TABLES {
        if !is_there(pool, table).await.map_err(sort())? {
            missing_tables.push(table.to_owned());
        }
    }
    for (table, column) in tables::COLUMNS {
        let table_is_missing = missing_tables.iter().any(|missing| missing == table);
        if !table_is_missing && !has_column(pool, table, column).await.map_err(sort())? {
            missing_tables.push(format!("{table}.{column}"));
        }
    }
    let version = if is_there(pool, MIGRATIONS_TABLE).await.map_err(sort())? {
        sqlx::query_scalar("SELECT COALESCE(MAX(version), 0) FROM atlas_migracoes WHERE success")
            .fetch_one(pool)
            .await
            .map_err(sort())?
    } else {
        0
    };
    Ok(SchemaStatus {
        server,
        version,
        newest: migrator(SQLITE).iter().map(|m| m.version).max().unwrap_or(0),
        missing_tables,
        hash_is_unique: sqlx::query_scalar(HASH_IS_UNIQUE).fetch_one(pool).await.map_err(sort())?,
    })
}

async fn is_there(pool: &SqlitePool, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = $1)")
        .bind(table)
        .fetch_one(pool)
        .await
}

async fn has_column(pool: &SqlitePool, table: &str, column: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pragma_table_info($1) WHERE name = $2)")
        .bind(table)
        .bind(column)
        .fetch_one(pool)
        .await
}

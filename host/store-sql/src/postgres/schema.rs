//! Creating the tables, or adopting those that are there.

use atlas_model::{InitReport, SchemaStatus};
use atlas_store::{Fault, StoreError};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};

use crate::error::{sorted, sorted_index};
use crate::migrations::{MIGRATIONS_TABLE, POSTGRES, POSTGRES_SQL, migrator};
use crate::tables;

const HASH_IS_UNIQUE: &str = "SELECT EXISTS (SELECT 1 FROM pg_index i \
       JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] \
     WHERE i.indrelid = to_regclass('dados_raw') AND i.indisunique AND i.indisvalid AND i.indpred IS NULL \
       AND i.indnkeyatts = 1 AND a.attname = 'hash_conteudo')";

pub(super) async fn init(pool: &PgPool) -> Result<InitReport, StoreError> {
    let doing = "create or adopt the tables";
    let sort = || sorted(doing);
    let existed = is_there(pool, "dados_raw").await.map_err(sort())?;
    let migrated = is_there(pool, MIGRATIONS_TABLE).await.map_err(sort())?;
    // By a DBA, from our SQL.
    let prepared = is_there(pool, "scraps").await.map_err(sort())?;
    // On a connection of its own, closed right after: a migrator that fails keeps its lock as long
    // as it has its connection, and every other host would wait for that.
    let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(pool.connect_options().as_ref().clone());
    let ran = migrator(POSTGRES).run(&own).await;
    own.close().await;
    if let Err(error) = ran {
        // A role that may write to the tables but not create any is fine when a DBA has made them
        // all.
        let status = status(pool).await?;
        if !status.is_ready() {
            return Err(match error {
                sqlx::migrate::MigrateError::Execute(e) | sqlx::migrate::MigrateError::ExecuteMigration(e, _) => {
                    sorted(doing)(e)
                }
                other => StoreError::new(Fault::Schema, doing, other.to_string()),
            });
        }
    }
    complete(pool, doing).await?;
    let unique: bool = sqlx::query_scalar(HASH_IS_UNIQUE).fetch_one(pool).await.map_err(sort())?;
    if !unique {
        sqlx::query("CREATE UNIQUE INDEX IF NOT EXISTS atlas_dados_raw_hash ON dados_raw (hash_conteudo)")
            .execute(pool)
            .await
            .map_err(sorted_index(doing))?;
    }
    // Reported once, when our migrations are first recorded; a role without the right to create
    // tables never records them.
    let first = !migrated && is_there(pool, MIGRATIONS_TABLE).await.map_err(sort())?;
    let foreign_rows = if existed && first {
        sqlx::query_scalar("SELECT COUNT(*) FROM dados_raw WHERE hash_conteudo IS NULL OR length(hash_conteudo) <> 64")
            .fetch_one(pool)
            .await
            .map_err(sort())?
    } else {
        0
    };
    let adopted = existed && first && (!prepared || foreign_rows > 0);
    Ok(InitReport { existed, adopted, foreign_rows })
}

/// Whether something of ours is missing: tables and indexes (`$1`), or columns (`$3`) of tables
/// (`$2`).
const IS_INCOMPLETE: &str = "SELECT EXISTS (SELECT 1 FROM unnest($1::text[]) AS name WHERE to_regclass(name) IS NULL) \
     OR EXISTS (SELECT 1 FROM unnest($2::text[], $3::text[]) AS c(owner, name) WHERE NOT EXISTS \
       (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass(c.owner) AND attname = c.name AND NOT attisdropped))";

/// Creates what is missing although its migration is recorded: a table that was dropped, or
/// renamed, since. Nothing is run where nothing is missing, for a role that a DBA gave the tables
/// may not be allowed to create any.
async fn complete(pool: &PgPool, doing: &'static str) -> Result<(), StoreError> {
    let mut named = tables::indexes(POSTGRES_SQL);
    named.extend(tables::TABLES.map(str::to_owned));
    let (owners, columns): (Vec<&str>, Vec<&str>) = tables::COLUMNS.into_iter().unzip();
    let asked = sqlx::query_scalar(IS_INCOMPLETE).bind(named).bind(owners).bind(columns).fetch_one(pool).await;
    let is_incomplete: bool = asked.map_err(sorted(doing))?;
    if !is_incomplete {
        return Ok(());
    }
    for statement in tables::definitions(POSTGRES_SQL) {
        if let Err(error) = sqlx::raw_sql(AssertSqlSafe(statement)).execute(pool).await {
            // Without an index, everything works all the same, and only slower.
            let lacks_tables = !status(pool).await?.missing_tables.is_empty();
            return if lacks_tables { Err(sorted(doing)(error)) } else { Ok(()) };
        }
    }
    Ok(())
}

pub(super) async fn status(pool: &PgPool) -> Result<SchemaStatus, StoreError> {
    let sort = || sorted("read the database's schema");
    let server: String = sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
        .fetch_one(pool)
        .await
        .map_err(sort())?;
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
    let version = if may_read(pool, MIGRATIONS_TABLE).await.map_err(sort())? {
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
        newest: migrator(POSTGRES).iter().map(|m| m.version).max().unwrap_or(0),
        missing_tables,
        hash_is_unique: sqlx::query_scalar(HASH_IS_UNIQUE).fetch_one(pool).await.map_err(sort())?,
    })
}

async fn is_there(pool: &PgPool, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(pool).await
}

/// Whether a table is there, and this role may read it: one that a DBA's role made may be closed to
/// ours.
async fn may_read(pool: &PgPool, table: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT COALESCE(has_table_privilege(to_regclass($1), 'SELECT'), FALSE)")
        .bind(table)
        .fetch_one(pool)
        .await
}

async fn has_column(pool: &PgPool, table: &str, column: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_attribute \
         WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped)",
    )
    .bind(table)
    .bind(column)
    .fetch_one(pool)
    .await
}

//! The migrations: the files below `migrations/`, embedded, as the migrator runs them and as a DBA
//! gets them.

use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};

/// Our own name, for the database may hold another program's migrations under the usual one.
pub(crate) const MIGRATIONS_TABLE: &str = "atlas_migracoes";

/// A migration: the name of its file, and what is in it.
pub(crate) type File = (&'static str, &'static str);

/// Calls a macro with the names of all migrations, which are the same in both folders.
macro_rules! each {
    ($then:ident, $folder:literal) => {
        $then! {
            $folder:
            "0001_base"
            "0002_rede_privada"
            "0003_credenciais"
            "0004_fila"
            "0005_renovacao"
            "0006_orcamentos"
            "0007_agendas"
            "0008_reprocessados"
            "0009_conectores"
            "0010_fatias"
            "0011_acessos"
            "0012_proprios"
            "0013_configuracoes"
            "0014_quarentena"
            "0015_uso"
            "0016_historico"
            "0017_padrao"
            "0018_cursores"
        }
    };
}

macro_rules! files {
    ($folder:literal: $($name:literal)+) => {
        &[$(($name, include_str!(concat!("../../../migrations/", $folder, "/", $name, ".sql")))),+]
    };
}

macro_rules! text {
    ($folder:literal: $first:literal $($name:literal)*) => {
        concat!(
            include_str!(concat!("../../../migrations/", $folder, "/", $first, ".sql"))
            $(, "\n", include_str!(concat!("../../../migrations/", $folder, "/", $name, ".sql")))*
        )
    };
}

/// PostgreSQL's, in their order.
pub(crate) const POSTGRES: &[File] = each!(files, "postgres");

/// SQLite's.
pub(crate) const SQLITE: &[File] = each!(files, "sqlite");

/// The SQL that creates every table by hand, as PostgreSQL takes it: all migrations, in their
/// order.
pub const POSTGRES_SQL: &str = each!(text, "postgres");

/// The same for SQLite.
pub const SQLITE_SQL: &str = each!(text, "sqlite");

/// Runs the migrations of these files, and records them as `sqlx::migrate!` would, which builds
/// both drivers a second time, for the compiler.
pub(crate) fn migrator(files: &[File]) -> Migrator {
    let migrations = files.iter().filter_map(|(name, sql)| {
        let (version, description) = name.split_once('_')?;
        let description = description.replace('_', " ").into();
        Some(Migration::new(version.parse().ok()?, description, MigrationType::Simple, sql.into_sql_str(), false))
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    migrator
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn the_migrations_are_the_files_of_the_folders_with_the_checksums_that_sqlx_gives_them() {
        let folders = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
        for (folder, files, text) in [("postgres", POSTGRES, POSTGRES_SQL), ("sqlite", SQLITE, SQLITE_SQL)] {
            let found = Migrator::new(folders.join(folder)).await.expect("migrations");
            let known = |migrator: &Migrator| -> Vec<_> {
                let each = migrator.iter();
                each.map(|m| (m.version, m.description.to_string(), m.checksum.to_vec())).collect()
            };
            assert_eq!(known(&migrator(files)), known(&found), "{folder}");
            assert!(found.iter().all(|migration| text.contains(migration.sql.as_str())), "{folder}");
        }
    }
}

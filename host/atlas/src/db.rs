//! `atlas db init|status|sql`.

use std::path::Path;

use atlas_model::{InitReport, notice};
use atlas_service::config::Config;
use atlas_service::{Atlas, Exit, Failure, POSTGRES_SQL, SQLITE_SQL};

use super::args::{DbArgs, DbCommand, Dialect};
use super::output::Output;
use super::report;

pub(super) async fn run(
    args: DbArgs,
    load: impl Fn() -> Result<Config, Failure>,
    output: &Output,
) -> Result<Exit, Failure> {
    match args.command {
        // Needs neither settings nor a database: it may be what is wanted before there is either.
        DbCommand::Sql { dialect } => {
            output.line(match dialect {
                Dialect::Postgres => POSTGRES_SQL,
                Dialect::Sqlite => SQLITE_SQL,
            });
            Ok(Exit::Done)
        }
        DbCommand::Init => init(load()?, output).await,
        DbCommand::Status => status(load()?, output).await,
    }
}

async fn init(config: Config, output: &Output) -> Result<Exit, Failure> {
    report::begin_log();
    let (atlas, report, created) = Atlas::open_or_create(config).await?;
    say_if_created(created.as_deref(), output);
    let location = atlas.config().store.location();
    say_if_adopted(&atlas, &report, output).await?;
    if !report.adopted {
        // A database of our own may be of another encoding, too.
        say_concerns(&atlas, output).await?;
    }
    if output.is_json() {
        output.json(&serde_json::json!({
            "banco": location,
            "existia": report.existed,
            "adotado": report.adopted,
            "registros_de_antes": report.foreign_rows,
        }));
    } else {
        output.remark(&if report.existed {
            notice!("db-ready", location = location)
        } else {
            notice!("db-created", location = location)
        });
    }
    Ok(Exit::Done)
}

/// Tells of a database file that this command has created.
pub(super) fn say_if_created(file: Option<&Path>, output: &Output) {
    if let Some(file) = file {
        output.remark(&notice!("db-file-created", file = file.display()));
    }
}

/// A database that was there before us keeps its rows as they are; who adopts one should know what
/// that means, and what of it keeps records out.
pub(super) async fn say_if_adopted(atlas: &Atlas, report: &InitReport, output: &Output) -> Result<(), Failure> {
    if report.adopted {
        output.remark(&notice!("db-adopted"));
        if report.foreign_rows > 0 {
            output.remark(&notice!("db-foreign-rows", rows = report.foreign_rows));
        }
        say_concerns(atlas, output).await?;
    }
    Ok(())
}

/// Tells what of a database keeps records out, or may.
async fn say_concerns(atlas: &Atlas, output: &Output) -> Result<(), Failure> {
    for concern in atlas.concerns().await? {
        output.remark(&notice!("db-concern", what = output.text(&concern.notice)));
    }
    Ok(())
}

async fn status(config: Config, output: &Output) -> Result<Exit, Failure> {
    let atlas = Atlas::connect(config).await?;
    let schema = atlas.schema().await?;
    let location = atlas.config().store.location();
    if output.is_json() {
        output.json(&serde_json::json!({
            "banco": location,
            "servidor": schema.server,
            "versao": schema.version,
            "versao_do_programa": schema.newest,
            "tabelas_ausentes": schema.missing_tables,
            "hash_unico": schema.hash_is_unique,
            "pronto": schema.is_ready(),
        }));
    } else {
        output.line(&output.text(&notice!(
            "db-status",
            location = location,
            server = schema.server,
            version = schema.version,
            newest = schema.newest
        )));
        let verdict = if schema.is_ready() {
            notice!("db-status-ready")
        } else {
            notice!("db-status-not-ready", tables = schema.missing_tables.join(", "))
        };
        output.line(&output.text(&verdict));
    }
    Ok(if schema.is_ready() { Exit::Done } else { Exit::Configuration })
}

//! Checks of an adopted `dados_raw` for what keeps records out of the table.

use atlas_model::Concern;
use atlas_store::StoreError;
use sqlx::SqlitePool;

use crate::error::sorted;
use crate::tables::GIVEN;

const TRIGGERS: &str =
    "SELECT name FROM sqlite_master WHERE type = 'trigger' AND LOWER(tbl_name) = 'dados_raw' ORDER BY name";

const IS_VIEW: &str = "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'view' AND LOWER(name) = 'dados_raw')";

const COLUMNS: &str =
    "SELECT name, UPPER(type), pk > 0, \"notnull\" AND dflt_value IS NULL FROM pragma_table_info('dados_raw')";

pub(super) async fn find(pool: &SqlitePool) -> Result<Vec<Concern>, StoreError> {
    let sort = || sorted("look for what keeps records out of the table");
    let mut concerns = Vec::new();
    if sqlx::query_scalar(IS_VIEW).fetch_one(pool).await.map_err(sort())? {
        concerns.push(Concern::Kind("view"));
    }
    let triggers: Vec<String> = sqlx::query_scalar(TRIGGERS).fetch_all(pool).await.map_err(sort())?;
    concerns.extend(triggers.into_iter().map(Concern::Trigger));
    let columns: Vec<(String, String, bool, bool)> = sqlx::query_as(COLUMNS).fetch_all(pool).await.map_err(sort())?;
    for (name, kind, is_key, wants_value) in columns {
        // Only a key that is declared so is numbered by itself
        // (<https://www.sqlite.org/autoinc.html>).
        if name == "id" && !(is_key && kind == "INTEGER") {
            concerns.push(Concern::ColumnType { column: "id", found: kind, wanted: "INTEGER PRIMARY KEY" });
        } else if wants_value && !is_key && !GIVEN.contains(&name.as_str()) {
            concerns.push(Concern::NoDefault(name));
        }
    }
    Ok(concerns)
}

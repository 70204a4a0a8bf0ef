//! Checks of an adopted `dados_raw` and of this role's rights for what keeps records out of the
//! table.

use atlas_model::Concern;
use atlas_store::StoreError;
use sqlx::PgPool;

use crate::error::sorted;
use crate::tables::TABLES;
use crate::tables::{GIVEN, HASH_LENGTH};

// Bit 2 of tgtype: INSERT (pg_trigger.h).
const TRIGGERS: &str = "SELECT tgname::text FROM pg_trigger WHERE tgrelid = to_regclass('dados_raw') \
     AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype::int & 4 <> 0 ORDER BY 1";

const RULES: &str = "SELECT rulename::text FROM pg_rewrite WHERE ev_class = to_regclass('dados_raw') \
     AND ev_type = '3' AND ev_enabled <> 'D' ORDER BY 1";

const TABLE: &str = "SELECT relkind::text, relrowsecurity AND NOT pg_has_role(current_user, relowner, 'USAGE') \
     FROM pg_class WHERE oid = to_regclass('dados_raw')";

const COLUMNS: &str = "SELECT attname::text, format_type(atttypid, NULL), \
       CASE WHEN atttypmod > 4 AND atttypid IN ('varchar'::regtype, 'bpchar'::regtype) THEN atttypmod - 4 END, \
       attnotnull AND NOT atthasdef AND attidentity = '' \
     FROM pg_attribute WHERE attrelid = to_regclass('dados_raw') AND attnum > 0 AND NOT attisdropped ORDER BY attnum";

/// The rights that `migrations/dba.sql` grants; those of the program's own role where it made the
/// tables.
const RIGHTS: &str = "SELECT t, p FROM unnest($1::text[]) t, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p \
     WHERE to_regclass(t) IS NOT NULL AND NOT has_table_privilege(to_regclass(t), p) \
       AND (p IN ('SELECT', 'INSERT') OR t <> 'dados_raw') \
       AND (p <> 'DELETE' OR t NOT IN ('scraps', 'scrap_cursores', 'dados_rejeitados')) ORDER BY t, p";

const SEQUENCES: &str = "SELECT s FROM (SELECT pg_get_serial_sequence(t, c) AS s FROM unnest($1::text[]) t, \
       unnest(ARRAY['id', 'ordem']) c WHERE EXISTS (SELECT 1 FROM pg_attribute \
         WHERE attrelid = to_regclass(t) AND attname = c AND NOT attisdropped)) q \
     WHERE s IS NOT NULL AND NOT has_sequence_privilege(s, 'USAGE') ORDER BY s";

/// A column: its name, its type, the most characters of it, and whether it wants a value and has no
/// default.
type Column = (String, String, Option<i32>, bool);

pub(super) async fn find(pool: &PgPool) -> Result<Vec<Concern>, StoreError> {
    let sort = || sorted("look for what keeps records out of the table");
    let mut concerns = Vec::new();
    let encoding: String =
        sqlx::query_scalar("SELECT current_setting('server_encoding')").fetch_one(pool).await.map_err(sort())?;
    if encoding != "UTF8" {
        concerns.push(Concern::Encoding(encoding));
    }
    let table: Option<(String, bool)> = sqlx::query_as(TABLE).fetch_optional(pool).await.map_err(sort())?;
    if let Some((kind, has_row_security)) = table {
        concerns.extend(kind_of(&kind).map(Concern::Kind));
        concerns.extend(has_row_security.then_some(Concern::RowSecurity));
    }
    let triggers: Vec<String> = sqlx::query_scalar(TRIGGERS).fetch_all(pool).await.map_err(sort())?;
    concerns.extend(triggers.into_iter().map(Concern::Trigger));
    let rules: Vec<String> = sqlx::query_scalar(RULES).fetch_all(pool).await.map_err(sort())?;
    concerns.extend(rules.into_iter().map(Concern::Rule));
    let columns: Vec<Column> = sqlx::query_as(COLUMNS).fetch_all(pool).await.map_err(sort())?;
    concerns.extend(columns.into_iter().filter_map(of_column));
    let tables: Vec<&str> = TABLES.to_vec();
    let rights: Vec<(String, String)> = sqlx::query_as(RIGHTS).bind(&tables).fetch_all(pool).await.map_err(sort())?;
    concerns.extend(rights.into_iter().map(|(on, right)| Concern::Right { on, right }));
    let sequences: Vec<String> = sqlx::query_scalar(SEQUENCES).bind(&tables).fetch_all(pool).await.map_err(sort())?;
    concerns.extend(sequences.into_iter().map(|on| Concern::Right { on, right: "USAGE".to_owned() }));
    Ok(concerns)
}

/// `pg_class.relkind` of what is no plain table.
fn kind_of(relkind: &str) -> Option<&'static str> {
    match relkind {
        "p" => Some("partitioned"),
        "v" | "m" => Some("view"),
        "f" => Some("foreign"),
        _ => None,
    }
}

fn of_column((name, kind, characters, wants_value): Column) -> Option<Concern> {
    if wants_value && !GIVEN.contains(&name.as_str()) {
        return Some(Concern::NoDefault(name));
    }
    let is_short = |least: u32| characters.is_some_and(|most| most.unsigned_abs() < least);
    let is_text = matches!(kind.as_str(), "text" | "character varying" | "character");
    let (column, wanted, fits) = match name.as_str() {
        // Its numbers end at 2,147,483,647 where it is an integer, and then no row goes in any
        // more.
        "id" => ("id", "bigint", kind == "bigint"),
        "cliente_id" => ("cliente_id", "integer", matches!(kind.as_str(), "integer" | "bigint")),
        "origem" => ("origem", "text", is_text && !is_short(HASH_LENGTH)),
        "payload" => ("payload", "jsonb", matches!(kind.as_str(), "jsonb" | "json" | "text")),
        "hash_conteudo" => ("hash_conteudo", "text", is_text && !is_short(HASH_LENGTH)),
        "data_coleta" => ("data_coleta", "timestamp", kind.starts_with("timestamp")),
        _ => return None,
    };
    let found = characters.map_or(kind.clone(), |most| format!("{kind}({most})"));
    (!fits).then_some(Concern::ColumnType { column, found, wanted })
}

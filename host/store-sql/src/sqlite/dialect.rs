//! What SQLite writes in its own way, for the modules in `both/`.

use serde::Serialize;
use sqlx::{Sqlite, SqliteConnection};

/// The database.
pub(crate) type Db = Sqlite;
/// The store whose traits the modules in `both/` implement.
pub(super) type SqlStore = super::SqliteStore;

/// How a transaction begins that writes.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// How a transaction of the queue, of schedules and of budgets begins.
pub(super) const BEGIN_BRIEFLY: &str = BEGIN;

/// Begins a query of the page.
pub(super) const BEGIN_LOOK: &str = "BEGIN";

/// A transaction whose statements all see the tables as they stood at the first of them.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN";

/// Locks the queue for this transaction: a no-op, since one transaction writes to the file at a
/// time.
pub(super) async fn lock_queue(_: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    Ok(())
}

/// Locks all tables with secrets for this transaction: a no-op for the same reason.
pub(super) async fn lock_secrets(_: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    Ok(())
}

/// A list as a statement takes it: JSON, for `json_each`.
pub(super) fn list<T: Serialize>(items: &[T]) -> String {
    // Texts and numbers: writing them cannot fail.
    serde_json::to_string(items).unwrap_or_default()
}

/// Now, in seconds since 1970, as the clock goes within a transaction.
macro_rules! clock {
    () => {
        "unixepoch('subsec')"
    };
}

/// The days since 1970 in a time zone that is `$5` seconds ahead of UTC.
macro_rules! day {
    () => {
        "CAST((unixepoch('subsec') + $5) / 86400 AS INTEGER)"
    };
}

/// The larger of two values.
macro_rules! greatest {
    () => {
        "MAX"
    };
}

/// The type of whole numbers.
macro_rules! bigint {
    () => {
        "INTEGER"
    };
}

/// Whether the host `h` is seen.
macro_rules! lives {
    () => {
        "h.visto_em > strftime('%Y-%m-%d %H:%M:%f', 'now', '-' || h.validade_s || ' seconds')"
    };
}

/// Whether a slot is not among those of the JSON list `$4`.
macro_rules! not_held {
    () => {
        "vaga NOT IN (SELECT value FROM json_each($4))"
    };
}

/// When a transaction began, as columns of times have it.
macro_rules! now {
    () => {
        "CURRENT_TIMESTAMP"
    };
}

/// Locks the rows that a SELECT gives.
macro_rules! lock {
    () => {
        ""
    };
}

/// Now, as columns of times have it and as the clock goes within a transaction.
macro_rules! text_clock {
    () => {
        "strftime('%Y-%m-%d %H:%M:%f', 'now')"
    };
}

/// `$4` seconds from now.
macro_rules! later {
    () => {
        "strftime('%Y-%m-%d %H:%M:%f', 'now', '+' || $4 || ' seconds')"
    };
}

/// A few seconds ago.
macro_rules! moments_ago {
    () => {
        "datetime('now', '-5 seconds')"
    };
}

/// When a row was collected, in seconds since 1970.
macro_rules! epoch {
    () => {
        "CAST(strftime('%s', data_coleta) AS INTEGER)"
    };
}

/// The time `$1`, given as text.
macro_rules! from {
    () => {
        "$1"
    };
}

/// The time `$2`, given as text.
macro_rules! until {
    () => {
        "$2"
    };
}

/// The payload `$3`, given as text.
macro_rules! payload {
    () => {
        "$3"
    };
}

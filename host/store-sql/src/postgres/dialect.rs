//! What PostgreSQL writes in its own way, for the modules in `both/`.

use sqlx::{PgConnection, Postgres};

/// The database.
pub(crate) type Db = Postgres;
/// The store whose traits the modules in `both/` implement.
pub(super) type SqlStore = super::PostgresStore;

/// How a transaction begins that writes.
pub(super) const BEGIN: &str = "BEGIN";

/// Begins a transaction with time limits, in one round trip. A shorter `statement_timeout` of the
/// administrator's holds. The idle limit is for a host that stops dead in the middle: it must not
/// block the others for as long as its connection seems to live.
pub(crate) const BEGIN_BRIEFLY: &str = "BEGIN; SELECT \
     set_config('statement_timeout', CAST(CAST(EXTRACT(EPOCH FROM LEAST( \
       NULLIF(CAST(current_setting('statement_timeout') AS interval), interval '0'), interval '20 s')) * 1000 AS bigint) AS text), TRUE), \
     set_config('lock_timeout', '10s', TRUE), \
     set_config('idle_in_transaction_session_timeout', '15s', TRUE)";

/// Begins a query of the page, with the same limits.
pub(super) const BEGIN_LOOK: &str = BEGIN_BRIEFLY;

/// A transaction whose statements all see the tables as they stood at the first of them.
pub(super) const BEGIN_SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Serialises the taking of scraps, so that a client's number of running scraps cannot change in
/// between. Held until the transaction ends.
const TAKE_LOCK: &str = "SELECT pg_advisory_xact_lock(hashtextextended('atlas: fila', 0))";

/// Locks all that holds secrets against writers, in the order in which a client that is removed
/// takes its rows along.
const LOCK_SECRETS: &str =
    "LOCK TABLE clientes_tokens, clientes_apis, clientes_credenciais IN SHARE ROW EXCLUSIVE MODE";

/// Locks the queue for this transaction.
pub(super) async fn lock_queue(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(TAKE_LOCK).execute(transaction).await.map(drop)
}

/// Locks all tables with secrets for this transaction.
pub(super) async fn lock_secrets(transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query(LOCK_SECRETS).execute(transaction).await.map(drop)
}

/// A list as a statement takes it: an array.
pub(super) fn list<T>(items: &[T]) -> &[T] {
    items
}

/// Now, in seconds since 1970, as the clock goes within a transaction.
macro_rules! clock {
    () => {
        "EXTRACT(EPOCH FROM clock_timestamp())::float8"
    };
}

/// The days since 1970 in a time zone that is `$5` seconds ahead of UTC.
macro_rules! day {
    () => {
        "CAST(floor((EXTRACT(EPOCH FROM clock_timestamp()) + $5) / 86400) AS BIGINT)"
    };
}

/// The larger of two values.
macro_rules! greatest {
    () => {
        "GREATEST"
    };
}

/// The type of whole numbers.
macro_rules! bigint {
    () => {
        "BIGINT"
    };
}

/// Whether the host `h` is seen.
macro_rules! lives {
    () => {
        "h.visto_em > NOW() - make_interval(secs => h.validade_s)"
    };
}

/// Whether a slot is not among those of the JSON list `$4`.
macro_rules! not_held {
    () => {
        "vaga NOT IN (SELECT CAST(n AS BIGINT) FROM json_array_elements_text(CAST($4 AS JSON)) n)"
    };
}

/// When a transaction began, as columns of times have it.
macro_rules! now {
    () => {
        "NOW()"
    };
}

/// Locks the rows that a SELECT gives.
macro_rules! lock {
    () => {
        " FOR NO KEY UPDATE"
    };
}

/// Now, as columns of times have it and as the clock goes within a transaction.
macro_rules! text_clock {
    () => {
        "clock_timestamp()"
    };
}

/// `$4` seconds from now.
macro_rules! later {
    () => {
        "clock_timestamp() + $4 * INTERVAL '1 second'"
    };
}

/// A few seconds ago.
macro_rules! moments_ago {
    () => {
        "NOW() - INTERVAL '5 seconds'"
    };
}

/// When a row was collected, in seconds since 1970.
macro_rules! epoch {
    () => {
        "CAST(FLOOR(EXTRACT(EPOCH FROM data_coleta)) AS BIGINT)"
    };
}

/// The time `$1`, given as text.
macro_rules! from {
    () => {
        "CAST($1 AS TIMESTAMP)"
    };
}

/// The time `$2`, given as text.
macro_rules! until {
    () => {
        "CAST($2 AS TIMESTAMP)"
    };
}

/// The payload `$3`, given as text.
macro_rules! payload {
    () => {
        "CAST($3 AS JSONB)"
    };
}

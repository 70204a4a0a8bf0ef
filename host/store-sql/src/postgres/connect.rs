//! How connections are made, and which of them are of use: by way of PgBouncer and HAProxy too,
//! across a failover.

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Row};

/// The connection options of the URL, with those that Atlas sets itself.
pub(super) fn options(named: &PgConnectOptions) -> PgConnectOptions {
    // PgBouncer refuses what it does not keep track of, as `extra_float_digits`. No float is read
    // as text here.
    named.clone().application_name("atlas").disable_statement_logging().extra_float_digits(None)
}

/// Connects to a server that takes writes, and refuses any other: what a standby answers may be
/// old, and only a new connection finds out when it becomes the primary, or a proxy leads
/// elsewhere.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    refuse_read_only(&mut connection).await?;
    Ok(connection)
}

/// So many connections to such a server, made when they are needed.
pub(crate) fn pool(options: PgConnectOptions, max: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(max)
        // A ping before each use would double the round trips; a broken connection shows at its
        // next use.
        .test_before_acquire(false)
        .after_connect(|connection, _| Box::pin(refuse_read_only(connection)))
        // No caller waits for this: the pool does it after the caller has gone on.
        .after_release(|connection, _| Box::pin(may_be_used_again(connection)))
        .connect_lazy_with(options)
}

async fn refuse_read_only(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let refused = || sqlx::Error::Io(std::io::Error::other("the server is read-only: a standby perhaps"));
    if takes_writes(connection).await? { Ok(()) } else { Err(refused()) }
}

/// Whether a returned connection may be used again: it takes writes, and is within no transaction.
/// A `BEGIN` whose caller was given up while it was on its way is carried out all the same, and
/// sqlx does not know: what the next caller wrote would be in a transaction that nothing ever
/// commits. The pool closes such a connection, and the server takes back its transaction.
async fn may_be_used_again(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Outside a transaction, a statement is a transaction of its own, and both begin at the same
    // moment.
    let asked =
        "SELECT current_setting('transaction_read_only') = 'off' AND transaction_timestamp() = statement_timestamp()";
    sqlx::raw_sql(asked).fetch_one(connection).await?.try_get(0)
}

/// A standby says no, and so does a server that was told to (`default_transaction_read_only`).
async fn takes_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Not prepared: one round trip.
    let row = sqlx::raw_sql("SHOW transaction_read_only").fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "off")
}

//! Sorts a database's errors by what the caller can do about them.

use atlas_store::{Fault, StoreError, Trait};

/// Sorts a database's error. `doing` says what was being done, for the chain that people read.
pub(crate) fn sorted(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let message = match &error {
            sqlx::Error::Database(error) => error.message().to_owned(),
            other => other.to_string(),
        };
        let (fault, trait_of) = (fault_of(&error), trait_of(&error));
        StoreError::of_database(fault, doing, message, error).with_trait(trait_of)
    }
}

/// Sorts an error of a statement that creates an index: duplicate rows are a fault of the schema,
/// since they would still be there the next time.
pub(crate) fn sorted_index(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let twice = error.as_database_error().is_some_and(|e| e.is_unique_violation());
        let mut error = sorted(doing)(error);
        if twice {
            error.fault = Fault::Schema;
        }
        error
    }
}

/// A row that is not there after it was inserted without an error.
pub(crate) fn not_kept(doing: &'static str) -> StoreError {
    StoreError::new(Fault::NotKept, doing, "a trigger or a rule of dados_raw dropped the row")
}

/// The trait that a code has beside its class. A full or failing disk is never one record's fault,
/// however large the record.
fn trait_of(error: &sqlx::Error) -> Option<Trait> {
    let sqlx::Error::Database(error) = error else { return None };
    let code = error.code();
    let is_postgres = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some();
    match (is_postgres, code.as_deref()?) {
        (true, "42501") => Some(Trait::LacksARight), // insufficient_privilege
        (true, "53100" | "58030") => None,
        (true, _) => Some(Trait::MaybeARecords),
        (false, "7") => Some(Trait::MaybeARecords), // SQLITE_NOMEM
        (false, _) => None,
    }
}

fn fault_of(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Database(e) => match e.code().as_deref() {
            Some(code) if e.try_downcast_ref::<sqlx::postgres::PgDatabaseError>().is_some() => postgres_fault(code),
            Some(code) => sqlite_fault(code),
            None => Fault::Other,
        },
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_) => Fault::Unavailable,
        _ => Fault::Other,
    }
}

/// SQLSTATE classes, <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn postgres_fault(code: &str) -> Fault {
    match code {
        // serialization_failure, deadlock_detected, unique_violation (of an index that ON CONFLICT
        // does not name)
        "40001" | "40P01" | "23505" => Fault::Collision,
        // lock_not_available: another transaction holds the lock for longer than it should
        "55P03" => Fault::Collision,
        // foreign_key_violation: not a record's fault, its client is gone
        "23503" => Fault::Missing,
        // undefined_table, undefined_column, invalid_column_reference (no unique index for ON
        // CONFLICT), privileges
        "42P01" | "42703" | "42P10" | "42501" | "3F000" => Fault::Schema,
        // program_limit_exceeded and its kind: one value is too large for an index;
        // raise_exception: a trigger of the operator's refuses the row
        "54000" | "54001" | "54011" | "P0001" => Fault::Poison,
        // too_many_connections, cannot_connect_now, admin and crash shutdown, read-only after a
        // failover
        "53300" | "57P01" | "57P02" | "57P03" | "25006" => Fault::Unavailable,
        // disk_full, out_of_memory, io_error; query_canceled, by the server's statement_timeout or
        // its administrator: none is the statement's fault, and a record that its source hands out
        // only once must not be given up for one of them
        "53100" | "53200" | "58030" | "57014" => Fault::Unavailable,
        _ if code.starts_with("08") => Fault::Unavailable,
        _ if code.starts_with("22") || code.starts_with("23") => Fault::Poison,
        _ => Fault::Other,
    }
}

/// Extended result codes, <https://www.sqlite.org/rescode.html>.
fn sqlite_fault(code: &str) -> Fault {
    let Ok(code) = code.parse::<i32>() else {
        return Fault::Other;
    };
    match (code, code & 0xff) {
        (787, _) => Fault::Missing,                  // SQLITE_CONSTRAINT_FOREIGNKEY
        (2067 | 1555, _) => Fault::Collision,        // SQLITE_CONSTRAINT_UNIQUE, _PRIMARYKEY
        (_, 5 | 6) => Fault::Collision,              // SQLITE_BUSY, SQLITE_LOCKED
        (_, 18 | 19 | 20 | 25) => Fault::Poison,     // TOOBIG, CONSTRAINT, MISMATCH, RANGE
        (_, 8 | 10 | 13 | 14) => Fault::Unavailable, // READONLY, IOERR, FULL, CANTOPEN
        // SQLITE_INTERRUPT: nothing but our own time limit interrupts a statement
        (_, 9) => Fault::TooSlow,
        // ABORT (a transaction rolled back meanwhile), NOMEM, PROTOCOL (the locks of WAL)
        (_, 4 | 7 | 15) => Fault::Unavailable,
        (_, 1) => Fault::Schema, // SQLITE_ERROR: no such table
        _ => Fault::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_has_too_little_of_now_is_asked_for_again_later() {
        for code in ["53100", "53200", "53300", "57014", "57P01", "58030", "08006"] {
            assert_eq!(postgres_fault(code), Fault::Unavailable, "{code}");
        }
        // IOERR, FULL, NOMEM, IOERR_WRITE, ABORT_ROLLBACK
        for code in ["10", "13", "7", "778", "516"] {
            assert_eq!(sqlite_fault(code), Fault::Unavailable, "{code}");
        }
        assert_eq!(postgres_fault("22001"), Fault::Poison);
        assert_eq!(postgres_fault("XX000"), Fault::Other);
    }
}

//! What a database has that Atlas did not make, or lacks, and that keeps records out of `dados_raw`
//! or changes what is said of them. Looked for when a database is adopted, and by `doctor`.

/// Something to tell the operator of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// A trigger on INSERT, by its name: it may drop or change rows.
    Trigger(String),
    /// A rule on INSERT, by its name: PostgreSQL refuses `ON CONFLICT` on such a table.
    Rule(String),
    /// `dados_raw` is no plain table, but `partitioned`, a `view`, or `foreign`.
    Kind(&'static str),
    /// Row-level security decides which rows this role may insert and see.
    RowSecurity,
    /// A column of a type that not every value fits.
    ColumnType {
        /// The column.
        column: &'static str,
        /// Its type, as the database writes it.
        found: String,
        /// The type that is needed.
        wanted: &'static str,
    },
    /// A column that wants a value which Atlas does not give, and has no default.
    NoDefault(String),
    /// The server's encoding, which is not UTF-8.
    Encoding(String),
    /// A right on a table, or on a table's sequence, that this role lacks.
    Right {
        /// The table or sequence.
        on: String,
        /// The right, as GRANT names it.
        right: String,
    },
}

/// Characters of a hash: what its column has to hold.
pub(super) const HASH_LENGTH: u32 = 64;
/// Columns that Atlas gives a value to.
pub(super) const GIVEN: [&str; 4] = ["cliente_id", "origem", "payload", "hash_conteudo"];

//! The status of our tables in a database, and its properties that keep records out of them.

/// What `init` found and did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitReport {
    /// `dados_raw` was there before.
    pub existed: bool,
    /// It was there, and not from us: a database adopted now.
    pub adopted: bool,
    /// Rows in it that carry no hash of ours (an MD5 of the first system's, or none). Only counted
    /// when adopting.
    pub foreign_rows: i64,
}

/// What the database holds of our tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaStatus {
    /// The server's name and version.
    pub server: String,
    /// The last migration applied; 0: none.
    pub version: i64,
    /// The last migration that this program knows.
    pub newest: i64,
    /// Tables of ours that are missing, and columns of those that are there (`table.column`).
    pub missing_tables: Vec<String>,
    /// Whether `dados_raw.hash_conteudo` has the unique index that writing needs.
    pub hash_is_unique: bool,
}

impl SchemaStatus {
    /// Whether the tables are complete, and `init` has nothing left to do.
    pub fn is_ready(&self) -> bool {
        self.missing_tables.is_empty() && self.hash_is_unique
    }
}

/// A property of a database that keeps records out, or may, for the operator to know.
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

//! What the database keeps for a client, counted.

/// What the database keeps for a client.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientUsage {
    /// Rejected records.
    pub rejects: i64,
    /// Their bytes, those of their cursors included.
    pub reject_bytes: i64,
    /// Cursors that its scraps know.
    pub cursors: i64,
    /// Their bytes.
    pub cursor_bytes: i64,
    /// Rows in `dados_raw`, of pages that are done.
    pub records: i64,
    /// The bytes of their payloads.
    pub record_bytes: i64,
}

/// A kind of rows that are counted for each client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Rejected records.
    Rejects,
    /// Cursors.
    Cursors,
    /// Rows.
    Records,
}

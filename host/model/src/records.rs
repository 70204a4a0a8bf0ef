//! Records on their way into the table, those that were rejected, and rows that are there.

use crate::PageKey;

/// A record on its way into `dados_raw`.
#[derive(Debug, Clone, Copy)]
pub struct RecordRow<'a> {
    /// Its exact JSON text.
    pub payload: &'a str,
    /// `hash_conteudo`: 64 hex digits.
    pub hash: &'a str,
}

/// A record on its way into `dados_rejeitados`.
#[derive(Debug, Clone, Copy)]
pub struct RejectedRow<'a> {
    /// The page that it came from.
    pub page: PageKey,
    /// That page's cursor.
    pub cursor: Option<&'a str>,
    /// Its place on the page, from 0.
    pub position: i64,
    /// Why, for programs.
    pub code: &'a str,
    /// Why, for people.
    pub reason: &'a str,
    /// Its bytes.
    pub content: &'a [u8],
}

/// A rejected record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Its id.
    pub id: i64,
    /// The scrap that met it.
    pub scrap_id: i64,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub origem: String,
    /// What its page is known by: the cursor, or once that is erased, the cursor's SHA-256. None:
    /// the first page.
    pub cursor: Option<String>,
    /// Its place on the page, from 0.
    pub position: i64,
    /// Why, for programs.
    pub code: String,
    /// Why, for people.
    pub reason: String,
    /// Its bytes.
    pub content: Vec<u8>,
    /// When, as the database writes it.
    pub created_at: String,
    /// When it was put into the table after all, if it was.
    pub replayed_at: Option<String>,
}

/// Rows of one client and origem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrigemTotal {
    /// The route.
    pub origem: String,
    /// Rows.
    pub registros: i64,
    /// Rows whose hash another row has too, less one of each. Rows without a hash do not count.
    pub repetidos: i64,
    /// When the first was collected, as the database writes it.
    pub primeira_coleta: Option<String>,
    /// When the last was.
    pub ultima_coleta: Option<String>,
}

/// One of the newest rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewestRow {
    /// The row's id.
    pub id: i64,
    /// The route.
    pub origem: String,
    /// When it was collected, as the database writes it.
    pub data_coleta: Option<String>,
    /// The payload, as the database writes it.
    pub payload: String,
    /// Its hash.
    pub hash_conteudo: Option<String>,
}

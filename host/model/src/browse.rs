//! Values of the page's and the API's queries: scraps, pages, records and hosts.

use crate::{Counts, ScrapState, cursor_name};

/// A filter of scraps; a member that is `None` does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrapFilter {
    /// Of this client.
    pub cliente_id: Option<i32>,
    /// Of this route.
    pub rota: Option<String>,
    /// In this state, or with a slice that is.
    pub state: Option<ScrapState>,
    /// The slices of this one; none: no slices.
    pub slice_of: Option<i64>,
    /// With a smaller id.
    pub before: Option<i64>,
}

/// A filter of records; a member that is `None` does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Of this client.
    pub cliente_id: Option<i32>,
    /// Of this route.
    pub origem: Option<String>,
    /// Collected at this time or later: `2026-11-29 03:00:00`, UTC.
    pub from: Option<String>,
    /// Collected before this time.
    pub until: Option<String>,
}

/// A page of a scrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRow {
    /// Its place in the order in which pages became known.
    pub ordem: i64,
    /// The reading of the source that it belongs to, from 0.
    pub varredura: i32,
    /// Its cursor; none: the first page, or it is erased.
    pub cursor: Option<String>,
    /// The cursor's SHA-256; zeros: the first page.
    pub cursor_hash: Vec<u8>,
    /// `pendente`, `feita` or `conferida`.
    pub estado: String,
    /// Whether writing it was begun.
    pub iniciado: bool,
    /// How often it was asked for.
    pub tentativas: i32,
    /// What became of its records.
    pub counts: Counts,
    /// What the source declared on it.
    pub total_declarado: Option<i64>,
    /// The connector that fetched it.
    pub conector_sha256: Option<String>,
    /// When it was checkpointed, as the database writes it.
    pub gravado_em: Option<String>,
}

impl PageRow {
    /// What it is known by: its cursor, or once that is erased, the cursor's SHA-256. None: the
    /// first page.
    pub fn name(&self) -> Option<String> {
        cursor_name(self.cursor.as_deref(), &self.cursor_hash)
    }
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The row's id.
    pub id: i64,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub origem: String,
    /// When it was collected, as the database writes it.
    pub data_coleta: Option<String>,
    /// The payload, as the database writes it.
    pub payload: String,
    /// Its hash.
    pub hash_conteudo: Option<String>,
}

/// A process that runs scraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRow {
    /// Its name: the machine's, and the process's number.
    pub nome: String,
    /// The program's version.
    pub versao: String,
    /// When it began, as the database writes it.
    pub iniciado_em: String,
    /// When it was seen last.
    pub visto_em: String,
    /// Scraps that it runs.
    pub correndo: i64,
}

/// Rows of one route and of one step of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTotal {
    /// The route.
    pub origem: String,
    /// How many steps of time lie between 1970 and it.
    pub passo: i64,
    /// Rows.
    pub registros: i64,
}

/// What a client's scraps came to together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScrapSums {
    /// How many there are, slices each by itself.
    pub scraps: i64,
    /// Those that are not done: records of theirs may be missing.
    pub inacabados: i64,
    /// Records read.
    pub lidos: i64,
    /// New rows.
    pub inseridos: i64,
    /// Rows that were there.
    pub duplicados: i64,
    /// Rows that were there, from an earlier attempt at the same page.
    pub reencontrados: i64,
    /// Records that the table does not hold.
    pub rejeitados: i64,
}

impl ScrapSums {
    /// Records read of which it is not known what became of them.
    pub fn off_by(&self) -> i64 {
        self.lidos - self.inseridos - self.duplicados - self.reencontrados - self.rejeitados
    }
}

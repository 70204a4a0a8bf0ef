//! Pages of a scrap, known by their cursors, and what they leave behind when they are done.

use sha2::{Digest, Sha256};

use crate::{ClientUsage, Counts};

/// A cursor's identity: the SHA-256 of its text, or zeros for the first page, which has no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CursorId(pub [u8; 32]);

impl CursorId {
    /// The first page.
    pub const ROOT: Self = Self([0; 32]);

    /// The identity of a cursor, or of its absence.
    pub fn of(cursor: Option<&str>) -> Self {
        cursor.map_or(Self::ROOT, |text| Self(Sha256::digest(text.as_bytes()).into()))
    }

    /// Lower-case hex.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// From lower-case hex.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

/// One page of one sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// The sweep, from 0.
    pub sweep: i32,
    /// The page's cursor.
    pub cursor: CursorId,
}

/// A cursor that is still to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingCursor {
    /// Its place in the order in which cursors became known.
    pub order: i64,
    /// Its identity.
    pub id: CursorId,
    /// Its text; none for the first page.
    pub cursor: Option<String>,
    /// The page that named it first.
    pub parent: Option<CursorId>,
    /// How many pages led to it.
    pub depth: i32,
    /// Whether writing its page was begun before.
    pub begun: bool,
}

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageEnd {
    /// Its records are durable.
    Feita,
    /// The second look at an unchanged first page: nothing was taken from it.
    Conferida,
}

impl PageEnd {
    /// As the table writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Feita => "feita",
            Self::Conferida => "conferida",
        }
    }
}

/// A cursor that a page named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextCursor {
    /// Its identity.
    pub id: CursorId,
    /// Its text.
    pub cursor: String,
}

/// The result of a finished page, written in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The page.
    pub page: PageKey,
    /// How it ended.
    pub end: PageEnd,
    /// How many pages led to it.
    pub depth: i32,
    /// What became of its records.
    pub counts: Counts,
    /// How often it was asked for.
    pub attempts: i32,
    /// What it held.
    pub facts: PageFacts,
    /// The connector's digest that fetched it.
    pub connector_sha256: String,
    /// The cursors that it named.
    pub next: Vec<NextCursor>,
    /// The bytes of those of its records that are rows because of it.
    pub row_bytes: i64,
}

/// Facts of a page that later pages and sweeps are compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageFacts {
    /// What the source declared on it.
    pub total_records: Option<i64>,
    /// A hash over its records' identities, in order.
    pub members: [u8; 32],
    /// A hash over its records' content, in order; none for a page without records.
    pub content: Option<[u8; 32]>,
    /// A hash over the cursors that it named, in order.
    pub branches: [u8; 32],
    /// How many pages of its chain in a row carried the very same records, itself included.
    pub repeats: i32,
}

/// What a ledger call changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LedgerReceipt {
    /// Cursors in the frontier now.
    pub frontier: i64,
    /// Pages checkpointed so far.
    pub pages: i64,
    /// The bytes of the cursors in the frontier.
    pub frontier_bytes: i64,
    /// What is kept for the client then. Nothing where no page was checkpointed.
    pub usage: ClientUsage,
}

/// What a whole sweep added up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SweepFacts {
    /// Pages that it took records from.
    pub pages: i64,
    /// Records read in it.
    pub lidos: i64,
    /// The largest number of its pages that carried the very same records.
    pub same_content: i64,
}

/// A page whose counts do not add up, or that declared another total than its sweep's first page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OddPage {
    /// The scrap, which may be a slice of the one that was asked about.
    pub scrap_id: i64,
    /// The reading of the source that it belongs to, from 0.
    pub varredura: i32,
    /// Its cursor; none: the first page, or it is erased.
    pub cursor: Option<String>,
    /// The cursor's SHA-256; zeros: the first page.
    pub cursor_hash: Vec<u8>,
    /// What became of its records.
    pub counts: Counts,
    /// What the source declared on it.
    pub total_declarado: Option<i64>,
    /// What it declared on the first page of the same reading.
    pub total_da_primeira: Option<i64>,
}

impl OddPage {
    /// What it is known by: its cursor, or once that is erased, the cursor's SHA-256. None: the
    /// first page.
    pub fn name(&self) -> Option<String> {
        cursor_name(self.cursor.as_deref(), &self.cursor_hash)
    }
}

/// A page's name for people and programs: its cursor, or once that is erased, the cursor's SHA-256.
/// `None` for the first page.
pub fn cursor_name(cursor: Option<&str>, hash: &[u8]) -> Option<String> {
    let is_first = hash.iter().all(|byte| *byte == 0);
    let erased = || format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    cursor.map(str::to_owned).or_else(|| (!is_first).then(erased))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_whose_cursor_is_erased_is_known_by_its_hash() {
        assert_eq!(cursor_name(Some("p2"), &[7; 32]).as_deref(), Some("p2"));
        assert_eq!(cursor_name(None, &[7; 32]), Some(format!("sha256:{}", "07".repeat(32))));
        assert_eq!(cursor_name(None, &[0; 32]), None);
    }
}

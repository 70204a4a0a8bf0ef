//! Why a record cannot be kept, in words for people and in a code for machines.

/// What one record may measure. Both bounds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Bytes of the record's text, as it arrived. Default 16 MiB. Values past 1 GiB count as 1 GiB.
    pub max_bytes: usize,
    /// How deep objects and arrays may nest: a scalar has depth 0, `[]` depth 1, `[[]]` depth 2.
    /// Default 128.
    pub max_depth: usize,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { max_bytes: 16 * 1024 * 1024, max_depth: 128 }
    }
}

/// Why a record is rejected. Positions are in bytes from the beginning of the record.
///
/// Displayed, it is the detail beside what the [code](Self::code) says.
///
/// Of a record with several faults the first one found is named: its size, then its UTF-8, then the
/// others as they are met from beginning to end (a key that stands twice is met at the end of its
/// object).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// More bytes than [`RecordLimits::max_bytes`].
    #[error("{bytes} bytes; limit record_bytes ({limit}), which [limits] of atlas.toml raises")]
    TooLarge {
        /// The record's size.
        bytes: usize,
        /// The limit in force.
        limit: usize,
    },
    /// Bytes that are no UTF-8.
    #[error("no UTF-8 at byte {at}")]
    NotUtf8 {
        /// The first byte of the broken sequence.
        at: usize,
    },
    /// Not a JSON text by RFC 8259.
    #[error("at byte {at}: {reason}")]
    NotJson {
        /// What is wrong there.
        reason: &'static str,
        /// Where; the record's length when it ends too early.
        at: usize,
    },
    /// Objects and arrays nested deeper than [`RecordLimits::max_depth`].
    #[error("limit record_depth ({limit}), which [limits] of atlas.toml raises")]
    TooDeep {
        /// The limit in force.
        limit: usize,
    },
    /// The escape `\u0000`, which no PostgreSQL text can hold.
    #[error("U+0000 at byte {at}")]
    NulCharacter {
        /// Where the escape begins.
        at: usize,
    },
    /// An escape that is one half of a surrogate pair, and so no character.
    #[error("half of a surrogate pair at byte {at}")]
    LoneSurrogate {
        /// Where the escape begins.
        at: usize,
    },
    /// A number that `numeric` cannot hold: more than 131 072 digits before the point, or more than
    /// 16 383 after it.
    #[error("a number beyond PostgreSQL's numeric at byte {at}")]
    NumberOutOfRange {
        /// Where the number begins.
        at: usize,
    },
    /// A key that stands twice in one object, spelled alike or not; `jsonb` would keep the last
    /// value only.
    #[error("the key {key:?} again at byte {at}")]
    DuplicateKey {
        /// The key, decoded, cut to 80 characters.
        key: String,
        /// Where its second occurrence begins.
        at: usize,
    },
}

impl Rejection {
    /// A name that never changes, for tables and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::TooDeep { .. } => "too_deep",
            Self::NulCharacter { .. } => "nul_character",
            Self::LoneSurrogate { .. } => "lone_surrogate",
            Self::NumberOutOfRange { .. } => "number_out_of_range",
            Self::DuplicateKey { .. } => "duplicate_key",
        }
    }
}

//! The limit that a guest went past.

/// A limit that a guest went past, by its name. Travels inside a trap, and is what the operator is
/// told to raise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit {name} ({value})")]
pub struct LimitReached {
    /// The limit's name.
    pub name: &'static str,
    /// Its value.
    pub value: u64,
}

//! A harmless record, with which the writer finds out whether an error was another record's fault.

/// A payload that no table refuses for what it is.
pub(crate) const HARMLESS: &str = "{}";

/// A hash of no record, of the length that those of records have.
pub(crate) fn harmless_hash() -> String {
    format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>())
}

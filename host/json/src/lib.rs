//! JSON as bytes: finding records in a response, and checking each of them, without ever building a
//! tree.
//!
//! A record is kept as the exact text in which it arrived. A general parser would turn
//! `12345678901234567890.10` into a double, forget the second of two equal keys and refuse a page
//! of 100 000 records because one of them is broken. So the work is divided:
//!
//! - **Splitting** ([`find`], [`select`]) looks at structure only: strings, brackets, commas. It is
//!   lenient inside a record, so that one bad record never stops its page, and strict around them:
//!   a body that is cut short, whose brackets do not match or that goes on after its end is
//!   refused, since records could be missing from it.
//! - **Checking** ([`Canonicalizer`]) is strict, one record at a time: RFC 8259, and what `jsonb`
//!   can hold without loss. Its result is the canonical form, which is what the record's hash is
//!   taken of.
//!
//! Both are iterative and use memory in proportion to their input, so that no text, however deep,
//! can exhaust the stack.

mod canonical;
mod check;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod layout;
mod members;
mod numeric;
#[cfg(any(test, feature = "fuzzing"))]
mod plain;
mod pointer;
mod rejection;
mod render;
mod scan;
mod split;
#[cfg(test)]
mod tests;
mod text;
mod tokens;
mod unhashed;
mod walk;

pub use canonical::Canonicalizer;
pub use layout::laid_out;
pub use pointer::{Pointer, PointerError};
pub use rejection::{RecordLimits, Rejection};
pub use split::{BodyError, Selected, find, find_beside, select};

//! What a guest holds by a handle: answers, and the records that it chose of them.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::line::Answer;

/// An answer that a guest holds.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub struct HeldResponse {
    pub(crate) answer: Arc<Answer>,
    /// The place in the body of the records that were selected last.
    pub(crate) selected: Option<Range<usize>>,
}

/// Records that a guest chose.
#[allow(unreachable_pub)] // the generated bindings re-export it
pub struct HeldSelection {
    pub(crate) records: Box<[Bytes]>,
}

//! Finds values by their place and hands out their exact text, without judging what is inside them.

use std::ops::Range;

use bytes::Bytes;

use super::{Canonicalizer, Pointer, RecordLimits, Rejection, text::shorten, walk::Walk};

/// Why a body yields no value or no records. Positions are in bytes from the beginning of the body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Not JSON, so that records could be missing from it: cut short, mismatched, continued after
    /// its end, or no JSON at all.
    #[error("the body is not JSON at byte {at}: {reason}")]
    NotJson {
        /// What is wrong there.
        reason: &'static str,
        /// Where; the body's length when it ends too early.
        at: usize,
    },
    /// Nothing stands at the place where the records, or a record, should be.
    #[error("the body has nothing at {pointer:?}")]
    Missing {
        /// The place, in full: the index of an element included. Cut to 80 characters.
        pointer: String,
    },
    /// What stands at the place of the records is no array.
    #[error("the body has something else than an array at {pointer:?}")]
    NotAnArray {
        /// The place, cut to 80 characters.
        pointer: String,
    },
    /// The array has more elements than the caller's limit.
    #[error("the array has more than {max} elements")]
    TooMany {
        /// How many it may have.
        max: usize,
    },
}

/// The value at `pointer` as the byte range of its exact text, or none when nothing stands there.
///
/// The path is parsed: keys are compared decoded, one on the way that stands twice in its object is
/// an error (whichever were taken, records could be missing), and array indices are decimal without
/// leading zeros. What stands beside the path, and the value itself, is only stepped over: balanced
/// brackets, closed strings, one value where one is expected. The value's text is not checked any
/// further. A byte order mark at the beginning is passed over. The body is always read to its end.
///
/// # Errors
///
/// [`BodyError::NotJson`] when the body is cut short, malformed along the path, or goes on after
/// its end.
pub fn find(text: &[u8], pointer: &Pointer) -> Result<Option<Range<usize>>, BodyError> {
    find_beside(text, pointer, None)
}

/// As [`find`], and an array whose place a [`Selected`] of the same body has told is not read once
/// more: it is most of a page.
///
/// # Errors
///
/// As [`find`].
pub fn find_beside(
    text: &[u8],
    pointer: &Pointer,
    array: Option<&Range<usize>>,
) -> Result<Option<Range<usize>>, BodyError> {
    let found = Walk::new(text, pointer).passing(array.cloned()).body()?;
    Ok(found.map(|found| found.range))
}

/// What [`select`] chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The records, in their order.
    pub records: Vec<Bytes>,
    /// Where the array stands in the body.
    pub array: Range<usize>,
}

/// The elements of the array at `pointer`, or the value at `element` inside each, in their order.
///
/// Each is a slice of `body` without the whitespace around it, and keeps all of `body` alive.
/// Nothing inside an element is checked but that its brackets match and its strings end: that is
/// the [`Canonicalizer`]'s to do, record by record. There may be `max` of them: each costs 48 bytes
/// here, while the smallest takes two bytes of the body. A slot without a value (`[1,,2]`, or
/// behind the last comma in `[1,2,]`) becomes an empty record, to be rejected rather than lost.
///
/// With `element`, an element that is not JSON itself, and in which `element` was not found, stands
/// whole for its record.
///
/// # Errors
///
/// [`BodyError::NotJson`] as in [`find`]; [`BodyError::Missing`] when nothing stands at `pointer`,
/// or at `element` inside some element, whose index it names; [`BodyError::NotAnArray`] when what
/// stands at `pointer` is something else.
pub fn select(body: &Bytes, pointer: &Pointer, element: Option<&Pointer>, max: usize) -> Result<Selected, BodyError> {
    let mut walk = Walk::new(body, pointer).noting_elements(max);
    let found = walk.body()?.ok_or_else(|| BodyError::Missing { pointer: shorten(pointer.as_str()) })?;
    if !found.array {
        return Err(BodyError::NotAnArray { pointer: shorten(pointer.as_str()) });
    }
    let ranges = walk.into_elements().into_iter().enumerate();
    let records: Result<Vec<Bytes>, BodyError> = ranges
        .map(|(index, range)| {
            let whole = body.slice(range);
            match element {
                Some(element) => inside(&whole, element, || format!("{pointer}/{index}{element}")),
                None => Ok(whole),
            }
        })
        .collect();
    Ok(Selected { records: records?, array: found.range })
}

/// The record inside an element.
fn inside(whole: &Bytes, element: &Pointer, place: impl Fn() -> String) -> Result<Bytes, BodyError> {
    match find(whole, element) {
        Ok(Some(range)) => Ok(whole.slice(range)),
        // The element is broken, and its siblings must not suffer for it. As a record it will be
        // rejected.
        Err(_) => Ok(whole.clone()),
        Ok(None) if !is_json(whole) => Ok(whole.clone()),
        Ok(None) => Err(BodyError::Missing { pointer: shorten(&place()) }),
    }
}

/// Whether a text is JSON by its grammar. One that nests deeper than any record may counts as JSON,
/// unread.
pub(super) fn is_json(text: &[u8]) -> bool {
    let limits = RecordLimits { max_bytes: usize::MAX, ..RecordLimits::default() };
    let checked = Canonicalizer::new(limits, Vec::new()).canonicalize(text).map(|_| ());
    !matches!(checked, Err(Rejection::NotJson { .. } | Rejection::NotUtf8 { .. }))
}

//! The members of the objects that are being read, and the order that they will have.

use super::{Rejection, render::Segment, text::shorten};

/// A member of an object, or an element of an array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// The first eight bytes of the key, padded with zeros, as a big-endian number: decides nearly
    /// all comparisons.
    prefix: u64,
    /// The key: a range of the record, or of the keys that were decoded.
    key: u32,
    key_len: u32,
    key_decoded: bool,
    /// Where its key begins in the record.
    at: u32,
    /// Its range in the flat text, and whether something inside it moved.
    pub(super) segment: Segment,
    /// Whether it stands at an unhashed place.
    pub(super) left_out: bool,
}

/// Where keys are read from.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    pub(super) text: &'a [u8],
    pub(super) decoded: &'a [u8],
}

impl Member {
    /// An array's element, which begins at `at` in the record.
    pub(super) fn element(at: usize, segment: Segment, left_out: bool) -> Self {
        Self { prefix: 0, key: 0, key_len: 0, key_decoded: false, at: small(at), segment, left_out }
    }

    /// An object's member, whose key begins with the quote at `at` in the record and is `range` of
    /// the record or of `decoded`.
    #[inline(always)]
    pub(super) fn new(at: usize, range: (usize, usize), key_decoded: bool, segment: Segment, keys: Keys<'_>) -> Self {
        let source = if key_decoded { keys.decoded } else { keys.text };
        let (start, end) = range;
        Self {
            prefix: prefix(source, start, end),
            key: small(start),
            key_len: small(end - start),
            key_decoded,
            at: small(at),
            segment,
            left_out: false,
        }
    }

    pub(super) fn key<'a>(&self, keys: Keys<'a>) -> &'a [u8] {
        let source = if self.key_decoded { keys.decoded } else { keys.text };
        &source[self.key as usize..(self.key + self.key_len) as usize]
    }

    /// Whether its key is smaller than the other's.
    #[inline(always)]
    pub(super) fn before(&self, other: &Self, keys: Keys<'_>) -> bool {
        self.prefix < other.prefix || (self.prefix == other.prefix && self.key(keys) < other.key(keys))
    }
}

/// Sorts an object's members by key, and finds keys that stand twice.
pub(super) fn sort(members: &mut [Member], keys: Keys<'_>) -> Result<(), Rejection> {
    members.sort_unstable_by(|a, b| {
        let order = a.prefix.cmp(&b.prefix);
        order.then_with(|| a.key(keys).cmp(b.key(keys))).then_with(|| a.at.cmp(&b.at))
    });
    let same = |a: &Member, b: &Member| a.prefix == b.prefix && a.key(keys) == b.key(keys);
    let again = members.windows(2).filter(|pair| same(&pair[0], &pair[1])).map(|pair| &pair[1]);
    match again.min_by_key(|member| member.at) {
        None => Ok(()),
        Some(member) => Err(Rejection::DuplicateKey {
            key: shorten(&String::from_utf8_lossy(member.key(keys))),
            at: member.at as usize,
        }),
    }
}

/// The first eight bytes of `source[start..end]`, as [`Member::prefix`]. No key holds U+0000, so
/// padding sorts before all.
#[inline(always)]
fn prefix(source: &[u8], start: usize, end: usize) -> u64 {
    match source.get(start..).and_then(<[u8]>::first_chunk::<8>) {
        Some(_) if start == end => 0,
        Some(chunk) => u64::from_be_bytes(*chunk) & (u64::MAX << (8 * 8usize.saturating_sub(end - start))),
        None => {
            let mut padded = [0; 8];
            padded[..end - start].copy_from_slice(&source[start..end]);
            u64::from_be_bytes(padded)
        }
    }
}

/// A position in a record in 32 bits. It fits: `Canonicalizer` bounds records, and a canonical form
/// is no longer than its record.
#[inline(always)]
pub(super) fn small(position: usize) -> u32 {
    position as u32
}

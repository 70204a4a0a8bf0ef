//! Checks a record and renders its canonical form in one pass over its text, and a second one only
//! where keys must move.
//!
//! # The canonical form
//!
//! Two records with the same canonical form are the same record to Atlas; it is what the hash is
//! taken of. **It is frozen**: changing anything here makes every row that was ever written look
//! new.
//!
//! - No whitespace between tokens.
//! - The members of an object in the ascending order of their decoded keys, compared as UTF-8
//!   bytes.
//! - Strings and keys in one spelling: `\"`, `\\`, `\b`, `\t`, `\n`, `\f`, `\r`, the other
//!   characters below U+0020 as `\u00xx` with lower-case digits, and everything else as itself, in
//!   UTF-8. (RFC 8785 writes strings so, too.)
//! - Numbers as their own source text: `1`, `1.0` and `1e0` are three different values. Rather a
//!   duplicate than a loss.
//! - A member at an unhashed place is left out, key and value. An element at one is left out, too,
//!   and the others close up; which indices are left out is fixed, so what remains still has one
//!   meaning only. What is left out is checked like everything else, since it is stored. The root
//!   cannot be left out: a root pointer has no effect.
//!
//! The form is JSON itself, and never longer than the record.
//!
//! # How
//!
//! The first pass (`check`) writes the record without whitespace and with its strings respelled to
//! `flat`, copying runs of text that already are in their form (all of a compact record, most
//! often) at once. Where keys do not ascend it remembers the members' ranges in `flat`, sorted. The
//! second (`render`) copies those ranges in their order. Each byte is copied at most twice however
//! deep it stands, and time is n log n at worst.

use super::{
    Pointer, RecordLimits, Rejection,
    check::{Check, Work},
    render::Renderer,
    unhashed::Unhashed,
};

/// Positions in a record are kept in 32 bits.
const MAX_BYTES: usize = 1 << 30;
/// Bytes that a buffer of text keeps from one record to the next; the others keep a sixteenth as
/// many elements. So an exceptional record gives back what it took.
const KEPT: usize = 1 << 20;

/// Checks records and renders their canonical forms.
///
/// Owns its buffers, so that a page of records allocates next to nothing: use one for many records.
/// Memory: about twice the record, and some 40 bytes for each of its members.
#[derive(Debug)]
pub struct Canonicalizer {
    limits: RecordLimits,
    unhashed: Unhashed,
    flat: Vec<u8>,
    work: Work,
    renderer: Renderer,
}

impl Canonicalizer {
    /// `unhashed` are the places that the canonical form leaves out.
    #[must_use]
    pub fn new(limits: RecordLimits, unhashed: Vec<Pointer>) -> Self {
        let limits = RecordLimits { max_bytes: limits.max_bytes.min(MAX_BYTES), ..limits };
        Self {
            limits,
            unhashed: Unhashed::new(unhashed),
            flat: Vec::new(),
            work: Work::default(),
            renderer: Renderer::default(),
        }
    }

    /// The record's canonical form, valid until the next call. A rejected record leaves nothing
    /// behind.
    ///
    /// # Errors
    ///
    /// [`Rejection`] names the first fault found.
    pub fn canonicalize(&mut self, record: &[u8]) -> Result<&[u8], Rejection> {
        let (bytes, limit) = (record.len(), self.limits.max_bytes);
        if bytes > limit {
            return Err(Rejection::TooLarge { bytes, limit });
        }
        if let Err(error) = simdutf8::compat::from_utf8(record) {
            return Err(Rejection::NotUtf8 { at: error.valid_up_to() });
        }
        self.flat.clear();
        self.work.clear();
        self.renderer.clear();
        if bytes <= KEPT && self.flat.capacity() > KEPT {
            self.flat.shrink_to(KEPT);
            self.work.shrink_to(KEPT / 16);
            self.renderer.shrink_to(KEPT, KEPT / 16);
        }
        self.flat.reserve(bytes);
        let check = Check::new(record, &self.unhashed, &mut self.flat, &mut self.work, &mut self.renderer);
        check.record(self.limits.max_depth)?;
        Ok(self.renderer.render(&self.flat))
    }
}

//! The tokens of a record: whitespace, strings, numbers and words, each with its rules and its one
//! spelling.

use super::{
    Rejection,
    check::Check,
    members::small,
    numeric,
    text::{self, EscapeError},
};

impl Check<'_> {
    /// The byte at `at`; none behind the end.
    #[inline(always)]
    pub(super) fn peek(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// Where the byte at `at` will stand in `flat`.
    #[inline(always)]
    pub(super) fn flat_position(&self, at: usize) -> u32 {
        small(self.flat.len() + (at - self.run))
    }

    /// Copies what is in canonical form up to `at`.
    pub(super) fn flush(&mut self, at: usize) {
        self.flat.extend_from_slice(&self.text[self.run..at]);
        self.run = at;
    }

    /// The rejection of what stands at `at`, or of nothing standing there.
    #[cold]
    pub(super) fn not_json(&self, at: usize, reason: &'static str) -> Rejection {
        let reason = if at < self.text.len() { reason } else { "the record ends too early" };
        Rejection::NotJson { reason, at }
    }

    /// Steps over whitespace, which the canonical form has none of.
    #[inline(always)]
    pub(super) fn space(&mut self, at: usize) -> usize {
        if self.peek(at).is_some_and(|byte| byte <= b' ') { self.skip_space(at) } else { at }
    }

    fn skip_space(&mut self, at: usize) -> usize {
        let mut end = at;
        while self.peek(end).is_some_and(text::is_space) {
            end += 1;
        }
        if end > at {
            self.flush(at);
            self.run = end;
        }
        end
    }

    /// Steps over `true`, `false` or `null`.
    #[inline(always)]
    pub(super) fn literal(&self, at: usize, word: &[u8]) -> Result<usize, Rejection> {
        match self.text.get(at..at + word.len()) {
            Some(found) if found == word => Ok(at + word.len()),
            _ => Err(self.not_json(at, "a value should stand here")),
        }
    }

    /// Steps over a number: the grammar of RFC 8259, and the bounds of `numeric`.
    #[inline(always)]
    pub(super) fn number(&self, start: usize) -> Result<usize, Rejection> {
        let integer = start + usize::from(self.peek(start) == Some(b'-'));
        let integer_end = self.digits(integer)?;
        if integer_end > integer + 1 && self.peek(integer) == Some(b'0') {
            return Err(self.not_json(integer, "a number begins with a zero too many"));
        }
        let (mut fraction, mut fraction_end) = (integer_end, integer_end);
        if self.peek(integer_end) == Some(b'.') {
            fraction = integer_end + 1;
            fraction_end = self.digits(fraction)?;
        }
        let (mut exponent, mut end) = (fraction_end, fraction_end);
        if matches!(self.peek(fraction_end), Some(b'e' | b'E')) {
            exponent = fraction_end + 1;
            end = self.digits(exponent + usize::from(matches!(self.peek(exponent), Some(b'+' | b'-'))))?;
        }
        // A short number without an exponent is within bounds.
        let short = exponent == end && end - start <= 16_000;
        let text = self.text;
        if short || numeric::storable(&text[integer..integer_end], &text[fraction..fraction_end], &text[exponent..end])
        {
            return Ok(end);
        }
        Err(Rejection::NumberOutOfRange { at: start })
    }

    /// Steps over one digit or more.
    #[inline(always)]
    fn digits(&self, start: usize) -> Result<usize, Rejection> {
        let mut at = start;
        while self.peek(at).is_some_and(|byte| byte.is_ascii_digit()) {
            at += 1;
        }
        if at == start { Err(self.not_json(at, "a digit should stand here")) } else { Ok(at) }
    }

    /// Steps over a string. A key with an escape is added to `decoded`.
    #[inline(always)]
    pub(super) fn string(&mut self, at: usize, key: bool) -> Result<usize, Rejection> {
        let end = text::plain_end(self.text, at + 1);
        if self.peek(end) == Some(b'"') { Ok(end + 1) } else { self.string_with_escapes(at + 1, end, key) }
    }

    /// The rest of the string that begins at `plain`, from its first byte that is not plain.
    fn string_with_escapes(&mut self, mut plain: usize, mut at: usize, key: bool) -> Result<usize, Rejection> {
        loop {
            if key {
                self.work.decoded.extend_from_slice(&self.text[plain..at]);
            }
            match self.peek(at) {
                Some(b'"') => return Ok(at + 1),
                Some(b'\\') => {}
                _ => {
                    return Err(self.not_json(at, "a control character stands in a string without an escape"));
                }
            }
            let (character, next) = text::escape(self.text, at).map_err(|error| match error {
                EscapeError::Malformed => self.not_json(at, "a backslash begins no escape"),
                EscapeError::LoneSurrogate => Rejection::LoneSurrogate { at },
            })?;
            if character == '\0' {
                return Err(Rejection::NulCharacter { at });
            }
            let mut buffer = [0; 6];
            let spelling = text::spell(character, &mut buffer);
            if self.text[at..next] != *spelling {
                self.flush(at);
                self.flat.extend_from_slice(spelling);
                self.run = next;
            }
            if key {
                self.work.decoded.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            }
            plain = next;
            at = text::plain_end(self.text, next);
        }
    }
}

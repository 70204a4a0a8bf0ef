//! What a JSON string is made of: shared by the splitter, which decodes a few keys, and the
//! canonicaliser, which reads all.

/// Why an escape sequence is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EscapeError {
    /// Not an escape by RFC 8259.
    Malformed,
    /// Half of a surrogate pair.
    LoneSurrogate,
}

/// Whether a byte is whitespace between tokens (RFC 8259: space, tab, line feed, carriage return).
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The first byte at or after `at` that is not plain inside a string: a quote, a backslash or a
/// control character; else the end.
///
/// Eight bytes a step. The subtractions borrow only out of a byte that is itself a hit, so the
/// lowest hit is always true.
#[inline(always)]
pub(super) fn plain_end(text: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = ONES * 0x80;
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let hits = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash)
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGH;
        if hits != 0 {
            return at + (hits.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        at += 1;
    }
    at
}

/// Reads the escape whose backslash stands at `at`: the character, and where the text goes on.
pub(super) fn escape(text: &[u8], at: usize) -> Result<(char, usize), EscapeError> {
    let simple = match text.get(at + 1) {
        Some(&byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unicode_escape(text, at),
        _ => return Err(EscapeError::Malformed),
    };
    Ok((simple, at + 2))
}

/// `\uXXXX`, or the two of them that make a pair.
fn unicode_escape(text: &[u8], at: usize) -> Result<(char, usize), EscapeError> {
    let first = hex4(text, at + 2).ok_or(EscapeError::Malformed)?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, at + 6));
    }
    if first < 0xdc00 && text.get(at + 6..at + 8) == Some(b"\\u") {
        let second = hex4(text, at + 8).ok_or(EscapeError::Malformed)?;
        if (0xdc00..0xe000).contains(&second) {
            let scalar = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
            return char::from_u32(scalar).map(|character| (character, at + 12)).ok_or(EscapeError::LoneSurrogate);
        }
    }
    Err(EscapeError::LoneSurrogate)
}

/// Four hexadecimal digits, of either case.
fn hex4(text: &[u8], at: usize) -> Option<u32> {
    let digits = text.get(at..at + 4)?;
    digits.iter().try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?))
}

/// The one spelling that a character has in the canonical form.
pub(super) fn spell(character: char, buffer: &mut [u8; 6]) -> &[u8] {
    match character {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\u{8}' => b"\\b",
        '\t' => b"\\t",
        '\n' => b"\\n",
        '\u{c}' => b"\\f",
        '\r' => b"\\r",
        '\0'..='\u{1f}' => {
            let digits = b"0123456789abcdef";
            let code = usize::from(character as u8);
            *buffer = [b'\\', b'u', b'0', b'0', digits[code >> 4], digits[code & 15]];
            buffer
        }
        _ => character.encode_utf8(buffer).as_bytes(),
    }
}

/// A text for a message: at most 80 characters, the last an ellipsis where it was cut.
pub(super) fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some(_) => text.chars().take(SHOWN - 1).chain(['…']).collect(),
    }
}

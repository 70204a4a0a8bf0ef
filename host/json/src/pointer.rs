//! JSON pointers, as connectors and routes write them to say where records and keys stand.

use std::{fmt, str::FromStr};

use super::text::shorten;

/// A JSON pointer (RFC 6901), parsed: `""` is the whole document, `/data/0/id` a place inside it.
///
/// Two pointers are equal exactly when they name the same place: RFC 6901 leaves one spelling for
/// each token.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// Why a text is not a JSON pointer. The text shown is cut to 80 characters.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    /// Neither empty nor beginning with a slash.
    #[error("the JSON pointer {pointer:?} does not begin with \"/\" (the whole document is \"\")")]
    NoSlash {
        /// The text, shortened.
        pointer: String,
    },
    /// A tilde that is not the beginning of `~0` (a tilde) or `~1` (a slash).
    #[error("the JSON pointer {pointer:?} has a \"~\" at byte {at} that is neither \"~0\" nor \"~1\"")]
    BadEscape {
        /// The text, shortened.
        pointer: String,
        /// Where the tilde stands, in bytes from the beginning.
        at: usize,
    },
}

impl Pointer {
    /// Parses the string form of RFC 6901 (not the URI fragment form: `#/a` is an error).
    ///
    /// # Errors
    ///
    /// [`PointerError`] when the text is not empty and does not begin with a slash, or holds a
    /// stray tilde.
    pub fn parse(text: &str) -> Result<Self, PointerError> {
        let mut tokens = Vec::new();
        if !text.is_empty() {
            let Some(rest) = text.strip_prefix('/') else {
                return Err(PointerError::NoSlash { pointer: shorten(text) });
            };
            let mut at = 1;
            for token in rest.split('/') {
                tokens.push(
                    unescape(token)
                        .map_err(|offset| PointerError::BadEscape { pointer: shorten(text), at: at + offset })?,
                );
                at += token.len() + 1;
            }
        }
        Ok(Self { text: text.to_owned(), tokens })
    }

    /// The pointer as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether this is the whole document.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The reference tokens from the root down, `~0` and `~1` decoded. A token may be the empty
    /// string.
    #[must_use]
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// Whether `other` is this place or stands inside it.
    ///
    /// Token by token: `/a` is a prefix of `/a` and of `/a/b`, and not of `/ab`.
    #[must_use]
    pub fn is_prefix_of(&self, other: &Self) -> bool {
        other.tokens.starts_with(&self.tokens)
    }
}

/// Decodes one token; the error is the offset of the stray tilde.
fn unescape(token: &str) -> Result<String, usize> {
    let mut decoded = String::with_capacity(token.len());
    let mut rest = token;
    while let Some(tilde) = rest.find('~') {
        decoded.push_str(&rest[..tilde]);
        decoded.push(match rest.as_bytes().get(tilde + 1) {
            Some(b'0') => '~',
            Some(b'1') => '/',
            _ => return Err(token.len() - rest.len() + tilde),
        });
        rest = &rest[tilde + 2..];
    }
    decoded.push_str(rest);
    Ok(decoded)
}

/// The array index that a token names: decimal, without leading zeros. `-` (past the end) and `01`
/// name none.
pub(super) fn index(token: &str) -> Option<usize> {
    let canonical = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { token.parse().ok() } else { None }
}

impl FromStr for Pointer {
    type Err = PointerError;

    fn from_str(text: &str) -> Result<Self, PointerError> {
        Self::parse(text)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

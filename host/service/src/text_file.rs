//! Texts that people write in an editor or pass through a shell: UTF-8, with or without a
//! byte-order mark, which Notepad and PowerShell write.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use atlas_model::{Notice, notice};
use thiserror::Error;
use zeroize::Zeroizing;

/// The byte-order mark in UTF-8.
const MARK: &[u8] = &[0xef, 0xbb, 0xbf];

/// Why a text could not be read. It never shows the text, in which a password may stand.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TextError {
    /// The operating system refused it, for this reason.
    #[error("{0}")]
    Unreadable(String),
    /// It is UTF-16, which old versions of PowerShell write.
    #[error("UTF-16 text")]
    Utf16,
    /// It is not text in UTF-8 from this line on, counted from 1.
    #[error("line {0}: not UTF-8 text")]
    NotUtf8(usize),
}

impl TextError {
    /// What to tell the operator. `file` is what was read; `stdin` stands for standard input.
    pub fn notice(&self, file: &str) -> Notice {
        match self {
            Self::Unreadable(reason) => notice!("error-text-unreadable", file = file, reason = reason),
            Self::Utf16 => notice!("error-text-utf16", file = file),
            Self::NotUtf8(line) => notice!("error-text-not-utf8", file = file, line = line),
        }
    }
}

impl From<io::Error> for TextError {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }
}

/// Reads a text of at most `max` bytes; what is longer is cut, so `max` is more than is of use.
pub fn read(from: impl Read, max: u64) -> Result<Zeroizing<String>, TextError> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(max).read_to_end(&mut bytes)?;
    decode(&bytes).map(|text| Zeroizing::new(text.to_owned()))
}

/// Reads a file. None: there is no such file. A link that leads nowhere is an
/// error, since a file was meant to be there.
pub fn read_if_there(path: &Path) -> Result<Option<Zeroizing<String>>, TextError> {
    match File::open(path) {
        Ok(file) => read(file, u64::MAX).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound && !path.is_symlink() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn decode(bytes: &[u8]) -> Result<&str, TextError> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(TextError::Utf16);
    }
    let bytes = bytes.strip_prefix(MARK).unwrap_or(bytes);
    // Without a mark, it is known by its noughts: no such text has one beside each letter.
    let is_wide = |pair: &[u8]| matches!(pair, [0, letter] | [letter, 0] if *letter != 0);
    if bytes.len() >= 2 && bytes.chunks_exact(2).take(8).all(is_wide) {
        return Err(TextError::Utf16);
    }
    let line_of = |at: usize| bytes.iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
    let text = std::str::from_utf8(bytes).map_err(|error| TextError::NotUtf8(line_of(error.valid_up_to())))?;
    match text.find('\0') {
        Some(at) => Err(TextError::NotUtf8(line_of(at))),
        None => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_bytes(bytes: &[u8]) -> Result<String, TextError> {
        read(bytes, 1_000).map(|text| text.to_string())
    }

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        assert_eq!(read_bytes(b"\xef\xbb\xbfA=1\n"), Ok("A=1\n".to_owned()));
        assert_eq!(read_bytes("A=ção".as_bytes()), Ok("A=ção".to_owned()));
        assert_eq!(read_bytes(b""), Ok(String::new()));
    }

    #[test]
    fn what_is_no_text_in_utf8_is_named_by_its_line() {
        assert_eq!(read_bytes(b"A=1\nB=\xe7\xe3o\n"), Err(TextError::NotUtf8(2)));
        assert_eq!(read_bytes(b"\xef\xbb\xbfA=1\n\nB=\0\n"), Err(TextError::NotUtf8(3)));
        assert_eq!(read_bytes(b"\xff\xfeA\0"), Err(TextError::Utf16));
        assert_eq!(read_bytes(b"\xfe\xff\0A"), Err(TextError::Utf16));
        // Without a mark.
        assert_eq!(read_bytes(b"A\0=\x001\0"), Err(TextError::Utf16));
        assert_eq!(read_bytes(b"\0A\0=\x001"), Err(TextError::Utf16));
        assert_eq!(read_bytes(b"\0\0"), Err(TextError::NotUtf8(1)));
    }

    #[test]
    fn a_file_that_is_not_there_is_told_from_one_that_cannot_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let there = |name: &str| read_if_there(&folder.path().join(name)).map(|text| text.is_some());
        assert_eq!(there("none"), Ok(false));
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        assert!(matches!(there("folder"), Err(TextError::Unreadable(_))));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink("nowhere", folder.path().join("link")).unwrap();
            assert!(matches!(there("link"), Err(TextError::Unreadable(_))));
        }
    }
}

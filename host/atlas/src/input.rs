//! Reads tokens, passwords, credential parts and settings from a file or standard input.

use std::fs::File;
use std::io;

use atlas_service::Failure;
use atlas_service::text_file::{self, TextError};
use zeroize::Zeroizing;

/// The argument that stands for standard input.
const STDIN: &str = "-";

/// Reads a file of at most `max` bytes, or standard input for `-`. What is longer is cut: `max` is
/// more than the value may have, so that one that is too long is found to be.
pub(super) fn read(file: &str, max: u64) -> Result<Zeroizing<String>, Failure> {
    let read = match file {
        STDIN => text_file::read(io::stdin(), max),
        file => File::open(file).map_err(TextError::from).and_then(|opened| text_file::read(opened, max)),
    };
    read.map_err(|error| Failure::usage(error.notice(told(file))))
}

/// The file's name in messages; the catalogues have words of their own for standard input.
pub(super) fn told(file: &str) -> &str {
    if file == STDIN { "stdin" } else { file }
}

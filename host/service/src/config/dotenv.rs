//! `.env` in the working directory, and in no other: a parent's belongs to another project.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::Path;

use super::error::ConfigError;
use super::files::DOTENV;
use crate::text_file;

/// Reads the file; one that is not there sets nothing.
pub(super) fn read() -> Result<HashMap<String, String>, ConfigError> {
    let bad = |error| ConfigError::BadText { file: DOTENV.to_owned(), error };
    match text_file::read_if_there(Path::new(DOTENV)).map_err(bad)? {
        Some(text) => parse(&text),
        None => Ok(HashMap::new()),
    }
}

fn parse(text: &str) -> Result<HashMap<String, String>, ConfigError> {
    let lines_read = Cell::new(0);
    let mut variables = HashMap::new();
    for entry in dotenvy::from_read_iter(Lines { left: text.as_bytes(), read: &lines_read }) {
        match entry {
            Ok((name, value)) => drop(variables.insert(name, value)),
            Err(error) => return Err(bad_line(&error, lines_read.get())),
        }
    }
    Ok(variables)
}

/// Which line is wrong, and whether it opens a quote that ends nowhere. The error itself would show
/// the line, and a line of this file may hold a password.
fn bad_line(error: &dotenvy::Error, lines_read: usize) -> ConfigError {
    let (entry, at) = match error {
        dotenvy::Error::LineParse(entry, at) => (entry.as_str(), *at),
        _ => ("", 0),
    };
    // An entry with quotes may have several lines, of which the first is meant.
    let more = entry.trim_end_matches('\n').matches('\n').count();
    let is_open = at == entry.len() && entry.contains(['"', '\'']);
    ConfigError::BadEnvLine { line: lines_read.saturating_sub(more).max(1), is_open }
}

/// A text that is read a line at a time, so that the parser, which does not count, is found at the
/// line that it fails on.
struct Lines<'a> {
    left: &'a [u8],
    read: &'a Cell<usize>,
}

impl Read for Lines<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let line = self.left.iter().position(|byte| *byte == b'\n').map_or(self.left.len(), |end| end + 1);
        let (now, later) = self.left.split_at(line.min(into.len()));
        into[..now.len()].copy_from_slice(now);
        self.left = later;
        if now.ends_with(b"\n") || later.is_empty() && !now.is_empty() {
            self.read.set(self.read.get() + 1);
        }
        Ok(now.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blamed(text: &str) -> (usize, bool) {
        match parse(text) {
            Err(ConfigError::BadEnvLine { line, is_open }) => (line, is_open),
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_by_its_number() {
        assert_eq!(blamed("A=1\n\n# senha\nDB_PASSWORD: x\nB=2\n"), (4, false));
        assert_eq!(blamed("sozinha"), (1, false));
        assert_eq!(blamed("A=\"1\n2\"\nsozinha\n"), (3, false));
        assert_eq!(blamed("A=1\nB='aberta\nC=2\nD=3\n"), (2, true));
        assert_eq!(blamed("A=1\nB=\"aberta"), (2, true));
    }

    #[test]
    fn lines_of_every_kind_are_read() {
        let read = parse("A=1\r\n  # nada\r\nexport B='duas linhas\naqui'\nC=").unwrap();
        assert_eq!((read["A"].as_str(), read["B"].as_str(), read["C"].as_str()), ("1", "duas linhas\naqui", ""));
    }
}

//! What ARCHITECTURE.md promises, as far as a program can see it.

mod book;
mod catalogues;
mod features;
mod fuzz;
mod messages;
mod names;
mod patched;
mod rooms;
mod toolchain;
mod walls;
mod width;
mod wit;

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::command::{output, root, step};

/// A text file that is in git, or would be if it were added: its path below the workspace, with
/// `/`, and its lines.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines, numbered as editors do.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// The lines of Rust without what is said in comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().map(|(number, line)| (number, line.split_once("//").map_or(line, |(code, _)| code)))
    }

    fn is_rust_below(&self, folder: &str) -> bool {
        self.path.starts_with(folder) && self.path.ends_with(".rs")
    }
}

/// One thing to mend, as `file:line: what`.
type Fault = String;

/// Checks everything, and lists all that is wrong.
pub(crate) fn run() -> Result<()> {
    let sources = sources()?;
    let mut faults: Vec<Fault> = rooms::check(&sources);
    faults.extend(walls::check(&walls::tree()?));
    faults.extend(width::check(&sources));
    faults.extend(wit::check(&sources));
    faults.extend(catalogues::check(&sources));
    faults.extend(features::check()?);
    faults.extend(fuzz::check(&sources));
    faults.extend(messages::check(&sources));
    faults.extend(names::check(&sources));
    faults.extend(patched::check(&sources));
    faults.extend(toolchain::check(&sources));
    faults.extend(book::check(&sources, |path| root().join(path).exists()));
    for fault in &faults {
        eprintln!("{fault}");
    }
    if !faults.is_empty() {
        bail!("tidy: {} to mend", faults.len());
    }
    step(format_args!("tidy: {} files, nothing to mend", sources.len()));
    Ok(())
}

fn sources() -> Result<Vec<Source>> {
    let mut list = Command::new("git");
    list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root());
    let listed = output(&mut list)?;
    let paths = listed.split('\0').filter(|path| !path.is_empty());
    let read = |path: &str| {
        let text = fs::read_to_string(root().join(Path::new(path))).ok()?;
        Some(Source { path: path.to_owned(), text })
    };
    // What is no text, or is gone from the disk, has nothing to check.
    Ok(paths.filter_map(read).collect())
}

#[cfg(test)]
fn source(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}

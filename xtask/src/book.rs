//! The book below `docs/`, as HTML. `cargo xtask tidy` holds its links.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::command::{execute, root, step, target_dir};
use crate::pip::MDBOOK;

/// Pages of the repository that the book leads to. mdBook takes every link to a `.md` for one to a
/// page of its own.
const OUTSIDE: [&str; 5] = ["README", "ARCHITECTURE", "CHANGELOG", "CONTRIBUTING", "SECURITY"];

/// Makes it at `target/book`: as deep below the workspace as its pages are, so that a page's link
/// to a file of the repository leads there from the book as well.
pub(crate) fn build() -> Result<()> {
    let to = target_dir()?.join("book");
    let mut build = Command::new(MDBOOK.install()?);
    execute(build.env("RUST_LOG", "warn").arg("build").arg("--dest-dir").arg(&to).arg(root().join("docs")))?;
    lead_outside(&to)?;
    step(format_args!("the book is at {}", to.join("index.html").display()));
    Ok(())
}

/// Has the pages of this folder, and of those below it, lead to the repository's own pages.
fn lead_outside(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            lead_outside(&path)?;
        } else if path.extension().is_some_and(|extension| extension == "html") {
            let html = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            fs::write(&path, mended(&html)).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn mended(html: &str) -> String {
    OUTSIDE.iter().fold(html.to_owned(), |html, name| html.replace(&format!("/{name}.html"), &format!("/{name}.md")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_to_the_repository_s_pages_leave_the_book_and_others_stay() {
        let html = r##"<a href="../../README.html"> <a href="../../../SECURITY.html#a"> <a href="api/api.html">"##;
        let expected = r##"<a href="../../README.md"> <a href="../../../SECURITY.md#a"> <a href="api/api.html">"##;
        assert_eq!(mended(html), expected);
    }
}

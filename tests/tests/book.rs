//! README.md, CONTRIBUTING.md and the book below docs/, followed to the letter. Their ```sh blocks
//! are run in their order, in one shell, in an empty folder, against the sample API; blocks with a
//! file's name are that file; ```text blocks are what the commands before them printed. So a reader
//! who types what stands there gets what stands there. docs/src/contributor/book.md has the marks
//! that these tests go by.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use atlas_tests::{Database, FROM, Rota, SampleApi, Settings, TO, closed_port};

const CLIENT: u32 = 2151;
/// Longer than any page takes: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);

/// The token that the book gives its client.
const TOKEN: &str = "segredo";
/// The addresses that the book uses, which stand for the test's own.
const SOURCE: &str = "https://erp.example/sis/api/v1";
const SERVER: &str = "127.0.0.1:8321";
const POSTGRES: &str = "postgres://USER:PASSWORD@HOST:5432/NAME";

/// A mark before a block of commands that no test can run, with the reason.
const NOT_RUN: &str = "<!-- not run: ";
/// Commands that a test needs before the next block and a reader does not: the lines up to the
/// comment's end.
const BEFORE: &str = "<!-- before";
/// How a comment ends.
const COMMENT_END: &str = "-->";
/// What stands in an output for what differs from one run to the next.
const DIFFERS: char = '…';
/// Languages of blocks that are neither commands nor output: excerpts of files, and pictures.
/// Pictures of letters have none.
const EXCERPTS: [&str; 9] = ["", "toml", "ini", "json", "diff", "mermaid", "haproxy", "rust", "sql"];

const GUIDE: &str = "docs/src/author/guide.md";
const BEGINNING: &str = "Before you begin";
/// What of the guide is done in one folder: the beginning, a language, and what builds on it.
const RUST: [&str; 3] = [BEGINNING, "In Rust", "When it does not work"];
const JAVASCRIPT: [&str; 2] = [BEGINNING, "In JavaScript"];
const PYTHON: [&str; 2] = [BEGINNING, "In Python"];

/// The pages whose commands are run from the first to the last, each by a test below.
const FOLLOWED: [&str; 7] = [
    "README.md",
    "docs/src/operator/run.md",
    "docs/src/administrator/connectors.md",
    "docs/src/administrator/credentials.md",
    "docs/src/administrator/fleet.md",
    "docs/src/administrator/postgresql.md",
    "docs/src/api/api.md",
];

/// A fenced block, or the commands of a comment.
struct Block {
    /// The heading of level two that it stands under.
    section: String,
    /// What follows the fence: a language, perhaps a file's name.
    info: String,
    text: String,
    /// Why its commands are not run, or its output is not compared.
    not_run: Option<String>,
}

impl Block {
    fn new(section: &str, info: &str) -> Self {
        Self { section: section.to_owned(), info: info.to_owned(), text: String::new(), not_run: None }
    }

    fn is_output(&self) -> bool {
        self.info == "text" && self.not_run.is_none()
    }

    fn runs(&self) -> bool {
        self.info == "sh" && self.not_run.is_none()
    }
}

fn repository() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests stand in the repository")
}

/// Every page that a reader may be sent to: the repository's own and the book's.
fn pages() -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new(), PathBuf::from("docs/src"), PathBuf::from(".github")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(repository()?.join(&folder))? {
            let path = folder.join(entry?.file_name());
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.to_str().context("a page's name")?.to_owned());
            } else if folder.starts_with("docs") && repository()?.join(&path).is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn blocks(page: &str) -> anyhow::Result<Vec<Block>> {
    let text = fs::read_to_string(repository()?.join(page)).with_context(|| format!("read {page}"))?;
    let (mut blocks, mut section) = (Vec::new(), String::new());
    let (mut open, mut hidden, mut not_run) = (None::<Block>, None::<Block>, None);
    for line in text.lines() {
        if let Some(block) = &mut hidden {
            if line == COMMENT_END {
                blocks.extend(hidden.take());
            } else {
                block.text.push_str(line);
                block.text.push('\n');
            }
            continue;
        }
        // A block within an item of a list stands under the item.
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                let reason = not_run.take();
                open = Some(Block { not_run: reason, ..Block::new(&section, info) });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) if line == BEFORE => hidden = Some(Block::new(&section, "sh")),
            (None, None) => {
                if let Some(reason) = line.trim_start().strip_prefix(NOT_RUN) {
                    let reason = reason.strip_suffix(COMMENT_END).context("a reason stands on one line")?.trim();
                    anyhow::ensure!(!reason.is_empty(), "{page}: no reason");
                    not_run = Some(reason.to_owned());
                } else {
                    let marks_nothing = !line.trim().is_empty() && not_run.is_some();
                    anyhow::ensure!(!marks_nothing, "{page}: a mark that stands before no block: {line:?}");
                }
                if let Some(heading) = line.strip_prefix("## ") {
                    section = heading.to_owned();
                }
            }
        }
    }
    anyhow::ensure!(open.is_none() && hidden.is_none() && not_run.is_none(), "{page}: a block that does not end");
    Ok(blocks)
}

/// The shell script that these blocks are.
fn script<'a>(blocks: impl Iterator<Item = &'a Block>) -> String {
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n".to_owned();
    for block in blocks {
        match block.info.split_once(' ') {
            Some((_, file)) => script.push_str(&format!("cat > '{file}' <<'END OF FILE'\n{}END OF FILE\n", block.text)),
            None if block.runs() => script.push_str(&block.text),
            None => {}
        }
    }
    script
}

/// Fails unless each line of the outputs was printed, one after the other.
fn expect_printed<'a>(
    blocks: impl Iterator<Item = &'a Block>,
    stands_for: &[(&str, String)],
    printed: &str,
) -> anyhow::Result<()> {
    let mut rest = printed;
    for line in blocks.filter(|block| block.is_output()).flat_map(|block| block.text.lines()) {
        let line = replace(line, stands_for);
        let mut parts = line.split(DIFFERS);
        let first = parts.next().unwrap_or_default();
        let missing = || format!("not printed, or not there: {line}\n--- what was printed:\n{printed}");
        let (_, after) = rest.split_once(first).with_context(missing)?;
        rest = after;
        for part in parts {
            let (within, after) = rest.split_once(part).with_context(missing)?;
            anyhow::ensure!(!within.contains('\n'), missing());
            rest = after;
        }
    }
    Ok(())
}

fn replace(text: &str, stands_for: &[(&str, String)]) -> String {
    stands_for.iter().fold(text.to_owned(), |text, (said, meant)| text.replace(said, meant))
}

/// Does what these blocks say in this folder, and holds what is printed against them.
async fn follow(folder: &Path, blocks: &[&Block], stands_for: &[(&str, String)]) -> anyhow::Result<()> {
    let outside = tempfile::tempdir()?;
    let script_file = outside.path().join("page.sh");
    fs::write(&script_file, replace(&script(blocks.iter().copied()), stands_for))?;

    let programs = atlas_tests::programs()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))?;
    // One file for both, so that what is said stands where it was said.
    let output = outside.path().join("output.txt");
    let printed = fs::File::create(&output)?;
    let mut shell = Command::new("bash");
    shell.arg(&script_file).current_dir(folder).stdin(Stdio::null());
    shell.stdout(printed.try_clone()?).stderr(printed);
    // Nothing of the tests' own environment decides where anything is.
    let decides = ["ATLAS_", "DB_", "DATABASE_URL", "CARGO_TARGET_DIR", "BATCH_", "RETRY_", "LC_", "LANG"];
    for (name, _) in std::env::vars() {
        if decides.iter().any(|prefix| name.starts_with(prefix)) || name.to_lowercase().ends_with("_proxy") {
            shell.env_remove(name);
        }
    }
    shell.env("ATLAS_REPO", repository()?).env("PATH", path).env("ATLAS_CACHE", atlas_tests::cache()?);
    shell.env("ATLAS_STATE", outside.path().join("state"));
    shell.env("ATLAS_CONNECTORS", atlas_tests::connectors()?);
    let mut shell = tokio::process::Command::from(shell).kill_on_drop(true).spawn()?;
    let status = tokio::time::timeout(PATIENCE, shell.wait()).await.context("the page hangs")??;
    let printed = String::from_utf8_lossy(&fs::read(&output)?).into_owned();
    anyhow::ensure!(status.success(), "{status}\n{printed}");
    expect_printed(blocks.iter().copied(), stands_for, &printed)
}

/// Does what a page says, all of it.
async fn follow_page(page: &str) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let api = SampleApi::start(Settings { token: TOKEN.to_owned(), ..Settings::default() }).await?;
    let database = Database::postgres().await?;
    let stands_for = [
        (SOURCE, api.base_url()),
        (SERVER, format!("127.0.0.1:{}", closed_port()?)),
        (POSTGRES, database.url().to_owned()),
    ];
    let blocks = blocks(page)?;
    follow(folder.path(), &blocks.iter().collect::<Vec<_>>(), &stands_for).await.with_context(|| page.to_owned())
}

/// Does what these sections of the guide say, and holds the table for this route against what the
/// API served.
async fn follow_guide(sections: &[&str], rota: Rota) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let blocks = blocks(GUIDE)?;
    let chosen: Vec<&Block> = blocks.iter().filter(|block| sections.contains(&block.section.as_str())).collect();
    follow(folder.path(), &chosen, &[]).await?;
    // The sample API gives every client the same records.
    let api = SampleApi::start(Settings::default()).await?;
    let served = api.records(CLIENT, rota, FROM, TO)?;
    Database::sqlite(&folder.path().join("atlas.db")).expect_exactly(CLIENT, rota.name(), &served).await
}

#[test]
fn every_command_of_every_page_is_run_by_a_test_or_says_why_not() -> anyhow::Result<()> {
    let sections = BTreeSet::from_iter([&RUST[..], &JAVASCRIPT, &PYTHON].concat());
    let pages = pages()?;
    for page in &pages {
        for block in blocks(page)? {
            let info = block.info.as_str();
            let known = ["sh", "text"].contains(&info) || EXCERPTS.contains(&info) || info.contains(' ');
            let nameless = info.is_empty() && page.starts_with("docs/");
            assert!(known && !nameless, "{page}: neither commands nor output nor a file: {info:?}\n{}", block.text);
            let may_be_marked = ["sh", "text"].contains(&info);
            assert!(block.not_run.is_none() || may_be_marked, "{page}: marked for nothing:\n{}", block.text);
            let followed = if page == GUIDE {
                sections.contains(block.section.as_str())
            } else {
                FOLLOWED.contains(&page.as_str()) || !(block.runs() || block.is_output())
            };
            assert!(followed, "{page}: no test runs this:\n{}", block.text);
        }
    }
    for page in FOLLOWED.iter().chain([&GUIDE]) {
        let runs = pages.iter().any(|known| known == page) && blocks(page)?.iter().any(Block::runs);
        assert!(runs, "{page}: no commands to follow");
    }
    let guide = blocks(GUIDE)?;
    for section in sections {
        assert!(guide.iter().any(|block| block.section == section && block.runs()), "no commands: {section:?}");
    }
    Ok(())
}

#[test]
fn an_output_that_was_not_printed_is_found_whatever_stands_before_and_after_it() {
    let output = |text: &str| Block { text: text.to_owned(), ..Block::new("", "text") };
    let printed = |text: &str| expect_printed([output(text)].iter(), &[], "150 records in 2s\n300 records in 4s\n");
    assert!(printed("150 records in …s\n300 records in …s\n").is_ok());
    assert!(printed("300 records in …s\n150 records in …s\n").is_err());
    assert!(printed("150 records in …4s\n").is_err());
    assert!(printed("151 records in …s\n").is_err());
}

#[tokio::test]
async fn the_readme_leads_to_rows_in_the_table() -> anyhow::Result<()> {
    follow_page("README.md").await
}

#[tokio::test]
async fn the_page_on_a_run_leads_from_a_client_to_its_rejected_records() -> anyhow::Result<()> {
    follow_page("docs/src/operator/run.md").await
}

#[tokio::test]
async fn the_page_on_connectors_leads_from_a_key_to_a_signature_that_another_tool_accepts() -> anyhow::Result<()> {
    follow_page("docs/src/administrator/connectors.md").await
}

#[tokio::test]
async fn the_page_on_credentials_seals_what_it_stores() -> anyhow::Result<()> {
    follow_page("docs/src/administrator/credentials.md").await
}

#[tokio::test]
async fn the_page_on_workers_leads_from_a_queue_to_a_schedule() -> anyhow::Result<()> {
    follow_page("docs/src/administrator/fleet.md").await
}

#[tokio::test]
async fn the_page_on_postgresql_makes_the_tables_there() -> anyhow::Result<()> {
    follow_page("docs/src/administrator/postgresql.md").await
}

#[tokio::test]
async fn the_page_on_the_api_leads_from_a_token_to_an_export() -> anyhow::Result<()> {
    follow_page("docs/src/api/api.md").await
}

#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_to_a_run_in_rust() -> anyhow::Result<()> {
    follow_guide(&RUST, Rota::Cliente).await
}

#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_to_a_run_in_javascript() -> anyhow::Result<()> {
    follow_guide(&JAVASCRIPT, Rota::Produto).await
}

#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_to_a_run_in_python() -> anyhow::Result<()> {
    follow_guide(&PYTHON, Rota::Venda).await
}

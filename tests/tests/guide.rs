//! docs/connectors.md, followed to the letter. Its ```sh blocks are run in their order, in one shell, in an empty folder; blocks
//! with a file's name are that file; ```text blocks are what the commands before them printed. So a reader who types what
//! stands there gets what stands there.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;
use atlas_tests::{Database, FROM, Rota, SampleApi, Settings, TO};

const CLIENT: u32 = 2151;
/// Longer than any part of the guide takes: what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(600);
const BEGINNING: &str = "Before you begin";
/// What is done in one folder: the beginning, a language, and what builds on it.
const RUST: [&str; 3] = [BEGINNING, "In Rust", "When it does not work"];
const JAVASCRIPT: [&str; 2] = [BEGINNING, "In JavaScript"];
const PYTHON: [&str; 2] = [BEGINNING, "In Python"];

/// A fenced block.
struct Block {
    /// The heading of level two that it stands under.
    section: String,
    /// What follows the fence: a language, perhaps a file's name.
    info: String,
    text: String,
}

fn repository() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the tests stand in the repository")
}

fn blocks() -> anyhow::Result<Vec<Block>> {
    let guide = std::fs::read_to_string(repository()?.join("docs/connectors.md"))?;
    let (mut blocks, mut section, mut open) = (Vec::new(), String::new(), None::<Block>);
    for line in guide.lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                open = Some(Block { section: section.clone(), info: info.to_owned(), text: String::new() });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {
                if let Some(heading) = line.strip_prefix("## ") {
                    section = heading.to_owned();
                }
            }
        }
    }
    anyhow::ensure!(open.is_none(), "a block that does not end");
    Ok(blocks)
}

/// The shell script that these sections are.
fn script(blocks: &[Block], sections: &[&str]) -> String {
    let mut script = "set -euo pipefail\ntrap 'kill $(jobs -p)' EXIT\n".to_owned();
    for block in blocks.iter().filter(|block| sections.contains(&block.section.as_str())) {
        match block.info.split_once(' ') {
            Some((_, file)) => script.push_str(&format!("cat > '{file}' <<'END OF FILE'\n{}END OF FILE\n", block.text)),
            None if block.info == "sh" => script.push_str(&block.text),
            None => {}
        }
    }
    script
}

/// Fails unless each line of the sections' outputs was printed, one after the other.
fn expect_printed(blocks: &[Block], sections: &[&str], printed: &str) -> anyhow::Result<()> {
    let outputs = blocks.iter().filter(|block| block.info == "text" && sections.contains(&block.section.as_str()));
    let mut rest = printed;
    for line in outputs.flat_map(|block| block.text.lines()) {
        let (_, after) =
            rest.split_once(line).with_context(|| format!("not printed, or not there: {line}\n{printed}"))?;
        rest = after;
    }
    Ok(())
}

/// Does what the sections say, and gives what then stands in the table for this route.
async fn follow(sections: &[&str], rota: Rota) -> anyhow::Result<()> {
    let blocks = blocks()?;
    let folder = tempfile::tempdir()?;
    let script_file = folder.path().join("guide.sh");
    std::fs::write(&script_file, script(&blocks, sections))?;
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty)?;

    let programs = atlas_tests::programs()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs).chain(std::env::split_paths(&path)))?;
    // One file for both, so that what is said stands where it was said.
    let output = folder.path().join("output.txt");
    let printed = std::fs::File::create(&output)?;
    let mut shell = Command::new("bash");
    shell.arg(&script_file).current_dir(&empty).stdin(Stdio::null());
    shell.stdout(printed.try_clone()?).stderr(printed);
    // Nothing of the tests' own environment decides where anything is.
    for (name, _) in std::env::vars() {
        if ["ATLAS_", "DB_", "DATABASE_URL", "CARGO_TARGET_DIR"].iter().any(|prefix| name.starts_with(prefix)) {
            shell.env_remove(name);
        }
    }
    shell.env("ATLAS_REPO", repository()?).env("PATH", path).env("ATLAS_CACHE", atlas_tests::cache()?);
    let mut shell = tokio::process::Command::from(shell).kill_on_drop(true).spawn()?;
    let status = tokio::time::timeout(PATIENCE, shell.wait()).await.context("the guide hangs")??;
    let printed = String::from_utf8_lossy(&std::fs::read(&output)?).into_owned();
    anyhow::ensure!(status.success(), "{status}\n{printed}");
    expect_printed(&blocks, sections, &printed)?;

    // The sample API gives everybody the same records.
    let api = SampleApi::start(Settings::default()).await?;
    let served = api.records(CLIENT, rota, FROM, TO)?;
    Database::sqlite(&empty.join("atlas.db")).expect_exactly(CLIENT, rota.name(), &served).await
}

#[test]
fn every_command_and_output_of_the_guide_stands_in_a_section_that_a_test_follows() -> anyhow::Result<()> {
    let followed = [&RUST[..], &JAVASCRIPT, &PYTHON].concat();
    let blocks = blocks()?;
    for block in &blocks {
        assert!(followed.contains(&block.section.as_str()), "nobody runs what stands under {:?}", block.section);
        let known = ["sh", "text"].contains(&block.info.as_str()) || block.info.contains(' ');
        assert!(known, "neither commands nor output nor a file: {:?}", block.info);
    }
    for section in followed {
        assert!(blocks.iter().any(|block| block.section == section && block.info == "sh"), "no commands: {section:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_to_a_run_in_rust() -> anyhow::Result<()> {
    follow(&RUST, Rota::Cliente).await
}

#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_to_a_run_in_javascript() -> anyhow::Result<()> {
    follow(&JAVASCRIPT, Rota::Produto).await
}

#[tokio::test]
async fn the_guide_leads_from_an_empty_folder_to_a_run_in_python() -> anyhow::Result<()> {
    follow(&PYTHON, Rota::Venda).await
}

//! The connectors below `examples/connectors`: a shipped route once more in other languages, built
//! by those languages' own tools. They are kept apart from the connectors that ship, since two
//! files that claim one route are both refused.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};
use sha2::{Digest as _, Sha256};

use super::{foreign_imports, replace};
use crate::command::{answers, execute, output, root, step, target_dir};

/// What builds an example into a component: the example's folder, a folder of its own for the
/// tools, the file to write.
type Build = fn(&Path, &Path, &Path) -> Result<()>;

/// Each example's folder, and its file's name.
const EXAMPLES: [(&str, Build); 2] = [("pedido-js", javascript), ("pedido-py", python)];

/// The contract that they are built against, below the workspace.
const CONTRACT: &str = "wit/0.1.0";

/// Builds all examples; gives the folder they are in. One whose sources, contract and tools are as
/// they were is left alone.
pub(crate) fn build() -> Result<PathBuf> {
    let to = target_dir()?.join("examples-connectors");
    for (name, build) in EXAMPLES {
        let folder = root().join("examples/connectors").join(name);
        let file = to.join(format!("{name}.wasm"));
        let stamp = to.join(format!("{name}.stamp"));
        let built_from = digest(&[&folder, &root().join(CONTRACT)])?;
        if file.is_file() && fs::read_to_string(&stamp).is_ok_and(|there| there == built_from) {
            step(format_args!("{}, unchanged", file.display()));
            continue;
        }
        let tools = to.join("tools").join(name);
        fs::create_dir_all(&tools).with_context(|| format!("cannot create {}", tools.display()))?;
        let fresh = tools.join("component.wasm");
        build(&folder, &tools, &fresh).with_context(|| format!("example {name}"))?;
        let component = fs::read(&fresh).with_context(|| format!("cannot read {}", fresh.display()))?;
        let mut foreign = foreign_imports(&component)?;
        // What languages bring along, and the host answers for.
        foreign.retain(|import| !import.starts_with("wasi:"));
        ensure!(foreign.is_empty(), "example {name} imports more than the contract: {}", foreign.join(", "));
        replace(&file, &component)?;
        fs::write(&stamp, built_from).with_context(|| format!("cannot write {}", stamp.display()))?;
        step(format_args!("{} {} KiB", file.display(), component.len().div_ceil(1024)));
    }
    Ok(to)
}

/// With componentize-qjs, installed by npm exactly as `package-lock.json` has it.
fn javascript(folder: &Path, tools: &Path, to: &Path) -> Result<()> {
    for program in ["node", "npm"] {
        ensure!(
            answers(Command::new(program).arg("--version")),
            "`{program}` is not here, and the example connector in JavaScript is built with it.\n\
             Install Node.js 20 or newer with npm (Debian: nodejs and npm)."
        );
    }
    for manifest in ["package.json", "package-lock.json"] {
        let from = folder.join(manifest);
        fs::copy(&from, tools.join(manifest)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    execute(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(tools))?;
    let mut build = Command::new(tools.join("node_modules/.bin/componentize-qjs"));
    build.args(["--sync", "--world", "connector", "--wit"]).arg(root().join(CONTRACT));
    build.args(["--js", "pedido.js", "--output"]).arg(to).current_dir(folder);
    quietly(&mut build)
}

/// With componentize-py, installed by pip exactly as `requirements.txt` has it, into an environment
/// of its own.
fn python(folder: &Path, tools: &Path, to: &Path) -> Result<()> {
    let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    // A Debian has `python3` without `venv`.
    ensure!(
        answers(
            Command::new(&python).args(["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"])
        ),
        "there is no `{}` of 3.10 or newer with venv and pip, and the example connector in Python is built with it.\n\
         Install Python (Debian: python3 and python3-venv), or name one in PYTHON.",
        python.display()
    );
    let environment = tools.join("venv");
    execute(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&environment))?;
    let programs = environment.join("bin");
    let mut install = Command::new(programs.join("pip"));
    execute(
        install.args(["install", "--quiet", "--require-hashes", "--requirement"]).arg(folder.join("requirements.txt")),
    )?;
    let mut build = Command::new(programs.join("componentize-py"));
    build.arg("--wit-path").arg(root().join(CONTRACT)).args(["--world", "connector", "componentize"]);
    build.arg("--output").arg(to).arg("pedido").current_dir(folder);
    quietly(build.env("VIRTUAL_ENV", &environment))
}

/// Says what it runs, and shows its words only if it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let name = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    step(format_args!("{name} in {}", command.get_current_dir().unwrap_or(Path::new(".")).display()));
    output(command).map(drop)
}

/// SHA-256 over names and contents of the files (not the folders: `node_modules`, `__pycache__`) in
/// these folders, and over this program's own way of building them.
fn digest(folders: &[&Path]) -> Result<String> {
    let mut digest = Sha256::new_with_prefix(include_str!("examples.rs"));
    for folder in folders {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
            files.extend(Some(entry?.path()).filter(|path| path.is_file()));
        }
        files.sort();
        for file in files {
            let content = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            for part in [file.file_name().unwrap_or(OsStr::new("")).as_encoded_bytes(), &content] {
                digest.update(part.len().to_le_bytes());
                digest.update(part);
            }
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_a_renamed_and_an_added_file_each_change_the_digest() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text);
        write("a.js", "one")?;
        let mut seen = vec![digest(&[folder.path()])?];
        assert_eq!(seen, [digest(&[folder.path()])?]);
        write("a.js", "two")?;
        seen.push(digest(&[folder.path()])?);
        fs::rename(folder.path().join("a.js"), folder.path().join("b.js"))?;
        seen.push(digest(&[folder.path()])?);
        write("c.js", "")?;
        seen.push(digest(&[folder.path()])?);
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 4);
        Ok(())
    }
}

//! Programs that come by pip, exactly as a file of requirements with hashes has them, each into an
//! environment of its own: Schemathesis, which holds the API against its own document, and mdBook,
//! which makes a book of `docs/`.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

use crate::command::{answers, execute, root, target_dir};

/// A program and where its requirements stand, below the workspace.
pub(crate) struct Tool {
    name: &'static str,
    requirements: &'static str,
    /// What it is needed for, as it is said where there is no Python.
    purpose: &'static str,
}

pub(crate) const SCHEMATHESIS: Tool = Tool {
    name: "schemathesis",
    requirements: "tests/schemathesis/requirements.txt",
    purpose: "the API is tested with Schemathesis",
};

pub(crate) const MDBOOK: Tool =
    Tool { name: "mdbook", requirements: "docs/requirements.txt", purpose: "the book of docs/ is made by mdBook" };

impl Tool {
    /// Installs it, unless it is there as it should be; gives the program.
    pub(crate) fn install(&self) -> Result<PathBuf> {
        let environment = target_dir()?.join("tools").join(self.name);
        let program = environment.join("bin").join(self.name);
        let requirements = root().join(self.requirements);
        let wanted =
            fs::read_to_string(&requirements).with_context(|| format!("cannot read {}", requirements.display()))?;
        let stamp = environment.join("requirements.stamp");
        if program.is_file() && fs::read_to_string(&stamp).is_ok_and(|there| there == wanted) {
            return Ok(program);
        }
        let python = env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
        // A Debian has `python3` without `venv`.
        ensure!(
            answers(
                Command::new(&python).args(["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"])
            ),
            "there is no `{}` of 3.11 or newer with venv and pip, and {}, which needs it.\n\
             Install Python (Debian: python3 and python3-venv), or name one in PYTHON.",
            python.display(),
            self.purpose
        );
        execute(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&environment))?;
        let mut install = Command::new(environment.join("bin/pip"));
        execute(install.args(["install", "--quiet", "--require-hashes", "--requirement"]).arg(&requirements))?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(program)
    }
}

//! Schemathesis, which holds the API against its own document: installed by pip exactly as `tests/schemathesis/requirements.txt` has
//! it, into an environment of its own.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

use crate::command::{answers, execute, root, target_dir};

/// Installs it, unless it is there as it should be; gives the program.
pub(crate) fn install() -> Result<PathBuf> {
    let environment = target_dir()?.join("tools/schemathesis");
    let program = environment.join("bin/schemathesis");
    let requirements = root().join("tests/schemathesis/requirements.txt");
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
        "there is no `{}` of 3.11 or newer with venv and pip, and the API is tested with Schemathesis, which needs it.\n\
         Install Python (Debian: python3 and python3-venv), or name one in PYTHON.",
        python.display()
    );
    execute(Command::new(&python).args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut install = Command::new(environment.join("bin/pip"));
    execute(install.args(["install", "--quiet", "--require-hashes", "--requirement"]).arg(&requirements))?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(program)
}

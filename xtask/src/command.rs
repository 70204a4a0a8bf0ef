//! Running other programs: in the right place, with a clean environment, and stopped when we are.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fmt};

use anyhow::{Context as _, Result, bail};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The program that [`execute`] waits for.
static RUNNING: Mutex<Option<u32>> = Mutex::new(None);

/// Makes Ctrl-C and SIGTERM end the program that runs, and not us: the failure then goes its
/// ordinary way out, past every guard that has something to stop or to remove.
pub(crate) fn on_interrupt_stop() -> Result<()> {
    let stop = || {
        INTERRUPTED.store(true, Ordering::SeqCst);
        if let Ok(running) = RUNNING.lock()
            && let Some(pid) = *running
        {
            terminate(pid);
        }
    };
    ctrlc::set_handler(stop).context("cannot watch for Ctrl-C")
}

/// Whether somebody asked us to stop.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// The folder of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Where cargo builds, for everybody who shares this environment.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let dir = env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    std::path::absolute(&dir).with_context(|| format!("not a folder: {}", dir.display()))
}

/// Cargo, in the workspace.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    // What `cargo run` tells us of ourselves. Build scripts that watch these would run again, and
    // wasmtime with them.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if ours.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// Takes from a program's environment all that could lead it to somebody's real database.
pub(crate) fn without_databases(command: &mut Command) -> &mut Command {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name == "DATABASE_URL" || name.starts_with("DB_") || name.starts_with("PG") {
            command.env_remove(name.as_ref());
        }
    }
    command
}

/// Whether a program is there and answers.
pub(crate) fn answers(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Says what it runs, and runs it to its end. It inherits the terminal.
pub(crate) fn execute(command: &mut Command) -> Result<()> {
    step(format_args!("{}", shown(command)));
    let child = command.spawn();
    let mut child = child.with_context(|| format!("cannot start {}", shown(command)))?;
    set_running(Some(child.id()));
    if interrupted() {
        terminate(child.id());
    }
    let status = child.wait();
    set_running(None);
    let status = status.with_context(|| format!("lost {}", shown(command)))?;
    if interrupted() {
        bail!("interrupted");
    }
    if !status.success() {
        bail!("{} failed ({status})", shown(command));
    }
    Ok(())
}

/// Runs a program whose words matter only when it fails, and gives what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start {}", shown(command)))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed ({}): {said} {}", shown(command), output.status, why.trim());
    }
    Ok(said)
}

/// Asks a process to end.
pub(crate) fn terminate(pid: u32) {
    answers(Command::new("kill").arg("-TERM").arg(pid.to_string()));
}

/// One line about what happens next.
pub(crate) fn step(what: impl fmt::Display) {
    eprintln!("▶ {what}");
}

fn set_running(pid: Option<u32>) {
    if let Ok(mut running) = RUNNING.lock() {
        *running = pid;
    }
}

/// A command as a person would type it, more or less.
fn shown(command: &Command) -> String {
    let name = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

//! Failures: on the console, what failed and what to do; in the error log, with the time and every
//! cause behind it.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use atlas_model::Notice;
use atlas_model::notice::{legible, printable};
use atlas_service::config::ERROR_LOG;
use atlas_service::i18n::Catalogue;
use atlas_service::{Failure, Line};
use chrono::{Local, SecondsFormat};

use super::terminal;

/// Whether this process may be the first to write something into the working directory.
static BEGINS: AtomicBool = AtomicBool::new(false);

/// Lets the error log be created, by a command that may begin an installation here. Any other
/// leaves a folder as it is, unless it is an installation's.
pub(super) fn begin_log() {
    BEGINS.store(true, Ordering::Relaxed);
}

/// Whether the working directory is an installation's, or becomes one.
fn is_installation() -> bool {
    let files = [ERROR_LOG, ".env", "atlas.toml", "atlas.db"];
    BEGINS.load(Ordering::Relaxed) || files.iter().any(|file| Path::new(file).exists())
}

/// Tells the operator, writes the log, and gives the exit code.
pub(super) fn fail(catalogue: &Catalogue, failure: &Failure) -> ExitCode {
    print(catalogue, failure, "");
    ExitCode::from(failure.exit().code())
}

/// Tells the operator and writes the log. `about` goes into the log only: what the failure is
/// about.
pub(super) fn print(catalogue: &Catalogue, failure: &Failure, about: &str) {
    terminal::error_line(&console_text(catalogue, failure));
    log(catalogue, failure, about);
}

/// `⚠️ ERRO (executar_scrap): …`, and on the next line what to do.
pub(super) fn console_text(catalogue: &Catalogue, failure: &Failure) -> String {
    let mut text = headline(catalogue, failure);
    if let Some(fix) = catalogue.fix(&failure.notice) {
        let _ = write!(text, "\n   👉 {fix}");
    }
    text
}

fn headline(catalogue: &Catalogue, failure: &Failure) -> String {
    let operation = catalogue.text(&Notice::new(failure.operation));
    let message = catalogue.text(&failure.notice);
    let line = Line::of(&failure.notice).notice();
    catalogue.text(&line.with("operation", &operation).with("message", &message))
}

/// One entry: a line that begins with the time, and an indented line for each cause. Line breaks
/// within are shown as such, so that nothing that a source answered can pass for an entry of ours.
fn log(catalogue: &Catalogue, failure: &Failure, about: &str) {
    if !is_installation() {
        return;
    }
    let now = Local::now().to_rfc3339_opts(SecondsFormat::Millis, false);
    let mut entry = format!("{now} [{}] {}", failure.exit().code(), printable(&headline(catalogue, failure)));
    if !about.is_empty() {
        let _ = write!(entry, " [{about}]");
    }
    for cause in &failure.causes {
        let _ = write!(entry, "\n    caused by: {}", legible(cause));
    }
    entry.push('\n');
    // Where it cannot be written, `atlas doctor` says why; the console has told the operator in any
    // case.
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    // What a source answered may stand in it.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    if let Ok(mut file) = options.open(ERROR_LOG) {
        let _ = file.write_all(entry.as_bytes());
    }
}

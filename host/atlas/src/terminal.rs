//! The one writer to standard output and standard error. It never panics: `println!` and
//! `eprintln!` do when the reader has gone (`atlas run 2>&1 | head -1`) or the disk is full, and
//! would take a run, or the task that waits for a signal, with them. `clippy.toml` bans them.

use std::io::{self, IsTerminal, Write};

/// Writes a line to standard error. A line that cannot be written is dropped: there is nowhere else
/// to say so, and no work may depend on it.
pub(super) fn error_line(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Writes a line to standard output, and gives the error: a result that is not written whole fails
/// the command.
pub(super) fn result_line(text: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

/// How many columns the terminal has that results are written to; none: they go elsewhere.
pub(super) fn result_width() -> Option<u16> {
    let size = console::Term::stdout().size_checked().filter(|_| io::stdout().is_terminal());
    size.map(|(_, columns)| columns).filter(|columns| *columns > 0)
}

/// Standard error for the log. Every write succeeds, since the subscriber reports a failed one with
/// `eprintln!`, which panics where standard error is gone.
pub(super) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().lock().write_all(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().lock().flush();
        Ok(())
    }
}

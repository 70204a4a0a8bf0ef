//! What a connector logs, cut at its limits.

use std::sync::Arc;

use atlas_model::Limits;
use atlas_model::notice::printable;
use serde::{Deserialize, Serialize};

use super::line::Line;

/// Bytes of a guest's last error line that are shown with a trap.
const LAST_ERROR_MAX: usize = 500;
/// A line of a standard stream is logged when it is this long, if it has no end before.
const STDIO_LINE_MAX: usize = 4 * 1024;

/// A line of a guest's log before it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LogLine {
    /// The level, as `tracing` names it.
    pub(crate) level: String,
    /// The guest's text.
    pub(crate) text: String,
}

/// A standard stream that a guest may write to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stdio {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// What a connector logs, cut at its limits.
pub(crate) struct GuestLog {
    route: String,
    /// `log_bytes` and `log_lines`, and what is left of them.
    limits: (usize, usize),
    bytes_left: usize,
    lines_left: usize,
    cut: bool,
    /// What was written to standard output and standard error since the last end of a line.
    unfinished: [Vec<u8>; 2],
    /// The line that gets each one beside the program's own log, and redacts it before.
    heard_by: Option<Arc<dyn Line>>,
    /// Lines that are kept instead of being logged; none: they are logged.
    kept: Option<Vec<LogLine>>,
    /// The beginning of the last line that was logged as an error or written to standard error.
    last_error: Option<String>,
}

impl GuestLog {
    pub(crate) fn new(route: &str, limits: &Limits) -> Self {
        Self {
            route: route.to_owned(),
            limits: (limits.log_bytes, limits.log_lines),
            bytes_left: limits.log_bytes,
            lines_left: limits.log_lines,
            cut: false,
            unfinished: [Vec::new(), Vec::new()],
            heard_by: None,
            kept: None,
            last_error: None,
        }
    }

    /// Keeps each line from here on instead of logging it, for the parent process to log.
    pub(crate) fn keep(&mut self) {
        self.kept = Some(Vec::new());
    }

    /// The lines that were kept, the last ones too, which no line break ended.
    pub(crate) fn kept(&mut self) -> Vec<LogLine> {
        self.finish_line(Stdio::Out);
        self.finish_line(Stdio::Err);
        self.kept.take().unwrap_or_default()
    }

    /// Takes the lines that another process kept of a call.
    pub(crate) fn take_over(route: &str, limits: &Limits, lines: Vec<LogLine>) {
        let mut log = Self::new(route, limits);
        for LogLine { level, text } in lines {
            log.line(level.parse().unwrap_or(tracing::Level::WARN), &text);
        }
    }

    /// Passes each line on from here on, without the secrets that this takes out of it.
    pub(crate) fn tell(&mut self, heard_by: Arc<dyn Line>) {
        self.heard_by = Some(heard_by);
    }

    /// Takes what a guest wrote to a standard stream: each line of it becomes a line of the log.
    pub(crate) fn write(&mut self, stdio: Stdio, contents: &[u8]) {
        for piece in contents.split_inclusive(|byte| *byte == b'\n') {
            for piece in piece.chunks(STDIO_LINE_MAX) {
                let unfinished = &mut self.unfinished[stdio as usize];
                unfinished.extend_from_slice(piece);
                if piece.ends_with(b"\n") || unfinished.len() >= STDIO_LINE_MAX {
                    self.finish_line(stdio);
                }
            }
        }
    }

    fn finish_line(&mut self, stdio: Stdio) {
        let line = std::mem::take(&mut self.unfinished[stdio as usize]);
        let text = String::from_utf8_lossy(&line);
        let level = match stdio {
            Stdio::Out => tracing::Level::INFO,
            Stdio::Err => tracing::Level::WARN,
        };
        if !line.is_empty() {
            self.line(level, text.trim_end_matches(['\r', '\n']));
        }
    }

    /// Takes no line from here on.
    pub(crate) fn discard(&mut self) {
        self.cut = true;
    }

    /// The guest's last error line, to go with a trap, which has no message itself.
    pub(crate) fn last_error(&mut self) -> Option<String> {
        self.finish_line(Stdio::Err);
        self.last_error.take()
    }

    /// Adds a line. Control characters are escaped, so that a connector cannot control the
    /// operator's terminal.
    pub(crate) fn line(&mut self, level: tracing::Level, message: &str) {
        let message = match &self.heard_by {
            Some(line) => &line.redact(message.to_owned()),
            None => message,
        };
        // Rust's own hook for panics ends with a note on backtraces.
        let is_error = level <= tracing::Level::WARN && !message.trim().is_empty() && !message.starts_with("note: ");
        if is_error {
            self.last_error = Some(printable(&message[..message.floor_char_boundary(LAST_ERROR_MAX)]));
        }
        if self.cut {
            return;
        }
        if self.lines_left == 0 || message.len() > self.bytes_left {
            self.cut = true;
            let (bytes, lines) = self.limits;
            tracing::warn!(
                rota = %self.route,
                "the connector's log is cut here: limits log_bytes ({bytes}) and log_lines ({lines}) of a page, which [limits] of \
                 atlas.toml raises"
            );
            return;
        }
        self.lines_left -= 1;
        self.bytes_left -= message.len();
        if let Some(kept) = &mut self.kept {
            kept.push(LogLine { level: level.to_string(), text: message.to_owned() });
            return;
        }
        let message = printable(message);
        if let Some(line) = self.heard_by.as_ref().filter(|_| level <= tracing::Level::INFO) {
            line.logged(&message);
        }
        match level {
            tracing::Level::ERROR => tracing::error!(rota = %self.route, "{message}"),
            tracing::Level::WARN => tracing::warn!(rota = %self.route, "{message}"),
            tracing::Level::INFO => tracing::info!(rota = %self.route, "{message}"),
            _ => tracing::debug!(rota = %self.route, "{message}"),
        }
    }
}

/// Logs the last lines of a guest that it did not end with a line break.
impl Drop for GuestLog {
    fn drop(&mut self) {
        self.finish_line(Stdio::Out);
        self.finish_line(Stdio::Err);
    }
}

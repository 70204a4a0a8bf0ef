//! Reasons of failures as texts of bounded length: a guest's text may be as large as its memory.

use std::fmt::Write as _;

use atlas_model::notice::printable;

use super::limit::LimitReached;

/// Bytes of a reason that are taken from a guest: far more than are shown, so that a secret which
/// begins in the shown part can be found whole.
pub const REASON_READ: usize = 64 * 1024;
/// Bytes of a reason that are shown, logged and stored: enough for a message, not for a whole
/// answer.
pub const REASON_SHOWN: usize = 4 * 1024;

/// The beginning of a text. The rest is given back at once: a guest's text may be as large as its
/// memory.
pub fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
    }
    text
}

/// A trap in one line, without the frames that only its author can read; those go to the log.
/// `limit`: the limit that caused it, if one did.
pub(crate) fn reason_of_trap(trap: &wasmtime::Error, limit: Option<LimitReached>) -> String {
    tracing::debug!("the connector trapped: {}", in_full(trap));
    if let Some(limit) = limit {
        return limit.to_string();
    }
    let reason =
        trap.downcast_ref::<wasmtime::Trap>().map_or_else(|| trap.root_cause().to_string(), ToString::to_string);
    cut(reason, REASON_SHOWN)
}

/// A trap with its frames, as the log may have it: the functions' names are the connector's words,
/// be they megabytes, or what moves a terminal's cursor.
fn in_full(trap: &wasmtime::Error) -> String {
    let mut text = Beginning(String::new());
    // The writer fails once it is full, which ends the formatting.
    let _ = write!(text, "{trap:?}");
    text.0.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// The first [`REASON_SHOWN`] bytes of what is written to it.
struct Beginning(String);

impl std::fmt::Write for Beginning {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = REASON_SHOWN - self.0.len();
        self.0.push_str(&text[..text.floor_char_boundary(room)]);
        if text.len() > room { Err(std::fmt::Error) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_trap_is_cut() {
        let trap = wasmtime::Error::msg("x".repeat(1024 * 1024));
        assert_eq!(reason_of_trap(&trap, None).len(), REASON_SHOWN);
        assert_eq!(in_full(&trap).len(), REASON_SHOWN);
        assert!(in_full(&wasmtime::Error::msg("a\u{1b}[2J\nb")).starts_with("a\\u{1b}[2J\nb"));
    }
}

//! Results go to stdout, as JSON or as text; everything else that a person reads goes to stderr,
//! and not at all with `-q`.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::sync::OnceLock;

use atlas_model::notice::acts_on_a_terminal;
use atlas_model::{Notice, notice};
use atlas_service::i18n::Catalogue;
use atlas_service::{Failure, Kind};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use super::args::{Common, Format};
use super::terminal;
pub(super) use atlas_model::notice::printable;

/// Where results and remarks go.
pub(super) struct Output {
    pub(super) catalogue: Catalogue,
    format: Format,
    pub(super) quiet: bool,
    pub(super) verbose: bool,
    /// Why results could not be written, if they could not.
    broken: OnceLock<String>,
}

impl Output {
    pub(super) fn new(catalogue: Catalogue, common: &Common) -> Self {
        Self {
            catalogue,
            format: common.output,
            quiet: common.quiet,
            verbose: common.verbose > 0,
            broken: OnceLock::new(),
        }
    }

    pub(super) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// A message, in the operator's language.
    pub(super) fn text(&self, notice: &Notice) -> String {
        self.catalogue.text(notice)
    }

    /// A remark for a person.
    pub(super) fn remark(&self, notice: &Notice) {
        if !self.quiet {
            terminal::error_line(&self.text(notice));
        }
    }

    /// Prints one line of a result, or several. Control characters are escaped, since sources and
    /// connectors wrote some of the text and must not control the terminal.
    pub(super) fn line(&self, line: &str) {
        self.write(&shown(line));
    }

    fn write(&self, line: &str) {
        match terminal::result_line(line) {
            // A reader that closes the pipe early (`| head`) is no failure.
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                self.broken.get_or_init(|| error.to_string());
            }
            _ => {}
        }
    }

    /// Fails if a result could not be written: a full disk must not pass for a whole export.
    pub(super) fn finish(&self) -> Result<(), Failure> {
        match self.broken.get() {
            Some(reason) => {
                Err(Failure::new("op-output", notice!("error-output", reason = reason), Kind::Configuration))
            }
            None => Ok(()),
        }
    }

    /// A result as JSON, on one line.
    pub(super) fn json(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.write(&shown_json(&text)),
            Err(error) => self.line(&format!("{{\"error\":\"{error}\"}}")),
        }
    }

    /// A list: a JSON object a line, or a table with these headings (messages of the catalogues).
    pub(super) fn list<T: Serialize>(&self, headings: &[&str], rows: &[T], cells: impl Fn(&T) -> Vec<String>) {
        if self.is_json() {
            for row in rows {
                self.json(row);
            }
            return;
        }
        let headings = headings.iter().map(|heading| self.text(&Notice::new(heading))).collect();
        let rows = rows.iter().map(cells).collect();
        self.line(&table(headings, rows, terminal::result_width()));
    }
}

/// Lays out a table as wide as its content or, on a terminal, as the terminal, with long cells
/// broken into lines. Without a terminal each row stays whole, so that programs can read it.
fn table(headings: Vec<String>, rows: Vec<Vec<String>>, width: Option<u16>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    }
    table.set_header(headings);
    for row in rows {
        // Before the table is laid out: what is escaped takes more room.
        table.add_row(row.iter().map(|cell| shown(cell)));
    }
    table.to_string()
}

/// A text of one line or several.
fn shown(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// JSON on one line, of the same values. Outside of its strings there is nothing to be escaped, and
/// within them this is how.
fn shown_json(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if acts_on_a_terminal(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
        shown
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "a\u{1b}[2J\u{9b}b\u{202e}c\u{7f}é";

    #[test]
    fn a_terminal_shows_what_a_stranger_wrote_and_does_nothing_else() {
        assert_eq!(shown(&format!("one\n{SAID}")), "one\na\\u{1b}[2J\\u{9b}b\\u{202e}c\\u{7f}é");
        assert_eq!(shown(&shown(SAID)), shown(SAID));
    }

    #[test]
    fn a_table_is_as_wide_as_the_terminal_and_says_all_in_it() {
        let file = "um-conector-de-nome-comprido-que-ninguem-esperava-encontrar-nesta-pasta.wasm";
        let row = [
            "pedido",
            "jueri",
            "0.1.0",
            "885e09aa7c41",
            "↪️ A rota pedido segue com a versão 0.1.0",
            "CPU 0,1 s",
            file,
        ];
        let cells = || vec![row.map(str::to_owned).to_vec()];
        let headings = || row.map(|_| "coluna".to_owned()).to_vec();
        let widest = |table: &str| table.lines().map(|line| line.chars().count()).max().unwrap_or(0);
        for width in [60, 80, 120] {
            let shown = table(headings(), cells(), Some(width));
            assert!(widest(&shown) <= usize::from(width), "{width}:\n{shown}");
            let letters = |text: &str| text.chars().filter(|c| c.is_ascii_lowercase()).count();
            assert!(letters(&shown) >= letters(&row.concat()), "{width}:\n{shown}");
        }
        assert!(table(headings(), cells(), None).contains(file));
    }

    #[test]
    fn escaped_json_means_the_same() {
        let value = serde_json::json!({ "versão": SAID, "list": [1, "\n"] });
        let text = shown_json(&value.to_string());
        assert!(!text.chars().any(acts_on_a_terminal), "{text:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}

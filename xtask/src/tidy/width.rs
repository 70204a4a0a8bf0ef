//! Comments are at most 100 columns wide, so that two files stand side by side.

use super::{Fault, Source};

const COLUMNS: usize = 100;

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let rust = sources.iter().filter(|file| file.is_rust_below(""));
    let wide = rust.flat_map(|file| {
        let lines = file.lines().filter(|(_, line)| is_comment(line) && line.chars().count() > COLUMNS);
        // An address has no place to break.
        let lines = lines.filter(|(_, line)| !line.contains("://"));
        lines.map(|(line, _)| format!("{}:{line}: a comment is wider than {COLUMNS} columns", file.path))
    });
    wide.collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_comment_of_more_than_a_hundred_columns_is_found_and_code_is_not() {
        let words = "ã ".repeat(50);
        let text =
            format!("/// {words}\n// {}\nlet text = \"{words}\";\n/// <https://{}>\n", &words[..144], "a".repeat(100));
        assert_eq!(
            check(&[source("host/json/src/lib.rs", &text)]),
            ["host/json/src/lib.rs:1: a comment is wider than 100 columns"]
        );
    }
}

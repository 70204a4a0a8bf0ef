//! Every item of the contract says what it means.

use super::{Fault, Source};

/// What begins an item, after `export` or `import`.
const ITEMS: [&str; 9] =
    ["package ", "interface ", "world ", "record ", "variant ", "enum ", "flags ", "resource ", "type "];

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in sources.iter().filter(|file| file.path.starts_with("wit/") && file.path.ends_with(".wit")) {
        let mut documented = false;
        for (number, line) in file.lines() {
            let line = line.trim();
            if line.starts_with("///") {
                documented = true;
                continue;
            }
            // `@since` and its like stand between an item and its words.
            if line.starts_with('@') {
                continue;
            }
            if is_item(line) && !documented {
                faults.push(format!("{}:{number}: no doc comment: {line}", file.path));
            }
            documented = false;
        }
    }
    faults
}

fn is_item(line: &str) -> bool {
    let bare = line.strip_prefix("export ").or_else(|| line.strip_prefix("import ")).unwrap_or(line);
    let function = bare.split_once(": ").is_some_and(|(_, kind)| {
        let kind = kind.strip_prefix("static ").unwrap_or(kind);
        let kind = kind.strip_prefix("async ").unwrap_or(kind);
        kind.starts_with("func(")
    });
    function || ITEMS.iter().any(|item| bare.starts_with(item))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn an_item_without_words_is_found() {
        let wit = "/// Doc.\ninterface http {\n  /// Doc.\n  @since(version = 1.0.0)\n  record r { a: u8 }\n\n  \
                   resource x {\n    len: func() -> u32;\n  }\n}\nworld w {\n  import http;\n  export run: func();\n}\n";
        let faults = check(&[source("wit/0.1.0/a.wit", wit)]);
        let lines: Vec<_> = faults.iter().filter_map(|fault| fault.split(':').nth(1)).collect();
        assert_eq!(lines, ["7", "8", "11", "13"], "{faults:?}");
    }
}

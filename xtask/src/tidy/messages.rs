//! Every message that the code names is in the catalogues, and takes the arguments that it is
//! given. What shows messages decides nothing by their names.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fault, Source};

const CATALOGUES: &str = "host/service/locales/";

/// Messages by their names, with the arguments that they use in either language.
type Messages = BTreeMap<String, Uses>;

#[derive(Default)]
struct Uses {
    arguments: BTreeSet<String>,
    /// Messages and terms that it has a part of its text from.
    others: BTreeSet<String>,
}

/// A message that the code makes: `notice!("key", argument = value)`.
struct Made {
    key: String,
    arguments: Vec<String>,
    /// Where the macro begins in the file.
    at: usize,
}

/// What shows messages, and makes statuses, exit codes and links of failures: by their kinds and
/// subjects, so that a message can be renamed.
const SHOWN_BY: [&str; 2] = ["host/atlas/src/", "host/server/src/"];
/// How code looks that decides by a message's name.
const DECISIONS: [&str; 4] = ["key.as_str()", "key ==", "key !=", "key.starts_with("];

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let mut faults = unknown(sources);
    for file in sources.iter().filter(|file| SHOWN_BY.iter().any(|folder| file.is_rust_below(folder))) {
        let decides = |code: &str| DECISIONS.iter().any(|decision| code.contains(&format!("notice.{decision}")));
        let lines = file.code().filter(|(_, code)| decides(code));
        faults.extend(
            lines.map(|(line, code)| format!("{}:{line}: decides by a message's name: {}", file.path, code.trim())),
        );
    }
    faults
}

fn unknown(sources: &[Source]) -> Vec<Fault> {
    let mut messages = Messages::new();
    for catalogue in sources.iter().filter(|file| file.path.starts_with(CATALOGUES)) {
        read(catalogue, &mut messages);
    }
    if messages.is_empty() {
        return Vec::new();
    }
    let mut faults = Vec::new();
    for file in sources.iter().filter(|file| file.is_rust_below("host/")) {
        for made in made_in(&file.text) {
            let line = file.text[..made.at].matches('\n').count() + 1;
            let is_comment = file.text.lines().nth(line - 1).is_some_and(|text| text.trim_start().starts_with("//"));
            if is_comment {
                continue;
            }
            let at = format!("{}:{line}", file.path);
            if !messages.contains_key(&made.key) {
                faults.push(format!("{at}: no catalogue has the message {}", made.key));
                continue;
            }
            let known = arguments(&messages, &made.key, &mut BTreeSet::new());
            let unknown = made.arguments.iter().filter(|argument| !known.contains(*argument));
            faults.extend(unknown.map(|argument| format!("{at}: {} has no ${argument} in any language", made.key)));
        }
    }
    faults
}

fn read(catalogue: &Source, messages: &mut Messages) {
    let mut current = String::new();
    for (_, line) in catalogue.lines() {
        let name = line.split_once('=').map(|(name, _)| name.trim_end()).filter(|_| !line.starts_with([' ', '#']));
        if let Some(name) = name {
            current = name.to_owned();
        }
        if current.is_empty() {
            continue;
        }
        let uses = messages.entry(current.clone()).or_default();
        uses.arguments.extend(line.split('$').skip(1).map(word).filter(|word| !word.is_empty()));
        uses.others.extend(line.split('{').skip(1).map(|rest| word(rest.trim_start())).filter(|word| !word.is_empty()));
    }
}

/// The name at the beginning of a text.
fn word(text: &str) -> String {
    text.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

/// What a message uses, itself or by way of others.
fn arguments(messages: &Messages, key: &str, seen: &mut BTreeSet<String>) -> BTreeSet<String> {
    let Some(uses) = messages.get(key).filter(|_| seen.insert(key.to_owned())) else { return BTreeSet::new() };
    let mut all = uses.arguments.clone();
    for other in &uses.others {
        all.extend(arguments(messages, other, seen));
    }
    all
}

fn made_in(text: &str) -> Vec<Made> {
    text.match_indices("notice!(")
        .filter_map(|(at, begin)| {
            let parts = split(&text[at + begin.len()..]);
            let (first, rest) = parts.split_first()?;
            let key = first.strip_prefix('"')?.strip_suffix('"')?.to_owned();
            let names = rest.iter().filter_map(|part| part.split_once('=')).map(|(name, _)| name.trim().to_owned());
            Some(Made { key, arguments: names.collect(), at })
        })
        .collect()
}

/// The arguments of a macro, from after its opening bracket to the one that closes it.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part) = (Vec::new(), String::new());
    let (mut depth, mut in_text, mut is_escaped) = (0, false, false);
    for c in text.chars() {
        if in_text {
            in_text = is_escaped || c != '"';
            is_escaped = c == '\\' && !is_escaped;
            part.push(c);
            continue;
        }
        match c {
            '"' => in_text = true,
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(std::mem::take(&mut part).trim().to_owned());
                continue;
            }
            _ => {}
        }
        part.push(c);
    }
    parts.push(part.trim().to_owned());
    parts
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_message_or_an_argument_that_no_catalogue_has_is_found() {
        let catalogue = "whole = { part } of { $all }\npart = { $n ->\n    [one] a\n   *[other] { $n }\n }\n";
        let code = "a(notice!(\"whole\", n = f(x, \"),\"), all = 3));\n// notice!(\"no\")\n\
                    b(notice!(\"hole\"));\nc(notice!(\n    \"part\",\n    m = 1,\n));\n";
        let faults =
            check(&[source("host/service/locales/en.ftl", catalogue), source("host/service/src/runs.rs", code)]);
        assert_eq!(
            faults,
            [
                "host/service/src/runs.rs:3: no catalogue has the message hole",
                "host/service/src/runs.rs:4: part has no $m in any language",
            ]
        );
    }

    #[test]
    fn what_shows_messages_decides_nothing_by_their_names() {
        let code = "match failure.notice.key.as_str() {\nif notice.key == \"a\" {}\nformat!(\"{}\", notice.key);\n";
        let files = [source("host/server/src/page/remedy.rs", code), source("host/service/src/messages.rs", code)];
        let faults = check(&files);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("host/server/src/page/remedy.rs:1: "), "{faults:?}");
    }
}

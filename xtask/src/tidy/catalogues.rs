//! Both languages say the same things.

use std::collections::BTreeMap;

use super::{Fault, Source};

const CATALOGUES: [&str; 2] = ["host/service/locales/pt-BR.ftl", "host/service/locales/en.ftl"];

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let file = |path: &str| sources.iter().find(|source| source.path == path);
    let (Some(one), Some(other)) = (file(CATALOGUES[0]), file(CATALOGUES[1])) else {
        return Vec::new();
    };
    let mut faults = missing(one, other);
    faults.extend(missing(other, one));
    faults
}

/// What stands in one catalogue and not in the other.
fn missing(from: &Source, other: &Source) -> Vec<Fault> {
    let there = ids(other);
    let absent = ids(from).into_iter().filter(|(id, _)| !there.contains_key(id));
    absent.map(|(id, line)| format!("{}:{line}: {id} is not in {}", from.path, other.path)).collect()
}

/// Messages, terms and attributes (`message.attribute`), with their lines.
fn ids(catalogue: &Source) -> BTreeMap<String, usize> {
    let mut ids = BTreeMap::new();
    let mut message = "";
    for (number, line) in catalogue.lines() {
        let Some((name, _)) = line.split_once('=') else {
            continue;
        };
        let name = name.trim_end();
        if let Some(attribute) = name.trim_start().strip_prefix('.')
            && name.starts_with(' ')
            && is_id(attribute)
        {
            ids.insert(format!("{message}.{attribute}"), number);
        } else if is_id(name.strip_prefix('-').unwrap_or(name)) {
            message = name;
            ids.insert(message.to_owned(), number);
        }
    }
    ids
}

fn is_id(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_message_and_an_attribute_that_one_language_lacks_are_found() {
        let pt =
            "# a = b\nrun-start = Iniciando { $n ->\n    [um] x = y\n   *[outro] z\n }\n    .help = Ajuda\nfim = Fim\n";
        let en = "run-start = Starting\nend = End\n";
        let faults = check(&[source(CATALOGUES[0], pt), source(CATALOGUES[1], en)]);
        assert_eq!(
            faults,
            [
                "host/service/locales/pt-BR.ftl:7: fim is not in host/service/locales/en.ftl",
                "host/service/locales/pt-BR.ftl:6: run-start.help is not in host/service/locales/en.ftl",
                "host/service/locales/en.ftl:2: end is not in host/service/locales/pt-BR.ftl",
            ]
        );
    }
}

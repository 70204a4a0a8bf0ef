//! Every program of `cargo fuzz` runs a target that a crate's tests hold against its corpus, and
//! the other way round.

use std::collections::BTreeSet;

use super::{Fault, Source};

const PROGRAMS: &str = "fuzz/fuzz_targets/";

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let program = |file: &Source| Some(file.path.strip_prefix(PROGRAMS)?.strip_suffix(".rs")?.to_owned());
    let programs: BTreeSet<String> = sources.iter().filter_map(program).collect();
    let targets: BTreeSet<String> = sources.iter().filter(|file| is_list(file)).flat_map(targets).collect();
    let unheld = programs.difference(&targets);
    let unheld = unheld.map(|name| format!("{PROGRAMS}{name}.rs: no fuzzing.rs has {name} among its TARGETS"));
    let unrun = targets.difference(&programs).map(|name| format!("{PROGRAMS}{name}.rs is missing"));
    unheld.chain(unrun).collect()
}

fn is_list(file: &Source) -> bool {
    file.is_rust_below("host/") && file.path.ends_with("/fuzzing.rs")
}

/// The names in the list `TARGETS`: each is a text and a function of that name.
fn targets(file: &Source) -> Vec<String> {
    let Some((_, rest)) = file.text.split_once("pub const TARGETS") else { return Vec::new() };
    let list = rest.split_once(';').and_then(|(_, rest)| rest.split_once("];")).map_or("", |(list, _)| list);
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_program_without_a_target_and_a_target_without_a_program_are_found() {
        let list = "pub const TARGETS: [(&str, Target); 2] =\n    [(\"check\", check), (\"urls\", urls)];\n";
        let list = source("host/json/src/fuzzing.rs", list);
        let programs = ["fuzz/fuzz_targets/check.rs", "fuzz/fuzz_targets/split.rs"].map(|path| source(path, ""));
        let [check_rs, split] = programs;
        assert_eq!(
            check(&[list, check_rs, split]),
            [
                "fuzz/fuzz_targets/split.rs: no fuzzing.rs has split among its TARGETS",
                "fuzz/fuzz_targets/urls.rs is missing",
            ]
        );
    }
}

//! The large crates are built once: with the same features, down to the last crate that they stand
//! on, whichever packages are selected. Else `cargo test -p atlas-service` would build wasmtime
//! anew.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::Fault;
use crate::command::{cargo, output};

/// Crates that take minutes to build, or stand on many others.
const LARGE: [&str; 4] = ["axum", "cranelift-codegen", "sqlx", "wasmtime"];

/// Selections of packages that have one of them.
const SELECTIONS: [&[&str]; 7] = [
    &["atlas"],
    &["atlas", "sample-api"],
    &["atlas-connectors"],
    &["atlas-sandbox"],
    &["atlas-server"],
    &["atlas-service"],
    &["atlas-store-sql"],
];

/// The crates below a large one, each with the sets of features that it is built with.
type Features = BTreeMap<String, BTreeSet<String>>;

pub(super) fn check() -> Result<Vec<Fault>> {
    let all = tree(&[])?;
    let mut faults = Vec::new();
    for selection in SELECTIONS {
        let selected = tree(selection)?;
        let named = selection.join(" -p ");
        for large in LARGE {
            faults.extend(differences(large, &named, &below(&all, large), &below(&selected, large)));
        }
    }
    Ok(faults)
}

/// Every crate of a selection with its depth, version and features.
fn tree(packages: &[&str]) -> Result<String> {
    let arguments = ["tree", "--quiet", "--edges", "normal,build", "--prefix", "depth", "--no-dedupe"];
    let selection = packages.iter().map(|package| format!("--package={package}"));
    output(cargo(arguments).args(["--format", " {p}|{f}"]).args(selection))
}

fn below(tree: &str, large: &str) -> Features {
    let mut found = Features::new();
    let mut inside: Option<usize> = None;
    for line in tree.lines() {
        let Some((depth, name, features)) = parse(line) else { continue };
        inside = inside.filter(|begin| depth > *begin);
        if inside.is_none() && name.split(' ').next() == Some(large) {
            inside = Some(depth);
        }
        if inside.is_some() {
            found.entry(name.to_owned()).or_default().insert(features.to_owned());
        }
    }
    found
}

/// A line of the tree: `3 name v1.2.3 (…)|feature,feature`.
fn parse(line: &str) -> Option<(usize, &str, &str)> {
    let (depth, rest) = line.split_once(' ')?;
    let (package, features) = rest.split_once('|')?;
    let name = package.split_once(" (").map_or(package, |(name, _)| name);
    Some((depth.parse().ok()?, name, features.trim_end_matches(" (*)")))
}

fn differences(large: &str, selection: &str, all: &Features, selected: &Features) -> Vec<Fault> {
    let others = selected.iter().filter(|(name, features)| all.get(*name) != Some(*features));
    let told = others.map(|(name, features)| {
        let whole = all.get(name).into_iter().flatten().cloned().collect::<Vec<_>>().join(" | ");
        let here = features.iter().cloned().collect::<Vec<_>>().join(" | ");
        format!("{large} is built anew by -p {selection}: {name} has [{here}] there, and [{whole}] in the workspace")
    });
    told.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_below_a_large_one_with_other_features_is_named() {
        let all = "0 atlas v0.1.0 (/x)|\n1 sqlx v0.9.0|std\n2 either v1.0.0|serde\n1 memchr v2.0.0|std\n";
        let selected = "0 atlas v0.1.0 (/x)|\n1 sqlx v0.9.0|std\n2 either v1.0.0|\n1 memchr v2.0.0|\n";
        let faults = differences("sqlx", "atlas", &below(all, "sqlx"), &below(selected, "sqlx"));
        assert_eq!(
            faults,
            ["sqlx is built anew by -p atlas: either v1.0.0 has [] there, and [serde] in the workspace"]
        );
        assert_eq!(differences("sqlx", "atlas", &below(all, "sqlx"), &below(all, "sqlx")), [""; 0]);
    }
}

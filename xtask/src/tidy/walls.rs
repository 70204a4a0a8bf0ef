//! Which crates of the host may know which others, and what only one of them may name.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::Fault;
use crate::command::{cargo, output};

/// The crates of the host, each with the crates of ours that it may depend on by name.
const ROOMS: [(&str, &[&str]); 12] = [
    ("atlas-testing", &[]),
    ("atlas-json", &["atlas-testing"]),
    ("atlas-model", &["atlas-json"]),
    ("atlas-store", &["atlas-model"]),
    ("atlas-pipeline", &["atlas-json", "atlas-model", "atlas-store"]),
    ("atlas-store-sql", &["atlas-model", "atlas-store"]),
    ("atlas-http", &["atlas-json", "atlas-model", "atlas-store", "atlas-testing"]),
    ("atlas-sandbox", &["atlas-json", "atlas-model", "atlas-testing"]),
    (
        "atlas-connectors",
        &["atlas-http", "atlas-json", "atlas-model", "atlas-pipeline", "atlas-sandbox", "atlas-store"],
    ),
    (
        "atlas-service",
        &[
            "atlas-connectors",
            "atlas-http",
            "atlas-json",
            "atlas-model",
            "atlas-pipeline",
            "atlas-sandbox",
            "atlas-store",
            "atlas-store-sql",
        ],
    ),
    ("atlas-server", &["atlas-model", "atlas-service"]),
    ("atlas", &["atlas-model", "atlas-server", "atlas-service"]),
];

/// Crates that only these rooms may name.
const OWNED: [(&str, &[&str]); 10] = [
    ("sqlx", &["atlas-store-sql"]),
    ("wasmtime", &["atlas-sandbox"]),
    ("wasmparser", &["atlas-sandbox"]),
    ("hyper", &["atlas-http"]),
    ("hyper-rustls", &["atlas-http"]),
    ("axum", &["atlas-server"]),
    ("maud", &["atlas-server"]),
    // Rooms make spans of tracing: whether and where they are sent is the program's to know.
    ("opentelemetry", &["atlas"]),
    ("opentelemetry_sdk", &["atlas"]),
    ("tracing-opentelemetry", &["atlas"]),
];

/// What must not be anywhere in the tree of a room: the pipeline is handed a page source and a
/// store, the sandbox a line to the source, and these rooms are built and tested without the large
/// crates.
const ABSENT: [(&str, &[&str]); 5] = [
    ("atlas-json", &["wasmtime", "hyper", "reqwest", "sqlx", "axum", "tokio"]),
    ("atlas-model", &["wasmtime", "hyper", "reqwest", "sqlx", "axum", "tokio"]),
    ("atlas-store", &["wasmtime", "hyper", "reqwest", "sqlx", "axum", "tokio"]),
    ("atlas-pipeline", &["wasmtime", "hyper", "reqwest", "sqlx", "axum"]),
    ("atlas-sandbox", &["hyper", "reqwest", "sqlx", "axum"]),
];

/// What a package of the workspace needs to run: by its name, the names that it depends on.
type Tree = BTreeMap<String, BTreeSet<String>>;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    kind: Option<String>,
}

/// Asks cargo what depends on what.
pub(super) fn tree() -> Result<Tree> {
    let metadata = output(&mut cargo(["metadata", "--format-version", "1", "--quiet"]))?;
    let metadata: Metadata = serde_json::from_str(&metadata).context("cargo metadata is not as expected")?;
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let name = |id: &str| names.get(id).map_or_else(|| id.to_owned(), |name| (*name).to_owned());
    let mut tree = Tree::new();
    for node in &metadata.resolve.nodes {
        let runs_with = |dependency: &&Dependency| dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
        let needs = node.deps.iter().filter(runs_with).map(|dependency| name(&dependency.pkg));
        tree.entry(name(&node.id)).or_default().extend(needs);
    }
    Ok(tree)
}

pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (room, may_know) in ROOMS {
        let known = direct(tree, room).into_iter().filter(|name| ROOMS.iter().any(|(room, _)| room == name));
        let too_much = known.filter(|name| !may_know.contains(name));
        faults.extend(too_much.map(|name| format!("{room} must not depend on {name}")));
        for (owned, owners) in OWNED {
            if !owners.contains(&room) && direct(tree, room).contains(owned) {
                faults.push(format!("{room} must not depend on {owned}: {} does", owners.join(" or ")));
            }
        }
    }
    for (room, absent) in ABSENT {
        let all = everything(tree, room);
        let there = absent.iter().filter(|name| all.contains(**name));
        faults.extend(there.map(|name| format!("{room} must not need {name}: see cargo tree -p {room} -i {name}")));
    }
    faults
}

fn direct<'a>(tree: &'a Tree, package: &str) -> BTreeSet<&'a str> {
    tree.get(package).into_iter().flatten().map(String::as_str).collect()
}

fn everything<'a>(tree: &'a Tree, package: &str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = direct(tree, package).into_iter().collect();
    while let Some(name) = open.pop() {
        if found.insert(name) {
            open.extend(direct(tree, name));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(edges: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::new();
        for (from, to) in edges {
            tree.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        tree
    }

    #[test]
    fn a_room_that_knows_too_much_is_named_with_what_it_knows() {
        let good =
            tree(&[("atlas-pipeline", "atlas-store"), ("atlas-store-sql", "sqlx"), ("atlas-store", "atlas-model")]);
        assert_eq!(check(&good), [""; 0]);
        let bad = tree(&[("atlas-store", "atlas-pipeline"), ("atlas-pipeline", "x"), ("x", "y"), ("y", "sqlx")]);
        assert_eq!(
            check(&bad),
            [
                "atlas-store must not depend on atlas-pipeline",
                "atlas-store must not need sqlx: see cargo tree -p atlas-store -i sqlx",
                "atlas-pipeline must not need sqlx: see cargo tree -p atlas-pipeline -i sqlx",
            ]
        );
        let named = tree(&[("atlas-service", "sqlx")]);
        assert_eq!(check(&named), ["atlas-service must not depend on sqlx: atlas-store-sql does"]);
    }
}

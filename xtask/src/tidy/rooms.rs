//! What a room of the host must not know.

use super::{Fault, Source};

const PIPELINE: &str = "host/src/pipeline";
/// The pipeline is handed a page source and a store; it can be tested without these.
const UNKNOWN_TO_PIPELINE: [&str; 3] = ["wasmtime", "hyper", "sqlx"];
/// All SQL of the product stands here, and in `migrations/`.
const STORE: &str = "host/src/store";

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in sources.iter().filter(|file| file.is_rust_below("host/src/")) {
        for (line, code) in file.code() {
            let at = format!("{}:{line}", file.path);
            if file.path.starts_with(PIPELINE) {
                let known = UNKNOWN_TO_PIPELINE.iter().filter(|name| has_word(code, name));
                faults.extend(known.map(|name| format!("{at}: the pipeline must not know {name}")));
            }
            if !file.path.starts_with(STORE) && is_sql(code) {
                faults.push(format!("{at}: SQL outside {STORE}: {}", code.trim()));
            }
        }
    }
    faults
}

fn is_sql(code: &str) -> bool {
    let update = || code.split_once("UPDATE ").is_some_and(|(_, rest)| rest.contains(" SET "));
    ["SELECT ", "INSERT INTO ", "DELETE FROM "].iter().any(|statement| code.contains(statement)) || update()
}

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|found| found == word)
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn the_pipeline_knows_no_engine_and_no_database() {
        let bad = "use sqlx::PgPool;\nlet a = wasmtime::Engine::default();\n";
        let faults = check(&[source("host/src/pipeline/page.rs", bad)]);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("host/src/pipeline/page.rs:1: "), "{faults:?}");
        let good = "//! Knows no sqlx.\nlet sqlxish = 1; // nor wasmtime\n";
        assert_eq!(check(&[source("host/src/pipeline/page.rs", good)]), [""; 0]);
    }

    #[test]
    fn sql_stands_in_the_store_alone() {
        let sql = "a(\"SELECT 1\");\nb(\"UPDATE scraps SET x\");\nc(\"INSERT INTO t\");\nd(\"DELETE FROM t\");\n";
        assert_eq!(check(&[source("host/src/cli/run.rs", sql)]).len(), 4);
        assert_eq!(check(&[source("host/src/store/postgres.rs", sql)]), [""; 0]);
        assert_eq!(check(&[source("tests/tests/run.rs", sql)]), [""; 0]);
    }
}

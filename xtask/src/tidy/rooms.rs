//! Where SQL may stand: Cargo does not stop a string.

use super::{Fault, Source};

/// All SQL of the product stands here, and in `migrations/`.
const STORE: &str = "host/store-sql/";

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in sources.iter().filter(|file| file.is_rust_below("host/") && !file.path.starts_with(STORE)) {
        let sql = file.code().filter(|(_, code)| is_sql(code));
        faults.extend(sql.map(|(line, code)| format!("{}:{line}: SQL outside {STORE}: {}", file.path, code.trim())));
    }
    faults
}

fn is_sql(code: &str) -> bool {
    let update = || code.split_once("UPDATE ").is_some_and(|(_, rest)| rest.contains(" SET "));
    ["SELECT ", "INSERT INTO ", "DELETE FROM "].iter().any(|statement| code.contains(statement)) || update()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn sql_stands_in_the_store_alone() {
        let sql = "a(\"SELECT 1\");\nb(\"UPDATE scraps SET x\");\nc(\"INSERT INTO t\");\nd(\"DELETE FROM t\");\n";
        assert_eq!(check(&[source("host/src/cli/run.rs", sql)]).len(), 4);
        assert_eq!(check(&[source("host/pipeline/src/page.rs", sql)]).len(), 4);
        assert_eq!(check(&[source("host/store-sql/src/postgres/mod.rs", sql)]), [""; 0]);
        assert_eq!(check(&[source("tests/tests/run.rs", sql)]), [""; 0]);
    }
}

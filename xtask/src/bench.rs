//! The first figures: how fast the product writes, beside what the same PostgreSQL takes from a
//! program that does nothing but insert. Not a test: figures depend on the machine, and on what
//! else it does.

use std::process::Command;

use anyhow::Result;

use crate::command::{cargo, execute, step, target_dir, without_databases};
use crate::connectors;
use crate::postgres::Postgres;

/// What a greedy connector costs its neighbour. `rounds`: how many.
pub(crate) fn fairness(rounds: &[String]) -> Result<()> {
    let connectors = connectors::build()?;
    let guests = connectors::guests::build()?;
    execute(&mut cargo(["build", "--quiet", "--release", "--bins"]))?;
    step("measuring; leave the machine alone meanwhile");
    let mut bench = Command::new(target_dir()?.join("release/atlas-fairness"));
    bench.args(rounds).env("ATLAS_CONNECTORS", connectors).env("ATLAS_TEST_GUESTS", guests);
    execute(without_databases(&mut bench))
}

/// `arguments`: records, single rows, rounds.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    with_postgres("atlas-bench", arguments)
}

/// What more worker processes bring. `rounds`: how many.
pub(crate) fn scaling(rounds: &[String]) -> Result<()> {
    with_postgres("atlas-scaling", rounds)
}

fn with_postgres(bench: &str, arguments: &[String]) -> Result<()> {
    let connectors = connectors::build()?;
    execute(&mut cargo(["build", "--quiet", "--release", "--bins"]))?;
    let postgres = Postgres::start()?;
    step("measuring; leave the machine alone meanwhile");
    let mut bench = Command::new(target_dir()?.join("release").join(bench));
    bench.args(arguments).env("ATLAS_TEST_DATABASE_URL", postgres.url()).env("ATLAS_CONNECTORS", connectors);
    execute(without_databases(&mut bench))
}

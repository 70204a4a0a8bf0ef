//! The torture: a fleet of workers, and all that can be done to it. Not before the end does it say
//! how much it was.

use std::process::Command;

use anyhow::Result;

use crate::command::{cargo, execute, step, target_dir, without_databases};
use crate::connectors;
use crate::postgres::Postgres;

pub(crate) fn run(minutes: f64, seed: u64) -> Result<()> {
    let connectors = connectors::build()?;
    let guests = connectors::guests::build()?;
    execute(&mut cargo(["build", "--quiet", "--bins"]))?;
    inflict(minutes, seed, &connectors, &guests)
}

/// The same, with everything built: on a PostgreSQL of its own, which it kills.
pub(crate) fn inflict(minutes: f64, seed: u64, connectors: &std::path::Path, guests: &std::path::Path) -> Result<()> {
    let postgres = Postgres::start()?;
    step(format_args!("torture: {minutes} minutes, seed {seed}"));
    let mut torture = Command::new(target_dir()?.join("debug/atlas-torture"));
    torture.args([minutes.to_string(), seed.to_string()]);
    torture.env("ATLAS_CONNECTORS", connectors).env("ATLAS_TEST_GUESTS", guests);
    without_databases(&mut torture)
        .env("ATLAS_TEST_DATABASE_URL", postgres.url())
        .env("ATLAS_TORTURE_PGDATA", postgres.data())
        .env("ATLAS_TORTURE_PGSTART", postgres.start_command());
    execute(&mut torture)
}

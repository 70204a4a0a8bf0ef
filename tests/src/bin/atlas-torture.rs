//! Everything that can go wrong, at once and for as long as wanted: hosts are killed, frozen and
//! started again, PostgreSQL is killed and started again, its connections are cut, connectors are
//! swapped, scraps are paused, cancelled and put back, the source fails in every passing way; and a
//! reader looks all the while for a record that is there twice, or was never served. In the end all
//! is let be, and every scrap has to become `concluido`, and every record has to be there once.
//!
//! What is done and when follows from the seed; how it meets the processes does not, so a seed
//! repeats the blows, not the bruises. `cargo xtask torture --minutes N --seed S` builds it, gives
//! it a PostgreSQL, and runs it.

#![allow(clippy::disallowed_macros, reason = "a command-line tool")]

use std::time::Duration;

use anyhow::Context;
use atlas_tests::torture::{self, Plan};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [minutes, seed] = arguments.as_slice() else { anyhow::bail!("atlas-torture MINUTES SEED") };
    let minutes: f64 = minutes.parse().context("minutes")?;
    let plan =
        Plan { time: Duration::from_secs_f64(minutes * 60.0), seed: seed.parse().context("seed")?, ..Plan::default() };
    println!("seed {}, {minutes} minutes, {} hosts, {} clients", plan.seed, plan.hosts, plan.clients);
    let toll = tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(torture::run(&plan))?;
    println!("{toll}");
    Ok(())
}

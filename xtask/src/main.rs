//! `cargo xtask …`: the tasks that people and CI run.
#![allow(clippy::disallowed_macros, reason = "a command-line tool")]

mod bench;
mod book;
mod command;
mod connectors;
mod demo;
mod deny;
mod doc;
mod pip;
mod postgres;
mod test;
mod tidy;
mod torture;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "The tasks that people and CI run")]
enum Task {
    /// Build the connectors that ship with Atlas into target/connectors
    Connectors {
        /// Also those of examples/connectors, into target/examples-connectors; needs Node.js and
        /// Python
        #[arg(long)]
        examples: bool,
    },
    /// Run an order API with the sample data, and pull its orders into an embedded database
    Demo,
    /// Everything that must pass before a change lands; with a filter, only the tests that match it
    Test {
        /// Names, or parts of names, of the tests to run
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// Measure how fast records are written, beside bare inserts: records, single rows, rounds
    Bench {
        /// How many: records (100000), single rows (20000), rounds (3)
        numbers: Vec<String>,
    },
    /// Measure what a connector that spins or allocates costs its neighbour
    Fairness {
        /// How many rounds (3)
        rounds: Vec<String>,
    },
    /// Measure what more worker processes bring where the source's latency is the limit
    Scaling {
        /// How many rounds (3)
        rounds: Vec<String>,
    },
    /// Do to a fleet of workers all that can be done to it, and see whether anything is lost or
    /// doubled
    Torture {
        /// For how many minutes
        #[arg(long, default_value_t = 2.0)]
        minutes: f64,
        /// What the blows follow from
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Check the dependencies' licences and sources, and known-bad crates
    Deny {
        /// Also RustSec's advisories; needs a network
        #[arg(long)]
        advisories: bool,
    },
    /// Check what ARCHITECTURE.md promises and a program can see
    Tidy,
    /// Make a book of docs/, into target/book; needs Python
    Book,
}

fn main() -> ExitCode {
    let done = command::on_interrupt_stop().and_then(|()| match Task::parse() {
        Task::Connectors { examples } => {
            connectors::build().and_then(|_| if examples { connectors::examples::build().map(drop) } else { Ok(()) })
        }
        Task::Demo => demo::run(),
        Task::Test { filter } => test::run(&filter),
        Task::Bench { numbers } => bench::run(&numbers),
        Task::Fairness { rounds } => bench::fairness(&rounds),
        Task::Scaling { rounds } => bench::scaling(&rounds),
        Task::Torture { minutes, seed } => torture::run(minutes, seed),
        Task::Deny { advisories } => deny::run(advisories),
        Task::Tidy => tidy::run(),
        Task::Book => book::build(),
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if command::interrupted() => {
            eprintln!("interrupted");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! Everything that must pass before a change lands, the slowest last. All cargo calls share one
//! target folder and one profile, so that wasmtime is built once.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context as _, Result, ensure};

use crate::command::{answers, cargo, execute, root, step, target_dir, without_databases};
use crate::connectors::{self, TARGET, hostile};
use crate::pip::SCHEMATHESIS;
use crate::postgres::Postgres;
use crate::{book, deny, doc, tidy, torture};

/// The database that the tests may do with as they like.
const DATABASE: &str = "ATLAS_TEST_DATABASE_URL";

/// The torture that every change has to bear: the same blows each time.
const TORTURE_MINUTES: f64 = 2.0;
const TORTURE_SEED: u64 = 1;

/// With a filter, only the tests whose names match it.
pub(crate) fn run(filter: &[String]) -> Result<()> {
    if filter.is_empty() {
        read_the_source()?;
    }
    let connectors = connectors::build()?;
    let guests = connectors::guests::build()?;
    let examples = connectors::examples::build()?;
    let hostile = connectors::hostile::build()?;
    let axe = axe()?;
    let schemathesis = SCHEMATHESIS.install()?;
    // The end-to-end tests start these two. Built with the tests, so that their dependencies are
    // built once.
    execute(&mut cargo(["build", "--quiet", "--bins", "--tests"]))?;

    let mut tests = runner();
    let postgres = match env::var(DATABASE) {
        Ok(_) => None,
        Err(_) => Some(Postgres::start()?),
    };
    tests.args(filter).env("ATLAS_CONNECTORS", &connectors).env("ATLAS_TEST_GUESTS", &guests);
    tests.env("ATLAS_EXAMPLE_CONNECTORS", examples).env("ATLAS_HOSTILE_CONNECTORS", hostile);
    tests.env("ATLAS_AXE", axe).env("ATLAS_SCHEMATHESIS", schemathesis);
    if let Some(postgres) = &postgres {
        tests.env(DATABASE, postgres.url());
    }
    execute(without_databases(&mut tests))?;
    if filter.is_empty() { torture::inflict(TORTURE_MINUTES, TORTURE_SEED, &connectors, &guests) } else { Ok(()) }
}

/// What the page is held against (axe-core), installed by npm exactly as `package-lock.json` has
/// it.
fn axe() -> Result<PathBuf> {
    let (from, to) = (root().join("tests/axe"), target_dir()?.join("tools/axe"));
    let script = to.join("node_modules/axe-core/axe.min.js");
    let lock = "package-lock.json";
    let wanted = fs::read(from.join(lock)).context("cannot read tests/axe/package-lock.json")?;
    if script.is_file() && fs::read(to.join(lock)).is_ok_and(|there| there == wanted) {
        return Ok(script);
    }
    ensure!(
        answers(Command::new("npm").arg("--version")),
        "`npm` is not here, and axe-core, which the page is tested with, is installed by it.\n\
         Install Node.js 20 or newer with npm (Debian: nodejs and npm)."
    );
    fs::create_dir_all(&to).with_context(|| format!("cannot create {}", to.display()))?;
    // The lock last: it stands for all the rest.
    fs::copy(from.join("package.json"), to.join("package.json")).context("cannot copy tests/axe/package.json")?;
    fs::write(to.join(lock), wanted).with_context(|| format!("cannot write {lock}"))?;
    execute(Command::new("npm").args(["ci", "--silent", "--no-audit", "--no-fund"]).current_dir(&to))?;
    Ok(script)
}

/// What needs no test to run.
fn read_the_source() -> Result<()> {
    execute(&mut cargo(["fmt", "--all", "--check"]))?;
    tidy::run()?;
    book::build()?;
    deny::run(false)?;
    let strict = ["--", "--deny", "warnings"];
    execute(cargo(["clippy", "--quiet", "--all-targets"]).args(strict))?;
    doc::check()?;
    connectors::ensure_target()?;
    let mut guests = cargo(["clippy", "--quiet", "--target", TARGET]);
    guests.args(connectors::guest_packages()?.iter().map(|package| format!("--package={package}")));
    execute(guests.args(strict))?;
    let mut hostile = cargo(["clippy", "--quiet", "--target", TARGET, "--package", hostile::PACKAGE, "--examples"]);
    execute(hostile.args(strict))?;
    execute(&mut cargo(["test", "--quiet", "--doc", "--package=atlas-connector-sdk"]))
}

/// Nextest if it is here: it runs the tests of all packages at once. Else cargo's own.
fn runner() -> Command {
    let mut runner = if answers(&mut cargo(["nextest", "--version"])) {
        let mut nextest = cargo(["nextest", "run", "--cargo-quiet"]);
        if env::var_os("CI").is_some() {
            nextest.args(["--status-level", "slow"]);
        }
        nextest
    } else {
        step("cargo-nextest is not here; cargo test it is");
        cargo(["test", "--quiet", "--bins", "--lib", "--tests"])
    };
    // One failure says little; all of them say where to look.
    runner.arg("--no-fail-fast");
    runner
}

//! What a greedy connector costs its neighbour: the page times of a latency-bound scrap, alone, and
//! beside one that spins or allocates in the same process.
//!
//! Rounds are repeated, and in each the three runs follow one another, so that whatever else the
//! machine does hits all of them. `cargo xtask fairness` builds it and runs it.

#![allow(clippy::disallowed_macros, reason = "a command-line tool")]

use atlas_tests::{Atlas, FROM, Faults, SampleApi, Settings, TO, TOKEN};

const NEIGHBOUR: &str = "2151";
const GREEDY: &str = "6666";
const LATENCY_MS: u64 = 50;
const PAGE: u64 = 20;
const PAGES: u64 = 400;
const DAYS: u64 = 5;

/// Who runs beside the neighbour, and how much it takes: milliseconds or MiB a page.
const BESIDE: [Option<(&str, &str)>; 3] = [None, Some(("gira", "300")), Some(("aloca", "80"))];

fn main() -> anyhow::Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(3), |rounds| rounds.parse())?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(bench(rounds))
}

async fn bench(rounds: usize) -> anyhow::Result<()> {
    let api = SampleApi::start(Settings {
        per_day: PAGES * PAGE / DAYS,
        faults: Faults { latency_ms: LATENCY_MS, ..Faults::default() },
        token: TOKEN.to_owned(),
        remember_records: false,
        ..Settings::default()
    })
    .await?;
    println!("{PAGES} pages of {LATENCY_MS} ms and {PAGE} records, 4 in flight; {rounds} rounds");
    println!("\n| beside it | p50 ms | p99 ms | p99 of what it was alone |");
    println!("| --- | ---: | ---: | ---: |");
    let mut times: [Vec<f64>; 3] = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for (beside, times) in BESIDE.into_iter().zip(&mut times) {
            times.extend(page_times(&api, beside).await?);
        }
    }
    let mut alone = None;
    for (beside, times) in BESIDE.into_iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        let name = beside.map_or("nobody".to_owned(), |(route, size)| format!("{route} {size}"));
        let p99 = at(0.99);
        let ratio = p99 / *alone.get_or_insert(p99);
        println!("| {name} | {:.1} | {p99:.1} | {ratio:.2} |", at(0.5));
    }
    Ok(())
}

/// The neighbour's page times, in milliseconds.
async fn page_times(api: &SampleApi, beside: Option<(&str, &str)>) -> anyhow::Result<Vec<f64>> {
    let mut atlas = Atlas::on_sqlite()?;
    let folder = atlas.own_connectors()?;
    for guest in ["gira.wasm", "aloca.wasm"] {
        std::fs::copy(atlas_tests::test_guests()?.join(guest), folder.join(guest))?;
    }
    for client in [NEIGHBOUR, GREEDY] {
        atlas.register(client.parse()?, api).await?;
    }
    let page = PAGE.to_string();
    let create = |client, route| ["scrap", "create", "--client", client, "--route", route, "--page-size"];
    let period = ["--from", FROM, "--to", TO];
    atlas.run(&[&create(NEIGHBOUR, "pedido")[..], &[&page], &period].concat()).await?.expect(0)?;
    let mut run = vec!["scrap", "run", "1", "--batch", "500", "-vv"];
    if let Some((route, size)) = beside {
        atlas.run(&[&create(GREEDY, route)[..], &[size]].concat()).await?.expect(0)?;
        run.push("2");
    }
    let ran = atlas.run(&run).await?;
    let times: Vec<f64> = ran.stderr.lines().filter_map(page_time).collect();
    anyhow::ensure!(times.len() as u64 >= PAGES, "{} pages\n{}", times.len(), ran.stderr);
    Ok(times)
}

/// What the program's own log says of a page of the neighbour's: `… page scrap=1 ms=53.2`.
fn page_time(line: &str) -> Option<f64> {
    line.contains("scrap=1 ").then_some(())?;
    line.split_once(" ms=")?.1.trim().parse().ok()
}

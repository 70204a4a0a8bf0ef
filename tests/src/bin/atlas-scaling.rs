//! What more worker processes bring where the source's latency is the limit: pages a second of one,
//! two and four of them at one PostgreSQL, each with the same work.
//!
//! Rounds are repeated, and in each the fleets follow one another, so that whatever else the
//! machine does hits all of them. `cargo xtask scaling` builds it, starts a server, and runs it.

#![allow(clippy::disallowed_macros, reason = "a command-line tool")]

use std::time::{Duration, Instant};

use anyhow::ensure;
use atlas_tests::{Atlas, EMPTY, Rota, Running, SampleApi, Settings, TOKEN};
use sample_api::{Faults, Prerender};
use sqlx::{AssertSqlSafe, PgPool};

const FLEETS: [u64; 3] = [1, 2, 4];
const CLIENTS: u64 = 8;
const LATENCY_MS: u64 = 50;
const PAGE: u64 = 20;
/// Of one scrap. Each is one day of one client.
const PAGES: u64 = 200;
/// Scraps that a process runs at once, pages in flight of each, and how many scraps follow one
/// another.
const AT_ONCE: u64 = 2;
const IN_FLIGHT: u64 = 2;
const WAVES: u64 = 2;
/// Far longer than any fleet takes.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> anyhow::Result<()> {
    let rounds = std::env::args().nth(1).map_or(Ok(3), |rounds| rounds.parse())?;
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(bench(rounds))
}

async fn bench(rounds: usize) -> anyhow::Result<()> {
    let atlas = Atlas::on_postgres().await?;
    atlas.run(&["db", "init"]).await?.expect(0)?;
    let api = api().await?;
    for client in 1..=CLIENTS {
        atlas.register(u32::try_from(client)?, &api).await?;
    }
    atlas.bind_all().await?;
    let pool = atlas.database.postgres_pool().await?;
    println!(
        "{AT_ONCE} scraps at once in each process, {IN_FLIGHT} pages of {LATENCY_MS} ms in flight of each; {} scraps of {PAGES} \
         pages and {PAGE} records for each process, of {CLIENTS} clients; {rounds} rounds",
        AT_ONCE * WAVES
    );
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        for (processes, rates) in FLEETS.into_iter().zip(&mut rates) {
            rates.push(pages_a_second(&atlas, &pool, processes).await?);
        }
    }
    println!("\n| processes | pages/s | min–max | of linear, by rounds |");
    println!("| ---: | ---: | ---: | --- |");
    let [alone, ..] = rates.clone();
    for (processes, rates) in FLEETS.into_iter().zip(&mut rates) {
        let linear = rates.iter().zip(&alone).map(|(rate, alone)| format!("{:.2}", rate / alone / processes as f64));
        let linear = linear.collect::<Vec<_>>().join(", ");
        rates.sort_by(f64::total_cmp);
        let at = |index: usize| rates.get(index).copied().unwrap_or_default();
        println!(
            "| {processes} | {:.0} | {:.0}–{:.0} | {linear} |",
            at(rates.len() / 2),
            at(0),
            at(rates.len().saturating_sub(1))
        );
    }
    Ok(())
}

/// The same orders for every client, rendered ahead: the API must not be what is measured.
async fn api() -> anyhow::Result<SampleApi> {
    let prerender = (0..days()).map(|number| Prerender {
        cliente: 1,
        rota: Rota::Pedido,
        from: day(number),
        to: day(number),
        per_page: PAGE,
    });
    SampleApi::start(Settings {
        per_day: PAGES * PAGE,
        identical_clients: true,
        faults: Faults { latency_ms: LATENCY_MS, ..Faults::default() },
        token: TOKEN.to_owned(),
        prerender: prerender.collect(),
        remember_records: false,
        ..Settings::default()
    })
    .await
}

fn scraps(processes: u64) -> u64 {
    processes * AT_ONCE * WAVES
}

/// Enough of them that no client has the same scrap twice.
fn days() -> u64 {
    FLEETS.into_iter().map(scraps).max().unwrap_or_default().div_ceil(CLIENTS)
}

fn day(number: u64) -> String {
    format!("2025-10-{:02}", number + 1)
}

/// A fleet stands ready, is given all scraps in one statement, and is timed until the last of them
/// is done.
async fn pages_a_second(atlas: &Atlas, pool: &PgPool, processes: u64) -> anyhow::Result<f64> {
    sqlx::raw_sql(EMPTY).execute(pool).await?;
    let mut fleet = Vec::new();
    for _ in 0..processes {
        fleet.push(worker(atlas).await?);
    }
    let values: Vec<String> = (0..scraps(processes))
        .map(|number| {
            let day = day(number / CLIENTS);
            format!("({}, 'pedido', '{day}', '{day}', {PAGE})", 1 + number % CLIENTS)
        })
        .collect();
    let insert = format!(
        "INSERT INTO scraps (cliente_id, rota, periodo_inicio, periodo_fim, tamanho_pagina) VALUES {}",
        values.join(", ")
    );
    let began = Instant::now();
    sqlx::raw_sql(AssertSqlSafe(insert)).execute(pool).await?;
    let left = "SELECT COUNT(*) FROM scraps WHERE estado <> 'concluido'";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(pool).await? > 0 {
        ensure!(began.elapsed() < PATIENCE, "{processes} processes do not come to an end");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    for process in fleet {
        process.signal("TERM").await?;
        process.finish().await?.expect(0)?;
    }
    let pages = scraps(processes) * PAGES;
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM dados_raw").fetch_one(pool).await?;
    ensure!(u64::try_from(rows)? == pages * PAGE, "{rows} rows");
    Ok(pages as f64 / seconds)
}

async fn worker(atlas: &Atlas) -> anyhow::Result<Running> {
    let (at_once, in_flight) = (AT_ONCE.to_string(), IN_FLIGHT.to_string());
    let flags = ["--scraps", &at_once, "--concurrency", &in_flight, "--batch", "500", "--lang", "en"];
    let mut worker = atlas.start(&[&["worker"], &flags[..]].concat())?;
    worker.until_it_says("Worker ready").await?;
    Ok(worker)
}

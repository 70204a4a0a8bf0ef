//! How fast the product writes, beside what the same PostgreSQL takes from a program that does
//! nothing but insert.
//!
//! Ratios are what counts: all jobs of a round run one after the other on the same server, and
//! rounds are repeated, so that whatever else the machine does hits all of them. `cargo xtask
//! bench` builds it, starts a server, and runs it.

#![allow(clippy::disallowed_macros, reason = "a command-line tool")]

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use atlas_tests::{Atlas, EMPTY, FROM, Rota, SampleApi, Settings, TO, TOKEN};
use sample_api::Prerender;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

const CLIENT: u32 = 2151;
const PAGE: u64 = 150;
const DAYS: usize = 5;
/// Of about 1 KB: what an order of the sample API is padded to.
const RECORD_BYTES: usize = 1_050;

const INSERT_MANY: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     SELECT $1, $2, p::jsonb, h FROM unnest($3::text[], $4::text[]) AS t(p, h) ON CONFLICT (hash_conteudo) DO NOTHING";
const INSERT_ONE: &str = "INSERT INTO dados_raw (cliente_id, origem, payload, hash_conteudo) \
     VALUES ($1, $2, $3::text::jsonb, $4) ON CONFLICT (hash_conteudo) DO NOTHING";

/// One thing that is timed.
#[derive(Clone, Copy)]
enum Job {
    /// Nothing but inserts, of prepared records.
    Bare { batch: usize, connections: usize, foreign_key: bool },
    /// The whole product: `atlas run`, from the API to the table.
    Atlas { batch: usize },
}

impl Job {
    fn name(self) -> String {
        let key = |has: bool| if has { "" } else { ", without the foreign key" };
        match self {
            Self::Bare { batch, connections, foreign_key } => {
                format!("bare insert, batch {batch}, {connections} connections{}", key(foreign_key))
            }
            Self::Atlas { batch } => format!("atlas run --batch {batch}"),
        }
    }

    fn is_single(self) -> bool {
        matches!(self, Self::Bare { batch: 1, .. } | Self::Atlas { batch: 1 })
    }
}

fn main() -> anyhow::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|a| a.parse::<usize>());
    let mut number = |default: usize| numbers.next().transpose().map(|n| n.unwrap_or(default));
    let (records, singles, rounds) = (number(100_000)?, number(20_000)?, number(3)?);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(bench(records, singles, rounds))
}

async fn bench(records: usize, singles: usize, rounds: usize) -> anyhow::Result<()> {
    let bare = |batch, connections, foreign_key| Job::Bare { batch, connections, foreign_key };
    let jobs = [
        bare(1000, 2, true),
        bare(500, 2, true),
        bare(1000, 4, true),
        bare(1000, 2, false),
        Job::Atlas { batch: 500 },
        bare(1, 8, true),
        bare(1, 16, true),
        bare(1, 32, true),
        Job::Atlas { batch: 1 },
    ];
    let atlas = Atlas::on_postgres().await?;
    atlas.run(&["db", "init"]).await?.expect(0)?;
    println!(
        "records: {records} (single rows: {singles}) of about {RECORD_BYTES} bytes, {PAGE} a page; {rounds} rounds"
    );
    let mut rates = vec![Vec::new(); jobs.len()];
    for single in [false, true] {
        let count = if single { singles } else { records };
        let api = api(count).await?;
        atlas.set_registered(&api).await?;
        let prepared = Arc::new(prepare(&api)?);
        for _ in 0..rounds {
            for (job, rates) in jobs.iter().zip(&mut rates).filter(|(job, _)| job.is_single() == single) {
                rates.push(time(&atlas, *job, &prepared).await?);
            }
        }
        api.stop().await;
    }
    report(&jobs, &mut rates);
    Ok(())
}

async fn api(records: usize) -> anyhow::Result<SampleApi> {
    let listing =
        Prerender { cliente: CLIENT, rota: Rota::Pedido, from: FROM.to_owned(), to: TO.to_owned(), per_page: PAGE };
    SampleApi::start(Settings {
        per_day: u64::try_from(records / DAYS)?,
        record_bytes: Some(RECORD_BYTES),
        token: TOKEN.to_owned(),
        prerender: vec![listing],
        remember_records: false,
        ..Settings::default()
    })
    .await
}

/// The records and some hash of each: not the product's own, only of the same length and as random.
fn prepare(api: &SampleApi) -> anyhow::Result<Vec<(String, String)>> {
    let records = api.records(CLIENT, Rota::Pedido, FROM, TO)?;
    let hash = |n: usize| {
        let mixed = (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        format!("{mixed:032x}{:032x}", mixed.rotate_left(64) ^ 0xA5A5)
    };
    Ok(records.into_iter().enumerate().map(|(n, record)| (record, hash(n))).collect())
}

/// Records a second of one job, on empty tables.
async fn time(atlas: &Atlas, job: Job, prepared: &Arc<Vec<(String, String)>>) -> anyhow::Result<f64> {
    atlas.database.execute(EMPTY).await?;
    let began;
    match job {
        Job::Bare { batch, connections, foreign_key } => {
            if !foreign_key {
                atlas.database.execute("ALTER TABLE dados_raw DROP CONSTRAINT dados_raw_cliente_id_fkey").await?;
            }
            let pool = PgPoolOptions::new()
                .max_connections(u32::try_from(connections)?)
                .min_connections(u32::try_from(connections)?)
                .test_before_acquire(false)
                .connect(atlas.database.url())
                .await?;
            began = Instant::now();
            insert(&pool, batch, connections, prepared).await?;
        }
        Job::Atlas { batch } => {
            began = Instant::now();
            let batch = batch.to_string();
            let page = PAGE.to_string();
            let run = atlas.run_pedido(CLIENT, &["-q", "--batch", &batch, "--page-size", &page]).await?.expect(0)?;
            ensure!(run.number("inseridos")? == i64::try_from(prepared.len())?);
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let rows = atlas.database.number("SELECT COUNT(*) FROM dados_raw").await?;
    ensure!(rows == i64::try_from(prepared.len())?, "{rows} rows");
    if matches!(job, Job::Bare { foreign_key: false, .. }) {
        let key = "ALTER TABLE dados_raw ADD CONSTRAINT dados_raw_cliente_id_fkey \
                   FOREIGN KEY (cliente_id) REFERENCES clientes_tokens(cliente_id)";
        atlas.database.execute(key).await?;
    }
    Ok(prepared.len() as f64 / seconds)
}

async fn insert(
    pool: &PgPool,
    batch: usize,
    connections: usize,
    prepared: &Arc<Vec<(String, String)>>,
) -> anyhow::Result<()> {
    let share = prepared.len().div_ceil(connections);
    let writers = (0..connections).map(|n| {
        let (pool, prepared) = (pool.clone(), Arc::clone(prepared));
        tokio::spawn(async move {
            let own = &prepared[(n * share).min(prepared.len())..((n + 1) * share).min(prepared.len())];
            let mut connection = pool.acquire().await?;
            for part in own.chunks(batch) {
                let query = sqlx::query(if batch == 1 { INSERT_ONE } else { INSERT_MANY });
                let query = query.bind(i32::try_from(CLIENT)?).bind("pedido");
                let query = match part {
                    [(payload, hash)] if batch == 1 => query.bind(payload).bind(hash),
                    _ => query
                        .bind(part.iter().map(|(payload, _)| payload.as_str()).collect::<Vec<_>>())
                        .bind(part.iter().map(|(_, hash)| hash.as_str()).collect::<Vec<_>>()),
                };
                query.execute(&mut *connection).await?;
            }
            anyhow::Ok(())
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.context("a writer")??;
    }
    Ok(())
}

fn report(jobs: &[Job], rates: &mut [Vec<f64>]) {
    let median = |rates: &mut Vec<f64>| {
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    };
    let medians: Vec<f64> = rates.iter_mut().map(median).collect();
    println!("\n| job | records/s | min–max | of the best bare |");
    println!("| --- | ---: | ---: | ---: |");
    for ((job, rates), median) in jobs.iter().zip(rates.iter()).zip(&medians) {
        let with_key = |j: &Job| matches!(j, Job::Bare { foreign_key: true, .. });
        let limits = jobs.iter().zip(&medians).filter(|(j, _)| with_key(j) && j.is_single() == job.is_single());
        let limit = limits.map(|(_, median)| *median).fold(0.0, f64::max);
        let (min, max) = (rates.first().copied().unwrap_or_default(), rates.last().copied().unwrap_or_default());
        println!("| {} | {median:.0} | {min:.0}–{max:.0} | {:.2} |", job.name(), median / limit);
    }
}

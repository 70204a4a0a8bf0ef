//! Writers that meet: the same records, from several at once.

use std::time::Duration;

use anyhow::Result;
use rand::RngExt;

use super::*;

on_both!(ready:
    writers_of_the_same_records_end_with_each_once,
    writers_in_no_common_order_end_with_each_once,
    whoever_lost_the_lease_adds_nothing_to_a_race,
);

const WRITERS: usize = 8;
/// Tries of one batch; the pipeline's writer has fewer, and then halves.
const TRIES_MAX: usize = 200;

/// How a writer orders a batch.
#[derive(Clone, Copy, PartialEq)]
enum Order {
    /// By hash, as the pipeline does.
    ByHash,
    /// Each its own way.
    OwnWay,
}

/// What a race came to.
#[derive(Default)]
struct Race {
    inserted: usize,
    collisions: usize,
}

/// The users' second unique index, which `ON CONFLICT (hash_conteudo)` does not name.
async fn second_index(ground: &Ground) -> Result<()> {
    ground.database.execute("CREATE UNIQUE INDEX cliente_hash ON dados_raw (cliente_id, hash_conteudo)").await
}

/// Each of the writers writes all of `numbers`, each in another order, in batches.
async fn race(ground: &Ground, lease: &Lease, numbers: &[usize], batch: usize, order: Order) -> Result<Race> {
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let mut numbers = numbers.to_vec();
        let half = numbers.len() / 2;
        numbers.rotate_left(writer / 2 * (half / WRITERS));
        if writer % 2 == 1 {
            numbers.reverse();
        }
        let (store, lease) = (Arc::clone(&ground.store), lease.clone());
        writers.spawn(async move {
            let mut race = Race::default();
            for part in numbers.chunks_mut(batch) {
                if order == Order::ByHash {
                    part.sort_unstable_by_key(|n| hash(*n));
                }
                let records: Vec<_> = part.iter().map(|n| (format!(r#"{{"n":{n}}}"#), hash(*n))).collect();
                let rows: Vec<_> = records.iter().map(|(payload, hash)| RecordRow { payload, hash }).collect();
                race.collisions += write(store.as_ref(), &lease, &rows, &mut race.inserted).await?;
            }
            anyhow::Ok(race)
        });
    }
    let mut sum = Race::default();
    while let Some(writer) = writers.join_next().await {
        let race = writer??;
        sum.inserted += race.inserted;
        sum.collisions += race.collisions;
    }
    Ok(sum)
}

/// Writes a batch, again and again on collisions; gives how many there were.
async fn write(store: &dyn Store, lease: &Lease, rows: &[RecordRow<'_>], inserted: &mut usize) -> Result<usize> {
    for collisions in 0..TRIES_MAX {
        match store.insert(lease, rows).await {
            Ok(told) => {
                *inserted += told.into_iter().filter(|new| *new).count();
                return Ok(collisions);
            }
            Err(error) if error.fault == Fault::Collision => {
                let pause = rand::rng().random_range(0..=20);
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    anyhow::bail!("a batch collided {TRIES_MAX} times")
}

/// Each number is there once, with its own payload.
async fn expect_each_once(ground: &Ground, count: usize) -> Result<()> {
    let count = i64::try_from(count)?;
    assert_eq!(ground.database.rows().await?, count);
    let distinct = "SELECT COUNT(DISTINCT hash_conteudo) FROM dados_raw";
    assert_eq!(ground.database.number(distinct).await?, count);
    let payloads = "SELECT COUNT(DISTINCT CAST(payload AS TEXT)) FROM dados_raw";
    assert_eq!(ground.database.number(payloads).await?, count);
    Ok(())
}

async fn writers_of_the_same_records_end_with_each_once(ground: &Ground) -> Result<()> {
    second_index(ground).await?;
    let lease = ground.lease().await?;
    let mut first = 0;
    let mut inserted = 0;
    for batch in [1, 7, 100] {
        let count = if batch == 1 { 100 } else { 1_500 };
        let numbers: Vec<usize> = (first..first + count).collect();
        inserted += race(ground, &lease, &numbers, batch, Order::ByHash).await?.inserted;
        first += count;
        assert_eq!(inserted, first, "in batches of {batch}");
        expect_each_once(ground, first).await?;
    }
    Ok(())
}

async fn writers_in_no_common_order_end_with_each_once(ground: &Ground) -> Result<()> {
    second_index(ground).await?;
    if ground.database.is_postgres() {
        // A deadlock is looked for after this long; by default after a second, which is long for a
        // test.
        let name = ground.database.texts("SELECT current_database()").await?.remove(0);
        ground.database.execute(&format!("ALTER DATABASE {name} SET deadlock_timeout = '10ms'")).await?;
    }
    let store = ground.another().await?;
    let lease = ground.lease().await?;
    let other = Ground { store, database: Database::sqlite()? };
    let mut inserted = 0;
    let mut collisions = 0;
    let mut rounds = 0;
    // Until writers have met head-on: mostly in the first round.
    while rounds < 20 && (rounds == 0 || (ground.database.is_postgres() && collisions == 0)) {
        let numbers: Vec<usize> = (rounds * 800..(rounds + 1) * 800).collect();
        let race = race(&other, &lease, &numbers, 200, Order::OwnWay).await?;
        inserted += race.inserted;
        collisions += race.collisions;
        rounds += 1;
    }
    assert_eq!(inserted, rounds * 800);
    expect_each_once(ground, inserted).await?;
    if ground.database.is_postgres() {
        assert!(collisions > 0, "no two writers met in {rounds} rounds: this test shows nothing");
    }
    Ok(())
}

async fn whoever_lost_the_lease_adds_nothing_to_a_race(ground: &Ground) -> Result<()> {
    let lost = ground.lease().await?;
    let lease = ground.store.claim(lost.scrap_id, &stamp("2"), HOST).await?;
    let numbers: Vec<usize> = (0..400).collect();
    let (old, new) = tokio::join!(
        race(ground, &lost, &numbers, 50, Order::ByHash),
        race(ground, &lease, &numbers, 50, Order::ByHash),
    );
    assert_eq!((old?.inserted, new?.inserted), (0, 400));
    expect_each_once(ground, 400).await
}

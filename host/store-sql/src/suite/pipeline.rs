//! Runs against sources that no API of ours could be: a page is whatever the script says, and the
//! table a real SQLite file.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use atlas_json::Pointer;
use atlas_model::{ConnectorStamp, Limits, NewScrap, Scrap, Secret};
use atlas_pipeline::*;
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::StoreUrl;

/// The first page's records at each request for it, the last ones from then on. There is no other
/// page.
struct FirstPage {
    readings: Vec<&'static [&'static str]>,
    asked: AtomicUsize,
}

#[async_trait]
impl PageSource for FirstPage {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        assert_eq!(cursor, None, "nobody named this page");
        let reading = self.asked.fetch_add(1, Ordering::SeqCst).min(self.readings.len() - 1);
        let records = self.readings[reading];
        Ok(FetchedPage {
            records: records.iter().map(|record| Bytes::from_static(record.as_bytes())).collect(),
            next: Vec::new(),
            after_commit: Vec::new(),
            total_records: Some(records.len() as u64),
            fetched_by: fetcher(),
            held: Held::default(),
        })
    }
}

/// Two pages of two records each, served in an order that is not stable: one record comes twice,
/// another never.
struct Unstable;

#[async_trait]
impl PageSource for Unstable {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        let (records, next): (_, &[&str]) = match cursor {
            None => ([r#"{"id":1}"#, r#"{"id":2}"#], &["2"]),
            Some(_) => ([r#"{"id":2}"#, r#"{"id":3}"#], &[]),
        };
        Ok(FetchedPage {
            records: records.map(|record| Bytes::from_static(record.as_bytes())).to_vec(),
            next: next.iter().map(|cursor| (*cursor).to_owned()).collect(),
            after_commit: Vec::new(),
            total_records: Some(4),
            fetched_by: fetcher(),
            held: Held::default(),
        })
    }
}

/// Hands out what waits, two records at a time, until it is acknowledged. Whenever nothing is left,
/// one more comes, as long as any do.
struct HandsOut(Mutex<Events>);

struct Events {
    waiting: Vec<usize>,
    coming: Vec<usize>,
    polls: usize,
}

#[async_trait]
impl PageSource for HandsOut {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        let mut events = self.0.lock().unwrap_or_else(|e| panic!("{e}"));
        let (mut records, mut next, mut after_commit) = (Vec::new(), Vec::new(), Vec::new());
        if let Some(lot) = cursor.and_then(|cursor| cursor.strip_prefix("ack:")) {
            let lot: Vec<usize> = lot.split(',').filter_map(|id| id.parse().ok()).collect();
            events.waiting.retain(|id| !lot.contains(id));
            events.polls += 1;
            next.push(format!("poll:{}", events.polls));
        } else if events.waiting.is_empty() {
            let arrived = events.coming.pop();
            events.waiting.extend(arrived);
        } else {
            let lot: Vec<String> = events.waiting.iter().take(2).map(usize::to_string).collect();
            records.extend(lot.iter().map(|id| Bytes::from(format!("{{\"id\":{id}}}"))));
            after_commit.push(format!("ack:{}", lot.join(",")));
        }
        // As some say it: how many wait.
        let total_records = Some(events.waiting.len() as u64);
        Ok(FetchedPage { records, next, after_commit, total_records, fetched_by: fetcher(), held: Held::default() })
    }
}

/// A page with a record, one that cannot be kept, and a cursor; and an empty page.
struct Keeps;

#[async_trait]
impl PageSource for Keeps {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        let first = cursor.is_none();
        let records = [r#"{"id":1}"#, "nil"].map(|text| Bytes::from_static(text.as_bytes()));
        Ok(FetchedPage {
            records: if first { records.into() } else { Vec::new() },
            next: if first { vec!["next".to_owned()] } else { Vec::new() },
            after_commit: Vec::new(),
            total_records: None,
            fetched_by: fetcher(),
            held: Held::default(),
        })
    }
}

/// Six pages of one record each, in a chain, two of them at a time side by side. The reader of
/// the fourth has the slot asked back, and is answered, or told of a passing fault.
struct AskedBack {
    token: Mutex<CancellationToken>,
    fails: bool,
}

#[async_trait]
impl PageSource for AskedBack {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        let page: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(1);
        if page == 4 {
            let token = self.token.lock().unwrap_or_else(|e| panic!("{e}")).clone();
            let is_first = !token.is_cancelled();
            token.cancel();
            if self.fails && is_first {
                return Err(FetchFailure::Passing { reason: "it dribbles".to_owned(), wait: None });
            }
        }
        let next = if page == 1 { vec!["2".to_owned(), "3".to_owned()] } else { vec![(page + 2).to_string()] };
        Ok(FetchedPage {
            records: vec![Bytes::from(format!("{{\"id\":{page}}}"))],
            next: next.into_iter().filter(|next| next.parse().is_ok_and(|next: usize| next <= 6)).collect(),
            after_commit: Vec::new(),
            total_records: Some(6),
            fetched_by: fetcher(),
            held: Held::default(),
        })
    }
}

fn fetcher() -> Arc<Fetcher> {
    let key = vec![Pointer::parse("/id").unwrap_or_else(|e| panic!("{e}"))];
    Arc::new(Fetcher { sha256: "ab".repeat(32), key, unhashed: Vec::new() })
}

struct Nobody;

impl Observer for Nobody {
    fn on(&self, _: Event<'_>) {}
}

/// Runs a scrap of this source to its end. What the table holds then, sorted.
async fn read_to_the_end(readings: &[&'static [&'static str]]) -> Result<(End, Scrap, Vec<String>)> {
    run_to_the_end(Arc::new(FirstPage { readings: readings.to_vec(), asked: AtomicUsize::new(0) })).await
}

async fn run_to_the_end(source: Arc<dyn PageSource>) -> Result<(End, Scrap, Vec<String>)> {
    run_within(Limits::default(), source).await
}

async fn run_within(limits: Limits, source: Arc<dyn PageSource>) -> Result<(End, Scrap, Vec<String>)> {
    let mut runs = run_again_and_again(limits, source, &[CancellationToken::new()]).await?;
    runs.pop().ok_or_else(|| anyhow::anyhow!("no run"))
}

/// Runs a scrap once for each token, by which its slot may be asked back. After each run: how it
/// ended, the scrap, the table.
async fn run_again_and_again(
    limits: Limits,
    source: Arc<dyn PageSource>,
    tokens: &[CancellationToken],
) -> Result<Vec<(End, Scrap, Vec<String>)>> {
    let retry = RetryPolicy::new(1, Duration::ZERO, Duration::ZERO);
    run_each(source, retry, limits, Arc::new(Nobody), tokens).await
}

async fn run_with(
    source: Arc<dyn PageSource>,
    retry: Option<RetryPolicy>,
    limits: Limits,
    observer: Arc<dyn Observer>,
) -> Result<(End, Scrap, Vec<String>)> {
    let mut runs = run_each(source, retry, limits, observer, &[CancellationToken::new()]).await?;
    runs.pop().ok_or_else(|| anyhow::anyhow!("no run"))
}

async fn run_each(
    source: Arc<dyn PageSource>,
    retry: Option<RetryPolicy>,
    limits: Limits,
    observer: Arc<dyn Observer>,
    tokens: &[CancellationToken],
) -> Result<Vec<(End, Scrap, Vec<String>)>> {
    let folder = tempfile::tempdir()?;
    let store = crate::open(&StoreUrl::Sqlite(folder.path().join("atlas.db")), None).await?;
    store.init().await?;
    store.add_client(7, &Secret::new("token".to_owned())).await?;
    let scrap = NewScrap {
        cliente_id: 7,
        rota: "pedido".to_owned(),
        period: None,
        page_size: 50,
        settings: "{}".to_owned(),
        host: None,
        slices: Vec::new(),
        batch: None,
        retries: None,
        paused: false,
    };
    let id = store.create_scrap(&scrap).await?;
    let stamp = ConnectorStamp { version: "1.0.0".to_owned(), sha256: "ab".repeat(32), cursor_format: 1 };
    let read = async |id| store.scrap(id).await?.ok_or_else(|| anyhow::anyhow!("scrap {id} is gone"));
    let retry = retry.ok_or_else(|| anyhow::anyhow!("no policy"))?;
    let settings = RunSettings { batch: 10, concurrency: 4, sweeps: 1, retry, limits, db_patience: Duration::ZERO };
    let mut runs = Vec::new();
    for token in tokens {
        let lease = store.claim(id, &stamp, "este").await?;
        let job = Job { lease, scrap: read(id).await?, asked_back: token.clone() };
        let (source, stop) = (Arc::clone(&source), CancellationToken::new());
        let end = run(job, settings.clone(), source, Arc::clone(&store), Arc::clone(&observer), stop).await;
        let mut rows: Vec<String> = store.newest(7, 100).await?.into_iter().map(|row| row.payload).collect();
        rows.sort();
        runs.push((end, read(id).await?, rows));
    }
    Ok(runs)
}

#[tokio::test]
async fn a_record_that_changed_until_the_second_look_is_kept_in_both_versions() -> Result<()> {
    let (end, scrap, rows) =
        read_to_the_end(&[&[r#"{"id":1,"v":1}"#, r#"{"id":2}"#], &[r#"{"id":1,"v":2}"#, r#"{"id":2}"#]]).await?;
    assert!(matches!(end, End::Done), "{end:?}");
    assert_eq!(rows, [r#"{"id":1,"v":1}"#, r#"{"id":1,"v":2}"#, r#"{"id":2}"#]);
    assert_eq!((scrap.counts.inseridos, scrap.counts.reencontrados), (3, 1));
    assert!(scrap.counts.add_up());
    Ok(())
}

#[tokio::test]
async fn a_scrap_stops_where_more_is_kept_for_its_client_than_may_be() -> Result<()> {
    let limits = [
        ("client_rejects", Limits { client_rejects: 0, ..Limits::default() }),
        ("client_reject_bytes", Limits { client_reject_bytes: 2, ..Limits::default() }),
        ("client_records", Limits { client_records: 0, ..Limits::default() }),
        ("client_record_bytes", Limits { client_record_bytes: 7, ..Limits::default() }),
        ("client_cursors", Limits { client_cursors: 0, ..Limits::default() }),
        ("client_cursor_bytes", Limits { client_cursor_bytes: 3, ..Limits::default() }),
        ("frontier_bytes", Limits { frontier_bytes: 3, ..Limits::default() }),
    ];
    for (expected, limits) in limits {
        let (end, scrap, rows) = run_within(limits, Arc::new(Keeps)).await?;
        let End::Limit { name, .. } = end else { panic!("{expected}: {end:?}") };
        assert_eq!(name, expected);
        // What was fetched is kept, and counted.
        assert_eq!((rows.len(), scrap.counts.rejeitados), (1, 1), "{expected}");
        assert!(scrap.counts.add_up());
    }
    let (end, ..) = run_to_the_end(Arc::new(Keeps)).await?;
    assert!(matches!(end, End::DoneWithReservations(_)), "{end:?}");
    Ok(())
}

#[tokio::test]
async fn a_second_look_at_a_source_that_stood_still_takes_nothing() -> Result<()> {
    let (end, scrap, rows) = read_to_the_end(&[&[r#"{"id":1}"#, r#"{"id":2}"#]]).await?;
    assert!(matches!(end, End::Done), "{end:?}");
    assert_eq!((rows.len(), scrap.counts.lidos, scrap.pages), (2, 2, 1));
    Ok(())
}

#[tokio::test]
async fn a_record_that_came_until_the_second_look_makes_a_sweep() -> Result<()> {
    let (end, _, rows) = read_to_the_end(&[&[r#"{"id":1}"#], &[r#"{"id":1}"#, r#"{"id":2}"#]]).await?;
    assert!(matches!(end, End::Done), "{end:?}");
    assert_eq!(rows, [r#"{"id":1}"#, r#"{"id":2}"#]);
    Ok(())
}

#[tokio::test]
async fn a_source_whose_order_is_not_stable_is_not_taken_for_whole() -> Result<()> {
    let (end, _, rows) = run_to_the_end(Arc::new(Unstable)).await?;
    let End::DoneWithReservations(reservations) = end else { panic!("{end:?}") };
    assert_eq!(reservations, [Reservation::Repeated { repeated: 1, read: 4, declared: 4 }]);
    assert_eq!(rows.len(), 3);
    Ok(())
}

#[tokio::test]
async fn a_source_that_hands_out_until_it_is_acknowledged_is_done_when_nothing_is_left() -> Result<()> {
    // However often it has something new when it is looked at again: all of it is read, and that is
    // no reservation.
    for coming in 0..5 {
        let events = Events { waiting: (1..=5).collect(), coming: (6..6 + coming).collect(), polls: 0 };
        let source = Arc::new(HandsOut(Mutex::new(events)));
        let (end, scrap, rows) = run_to_the_end(source.clone()).await?;
        assert!(matches!(end, End::Done), "{coming}: {end:?}");
        let events = source.0.lock().map_err(|e| anyhow::anyhow!("{e}"))?;
        let read = 5 + coming - events.waiting.len() - events.coming.len();
        assert_eq!((rows.len(), scrap.counts.lidos), (read, i64::try_from(read)?), "{coming}");
        assert!(events.waiting.len() <= 1, "{coming}: what is left came after the last look");
    }
    Ok(())
}

#[tokio::test]
async fn a_run_whose_slot_is_asked_back_ends_at_a_page_and_the_next_one_goes_on_from_there() -> Result<()> {
    for fails in [false, true] {
        let tokens = [CancellationToken::new(), CancellationToken::new()];
        let source = AskedBack { token: Mutex::new(tokens[0].clone()), fails };
        let runs = run_again_and_again(Limits::default(), Arc::new(source), &tokens).await?;
        let [(first, half, some), (second, whole, all)] = &runs[..] else { panic!("two runs") };
        assert!(matches!(first, End::HandedBack), "{fails}: {first:?}");
        assert_eq!(first.state().name(), "pendente");
        // What was in flight is in the table, if it came.
        assert!(some.len() < 6 && half.counts.add_up(), "{fails}: {some:?}");
        assert_eq!(some.contains(&r#"{"id":4}"#.to_owned()), !fails);
        assert!(matches!(second, End::Done), "{fails}: {second:?}");
        assert_eq!(all.len(), 6, "{fails}: {all:?}");
        assert_eq!((whole.counts.lidos, whole.counts.inseridos), (6, 6), "{fails}");
    }
    Ok(())
}

/// Pages that a function of their cursor and of how often anything was asked for gives.
struct Scripted<F>(F, AtomicUsize);

#[async_trait]
impl<F: Fn(Option<&str>, usize) -> Result<FetchedPage, FetchFailure> + Send + Sync> PageSource for Scripted<F> {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        (self.0)(cursor, self.1.fetch_add(1, Ordering::SeqCst))
    }
}

fn scripted<F>(pages: F) -> Arc<Scripted<F>> {
    Arc::new(Scripted(pages, AtomicUsize::new(0)))
}

fn page(records: &[&'static str], next: &[String], total: Option<u64>) -> FetchedPage {
    FetchedPage {
        records: records.iter().map(|record| Bytes::from_static(record.as_bytes())).collect(),
        next: next.to_vec(),
        after_commit: Vec::new(),
        total_records: total,
        fetched_by: fetcher(),
        held: Held::default(),
    }
}

/// The waits before attempts.
#[derive(Default)]
struct Waits(Mutex<Vec<Duration>>);

impl Observer for Waits {
    fn on(&self, event: Event<'_>) {
        if let Event::Attempt { wait, .. } = event {
            self.0.lock().unwrap_or_else(|e| panic!("{e}")).push(wait);
        }
    }
}

#[tokio::test]
async fn pages_without_records_that_always_name_the_next_come_to_an_end() -> Result<()> {
    let limits = Limits { empty_pages: 7, ..Limits::default() };
    // From the first page on, and behind pages with records.
    for full in [0, 3] {
        let source = scripted(move |cursor: Option<&str>, _| {
            let number: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
            let record: &[&str] = match number {
                n if n >= full => &[],
                0 => &[r#"{"id":1}"#],
                1 => &[r#"{"id":2}"#],
                _ => &[r#"{"id":3}"#],
            };
            Ok(page(record, &[(number + 1).to_string()], None))
        });
        let retry = RetryPolicy::new(1, Duration::ZERO, Duration::ZERO);
        let (end, scrap, rows) = run_with(source.clone(), retry, limits, Arc::new(Nobody)).await?;
        assert!(matches!(end, End::EmptyPages { pages: 8 }), "{end:?}");
        assert_eq!((rows.len(), scrap.pages), (full, i64::try_from(full + 7)?));
        assert_eq!(source.1.load(Ordering::SeqCst), full + 8, "nothing is asked for behind the last");
    }
    Ok(())
}

#[tokio::test]
async fn gaps_between_records_are_no_end() -> Result<()> {
    let limits = Limits { empty_pages: 7, ..Limits::default() };
    let source = scripted(|cursor: Option<&str>, _| {
        let number: usize = cursor.and_then(|cursor| cursor.parse().ok()).unwrap_or(0);
        let records: &[&str] = match number {
            7 => &[r#"{"id":1}"#],
            15 => &[r#"{"id":2}"#],
            _ => &[],
        };
        let next: Vec<String> = (number < 15).then(|| (number + 1).to_string()).into_iter().collect();
        Ok(page(records, &next, None))
    });
    let retry = RetryPolicy::new(1, Duration::ZERO, Duration::ZERO);
    let (end, _, rows) = run_with(source, retry, limits, Arc::new(Nobody)).await?;
    assert!(matches!(end, End::Done), "{end:?}");
    assert_eq!(rows.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_token_that_is_new_at_each_call_is_no_move_of_the_source() -> Result<()> {
    let source = scripted(|cursor: Option<&str>, asked| {
        Ok(match cursor {
            None => page(&[r#"{"id":1}"#], &[format!("token-{asked}")], Some(2)),
            Some(_) => page(&[r#"{"id":2}"#], &[], Some(2)),
        })
    });
    let (end, scrap, rows) = run_to_the_end(source.clone()).await?;
    assert!(matches!(end, End::Done), "{end:?}");
    assert_eq!((rows.len(), scrap.counts.lidos, source.1.load(Ordering::SeqCst)), (2, 2, 3));
    Ok(())
}

#[tokio::test]
async fn a_source_that_moves_for_ever_is_told_with_what_moved() -> Result<()> {
    let source = scripted(|cursor: Option<&str>, asked| {
        Ok(match cursor {
            None => page(&[r#"{"id":1}"#], &["2".to_owned()], Some(2 + asked as u64)),
            Some(_) => page(&[r#"{"id":2}"#], &[], None),
        })
    });
    let (end, ..) = run_to_the_end(source).await?;
    let End::DoneWithReservations(reservations) = end else { panic!("{end:?}") };
    let differs = Differences { total: true, ..Differences::default() };
    assert!(matches!(reservations[0], Reservation::Moving { differs: found, .. } if found == differs));
    Ok(())
}

#[tokio::test]
async fn the_backoff_comes_on_top_of_a_wait_that_was_asked_for() -> Result<()> {
    for asked in [Duration::ZERO, Duration::from_millis(20)] {
        let source = scripted(move |_: Option<&str>, _| {
            Err(FetchFailure::Passing { reason: "HTTP 429".to_owned(), wait: Some(asked) })
        });
        let waits = Arc::new(Waits::default());
        let base = Duration::from_millis(20);
        let observer = Arc::clone(&waits);
        let (end, ..) = run_with(source, RetryPolicy::new(6, base, base * 4), Limits::default(), observer).await?;
        assert!(matches!(end, End::AttemptsExhausted { attempts: 6, .. }), "{end:?}");
        let waits = waits.0.lock().map_err(|e| anyhow::anyhow!("{e}"))?;
        assert_eq!(waits.len(), 5);
        // Never less, and with jitter: that all five are the same happens once in millions of
        // times.
        assert!(waits.iter().all(|wait| *wait >= asked && *wait <= asked + base * 4), "{waits:?}");
        assert!(waits.iter().any(|wait| *wait != waits[0]), "{waits:?}");
    }
    Ok(())
}

/// The attempts that failed, and how often something was not ready.
#[derive(Default)]
struct AttemptCounts {
    failed: AtomicUsize,
    not_ready: AtomicUsize,
}

impl Observer for AttemptCounts {
    fn on(&self, event: Event<'_>) {
        let counter = match event {
            Event::Attempt { .. } => &self.failed,
            Event::NotReady { .. } => &self.not_ready,
            _ => return,
        };
        counter.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn what_is_not_ready_yet_is_asked_for_again_and_is_no_failed_attempt() -> Result<()> {
    let poll = || FetchFailure::NotReady { reason: "the report runs".to_owned(), wait: Duration::ZERO };
    let base = Duration::from_millis(1);
    for ready_after in [2, usize::MAX] {
        let source = scripted(move |_: Option<&str>, asked| match asked < ready_after {
            true => Err(poll()),
            false => Ok(page(&[r#"{"id":1}"#], &[], None)),
        });
        let told = Arc::new(AttemptCounts::default());
        let retry = RetryPolicy::new(5, base, base);
        let (end, ..) = run_with(source.clone(), retry, Limits::default(), told.clone()).await?;
        let polls = match ready_after {
            2 => matches!(end, End::Done).then_some(2),
            // As often as a page is tried at all, and no more.
            _ => matches!(end, End::NeverReady { tries: 5, .. }).then_some(4),
        };
        assert_eq!(Some(told.not_ready.load(Ordering::SeqCst)), polls, "{end:?}");
        assert_eq!(told.failed.load(Ordering::SeqCst), 0, "{end:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_attempt_that_tried_nothing_does_not_count_and_is_so_once() -> Result<()> {
    let spare = || FetchFailure::AtOnce { reason: "the connection was closed".to_owned(), counts: false };
    let source = scripted(move |_: Option<&str>, asked| match asked {
        0 => Err(spare()),
        _ => Ok(page(&[r#"{"id":1}"#], &[], None)),
    });
    let (end, ..) = run_to_the_end(source).await?;
    assert!(matches!(end, End::Done), "{end:?}");
    let source = scripted(move |_: Option<&str>, _| Err(spare()));
    let (end, ..) = run_to_the_end(source.clone()).await?;
    assert!(matches!(end, End::AttemptsExhausted { attempts: 1, .. }), "{end:?}");
    assert_eq!(source.1.load(Ordering::SeqCst), 2);
    Ok(())
}

//! Budgets as a process draws on them, over a store in a file.

use atlas_store_sql as store;
use atlas_store_sql::StoreUrl;

use super::*;

/// Remembers what it was told.
#[derive(Default)]
struct Recorded(Mutex<Vec<Throttled>>);

impl Waiting for Recorded {
    fn throttled(&self, throttled: &Throttled) {
        lock(&self.0).push(throttled.clone());
    }
}

struct Ground {
    _folder: tempfile::TempDir,
    store: Arc<dyn Store>,
}

impl Ground {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|e| panic!("{e}"));
        let url = StoreUrl::Sqlite(folder.path().join("atlas.db"));
        let store = store::open(&url, None).await.unwrap_or_else(|e| panic!("{e}"));
        store.init().await.unwrap_or_else(|e| panic!("{e}"));
        store.add_client(1, &atlas_model::Secret::new("t".to_owned())).await.unwrap_or_else(|e| panic!("{e}"));
        Self { _folder: folder, store }
    }

    /// The budget, as a process of this name has it.
    async fn budget(&self, host: &str, rate: RateBudget) -> Arc<Budget> {
        let alive = atlas_model::Host {
            id: host.to_owned(),
            name: host.to_owned(),
            version: "1".to_owned(),
            lease: Duration::from_secs(600),
        };
        self.store.beat(&alive).await.unwrap_or_else(|e| panic!("{e}"));
        let owner = BudgetOwner {
            store: Arc::clone(&self.store),
            cliente_id: 1,
            api: "bling".to_owned(),
            host: host.to_owned(),
        };
        Budgets::default().of(owner, rate, Duration::ZERO)
    }
}

fn per_second(rate: f64) -> RateBudget {
    RateBudget { per_second: Some(rate), ..RateBudget::default() }
}

#[tokio::test]
async fn two_processes_keep_one_rate_between_them() {
    let ground = Ground::new().await;
    let rate = per_second(40.0);
    let began = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for host in ["um", "dois"] {
        let budget = ground.budget(host, rate).await;
        asking.spawn(async move {
            for _ in 0..20 {
                budget.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
            }
        });
    }
    asking.join_all().await;
    let took = began.elapsed();
    // Forty requests, the first at once: 39 intervals of 25 ms.
    assert!((Duration::from_millis(900)..Duration::from_secs(3)).contains(&took), "{took:?}");
}

#[tokio::test]
async fn a_burst_goes_at_once_and_what_follows_evenly() {
    let ground = Ground::new().await;
    let budget = ground.budget("um", RateBudget { burst: Some(10), ..per_second(10.0) }).await;
    let began = Instant::now();
    for _ in 0..10 {
        budget.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    }
    let burst = began.elapsed();
    for _ in 0..5 {
        budget.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    }
    let all = began.elapsed();
    assert!(burst < Duration::from_millis(400), "{burst:?}");
    assert!(all >= Duration::from_millis(450), "{all:?}");
}

#[tokio::test]
async fn a_spent_day_is_not_waited_for_and_the_next_one_is_another() {
    let ground = Ground::new().await;
    let rate = RateBudget { per_day: Some(3), ..RateBudget::default() };
    let budget = ground.budget("um", rate).await;
    for _ in 0..3 {
        budget.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    }
    let Err(spent) = ground.budget("dois", rate).await.admit(&Recorded::default()).await else { panic!("a fourth") };
    assert!(spent.wait <= Duration::from_secs(86_400) && spent.why.contains("3 requests"), "{spent:?}");
    assert!(
        matches!(budget.request(&AtomicU64::new(0)).await, Err(SendError::Throttled(..))),
        "nor in the middle of a page"
    );
    // Where it is tomorrow already.
    let tomorrow = RateBudget { day_offset: 86_400, ..rate };
    assert!(ground.budget("um", tomorrow).await.admit(&Recorded::default()).await.is_ok());
}

#[tokio::test]
async fn a_source_that_wants_to_be_left_alone_is_by_every_process() {
    let ground = Ground::new().await;
    // So slow that no request is taken ahead of its turn, and so great a burst that none has to
    // wait for it.
    let rate = RateBudget { burst: Some(100), ..per_second(4.0) };
    let (one, two) = (ground.budget("um", rate).await, ground.budget("dois", rate).await);
    one.hold_off("Retry-After", Duration::from_millis(400)).await;
    // A shorter wait does not end a longer one.
    two.hold_off("Retry-After", Duration::from_millis(10)).await;
    for budget in [&one, &two] {
        let told = Recorded::default();
        budget.admit(&told).await.unwrap_or_else(|e| panic!("{e:?}"));
        assert!(lock(&told.0).iter().all(|told| told.wait <= Duration::from_millis(400)));
    }
    let began = Instant::now();
    one.hold_off("Retry-After", Duration::from_millis(300)).await;
    two.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
    one.hold_off("Retry-After", Duration::from_secs(3600)).await;
    assert!(
        one.admit(&Recorded::default()).await.is_err_and(|spent| spent.wait > WAIT_MAX && spent.why == "Retry-After")
    );
}

#[tokio::test]
async fn as_many_pages_at_once_as_there_are_slots_on_all_hosts_together() {
    let ground = Ground::new().await;
    let rate = RateBudget { concurrency: Some(2), ..RateBudget::default() };
    let (one, two) = (ground.budget("um", rate).await, ground.budget("dois", rate).await);
    let first = one.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    let second = two.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    let third = Arc::clone(&two);
    let third = tokio::spawn(async move { third.admit(&Recorded::default()).await.is_ok() });
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(!third.is_finished(), "a third page at once");
    drop(first);
    let third = tokio::time::timeout(Duration::from_secs(10), third).await;
    assert!(third.is_ok_and(|admitted| admitted.is_ok_and(|admitted| admitted)));
    drop(second);
    // The slots of a host that is not seen any more are free for all.
    let left = two.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    ground.store.leave("dois").await.unwrap_or_else(|e| panic!("{e}"));
    for _ in 0..2 {
        let admitted = tokio::time::timeout(Duration::from_secs(10), one.admit(&Recorded::default())).await;
        std::mem::forget(admitted.unwrap_or_else(|e| panic!("{e}")).unwrap_or_else(|e| panic!("{e:?}")));
    }
    drop(left);
}

#[test]
fn an_operators_zero_is_no_limit_and_what_is_not_said_is_the_connectors() {
    let declared = RateBudget { per_second: Some(4.0), per_day: Some(10_000), ..RateBudget::default() };
    let own = RateBudget { per_second: Some(0.0), concurrency: Some(2), ..RateBudget::default() };
    let (set, left) = (own.without_zeros(), declared.beside(&own));
    assert_eq!((set.per_second, set.per_day, set.concurrency), (None, None, Some(2)));
    assert_eq!((left.per_second, left.per_day, left.concurrency), (None, Some(10_000), None));
}

#[tokio::test]
async fn what_one_connector_declares_slows_no_other_that_declares_something_else() {
    let ground = Ground::new().await;
    let budgets = Budgets::default();
    let declared = |rate: RateBudget| {
        let owner = BudgetOwner {
            store: Arc::clone(&ground.store),
            cliente_id: 1,
            api: rate.declared_account("bling"),
            host: "um".to_owned(),
        };
        budgets.of(owner, rate, Duration::ZERO)
    };
    let (hostile, honest) = (declared(per_second(RATE_MIN)), declared(per_second(50.0)));
    hostile.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    let began = Instant::now();
    for _ in 0..5 {
        honest.admit(&Recorded::default()).await.unwrap_or_else(|e| panic!("{e:?}"));
    }
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    // The same numbers are one account.
    assert!(Arc::ptr_eq(&honest, &declared(per_second(50.0))));
}

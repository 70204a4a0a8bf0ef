//! The budget of requests that a client has at an API: so many a second, so many a day, so many
//! pages at once. All of an API's routes share it, on all hosts.
//!
//! What is shared stands in the store, as the moment at which the next request would be due if they
//! came evenly (GCRA, ITU-T I.371, as a leaky bucket), and is taken from there a quarter of a
//! second's worth at a time; the requests that were taken are spread here. A wait for the next
//! request is no failure of a page's: it is waited for before the page's instance is made, as long
//! as it is short. A long one, such as for tomorrow's quota, ends the run, and the scrap is taken
//! again at the hour.
//!
//! How long a source wants to be left alone (`Retry-After`, `RateLimit-*`) is learned from its
//! answers, and holds for all hosts. So does a wait that stands in an answer's body, which only the
//! connector can read (`retry` with `after-ms`): for an hour at most, since it may be wrong, or
//! mean harm to others at the same API. What a connector says of a quota, or declares, holds for
//! its own scrap: an operator's budget is one account for all of the API's routes; where the
//! operator says nothing, the routes whose connectors declare the very same numbers have one
//! account together. One that declares a request an hour waits for itself alone.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use atlas_model::{Account, RequestsAsked, Reserved};
use atlas_store::{Store, StoreError};
use parking_lot::{Mutex, MutexGuard};
use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::Instrument;

use super::message::SendError;

/// The longest wait that a page sits out. A longer one, such as for tomorrow's quota, must not keep
/// a worker's slot.
pub const WAIT_MAX: Duration = Duration::from_secs(5 * 60);
/// So many seconds' worth of requests may queue for their turn in a process: pages beyond wait
/// without an instance of their own.
const CROWD_S: f64 = 10.0;
/// Pause between two queries for a free slot while other hosts have them all.
const SLOT_POLL: Duration = Duration::from_millis(200);
/// Requests taken at once, so that a quick API costs four statements a second and not one for each
/// request.
const TAKEN_PER_SECOND: f64 = 4.0;
/// Reserved requests older than this are dropped, so that they do not burst with the next ones.
const LATE: Duration = Duration::from_secs(1);
/// The most random delay that is added to a wait that many pages share.
const JITTER_MAX: Duration = Duration::from_secs(5);
/// The slowest rate, in requests a second: what is slower is said in requests a day.
pub const RATE_MIN: f64 = 0.01;
/// The fastest rate, in requests a second: what is faster is no limit, and is said by leaving it
/// out.
const RATE_MAX: f64 = 10_000.0;
/// Requests at once after a pause, at most.
const BURST_MAX: u32 = 100_000;
/// Requests a day, at most.
const PER_DAY_MAX: u64 = 1_000_000_000;
/// Pages at the same time, on all hosts together, at most: each holds a row that others look
/// through for a free one.
const AT_ONCE_MAX: u32 = 1_000;

/// Limits on a client's requests to an API. A member that is `None` sets no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RateBudget {
    /// Requests a second, on average.
    pub per_second: Option<f64>,
    /// Requests that may be made at once after a pause; one if it is not said.
    pub burst: Option<u32>,
    /// Requests a day.
    pub per_day: Option<u64>,
    /// Pages that may be fetched at the same time, on all hosts together.
    pub concurrency: Option<u32>,
    /// Where the day begins: seconds that its time zone is ahead of UTC.
    pub day_offset: i32,
}

impl RateBudget {
    /// The first number above the most that it may be: its name, what it says, and that most.
    pub fn out_of_range(&self) -> Option<(&'static str, String, String)> {
        let named = |name, value: Option<u64>, most: u64| {
            value.filter(|value| *value > most).map(|value| (name, value.to_string(), most.to_string()))
        };
        let rate = self.per_second.filter(|rate| *rate > RATE_MAX);
        rate.map(|rate| ("per_second", format!("{rate:e}"), RATE_MAX.to_string()))
            .or_else(|| named("burst", self.burst.map(u64::from), BURST_MAX.into()))
            .or_else(|| named("per_day", self.per_day, PER_DAY_MAX))
            .or_else(|| named("concurrency", self.concurrency.map(u64::from), AT_ONCE_MAX.into()))
    }

    /// This one, and where it says nothing, that one.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            per_second: self.per_second.or(other.per_second),
            burst: self.burst.or(other.burst),
            per_day: self.per_day.or(other.per_day),
            concurrency: self.concurrency.or(other.concurrency),
            day_offset: self.day_offset,
        }
    }

    /// The same, with zeros as what they stand for in settings: no limit.
    #[must_use]
    pub fn without_zeros(self) -> Self {
        Self {
            per_second: self.per_second.filter(|rate| *rate > 0.0),
            burst: self.burst.filter(|burst| *burst > 0),
            per_day: self.per_day.filter(|requests| *requests > 0),
            concurrency: self.concurrency.filter(|pages| *pages > 0),
            ..self
        }
    }

    /// The limits of this budget, a connector's, that count beside the operator's own: those that
    /// the operator has not set.
    #[must_use]
    pub fn beside(self, own: &Self) -> Self {
        let has_rate = own.per_second.is_some();
        Self {
            per_second: self.per_second.filter(|_| !has_rate),
            burst: own.burst.or(self.burst).filter(|_| !has_rate),
            per_day: self.per_day.filter(|_| own.per_day.is_none()),
            concurrency: self.concurrency.filter(|_| own.concurrency.is_none()),
            day_offset: own.day_offset,
        }
    }

    /// The name of the account that connectors share which declare this same budget for an API. It
    /// has a slash, so it is never an API's name.
    pub fn declared_account(&self, api: &str) -> String {
        let Self { per_second, burst, per_day, concurrency, .. } = self;
        format!("{api}/{per_second:?}/{burst:?}/{per_day:?}/{concurrency:?}")
    }

    /// Whether there is any limit.
    pub fn limits_anything(&self) -> bool {
        self.counts() || self.concurrency.is_some()
    }

    /// Whether requests are counted at all.
    fn counts(&self) -> bool {
        self.per_second.is_some() || self.per_day.is_some()
    }
}

/// Why a page has to wait before it is requested, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Throttled {
    /// What is spent, or who asked for it.
    pub why: String,
    /// How long it is until then.
    pub wait: Duration,
}

/// Receives a page's waits and its connector's log lines. Called in the middle of a request, so an
/// implementation must be quick.
pub trait Waiting: Send + Sync {
    /// A page waits for its turn.
    fn throttled(&self, throttled: &Throttled);

    /// The connector logged a line, of `info` or graver.
    fn logged(&self, _line: &str) {}
}

/// The owner of a budget, in the store and in this process.
#[derive(Clone)]
pub struct BudgetOwner {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The client.
    pub cliente_id: i32,
    /// The API; or an account of one, [`RateBudget::declared_account`].
    pub api: String,
    /// This process, as the store knows it.
    pub host: String,
}

impl BudgetOwner {
    fn account(&self) -> Account<'_> {
        Account { cliente_id: self.cliente_id, api: &self.api }
    }
}

/// A client's budget at an API, as this process draws on it.
pub struct Budget {
    owner: BudgetOwner,
    rate: RateBudget,
    /// Reserved requests, by when each may be made. A page that waits for one holds the lock, so
    /// that pages go in the order in which they came.
    taken: tokio::sync::Mutex<VecDeque<Instant>>,
    /// The source wants to be left alone until then, and why.
    held_off: Mutex<Option<(Instant, String)>>,
    crowd: Option<Arc<Semaphore>>,
    local: Option<Arc<Semaphore>>,
    /// Held by the page that asks the store for a slot, so that a process asks once at a time
    /// however many pages wait.
    asking: tokio::sync::Mutex<()>,
    slots: Arc<Slots>,
}

/// The slots of a client at an API that this process has.
#[derive(Default)]
struct Slots {
    /// Held while one is taken.
    taking: tokio::sync::Mutex<()>,
    held: Mutex<BTreeSet<i64>>,
    /// Whether a slot may have been taken although the store's answer was lost.
    uncertain: AtomicBool,
}

/// A page may be fetched for as long as this lives. Its first request is paid for.
pub struct Admission {
    _crowd: Option<OwnedSemaphorePermit>,
    _slot: Option<Slot>,
}

/// One of the pages that may be fetched at once, on all hosts.
struct Slot {
    owner: BudgetOwner,
    slots: Arc<Slots>,
    number: i64,
    /// Given back last, or the next page of this process would find its slot taken.
    local: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let (owner, slots, number) = (self.owner.clone(), Arc::clone(&self.slots), self.number);
        let local = self.local.take();
        // Without a runtime the process is ending, and its slots are free once it is not seen.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                while let Err(error) = owner.store.leave_slot(owner.account(), number, &owner.host).await {
                    tracing::debug!(%error, "an API's slot is still to be given back");
                    tokio::time::sleep(LATE).await;
                }
                lock(&slots.held).remove(&number);
                drop(local);
            });
        }
    }
}

/// The outcome of a query for a free slot.
enum Looked {
    Taken(Slot),
    /// Others have them all; the permit of this process goes on waiting.
    Full(OwnedSemaphorePermit),
    Failed(OwnedSemaphorePermit, StoreError),
}

/// Takes a free slot, if there is one. Must run to its end, even for a page that is given up: a
/// slot that was taken has to be given back.
async fn look_for_slot(owner: BudgetOwner, slots: Arc<Slots>, most: i64, local: OwnedSemaphorePermit) -> Looked {
    let _turn = slots.taking.lock().await;
    if slots.uncertain.load(Ordering::Relaxed) {
        let held: Vec<i64> = lock(&slots.held).iter().copied().collect();
        match owner.store.leave_slots_but(owner.account(), &held, &owner.host).await {
            Ok(()) => slots.uncertain.store(false, Ordering::Relaxed),
            Err(error) => return Looked::Failed(local, error),
        }
    }
    match owner.store.take_slot(owner.account(), most, &owner.host).await {
        Ok(Some(number)) => {
            lock(&slots.held).insert(number);
            Looked::Taken(Slot { owner, slots: Arc::clone(&slots), number, local: Some(local) })
        }
        Ok(None) => Looked::Full(local),
        Err(error) => {
            slots.uncertain.store(true, Ordering::Relaxed);
            Looked::Failed(local, error)
        }
    }
}

impl Budget {
    fn new(owner: BudgetOwner, rate: RateBudget, slots: Arc<Slots>) -> Self {
        let crowd = rate.per_second.map(|rate| (rate * CROWD_S).ceil().clamp(1.0, 10_000.0));
        // Clamped: no rate of the world overflows it.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let semaphore = |size: f64| Arc::new(Semaphore::new(size as usize));
        Self {
            owner,
            rate,
            taken: tokio::sync::Mutex::default(),
            held_off: Mutex::default(),
            crowd: crowd.map(semaphore),
            local: rate.concurrency.map(|pages| Arc::new(Semaphore::new(pages as usize))),
            asking: tokio::sync::Mutex::default(),
            slots,
        }
    }

    /// Waits until a page may be fetched, and pays for its first request. `Err`: not for a long
    /// time.
    pub async fn admit(&self, waiting: &dyn Waiting) -> Result<Admission, Throttled> {
        self.sit_out(waiting).await?;
        let crowd = match &self.crowd {
            Some(crowd) => Arc::clone(crowd).acquire_owned().await.ok(),
            None => None,
        };
        let slot = self.slot(waiting).await;
        loop {
            self.sit_out(waiting).await?;
            match self.pay().await {
                Ok(due) => {
                    let wait = due.saturating_duration_since(Instant::now());
                    if wait > LATE {
                        let why = format!("{} requests a second", self.rate.per_second.unwrap_or_default());
                        waiting.throttled(&Throttled { why, wait });
                    }
                    tokio::time::sleep(wait).await;
                    // Meanwhile the source may have asked for something else.
                    if self.held_off().is_none() {
                        return Ok(Admission { _crowd: crowd, _slot: slot });
                    }
                }
                Err(throttled) if throttled.wait > WAIT_MAX => return Err(throttled),
                Err(throttled) => {
                    waiting.throttled(&throttled);
                    tokio::time::sleep(throttled.wait).await;
                }
            }
        }
    }

    /// Takes one more request out of the budget for a page under way, and waits for its turn. Adds
    /// the milliseconds to `waited` beforehand, since they do not count towards the page's time.
    pub(super) async fn request(&self, waited: &AtomicU64) -> Result<(), SendError> {
        let wait_for = async |wait: Duration| {
            waited.fetch_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        };
        loop {
            if let Some(held) = self.held_off() {
                if held.wait > WAIT_MAX {
                    return Err(SendError::Throttled(held.why, held.wait));
                }
                wait_for(held.wait + jitter(held.wait)).await;
            }
            let due = match self.pay().await {
                Ok(due) => due,
                Err(spent) if spent.wait > WAIT_MAX => return Err(SendError::Throttled(spent.why, spent.wait)),
                // Soon there is some again, or the database.
                Err(spent) => {
                    wait_for(spent.wait).await;
                    continue;
                }
            };
            wait_for(due.saturating_duration_since(Instant::now())).await;
            if self.held_off().is_none() {
                return Ok(());
            }
        }
    }

    /// How long the source still wants to be left alone.
    fn held_off(&self) -> Option<Throttled> {
        let mut held = lock(&self.held_off);
        let (until, why) = held.as_ref()?;
        let wait = until.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            *held = None;
            return None;
        }
        Some(Throttled { why: why.clone(), wait })
    }

    /// The source wants to be left alone for so long.
    pub async fn hold_off(&self, why: &str, wait: Duration) {
        self.note(why, wait);
        // Other hosts learn it from their own answers if the store does not take it.
        if let Err(error) = self.owner.store.hold_off(self.owner.account(), wait).await {
            tracing::debug!(%error, "how long a source is left alone was not noted");
        }
    }

    fn note(&self, why: &str, wait: Duration) {
        let until = Instant::now() + wait;
        let mut held = lock(&self.held_off);
        if held.as_ref().is_none_or(|(before, _)| *before < until) {
            *held = Some((until, why.to_owned()));
        }
    }

    async fn sit_out(&self, waiting: &dyn Waiting) -> Result<(), Throttled> {
        while let Some(throttled) = self.held_off() {
            if throttled.wait > WAIT_MAX {
                return Err(throttled);
            }
            waiting.throttled(&throttled);
            tokio::time::sleep(throttled.wait + jitter(throttled.wait)).await;
        }
        Ok(())
    }

    async fn slot(&self, waiting: &dyn Waiting) -> Option<Slot> {
        let (local, most) = self.local.as_ref().zip(self.rate.concurrency)?;
        // It is never closed.
        let mut local = Arc::clone(local).acquire_owned().await.ok()?;
        let _asking = self.asking.lock().await;
        let (began, mut told) = (Instant::now(), false);
        loop {
            // A task of its own: a page that is given up meanwhile must not leave a slot behind.
            let looking = look_for_slot(self.owner.clone(), Arc::clone(&self.slots), most.into(), local);
            match tokio::spawn(looking.in_current_span()).await.ok()? {
                Looked::Taken(slot) => return Some(slot),
                Looked::Full(mine) => {
                    local = mine;
                    if !told && began.elapsed() > LATE {
                        told = true;
                        let why = format!("{most} pages at once, which other hosts are fetching");
                        waiting.throttled(&Throttled { why, wait: LATE });
                    }
                    tokio::time::sleep(SLOT_POLL).await;
                }
                Looked::Failed(mine, error) => {
                    local = mine;
                    waiting.throttled(&not_counted(&error));
                    tokio::time::sleep(LATE).await;
                }
            }
        }
    }

    /// Takes one request out of the budget, and says when it may be made.
    async fn pay(&self) -> Result<Instant, Throttled> {
        if !self.rate.counts() {
            return Ok(Instant::now());
        }
        let mut taken = self.taken.lock().await;
        while let Some(due) = taken.pop_front() {
            if due + LATE > Instant::now() {
                return Ok(due);
            }
        }
        *taken = self.take().await?;
        // At least one was asked for.
        taken.pop_front().ok_or_else(|| Throttled { why: "the request budget is empty".to_owned(), wait: LATE })
    }

    async fn take(&self) -> Result<VecDeque<Instant>, Throttled> {
        let rate = self.rate.per_second.unwrap_or(f64::INFINITY);
        let interval = Duration::try_from_secs_f64(1.0 / rate).unwrap_or_default();
        let per_day = self.rate.per_day.map(|requests| i64::try_from(requests).unwrap_or(i64::MAX));
        // One at a time where there is no rate, or a day's count: a reserved request that is not
        // made in time is lost to the day.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let many = match self.rate.per_day {
            Some(_) => 1,
            None => (self.rate.per_second.unwrap_or(1.0) / TAKEN_PER_SECOND).clamp(1.0, 1_000.0) as u32,
        };
        let asked = RequestsAsked { requests: many, interval, per_day, day_offset: self.rate.day_offset };
        match self.owner.store.reserve(self.owner.account(), asked).await {
            Ok(Reserved::Granted { next_in }) => Ok(self.spread(next_in, many, interval)),
            Ok(Reserved::HeldOff(wait)) => {
                let why = "the source asked to be left alone".to_owned();
                self.note(&why, wait);
                Err(Throttled { why, wait })
            }
            Ok(Reserved::DaySpent(wait)) => {
                let why = format!("the day's {} requests are spent", self.rate.per_day.unwrap_or_default());
                Err(Throttled { why, wait })
            }
            Err(error) => Err(not_counted(&error)),
        }
    }

    /// The moments at which `many` reserved requests may be made; the turn of the request after the
    /// last is in `next_in` seconds.
    fn spread(&self, next_in: f64, many: u32, interval: Duration) -> VecDeque<Instant> {
        let now = Instant::now();
        let burst = self.rate.burst.unwrap_or(1).saturating_sub(1);
        let early = interval.as_secs_f64() * f64::from(burst);
        let due = |number: u32| {
            let wait = next_in - interval.as_secs_f64() * f64::from(many - number) - early;
            now + Duration::try_from_secs_f64(wait).unwrap_or_default()
        };
        (0..many).map(due).collect()
    }
}

/// A random delay on top of a wait that many pages share, so that they do not all resume at once.
fn jitter(wait: Duration) -> Duration {
    let most = u64::try_from((wait / 10).min(JITTER_MAX).as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rand::rng().random_range(0..=most))
}

/// The wait of a page whose budget cannot be read: no request is made without it.
fn not_counted(error: &StoreError) -> Throttled {
    Throttled { why: format!("the request budget cannot be read: {error}"), wait: LATE }
}

/// A client and an API.
type Owned = (i32, String);

/// The budgets that a process draws on: for a client and API one for each rate that is in use.
#[derive(Default)]
pub struct Budgets(Mutex<HashMap<Owned, OfApi>>);

/// What a process has of one client's budget at an API.
#[derive(Default)]
struct OfApi {
    budgets: Vec<Arc<Budget>>,
    slots: Arc<Slots>,
}

impl Budgets {
    /// The one budget of a client at an API. `held_off`: for how long the source is to be left
    /// alone, as the store has it.
    pub fn of(&self, owner: BudgetOwner, rate: RateBudget, held_off: Duration) -> Arc<Budget> {
        let mut all = lock(&self.0);
        let of_api = all.entry((owner.cliente_id, owner.api.clone())).or_default();
        // Of another rate: a connector's newer version, or another route's, says so. What is shared
        // stands in the store.
        let OfApi { budgets, slots } = of_api;
        budgets.retain(|budget| budget.rate == rate || Arc::strong_count(budget) > 1);
        let budget = budgets.iter().find(|budget| budget.rate == rate).cloned().unwrap_or_else(|| {
            let budget = Arc::new(Budget::new(owner, rate, Arc::clone(slots)));
            budgets.push(Arc::clone(&budget));
            budget
        });
        if !held_off.is_zero() {
            budget.note("the source asked to be left alone", held_off);
        }
        budget
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests;

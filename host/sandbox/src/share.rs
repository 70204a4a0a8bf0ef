//! Fair shares: how much of the process's resources one client, and one connector, may take.
//!
//! Four things are shared out: instances, threads that run guest code, memory, and what pages hand
//! over until it is in the database; one owner may have half of each. A page belongs to two shares,
//! its client's and its connector's, and keeps within both. So a connector that spins or allocates
//! slows its own pages down, and those of its client, and no others. Even where the others have
//! nothing to do, half of the cores are left to them: a thread that fills memory cannot be told to
//! stop in the middle of it, and takes the memory's speed from every other core.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::PollSemaphore;

use super::limit::LimitReached;

/// Bytes of each guest's memory that count in no share. Most guests stay below, so they never fail
/// because of what others use; the number of instances bounds the sum all the same.
const FREE_MEMORY: usize = 16 * 1024 * 1024;

/// Bytes of a page's cursors that are not counted: nearly every page has fewer, and the number of
/// open pages is bounded.
const FREE_CURSORS: usize = 64 * 1024;

/// Bytes that a cursor takes beside its text: its hash, and its place in lists.
const CURSOR_PLACE: usize = 128;

/// Memory for cursors is shared out in pieces of this size.
const CURSOR_PIECE: usize = 16 * 1024;

/// The limit of the house on guests' memory, by its name.
pub(crate) const HOST_GUESTS: &str = "host_guests";

/// The owner of a share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Client(i32),
    Route(String),
}

/// The resources of this process, and the shares of their present owners.
pub(crate) struct Shares {
    owners: Mutex<HashMap<Owner, Weak<Share>>>,
    instances: Arc<Semaphore>,
    memory: Arc<AtomicUsize>,
    cursors: Arc<Semaphore>,
    plan: SharePlan,
}

/// The amounts that are shared out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SharePlan {
    /// Instances at the same time.
    pub(crate) instances: usize,
    /// Cores of the machine; one owner's guests may run code on half of them at the same time, and
    /// on one at least.
    pub(crate) cores: usize,
    /// Bytes of all guests' memories beyond [`FREE_MEMORY`]; one owner may have half of them.
    pub(crate) memory: usize,
}

impl SharePlan {
    /// Pieces of memory for cursors that were handed over and are not in the database yet: a
    /// quarter of what guests have.
    fn cursor_pieces(self) -> usize {
        (self.memory / 4 / CURSOR_PIECE).clamp(2, Semaphore::MAX_PERMITS)
    }
}

/// One owner's share.
struct Share {
    instances: Arc<Semaphore>,
    threads: Arc<Semaphore>,
    memory: AtomicUsize,
    cursors: Arc<Semaphore>,
}

/// The two shares of a page, and the house that they are of. Held while a scrap runs.
#[derive(Clone)]
pub struct PageShare {
    client: Option<Arc<Share>>,
    route: Arc<Share>,
    house_instances: Arc<Semaphore>,
    house_memory: Arc<AtomicUsize>,
    house_cursors: Arc<Semaphore>,
    plan: SharePlan,
}

/// Permission for one instance; it is given back when this is dropped.
pub struct Place {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Shares {
    pub(crate) fn new(plan: SharePlan) -> Self {
        Self {
            owners: Mutex::new(HashMap::new()),
            instances: Arc::new(Semaphore::new(plan.instances)),
            memory: Arc::new(AtomicUsize::new(0)),
            cursors: Arc::new(Semaphore::new(plan.cursor_pieces())),
            plan,
        }
    }

    /// The shares of a route's pages for a client; no client: a call of `describe`.
    pub(crate) fn of(&self, client: Option<i32>, route: &str) -> PageShare {
        PageShare {
            client: client.map(|client| self.share(Owner::Client(client))),
            route: self.share(Owner::Route(route.to_owned())),
            house_instances: Arc::clone(&self.instances),
            house_memory: Arc::clone(&self.memory),
            house_cursors: Arc::clone(&self.cursors),
            plan: self.plan,
        }
    }

    fn share(&self, owner: Owner) -> Arc<Share> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|_, share| share.strong_count() > 0);
        if let Some(share) = owners.get(&owner).and_then(Weak::upgrade) {
            return share;
        }
        let share = Arc::new(Share {
            instances: Arc::new(Semaphore::new((self.plan.instances / 2).max(1))),
            threads: Arc::new(Semaphore::new((self.plan.cores / 2).max(1))),
            memory: AtomicUsize::new(0),
            cursors: Arc::new(Semaphore::new(self.plan.cursor_pieces() / 2)),
        });
        owners.insert(owner, Arc::downgrade(&share));
        share
    }
}

impl PageShare {
    /// Waits for a place for one instance: in the owners' shares first, so that a page whose share
    /// is used up takes no place of the whole process while it waits.
    pub async fn place(&self) -> Place {
        let shares = self.client.iter().chain([&self.route]).map(|share| &share.instances);
        let mut permits = Vec::with_capacity(3);
        for semaphore in shares.chain([&self.house_instances]) {
            // None of these is ever closed.
            permits.extend(Arc::clone(semaphore).acquire_owned().await);
        }
        Place { _permits: permits }
    }

    /// The turnstile that a page's guest code passes each time it runs.
    pub(crate) fn turnstile(&self) -> Turnstile {
        Turnstile {
            client: self.client.as_ref().map(|share| PollSemaphore::new(Arc::clone(&share.threads))),
            route: PollSemaphore::new(Arc::clone(&self.route.threads)),
            queued_at_route: false,
        }
    }

    /// The account of one instance's memory.
    pub(crate) fn memory(&self, limit: usize) -> GuestMemory {
        let free = FREE_MEMORY;
        GuestMemory { share: self.clone(), used: 0, peak: Arc::default(), limit, free, of_route: true, reached: None }
    }

    /// Waits until the client may hold a page's cursors, and holds them: in the client's share,
    /// then in the house's. A page that has them waits for the database alone, so a page that waits
    /// here may hold a body. The permits go back with the last clone of what this returns; none:
    /// they are so few that they count nowhere.
    pub async fn hold_cursors<'a>(&self, cursors: impl Iterator<Item = &'a String>) -> Option<Arc<CursorHold>> {
        let bytes = cursors_counted(cursors);
        if bytes == 0 {
            return None;
        }
        let (all, client) = (self.plan.cursor_pieces(), self.client.as_ref().map(|share| &share.cursors));
        let mut permits = Vec::with_capacity(2);
        for (semaphore, most) in [(client, all / 2), (Some(&self.house_cursors), all)] {
            // Cursors larger than the whole wait until no others are held.
            let pieces = u32::try_from(bytes.div_ceil(CURSOR_PIECE).min(most)).unwrap_or(u32::MAX);
            if let Some(semaphore) = semaphore {
                // None of these is ever closed.
                permits.extend(Arc::clone(semaphore).acquire_many_owned(pieces).await);
            }
        }
        Some(Arc::new(CursorHold { _permits: permits }))
    }

    /// The account of data that a guest handed over and the host holds for its client; all of it is
    /// counted. It does not count in the connector's share, whose other clients would have to wait
    /// until this client's data is in the database.
    pub(crate) fn handed_over(&self) -> GuestMemory {
        let share = self.clone();
        GuestMemory { share, used: 0, peak: Arc::default(), limit: usize::MAX, free: 0, of_route: false, reached: None }
    }
}

/// Bytes that a page's cursors take; 0 if they are so few that they are not counted.
pub(crate) fn cursors_counted<'a>(cursors: impl Iterator<Item = &'a String>) -> usize {
    let bytes: usize = cursors.map(|cursor| cursor.len() + CURSOR_PLACE).sum();
    if bytes > FREE_CURSORS { bytes } else { 0 }
}

/// Memory for a page's cursors, held until they are in the database; given back when this is
/// dropped.
pub struct CursorHold {
    _permits: Vec<OwnedSemaphorePermit>,
}

/// Lets only so many guests of one owner run code at the same time; the others' turn comes when one
/// of them yields, which it does at each tick of the epochs.
pub(crate) struct Turnstile {
    client: Option<PollSemaphore>,
    route: PollSemaphore,
    queued_at_route: bool,
}

/// A turn; it ends when this is dropped.
pub(crate) struct Turn {
    _permits: [Option<OwnedSemaphorePermit>; 2],
}

impl Turnstile {
    /// Waits for a turn in both shares. Never waits for one while it holds the other: a turn that
    /// it cannot use is released.
    pub(crate) fn poll_turn(&mut self, context: &mut Context<'_>) -> Poll<Turn> {
        let Some(client) = &mut self.client else {
            return self.route.poll_acquire(context).map(|permit| Turn { _permits: [permit, None] });
        };
        let Poll::Ready(of_client) = client.poll_acquire(context) else {
            if self.queued_at_route {
                // Leave the route's queue: a turn may have been reserved for this page there.
                self.route = PollSemaphore::new(self.route.clone_inner());
                self.queued_at_route = false;
            }
            return Poll::Pending;
        };
        let of_route = self.route.poll_acquire(context);
        self.queued_at_route = of_route.is_pending();
        of_route.map(|of_route| Turn { _permits: [of_client, of_route] })
    }
}

/// The sum of an instance's memories, and its part in its owners' shares. wasmtime's own
/// `StoreLimits` caps each memory, not their sum.
pub(crate) struct GuestMemory {
    share: PageShare,
    used: usize,
    /// Shared, so that it can be read once the instance is gone.
    peak: Arc<AtomicUsize>,
    limit: usize,
    /// Bytes of it that count in no share.
    free: usize,
    /// Whether it counts in the route's share.
    of_route: bool,
    reached: Option<LimitReached>,
}

impl GuestMemory {
    /// Takes more bytes; false if the limit or a share does not allow them.
    pub(crate) fn take(&mut self, more: usize) -> bool {
        let used = self.used.saturating_add(more);
        if used > self.limit {
            self.reached = Some(LimitReached { name: "guest_memory", value: self.limit as u64 });
            return false;
        }
        let counted = used.saturating_sub(self.free) - self.used.saturating_sub(self.free);
        if counted > 0 && !self.count(counted) {
            self.reached = Some(LimitReached { name: HOST_GUESTS, value: self.share.plan.memory as u64 });
            return false;
        }
        self.used = used;
        self.peak.fetch_max(used, Ordering::Relaxed);
        true
    }

    /// The most that it has held so far.
    pub(crate) fn peak(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.peak)
    }

    /// The limit that it was refused memory for. A guest that is refused memory traps in ways of
    /// its own.
    pub(crate) fn limit_reached(&self) -> Option<LimitReached> {
        self.reached
    }

    fn count(&self, bytes: usize) -> bool {
        let mut taken: Vec<&AtomicUsize> = Vec::with_capacity(3);
        for (account, limit) in self.accounts() {
            taken.push(account);
            if account.fetch_add(bytes, Ordering::Relaxed) + bytes > limit {
                for account in taken {
                    account.fetch_sub(bytes, Ordering::Relaxed);
                }
                return false;
            }
        }
        true
    }

    fn accounts(&self) -> impl Iterator<Item = (&AtomicUsize, usize)> {
        let half = self.share.plan.memory / 2;
        let route = Some(&self.share.route).filter(|_| self.of_route);
        let owners = self.share.client.iter().chain(route).map(move |share| (&share.memory, half));
        owners.chain([(self.share.house_memory.as_ref(), self.share.plan.memory)])
    }
}

impl Drop for GuestMemory {
    fn drop(&mut self) {
        let counted = self.used.saturating_sub(self.free);
        for (account, _) in self.accounts() {
            account.fetch_sub(counted, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1024 * 1024;

    fn shares() -> Shares {
        Shares::new(SharePlan { instances: 4, cores: 2, memory: 100 * MIB })
    }

    #[tokio::test]
    async fn one_client_leaves_half_of_the_instances_to_the_others() {
        let shares = shares();
        let (hog, other) = (shares.of(Some(1), "a"), shares.of(Some(2), "b"));
        let held = [hog.place().await, hog.place().await];
        let third = tokio::time::timeout(std::time::Duration::from_millis(20), hog.place()).await;
        assert!(third.is_err(), "a third of four places for one client");
        let others = [other.place().await, other.place().await];
        drop((held, others));
    }

    #[tokio::test]
    async fn a_connector_has_one_share_whatever_clients_it_works_for() {
        let shares = shares();
        let pages = [shares.of(Some(1), "a"), shares.of(Some(2), "a"), shares.of(Some(3), "a")];
        let held = [pages[0].place().await, pages[1].place().await];
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), pages[2].place()).await.is_err());
        drop(held);
    }

    #[tokio::test]
    async fn a_guest_waits_for_its_owners_turn_and_not_for_strangers() {
        let shares = shares();
        let turn = |page: &PageShare| {
            let mut turnstile = page.turnstile();
            std::future::poll_fn(move |context| Poll::Ready(turnstile.poll_turn(context).is_ready()))
        };
        let (hog, stranger) = (shares.of(Some(1), "a"), shares.of(Some(2), "b"));
        let mut turnstile = hog.turnstile();
        let held = std::future::poll_fn(|context| turnstile.poll_turn(context)).await;
        assert!(!turn(&shares.of(Some(1), "b")).await, "another connector of the same client");
        assert!(!turn(&shares.of(Some(2), "a")).await, "the same connector for another client");
        assert!(turn(&stranger).await);
        drop(held);
        assert!(turn(&hog).await);
    }

    #[tokio::test]
    async fn cursors_that_are_not_in_the_database_yet_are_bounded_for_their_client() {
        let shares = shares();
        let (hog, other) = (shares.of(Some(1), "a"), shares.of(Some(2), "a"));
        // Of 25 MiB for all, half for each: three pages of 4 MiB, and not a fourth.
        let page = vec!["x".repeat(4096); 1000];
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(hog.hold_cursors(page.iter()).await);
        }
        let fourth = tokio::time::timeout(std::time::Duration::from_millis(20), hog.hold_cursors(page.iter())).await;
        assert!(fourth.is_err(), "a fourth page is held");
        let few = vec!["2".to_owned(); 100];
        assert!(hog.hold_cursors(few.iter()).await.is_none(), "an ordinary page waits for nothing");
        assert!(other.hold_cursors(page.iter()).await.is_some(), "another client waits for the hog");
        held.pop();
        assert!(hog.hold_cursors(page.iter()).await.is_some());
        drop(held);
        // More than there is waits until it is alone, and not for ever.
        let huge = vec!["x".repeat(4096); 20_000];
        assert!(hog.hold_cursors(huge.iter()).await.is_some());
    }

    #[test]
    fn memory_is_bounded_for_a_guest_for_its_owner_and_for_all() {
        let shares = shares();
        let named = |memory: &GuestMemory| memory.limit_reached().map(|limit| limit.name);
        let mut guest = shares.of(Some(1), "a").memory(40 * MIB);
        assert!(guest.take(40 * MIB) && !guest.take(1));
        assert_eq!(named(&guest), Some("guest_memory"));
        let mut second = shares.of(Some(1), "b").memory(90 * MIB);
        assert!(!second.take(16 * MIB + 27 * MIB), "client 1 would hold 51 MiB of its 50");
        assert_eq!(named(&second), Some("host_guests"));
        let mut stranger = shares.of(Some(2), "c").memory(90 * MIB);
        assert!(stranger.take(16 * MIB + 50 * MIB));
        drop(guest);
        assert!(second.take(16 * MIB + 27 * MIB), "what is given back can be taken again");
        let page = shares.of(Some(1), "b");
        let mut handed_over = page.handed_over();
        assert!(handed_over.take(23 * MIB) && !handed_over.take(1), "nothing of it is free");
        let mut others = shares.of(Some(3), "b").memory(90 * MIB);
        assert!(others.take(16 * MIB), "the connector's other clients do not pay for it");
        assert_eq!(stranger.peak().load(Ordering::Relaxed), 66 * MIB);
    }
}

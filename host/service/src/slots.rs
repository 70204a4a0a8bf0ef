//! Divides a worker's slots among clients: none is reserved, and a client without competition may
//! hold them all. When another client's scrap has waited, the client with most slots hands one
//! back, until no client has two more than one that waits. With one slot, clients take turns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

/// How long a scrap waits before a slot is asked back for it; and how long a slot is held at least.
const TURN: Duration = Duration::from_secs(2);

/// The scraps that a worker runs, and the clients that wait for one of its slots.
#[derive(Default)]
pub(super) struct Slots {
    held: BTreeMap<i64, Slot>,
    /// Since when a client's scrap was seen waiting.
    waiting: BTreeMap<i32, Instant>,
}

/// A slot that a scrap holds.
struct Slot {
    cliente_id: i32,
    since: Instant,
    asked_back: CancellationToken,
}

impl Slots {
    /// A scrap has a slot from now on. Gives what is cancelled when it is asked back.
    pub(super) fn hold(&mut self, scrap_id: i64, cliente_id: i32, now: Instant) -> CancellationToken {
        let asked_back = CancellationToken::new();
        self.held.insert(scrap_id, Slot { cliente_id, since: now, asked_back: asked_back.clone() });
        // Its other scraps wait from now on.
        self.waiting.remove(&cliente_id);
        asked_back
    }

    /// A scrap's run is over.
    pub(super) fn free(&mut self, scrap_id: i64) {
        self.held.remove(&scrap_id);
    }

    /// The scraps that run.
    pub(super) fn scraps(&self) -> Vec<i64> {
        self.held.keys().copied().collect()
    }

    /// Asks one slot back for clients whose scraps wait (the next one first), unless none has held
    /// too many for long enough; to be called while all slots are held.
    pub(super) fn ask_back(&mut self, waiting: &[i32], now: Instant) {
        self.waiting.retain(|client, _| waiting.contains(client));
        for client in waiting {
            self.waiting.entry(*client).or_insert(now);
        }
        let has_waited =
            |client: &&i32| self.waiting.get(client).is_some_and(|since| now.duration_since(*since) >= TURN);
        // The slots that were asked back already are for the first of them.
        let asked = self.held.values().filter(|slot| slot.asked_back.is_cancelled()).count();
        let Some(waits) = waiting.iter().filter(has_waited).nth(asked) else { return };
        let alone = self.held.len() == 1;
        let holds = |client: i32| {
            self.held.values().filter(|slot| slot.cliente_id == client && !slot.asked_back.is_cancelled()).count()
        };
        let has_too_many = |client: i32| client != *waits && (alone || holds(client) > holds(*waits) + 1);
        let may_end = |slot: &&Slot| !slot.asked_back.is_cancelled() && now.duration_since(slot.since) >= TURN;
        // Of a client's scraps the youngest, as the oldest is taken first.
        let candidates = self.held.iter().filter(|(_, slot)| may_end(slot) && has_too_many(slot.cliente_id));
        if let Some((_, slot)) = candidates.max_by_key(|(id, slot)| (holds(slot.cliente_id), **id)) {
            slot.asked_back.cancel();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [i64; 0] = [];

    /// A worker that took these scraps, each with its client, and looks once a second whose wait.
    struct Worker {
        slots: Slots,
        now: Instant,
    }

    impl Worker {
        fn with(scraps: &[(i64, i32)]) -> Self {
            let mut worker = Self { slots: Slots::default(), now: Instant::now() };
            worker.take(scraps);
            worker
        }

        fn take(&mut self, scraps: &[(i64, i32)]) {
            for (scrap, client) in scraps {
                self.slots.hold(*scrap, *client, self.now);
            }
        }

        /// The scraps whose slots are asked back after so many looks.
        fn asked_after(&mut self, looks: u32, waiting: &[i32]) -> Vec<i64> {
            for _ in 0..looks {
                self.now += Duration::from_secs(1);
                self.slots.ask_back(waiting, self.now);
            }
            self.slots.held.iter().filter(|(_, slot)| slot.asked_back.is_cancelled()).map(|(id, _)| *id).collect()
        }
    }

    #[test]
    fn a_client_with_all_slots_hands_back_until_it_has_half() {
        let mut worker = Worker::with(&[(1, 7), (2, 7), (3, 7), (4, 7)]);
        assert_eq!(worker.asked_after(2, &[9]), NONE);
        assert_eq!(worker.asked_after(1, &[9]), [4]);
        // One that was asked back is for the one that waits: no second one is asked back for it.
        assert_eq!(worker.asked_after(5, &[9]), [4]);
        worker.slots.free(4);
        worker.take(&[(5, 9)]);
        assert_eq!(worker.asked_after(3, &[9, 7]), [3]);
        worker.slots.free(3);
        worker.take(&[(6, 9)]);
        assert_eq!(worker.asked_after(20, &[9, 7]), NONE);
    }

    #[test]
    fn with_an_odd_number_of_slots_none_goes_to_and_fro() {
        let mut worker = Worker::with(&[(1, 7), (2, 7), (3, 9)]);
        assert_eq!(worker.asked_after(20, &[9, 7]), NONE);
    }

    #[test]
    fn a_third_client_gets_a_slot_of_two_that_have_half_each() {
        let mut worker = Worker::with(&[(1, 7), (2, 7), (3, 9), (4, 9)]);
        assert_eq!(worker.asked_after(3, &[8]), [4]);
    }

    #[test]
    fn a_client_that_waits_for_its_own_scraps_alone_hands_nothing_back() {
        let mut worker = Worker::with(&[(1, 7), (2, 7)]);
        assert_eq!(worker.asked_after(20, &[7]), NONE);
        assert_eq!(worker.asked_after(20, &[]), NONE);
    }

    #[test]
    fn clients_with_a_slot_each_are_left_alone() {
        let mut worker = Worker::with(&[(1, 7), (2, 9)]);
        assert_eq!(worker.asked_after(20, &[8]), NONE);
    }

    #[test]
    fn one_slot_goes_round_and_everybody_has_a_turn() {
        let mut worker = Worker::with(&[(1, 7)]);
        assert_eq!(worker.asked_after(3, &[9, 8]), [1]);
        worker.slots.free(1);
        worker.take(&[(2, 9)]);
        // The third has waited, but the second has just begun.
        assert_eq!(worker.asked_after(1, &[8, 7]), NONE);
        assert_eq!(worker.asked_after(1, &[8, 7]), [2]);
    }

    #[test]
    fn a_wait_that_was_interrupted_begins_anew() {
        let mut worker = Worker::with(&[(1, 7), (2, 7)]);
        assert_eq!(worker.asked_after(2, &[9]), NONE);
        assert_eq!(worker.asked_after(1, &[]), NONE);
        assert_eq!(worker.asked_after(2, &[9]), NONE);
        assert_eq!(worker.asked_after(1, &[9]), [2]);
    }
}

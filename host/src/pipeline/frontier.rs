//! The cursors still to be fetched, as much of them as memory should hold. The whole frontier is in the store; here are a
//! window of it, in order, and the pages in flight.

use std::collections::{HashSet, VecDeque};

use crate::store::{CursorId, PendingCursor};

/// Cursors held in memory at most; the store has the rest.
pub(super) const WINDOW: i64 = 1_000;

/// A window of the frontier of one sweep.
#[derive(Debug)]
pub(super) struct Frontier {
    window: VecDeque<PendingCursor>,
    /// What is in the window, for quick look-ups.
    waiting: HashSet<CursorId>,
    in_flight: HashSet<CursorId>,
    /// The last place that was read from the store.
    read_to: i64,
    /// Whether the store may hold cursors beyond it.
    more: bool,
}

impl Frontier {
    /// An empty window; everything is still in the store.
    pub(super) fn new() -> Self {
        Self { window: VecDeque::new(), waiting: HashSet::new(), in_flight: HashSet::new(), read_to: 0, more: true }
    }

    /// Whether the window should be filled from the store, and from which place on.
    pub(super) fn wants(&self) -> Option<i64> {
        (self.window.is_empty() && self.more).then_some(self.read_to)
    }

    /// Takes what the store gave.
    pub(super) fn fill(&mut self, cursors: Vec<PendingCursor>) {
        self.more = cursors.len() as i64 == WINDOW;
        for cursor in cursors {
            self.read_to = self.read_to.max(cursor.order);
            // One that was fetched ahead of its parent's checkpoint has only now entered the store.
            if !self.in_flight.contains(&cursor.id) && self.waiting.insert(cursor.id) {
                self.window.push_back(cursor);
            }
        }
    }

    /// The store has new cursors.
    pub(super) fn grew(&mut self) {
        self.more = true;
    }

    /// Whether there is something to fetch.
    pub(super) fn has_next(&self) -> bool {
        !self.window.is_empty()
    }

    /// The next cursor to be fetched; it counts as in flight until it is [`done`](Self::done).
    pub(super) fn next(&mut self) -> Option<PendingCursor> {
        let next = self.window.pop_front()?;
        self.waiting.remove(&next.id);
        self.in_flight.insert(next.id);
        Some(next)
    }

    /// Takes a cursor in flight that is not in the store yet; false if it is known here.
    pub(super) fn run_ahead(&mut self, id: CursorId) -> bool {
        !self.knows(id) && self.in_flight.insert(id)
    }

    /// Whether the cursor is in the window or in flight. The store may know it all the same.
    pub(super) fn knows(&self, id: CursorId) -> bool {
        self.waiting.contains(&id) || self.in_flight.contains(&id)
    }

    /// A page is checkpointed.
    pub(super) fn done(&mut self, id: CursorId) {
        self.in_flight.remove(&id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(order: i64) -> PendingCursor {
        let text = order.to_string();
        PendingCursor { order, id: CursorId::of(Some(&text)), cursor: Some(text), parent: None, depth: 0, begun: false }
    }

    #[test]
    fn cursors_come_out_once_and_in_order() {
        let mut frontier = Frontier::new();
        assert_eq!(frontier.wants(), Some(0));
        frontier.fill(vec![cursor(1), cursor(2)]);
        assert_eq!(frontier.next().map(|c| c.order), Some(1));
        assert!(frontier.knows(cursor(1).id));
        assert_eq!(frontier.next().map(|c| c.order), Some(2));
        assert_eq!(frontier.wants(), None);
        frontier.grew();
        assert_eq!(frontier.wants(), Some(2));
    }

    #[test]
    fn one_that_ran_ahead_is_not_fetched_again_when_it_enters_the_store() {
        let mut frontier = Frontier::new();
        frontier.fill(Vec::new());
        assert!(frontier.run_ahead(cursor(7).id));
        assert!(!frontier.run_ahead(cursor(7).id));
        frontier.grew();
        frontier.fill(vec![cursor(7), cursor(8)]);
        assert_eq!(frontier.next().map(|c| c.order), Some(8));
        assert_eq!(frontier.next(), None);
    }

    #[test]
    fn a_full_window_means_that_there_may_be_more() {
        let mut frontier = Frontier::new();
        frontier.fill((1..=WINDOW).map(cursor).collect());
        while frontier.next().is_some() {}
        assert_eq!(frontier.wants(), Some(WINDOW));
    }
}

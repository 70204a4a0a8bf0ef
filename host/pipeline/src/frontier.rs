//! A window of the frontier: the next cursors to be fetched, in order, and the pages in flight. The
//! whole frontier is in the store, since memory should not hold all of it.

use std::collections::{HashSet, VecDeque};

use atlas_model::{CursorId, PendingCursor};

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
            // A page that was fetched ahead of its parent's checkpoint enters the store only now.
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
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::Index;

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

    /// A run: the pages of a source, the store that knows some of them, and what is under way. The
    /// first page is 0.
    struct Model {
        links: Vec<Vec<usize>>,
        frontier: Frontier,
        /// In the order in which they entered the store.
        known: Vec<usize>,
        checkpointed: HashSet<usize>,
        /// Fetched or being fetched, with the page whose checkpoint they wait for.
        open: Vec<(usize, Option<usize>)>,
        /// Checkpointed, and not yet told to the frontier.
        reported: Vec<usize>,
        handed_out: Vec<u32>,
    }

    impl Model {
        fn new(links: Vec<Vec<usize>>) -> Self {
            let handed_out = vec![0; links.len()];
            let (known, checkpointed) = (vec![0], HashSet::new());
            let (open, reported) = (Vec::new(), Vec::new());
            Self { links, frontier: Frontier::new(), known, checkpointed, open, reported, handed_out }
        }

        fn id(page: usize) -> CursorId {
            cursor(page as i64).id
        }

        fn hand_out(&mut self, page: usize, parent: Option<usize>) {
            self.handed_out[page] += 1;
            self.open.push((page, parent));
        }

        /// What the store has after a place, as much as a window holds.
        fn pending(&self, after: i64) -> Vec<PendingCursor> {
            let places = (1..).zip(&self.known).filter(|(place, _)| *place > after);
            let pending = places.filter(|(_, page)| !self.checkpointed.contains(page));
            pending.map(|(order, page)| PendingCursor { order, ..cursor(*page as i64) }).take(WINDOW as usize).collect()
        }

        /// Fills the window if it wants to be; what others checkpoint meanwhile is not in what was
        /// read.
        fn fill(&mut self, meanwhile: Option<usize>) -> bool {
            let Some(after) = self.frontier.wants() else { return false };
            let pending = self.pending(after);
            if let Some(pick) = meanwhile {
                self.checkpoint(pick);
            }
            self.frontier.fill(pending);
            true
        }

        fn next(&mut self) -> bool {
            let Some(cursor) = self.frontier.next() else { return false };
            let page = cursor.cursor.and_then(|text| text.parse().ok()).expect("a page's number");
            self.hand_out(page, None);
            true
        }

        /// A page that is open offers the only one that it names, unless that is known.
        fn offer(&mut self, pick: usize) {
            let Some((parent, _)) = self.open.get(pick % self.open.len().max(1)) else { return };
            let (parent, [only]) = (*parent, self.links[*parent].as_slice()) else { return };
            let only = *only;
            if !self.known.contains(&only) && self.frontier.run_ahead(Self::id(only)) {
                self.hand_out(only, Some(parent));
            }
        }

        fn checkpoint(&mut self, pick: usize) -> bool {
            let ready = |parent: &Option<usize>| parent.is_none_or(|parent| self.checkpointed.contains(&parent));
            let ready: Vec<usize> = (0..self.open.len()).filter(|at| ready(&self.open[*at].1)).collect();
            let Some(at) = ready.get(pick % ready.len().max(1)) else { return false };
            let (page, _) = self.open.swap_remove(*at);
            self.checkpointed.insert(page);
            let (known, new): (HashSet<usize>, _) = (self.known.iter().copied().collect(), &self.links[page]);
            let mut entered = HashSet::new();
            self.known.extend(new.iter().filter(|page| !known.contains(page) && entered.insert(**page)));
            self.reported.push(page);
            true
        }

        fn settle(&mut self, pick: usize) -> bool {
            if self.reported.is_empty() {
                return false;
            }
            let page = self.reported.swap_remove(pick % self.reported.len());
            self.frontier.done(Self::id(page));
            if !self.links[page].is_empty() {
                self.frontier.grew();
            }
            true
        }
    }

    /// Pages that name any others, themselves too, and sometimes a first page that names more than
    /// a window holds.
    fn any_source() -> impl Strategy<Value = Vec<Vec<usize>>> {
        let wide = prop_oneof![9 => Just(0_usize), 1 => 900_usize..2_300];
        (vec(vec(any::<Index>(), 0..4), 1..40), wide).prop_map(|(links, wide)| {
            let pages = links.len();
            let named = |named: Vec<Index>| named.into_iter().map(|page| page.index(pages)).collect();
            let mut links: Vec<Vec<usize>> = links.into_iter().map(named).collect();
            links[0].extend(pages..pages + wide);
            links.resize(pages + wide, Vec::new());
            links
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_page_is_handed_out_once_whatever_comes_first(links in any_source(), moves in vec((0..6_u8, 0..1_000_usize), 0..300)) {
            let mut model = Model::new(links);
            for (what, pick) in moves {
                match what {
                    0 => drop(model.fill((pick % 2 == 1).then_some(pick))),
                    1 | 2 => drop(model.next()),
                    3 => model.offer(pick),
                    4 => drop(model.checkpoint(pick)),
                    _ => drop(model.settle(pick)),
                }
            }
            while model.fill(None) || model.next() || model.checkpoint(0) || model.settle(0) {}
            prop_assert!(model.open.is_empty());
            let (mut led_to, mut look_at) = (HashSet::from([0]), vec![0]);
            while let Some(page) = look_at.pop() {
                look_at.extend(model.links[page].iter().filter(|page| led_to.insert(**page)));
            }
            let expected: Vec<u32> = (0..model.links.len()).map(|page| led_to.contains(&page).into()).collect();
            prop_assert_eq!(model.handed_out, expected);
        }
    }
}

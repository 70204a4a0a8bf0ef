//! The second look: compares the first page with itself one sweep before, to tell whether the
//! source stood still while it was read.
//!
//! Of a first page with records, the total, the records' keys, the number of next cursors and
//! whether any come after its commit are compared, and not the cursors' texts: many sources give a
//! new token for the same place at each call. Of one without records, the cursors are compared,
//! since nothing else can be.
//!
//! A source that hands out records until they are acknowledged cannot stand still: what was read of
//! it is gone. Its first page names acknowledgments and nothing else, here called a *hand-out*.
//! Such a source is as it should be when there is nothing left of it, and when there is something
//! new, that is read to its end as well: each acknowledgment leads on to what comes after.

use atlas_model::PageFacts;
use sha2::{Digest, Sha256};

use super::job::Differences;

/// The outcome of a second look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecondLook {
    /// Whether the first page has changed.
    pub(super) moved: bool,
    /// How it has changed.
    pub(super) differs: Differences,
    /// The total that the source declared before and now; `None` for a hand-out, whose total goes
    /// down as it is read.
    pub(super) before: Option<i64>,
    pub(super) after: Option<i64>,
    /// Whether the new records are a hand-out, which is read to its end whatever the limit on
    /// sweeps.
    pub(super) handed_out: bool,
}

impl SecondLook {
    /// Compares the first page with what it was one sweep before. `empty`: there are no records on
    /// it.
    pub(super) fn at(before: &PageFacts, now: &PageFacts, empty: bool) -> Self {
        let hands_out = |page: &PageFacts| [true, false].map(|any| branches(&[], true, any)).contains(&page.branches);
        let (was_hand_out, is_hand_out) = (hands_out(before), hands_out(now));
        let used_up = was_hand_out && empty && now.branches == branches(&[], false, false);
        let (cursors, after_commit) = match (Counted::read(&before.branches), Counted::read(&now.branches)) {
            (Some(before), Some(now)) => (before.next != now.next, before.after_commit != now.after_commit),
            _ => (before.branches != now.branches, false),
        };
        let differs = Differences {
            total: before.total_records != now.total_records,
            keys: before.members != now.members,
            cursors,
            after_commit,
        };
        let declared = |page: &PageFacts| page.total_records.filter(|_| !was_hand_out && !is_hand_out);
        Self {
            moved: differs != Differences::default() && !used_up,
            differs,
            before: declared(before),
            after: declared(now),
            handed_out: is_hand_out,
        }
    }
}

/// A digest of a page's cursors, for comparison with the page one sweep before: of a page with
/// records, the number of next cursors and whether any come after its commit; of one without, a
/// hash of the cursors as well.
pub(super) fn branches(next: &[String], after_commit: bool, any_records: bool) -> [u8; 32] {
    if any_records {
        return Counted { next: next.len() as u64, after_commit }.written();
    }
    let mut hash = Sha256::new();
    for cursor in next {
        hash.update((cursor.len() as u64).to_le_bytes());
        hash.update(cursor);
    }
    if after_commit {
        // No cursor is so long.
        hash.update(u64::MAX.to_le_bytes());
    }
    hash.finalize().into()
}

/// The facts about the cursors of a page with records that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counted {
    /// How many come next.
    next: u64,
    /// Whether any come after its commit.
    after_commit: bool,
}

impl Counted {
    /// The prefix that tells a count from a hash.
    const MARK: [u8; 16] = *b"atlas:branches:1";

    fn written(self) -> [u8; 32] {
        let mut written = [0; 32];
        written[..16].copy_from_slice(&Self::MARK);
        written[16..24].copy_from_slice(&self.next.to_le_bytes());
        written[24] = self.after_commit.into();
        written
    }

    fn read(written: &[u8; 32]) -> Option<Self> {
        let (next, after_commit) = (written[16..24].try_into().ok()?, written[24] == 1);
        written.starts_with(&Self::MARK).then_some(Self { next: u64::from_le_bytes(next), after_commit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page with records, whose keys are these.
    fn page(total: Option<i64>, members: u8, next: &[&str], after_commit: bool) -> PageFacts {
        facts(total, members, next, after_commit, true)
    }

    fn facts(total: Option<i64>, members: u8, next: &[&str], after_commit: bool, any: bool) -> PageFacts {
        let next: Vec<String> = next.iter().map(|&cursor| cursor.to_owned()).collect();
        PageFacts {
            total_records: total,
            members: [members; 32],
            content: None,
            branches: branches(&next, after_commit, any),
            repeats: 1,
        }
    }

    #[test]
    fn a_source_that_has_other_records_pages_or_totals_has_moved_and_it_is_told_in_what() {
        let before = page(Some(9), 1, &["2"], false);
        assert!(!SecondLook::at(&before, &page(Some(9), 1, &["2"], false), false).moved);
        let none = Differences::default();
        let others = [
            (page(Some(8), 1, &["2"], false), Differences { total: true, ..none }),
            (page(Some(9), 2, &["2"], false), Differences { keys: true, ..none }),
            (page(Some(9), 1, &[], false), Differences { cursors: true, ..none }),
            (page(Some(9), 1, &["2"], true), Differences { after_commit: true, ..none }),
            (page(None, 3, &["2", "3"], false), Differences { total: true, keys: true, cursors: true, ..none }),
        ];
        for (now, differs) in others {
            let look = SecondLook::at(&before, &now, false);
            assert_eq!((look.moved, look.differs), (true, differs));
        }
        // A source that was emptied has moved as well: it did not say that it would be.
        assert!(SecondLook::at(&page(None, 1, &[], false), &facts(None, 0, &[], false, false), true).moved);
    }

    #[test]
    fn another_token_for_the_same_place_is_no_move_where_records_tell() {
        let before = page(Some(9), 1, &["a-token"], false);
        assert!(!SecondLook::at(&before, &page(Some(9), 1, &["another"], false), false).moved);
        // Without records the cursors are all that tells.
        let [before, now] = ["day-1", "day-2"].map(|day| facts(None, 0, &[day], false, false));
        let look = SecondLook::at(&before, &now, true);
        assert!(look.moved && look.differs.cursors);
    }

    #[test]
    fn a_source_that_was_acknowledged_and_has_nothing_left_stood_still() {
        let (before, left) = (page(Some(9), 1, &[], true), facts(Some(0), 0, &[], false, false));
        let look = SecondLook::at(&before, &left, true);
        assert_eq!((look.moved, look.before, look.after, look.handed_out), (false, None, None, false));
        // So it was for a scrap that began when cursors were always hashed.
        let of_before = PageFacts { branches: branches(&[], true, false), ..page(Some(9), 1, &[], true) };
        assert!(!SecondLook::at(&of_before, &left, true).moved);
        // What it hands out by now is new, and read to its end.
        let more = SecondLook::at(&before, &page(Some(2), 2, &[], true), false);
        assert!(more.moved && more.handed_out);
        // With pages beside the acknowledgments, nothing says that all of it was handed out.
        assert!(SecondLook::at(&page(None, 1, &["2"], true), &left, true).moved);
    }
}

//! The second look at the first page: whether the source stood still while it was read.
//!
//! A source that hands out records until they are acknowledged cannot stand still: what was read of it is gone. Its first page
//! names acknowledgments and nothing else, here called a *hand-out*. Such a source is as it should be when there is nothing left of
//! it, and when there is something new, that is read to its end as well: each acknowledgment leads on to what comes after.

use sha2::{Digest, Sha256};

use crate::store::PageFacts;

/// What the second look at the first page showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    /// It is not what it was.
    pub(super) moved: bool,
    /// What the source declared before and now; nothing where records are handed out, since their number goes down.
    pub(super) before: Option<i64>,
    pub(super) after: Option<i64>,
    /// What is new is handed out, and so read to its end, however many sweeps there may be.
    pub(super) handed_out: bool,
}

impl Look {
    /// Compares the first page with what it was one sweep before. `empty`: there are no records on it.
    pub(super) fn at(before: &PageFacts, now: &PageFacts, empty: bool) -> Self {
        let [was_hand_out, is_hand_out] = [before, now].map(|page| page.branches == branches_hash(&[], true));
        let used_up = was_hand_out && empty && now.branches == branches_hash(&[], false);
        let differs = before.total_records != now.total_records
            || before.branches != now.branches
            || before.members != now.members;
        let declared = |page: &PageFacts| page.total_records.filter(|_| !was_hand_out && !is_hand_out);
        Self { moved: differs && !used_up, before: declared(before), after: declared(now), handed_out: is_hand_out }
    }
}

/// The cursors that a page names as coming next, and whether it names any for after its commit.
pub(super) fn branches_hash(next: &[String], after_commit: bool) -> [u8; 32] {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(total: Option<i64>, members: u8, next: &[&str], after_commit: bool) -> PageFacts {
        let next: Vec<String> = next.iter().map(|&cursor| cursor.to_owned()).collect();
        PageFacts {
            total_records: total,
            members: [members; 32],
            content: None,
            branches: branches_hash(&next, after_commit),
            repeats: 1,
        }
    }

    #[test]
    fn a_source_that_has_other_records_pages_or_totals_has_moved() {
        let before = page(Some(9), 1, &["2"], false);
        assert!(!Look::at(&before, &page(Some(9), 1, &["2"], false), false).moved);
        let others = [page(Some(8), 1, &["2"], false), page(Some(9), 2, &["2"], false), page(Some(9), 1, &[], false)];
        assert!(others.iter().all(|now| Look::at(&before, now, false).moved));
        // One that was emptied has moved as well: nobody said that it would be.
        assert!(Look::at(&page(None, 1, &[], false), &page(None, 0, &[], false), true).moved);
    }

    #[test]
    fn a_source_that_was_acknowledged_and_has_nothing_left_stood_still() {
        let (before, left) = (page(Some(9), 1, &[], true), page(Some(0), 0, &[], false));
        let look = Look::at(&before, &left, true);
        assert_eq!(look, Look { moved: false, before: None, after: None, handed_out: false });
        // What it hands out by now is new, and read to its end.
        let more = Look::at(&before, &page(Some(2), 2, &[], true), false);
        assert!(more.moved && more.handed_out);
        // With pages beside the acknowledgments, nobody knows that all of it was handed out.
        assert!(Look::at(&page(None, 1, &["2"], true), &left, true).moved);
    }
}

//! What comes after a page.

use atlas_connector_sdk::FetchError;

/// The most branches that a page may name; a source with more pages is followed one by one.
const MAX_BRANCHES: u64 = 100_000;

/// What an envelope says of its place among the pages.
pub struct Paging {
    /// The page that was asked for.
    pub page: u64,
    /// How many records it has.
    pub records: u32,
    /// The page that the source says it is.
    pub current_page: Option<u64>,
    /// The last page there is.
    pub last_page: Option<u64>,
    /// Whether there is a `next_page_url`; none if the envelope has no such field.
    pub more: Option<bool>,
}

impl Paging {
    /// The cursors that this page names. The first one names all the others, to be fetched side by
    /// side; each of those names the one after it, so that a source that grows while it is read is
    /// followed to its end.
    ///
    /// # Errors
    /// `InvalidResponse` if this is another page than the one asked for: its records would hide
    /// those that are missing.
    pub fn next(&self) -> Result<Vec<String>, FetchError> {
        if let Some(current) = self.current_page
            && current != self.page
        {
            return if self.shrank_to(current) { Ok(Vec::new()) } else { Err(self.astray(current)) };
        }
        let last = self.last_page.unwrap_or(0);
        if self.page == 1 && (2..=MAX_BRANCHES + 1).contains(&last) {
            return Ok((2..=last).map(|page| page.to_string()).collect());
        }
        Ok(if self.goes_on() { vec![(self.page + 1).to_string()] } else { Vec::new() })
    }

    fn goes_on(&self) -> bool {
        match (self.more, self.last_page) {
            // Nothing says where the pages end: the first empty one does.
            (None, None) => self.records > 0,
            (more, last) => more == Some(true) || last.is_some_and(|last| self.page < last),
        }
    }

    /// Some sources answer with their last page when the one asked for is no longer there.
    fn shrank_to(&self, current: u64) -> bool {
        current < self.page && self.last_page == Some(current)
    }

    fn astray(&self, current: u64) -> FetchError {
        FetchError::InvalidResponse(format!("page {} was asked for, and page {current} came", self.page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(page: u64, last_page: Option<u64>, more: Option<bool>) -> Vec<String> {
        let paging = Paging { page, records: 10, current_page: Some(page), last_page, more };
        paging.next().unwrap_or_else(|_| panic!("page {page} is the page asked for"))
    }

    #[test]
    fn the_first_page_names_all_the_others() {
        assert_eq!(next(1, Some(4), Some(true)), ["2", "3", "4"]);
        assert_eq!(next(1, Some(1), Some(false)), [""; 0]);
        assert_eq!(next(1, Some(0), None), [""; 0]);
        assert_eq!(next(1, Some(MAX_BRANCHES + 1), None).len(), 100_000);
    }

    #[test]
    fn later_pages_name_the_one_after_them() {
        assert_eq!(next(3, Some(4), Some(true)), ["4"]);
        assert_eq!(next(3, Some(4), None), ["4"]);
        assert_eq!(next(4, Some(4), Some(false)), [""; 0]);
        // It grew.
        assert_eq!(next(4, Some(4), Some(true)), ["5"]);
        assert_eq!(next(4, Some(5), Some(false)), ["5"]);
    }

    #[test]
    fn too_many_pages_are_a_chain() {
        assert_eq!(next(1, Some(MAX_BRANCHES + 2), Some(true)), ["2"]);
        assert_eq!(next(1, Some(u64::MAX), None), ["2"]);
        assert_eq!(next(2, Some(u64::MAX), None), ["3"]);
    }

    #[test]
    fn without_a_last_page_the_url_says_whether_there_is_more() {
        assert_eq!(next(1, None, Some(true)), ["2"]);
        assert_eq!(next(7, None, Some(true)), ["8"]);
        assert_eq!(next(7, None, Some(false)), [""; 0]);
    }

    #[test]
    fn without_either_an_empty_page_ends() {
        assert_eq!(next(1, None, None), ["2"]);
        let empty = Paging { page: 2, records: 0, current_page: None, last_page: None, more: None };
        assert_eq!(empty.next().ok(), Some(Vec::new()));
    }

    #[test]
    fn another_page_than_the_one_asked_for_is_refused() {
        let stuck = Paging { page: 3, records: 10, current_page: Some(1), last_page: Some(4), more: Some(true) };
        assert!(matches!(stuck.next(), Err(FetchError::InvalidResponse(_))));
        let shrank = Paging { page: 5, records: 10, current_page: Some(4), last_page: Some(4), more: Some(false) };
        assert_eq!(shrank.next().ok(), Some(Vec::new()));
    }
}

//! A page, said in one line.

use crate::{Cursor, Page, Records, Selection};

impl Page {
    /// Records that stay in the host, where [`Response::select`](crate::Response::select) found
    /// them.
    #[must_use]
    pub fn selected(selection: Selection) -> Self {
        Self::of(Records::Selected(vec![selection]))
    }

    /// Records that the connector made itself, each a JSON text.
    #[must_use]
    pub fn json(records: Vec<String>) -> Self {
        Self::of(Records::Json(records))
    }

    /// What comes next: nothing, one cursor (an `Option` or an array will do), or branches to be
    /// fetched in parallel.
    #[must_use]
    pub fn then(mut self, next: impl IntoIterator<Item = impl Into<Cursor>>) -> Self {
        self.next.extend(next.into_iter().map(Into::into));
        self
    }

    /// What comes only once every record of this page is durable: acknowledgments. Each may be
    /// fetched more than once.
    #[must_use]
    pub fn after_commit(mut self, cursors: impl IntoIterator<Item = impl Into<Cursor>>) -> Self {
        self.after_commit.extend(cursors.into_iter().map(Into::into));
        self
    }

    /// How many records the source says the whole scrap has, if it says so.
    #[must_use]
    pub fn of_total(mut self, total: Option<u64>) -> Self {
        self.total_records = total;
        self
    }

    fn of(records: Records) -> Self {
        Self { records, next: Vec::new(), after_commit: Vec::new(), total_records: None }
    }
}

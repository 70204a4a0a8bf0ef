//! A source that is as small as can be, and has pages of every kind.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use atlas_json::Pointer;
use atlas_pipeline::{FetchFailure, FetchedPage, Fetcher, Held, PageSource};
use bytes::Bytes;
use parking_lot::Mutex;

/// Its pages; `-` is the first, and names `first` and `box`. `first`, `second` and `third` are a
/// chain that runs ahead; `second` is empty, `third` leads to one that is known, and `acknowledge`
/// is asked for when `box` is durable.
pub(super) const PAGES: [&str; 6] = ["-", "acknowledge", "box", "first", "second", "third"];
/// What stands in the table in the end.
pub(super) const ROWS: [&str; 5] = [r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#, r#"{"id":4}"#, r#"{"id":5}"#];
/// What stands among the rejected: no database takes a NUL in a text.
pub(super) const REJECTED: &str = r#"{"id":6,"name":"\u0000"}"#;
/// What it gives before the acknowledgment, one record twice; and after it, when the box is empty.
/// The second look sees another total, so that all pages are read once more.
pub(super) const READ: [i64; 2] = [7, 6];

/// The source. What it has handed out and was told to forget, it does not have any more, whoever
/// asks.
#[derive(Default)]
pub(super) struct Script {
    forgotten: Mutex<bool>,
    /// A file of which it notes the length when it is told to forget.
    noting: Option<PathBuf>,
    noted: Mutex<Option<u64>>,
}

impl Script {
    /// One that notes how long this file is when it is told to forget.
    pub(super) fn noting(file: PathBuf) -> Self {
        Self { noting: Some(file), ..Self::default() }
    }

    /// One that was told already, or not.
    pub(super) fn told(already: bool) -> Self {
        Self { forgotten: Mutex::new(already), ..Self::default() }
    }

    /// What it noted.
    pub(super) fn noted(&self) -> Option<u64> {
        *self.noted.lock()
    }

    fn forget(&self) {
        let mut forgotten = self.forgotten.lock();
        if !*forgotten && let Some(file) = &self.noting {
            let length = std::fs::metadata(file).map(|file| file.len()).ok();
            *self.noted.lock() = length;
        }
        *forgotten = true;
    }
}

#[async_trait]
impl PageSource for Script {
    async fn fetch(&self, cursor: Option<&str>) -> Result<FetchedPage, FetchFailure> {
        if cursor == Some("acknowledge") {
            self.forget();
        }
        let full = !*self.forgotten.lock();
        let (records, next, after_commit): (&[&'static str], &[&str], &[&str]) = match cursor {
            None => (&ROWS[0..2], &["first", "box"], &[]),
            Some("first") => (&[ROWS[2], REJECTED], &["second"], &[]),
            Some("second") => (&[], &["third"], &[]),
            // One that is new, and one that the first page had.
            Some("third") => (&[ROWS[3], ROWS[0]], &["box"], &[]),
            Some("box") => (if full { &ROWS[4..] } else { &[] }, &[], &["acknowledge"]),
            Some("acknowledge") => (&[], &[], &[]),
            Some(other) => return Err(FetchFailure::Fatal(format!("nobody named the page {other}"))),
        };
        let owned = |cursors: &[&str]| cursors.iter().map(|cursor| (*cursor).to_owned()).collect();
        let total = READ[usize::from(!full)];
        Ok(FetchedPage {
            records: records.iter().map(|record| Bytes::from_static(record.as_bytes())).collect(),
            next: owned(next),
            after_commit: owned(after_commit),
            total_records: cursor.is_none().then(|| total.unsigned_abs()),
            fetched_by: fetcher(),
            held: Held::default(),
        })
    }
}

fn fetcher() -> Arc<Fetcher> {
    let key = Pointer::parse("/id").into_iter().collect();
    Arc::new(Fetcher { sha256: "ab".repeat(32), key, unhashed: Vec::new() })
}

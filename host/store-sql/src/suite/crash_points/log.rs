//! SQLite's write-ahead log, cut where a process could have died.
//!
//! <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use anyhow::{Result, ensure};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Every length at which the log can have been when a process died: after each of its pages, and in
/// the middle of each page that ends a COMMIT.
pub(super) fn cuts(log: &[u8]) -> Result<Vec<usize>> {
    ensure!(log.len() > HEADER, "the log is empty");
    let word = |at: usize| log[at..].first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let frame = FRAME_HEADER + usize::try_from(word(8))?;
    let mut cuts = vec![0, HEADER];
    for start in (HEADER..log.len()).step_by(frame) {
        ensure!(start + frame <= log.len(), "the log ends within a page");
        // The database's size, in pages, on the last page of a COMMIT.
        if word(start + 4) != 0 {
            cuts.push(start + frame / 2);
        }
        cuts.push(start + frame);
    }
    Ok(cuts)
}

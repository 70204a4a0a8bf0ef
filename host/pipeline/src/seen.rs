//! Detects records that come twice in one sweep. A source whose order is not stable from page to
//! page shows some records twice and others never, while its total is right and its first page
//! stands still; only the repeats give it away.

use std::collections::HashSet;

/// Records remembered; beyond, repeats are not noticed any more. Each takes some 16 bytes.
const REMEMBERED_MAX: usize = 2_000_000;

/// The records that this process has read in one sweep, by the beginnings of their hashes.
#[derive(Default)]
pub(super) struct Seen {
    sweep: i32,
    beginnings: HashSet<u64>,
    repeated: i64,
}

impl Seen {
    /// Notes a record of a sweep; those of earlier sweeps are forgotten with the first of a new
    /// one.
    pub(super) fn note(&mut self, sweep: i32, hash: &str) {
        if sweep != self.sweep {
            *self = Self { sweep, ..Self::default() };
        }
        let Some(Ok(beginning)) = hash.get(..16).map(|digits| u64::from_str_radix(digits, 16)) else { return };
        if self.beginnings.contains(&beginning) {
            self.repeated += 1;
        } else if self.beginnings.len() < REMEMBERED_MAX {
            self.beginnings.insert(beginning);
        }
    }

    /// How many records of a sweep had come before in it.
    pub(super) fn repeated_in(&self, sweep: i32) -> i64 {
        if sweep == self.sweep { self.repeated } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_counted_within_a_sweep_and_forgotten_with_it() {
        let mut seen = Seen::default();
        let hash = |n: u64| format!("{n:016x}{:048x}", 0);
        for n in [1, 2, 1, 3, 1] {
            seen.note(0, &hash(n));
        }
        assert_eq!(seen.repeated_in(0), 2);
        seen.note(1, &hash(1));
        assert_eq!((seen.repeated_in(0), seen.repeated_in(1)), (0, 0));
    }
}

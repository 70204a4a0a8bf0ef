//! How long to wait before something is tried again: exponential backoff with full jitter, so that
//! many who failed together do not come back together.
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>

use std::time::Duration;

use rand::RngExt;

/// The longest wait within a run. A page that is asked to wait longer ends the run, resumable, so
/// that it does not hold a worker's slot.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// When a page is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    base: Duration,
    cap: Duration,
}

impl RetryPolicy {
    /// `attempts` in all (`RETRY_MAX`), at least 1. The wait after the nth failure is anything up
    /// to `base` × 2ⁿ, and never more than `cap`. `None` if these make no policy.
    pub fn new(attempts: u32, base: Duration, cap: Duration) -> Option<Self> {
        (attempts >= 1 && base <= cap).then_some(Self { attempts, base, cap })
    }

    /// The same with another number of attempts. `None` for 0.
    pub fn with_attempts(&self, attempts: u32) -> Option<Self> {
        Self::new(attempts, self.base, self.cap)
    }

    /// Attempts in all.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The most that the backoff waits after this many failures.
    fn ceiling(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.cap)
    }

    /// The wait after this many failures, on top of one that was asked for.
    pub(super) fn backoff(&self, failures: u32) -> Duration {
        let ceiling = u64::try_from(self.ceiling(failures).as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(rand::rng().random_range(0..=ceiling))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let policy = RetryPolicy::new(5, Duration::from_secs(1), Duration::from_secs(60));
        let policy = policy.unwrap_or_else(|| panic!("a sound policy"));
        let ceilings: Vec<_> = (1..=8).map(|n| policy.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(policy.ceiling(1000).as_secs(), 60);
    }

    #[test]
    fn a_wait_is_anything_up_to_the_ceiling() {
        let policy = RetryPolicy::new(5, Duration::from_millis(100), Duration::from_secs(60));
        let policy = policy.unwrap_or_else(|| panic!("a sound policy"));
        let waits: Vec<_> = (0..1000).map(|_| policy.backoff(2)).collect();
        assert!(waits.iter().all(|w| *w <= Duration::from_millis(400)));
        assert!(waits.iter().any(|w| *w < Duration::from_millis(100)));
        assert!(waits.iter().any(|w| *w > Duration::from_millis(300)));
    }

    #[test]
    fn no_attempts_at_all_are_no_policy() {
        assert_eq!(RetryPolicy::new(0, Duration::ZERO, Duration::ZERO), None);
        assert_eq!(RetryPolicy::new(1, Duration::from_secs(2), Duration::from_secs(1)), None);
    }
}

//! When a scrap whose run ended is taken again.

use std::time::Duration;

use atlas_model::{Scrap, ScrapState};
use atlas_pipeline::End;
use atlas_store::Fault;
use chrono::{DateTime, Utc};

/// Runs in a row without a new page after which workers leave a scrap whose source fails to the
/// operator.
const RERUNS_MAX: i32 = 12;
/// The longest wait between two of those runs.
const RERUN_WAIT_MAX: Duration = Duration::from_secs(60 * 60);
/// The shortest wait for a spent quota, and the longest.
const QUOTA_WAIT_MIN: Duration = Duration::from_secs(1);
const QUOTA_WAIT_MAX: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// How soon a scrap may be taken again whose version was held. No host that knows of it takes the
/// scrap before another version serves its route.
pub(super) const HELD_WAIT: Duration = Duration::from_secs(2);

/// When a scrap whose run ended is taken again, and by whom.
pub(super) struct Again<'a> {
    /// Whether it was taken from the queue.
    pub(super) is_queued: bool,
    /// As it stood before the run.
    pub(super) before: &'a Scrap,
    /// The wait after the first passing failure; it doubles with each.
    pub(super) first_wait: Duration,
}

impl Again<'_> {
    /// The state in which a run leaves its scrap that has so many pages now, the wait until it is
    /// taken again, and how many runs in a row have failed.
    pub(super) fn after(&self, end: &End, pages: i64) -> (ScrapState, Option<Duration>, i32) {
        match end {
            // This worker stops; another goes on.
            End::Stopped if self.is_queued => (ScrapState::Pendente, None, self.before.failures),
            // Taken again by a worker even where an operator ran it, who need not be there at that
            // hour.
            End::Quota { until, .. } => match wait_until(until.as_deref()) {
                // The moment that the connector named is over, and the quota is still spent.
                Some(Duration::ZERO) => self.after_a_failure(end.state(), pages),
                wait => (end.state(), wait, 0),
            },
            End::VersionHeld(_) => (end.state(), Some(HELD_WAIT), self.before.failures),
            End::HandedBack => (end.state(), None, self.before.failures),
            End::WaitTooLong { seconds, .. } if self.is_queued => {
                (end.state(), Some(Duration::from_secs(*seconds).min(QUOTA_WAIT_MAX)), 0)
            }
            End::AttemptsExhausted { .. } | End::NeverReady { .. } if self.is_queued => {
                self.after_a_failure(end.state(), pages)
            }
            // The database did not answer for as long as it is waited for, and does again, or this
            // would not be written.
            End::Store(error)
                if self.is_queued && matches!(error.fault, Fault::Unavailable | Fault::TooSlow | Fault::Collision) =>
            {
                self.after_a_failure(ScrapState::Interrompido, pages)
            }
            _ => (end.state(), None, 0),
        }
    }

    /// The state and the wait after a failed run. The wait doubles if the run before failed as well
    /// and this one got no new page.
    fn after_a_failure(&self, state: ScrapState, pages: i64) -> (ScrapState, Option<Duration>, i32) {
        let failures = if pages > self.before.pages { 1 } else { self.before.failures + 1 };
        (state, rerun_in(failures, self.first_wait), failures)
    }
}

/// How long a scrap waits for its next run when so many in a row have failed. None: a person has to
/// look at it.
pub(super) fn rerun_in(failures: i32, first_wait: Duration) -> Option<Duration> {
    let doubled = u32::try_from(failures - 1).unwrap_or_default().min(16);
    let wait = first_wait.saturating_mul(1 << doubled).min(RERUN_WAIT_MAX);
    (failures <= RERUNS_MAX).then_some(wait)
}

/// How long it is until the moment that a connector named, nothing if it is over. None: it named
/// none that can be read, and a person decides.
fn wait_until(until: Option<&str>) -> Option<Duration> {
    let until = DateTime::parse_from_rfc3339(until?.trim()).ok()?;
    let wait = (until.to_utc() - Utc::now()).to_std();
    Some(wait.map_or(Duration::ZERO, |wait| wait.clamp(QUOTA_WAIT_MIN, QUOTA_WAIT_MAX)))
}

//! Retries of calls to the store. Every call of a run goes through here, so that a clash of
//! transactions or a restart of the database costs a run time and nothing else.

use std::time::{Duration, Instant};

use atlas_store::{Fault, StoreError};
use rand::RngExt;

use super::progress::{Event, Observer};

/// How often the same statement is tried when transactions clash.
const COLLISIONS_MAX: u32 = 20;
/// The longest pause after a clash; anything up to it.
const COLLISION_PAUSE_MS: u64 = 20;
/// The pause before a call is made again while the database does not answer: it doubles, up to
/// this.
const OUTAGE_PAUSE: Duration = Duration::from_millis(125);
const OUTAGE_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take: longer than a batch waits for another's locks.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// Makes a call until it succeeds, fails for good, or patience runs out. Only for calls that may be
/// repeated after a lost answer.
pub async fn patiently<T, F: Future<Output = Result<T, StoreError>>>(
    longest: Duration,
    observer: &dyn Observer,
    mut call: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut patience = Patience::new(longest);
    loop {
        match answered(call()).await {
            Ok(value) => return Ok(value),
            Err(error) => patience.wait(error, observer).await?,
        }
    }
}

/// Waits for a call's answer, for [`ANSWER_MAX`] at most: a server that vanished, or a network that
/// drops all packets, looks like a slow one.
pub(super) async fn answered<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    match tokio::time::timeout(ANSWER_MAX, call).await {
        Ok(answer) => answer,
        Err(_) => {
            let detail = format!("no answer within {} s", ANSWER_MAX.as_secs());
            Err(StoreError::new(Fault::Unavailable, "wait for the database", detail))
        }
    }
}

/// The retries of one call so far, and whether an earlier attempt may have succeeded although its
/// answer was lost.
pub(super) struct Patience {
    longest: Duration,
    collisions: u32,
    /// When the database was first found not to answer, and the pause before it is asked again.
    outage: Option<(Instant, Duration)>,
}

impl Patience {
    /// For a database that may be gone for so long.
    pub(super) fn new(longest: Duration) -> Self {
        Self { longest, collisions: 0, outage: None }
    }

    /// Whether the answer to an earlier attempt was lost, so that it may have been carried out.
    pub(super) fn outcome_was_unknown(&self) -> bool {
        self.outage.is_some()
    }

    /// Waits before the next attempt, or returns the error if it is not one to retry, or patience
    /// has run out.
    pub(super) async fn wait(&mut self, error: StoreError, observer: &dyn Observer) -> Result<(), StoreError> {
        match error.fault {
            Fault::Collision if self.collisions < COLLISIONS_MAX => {
                self.collisions += 1;
                let pause = rand::rng().random_range(0..=COLLISION_PAUSE_MS);
                tokio::time::sleep(Duration::from_millis(pause)).await;
                Ok(())
            }
            Fault::Unavailable => {
                let (began, pause) = *self.outage.get_or_insert_with(|| (Instant::now(), OUTAGE_PAUSE));
                let left = self.longest.saturating_sub(began.elapsed());
                if left.is_zero() {
                    return Err(error);
                }
                let wait = pause.min(left);
                self.outage = Some((began, (pause * 2).min(OUTAGE_PAUSE_MAX)));
                let reason = error.database_message();
                observer.on(Event::StoreWaiting { reason: &reason, wait });
                tokio::time::sleep(wait).await;
                Ok(())
            }
            _ => Err(error),
        }
    }
}

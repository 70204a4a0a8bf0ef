//! Schedules: hosts create their scraps when they are due; the first host to see it does.

use async_trait::async_trait;
use atlas_model::{Fired, Firing, NewSchedule, Schedule};

use crate::StoreError;

/// Schedules. Every call is atomic.
#[async_trait]
pub trait Schedules: Send + Sync {
    /// Adds one, and gives its number.
    async fn add_schedule(&self, schedule: &NewSchedule) -> Result<i64, StoreError>;

    /// All of them, by their numbers.
    async fn schedules(&self) -> Result<Vec<Schedule>, StoreError>;

    /// Those of active clients that are due by the moment `now`, the longest due first.
    async fn due_schedules(&self, now: i64) -> Result<Vec<Schedule>, StoreError>;

    /// Lets one create scraps from now on, due next at this moment, or none; false if it is not
    /// there.
    async fn set_schedule(&self, id: i64, active: bool, next: i64) -> Result<bool, StoreError>;

    /// Removes one; false if it was not there.
    async fn remove_schedule(&self, id: i64) -> Result<bool, StoreError>;

    /// Creates a scrap of one that is as it was read, and sets when it is due next: both or
    /// neither.
    async fn fire(&self, firing: &Firing<'_>) -> Result<Fired, StoreError>;
}

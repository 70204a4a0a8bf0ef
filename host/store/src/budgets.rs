//! Budgets of requests, shared by all hosts: what a client may still ask of an API, and how many
//! pages at once.

use std::time::Duration;

use async_trait::async_trait;
use atlas_model::{Account, RequestsAsked, Reserved};

use crate::StoreError;

/// Budgets. Every call is atomic, and counts time by the database's clock.
#[async_trait]
pub trait Budgets: Send + Sync {
    /// Takes requests out of a budget.
    async fn reserve(&self, account: Account<'_>, asked: RequestsAsked) -> Result<Reserved, StoreError>;

    /// Refuses all requests of an account for so long, from all hosts. A longer time that was set
    /// before stays.
    async fn hold_off(&self, account: Account<'_>, wait: Duration) -> Result<(), StoreError>;

    /// How long an account's requests are still refused.
    async fn held_off(&self, account: Account<'_>) -> Result<Duration, StoreError>;

    /// Takes one of so many slots for a host that is seen; `None` while others have them all.
    async fn take_slot(&self, account: Account<'_>, slots: i64, host: &str) -> Result<Option<i64>, StoreError>;

    /// Gives back what a host has of an account's slots, but for these.
    async fn leave_slots_but(&self, account: Account<'_>, held: &[i64], host: &str) -> Result<(), StoreError>;

    /// Gives a slot back.
    async fn leave_slot(&self, account: Account<'_>, slot: i64, host: &str) -> Result<(), StoreError>;
}

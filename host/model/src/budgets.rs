//! Budgets of requests, shared by all hosts.

use std::time::Duration;

/// The owner of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account<'a> {
    /// The client.
    pub cliente_id: i32,
    /// The API.
    pub api: &'a str,
}

/// A reservation of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestsAsked {
    /// How many, at least 1: all or none are granted.
    pub requests: u32,
    /// The time between two of them, if they come evenly; zero: there is no rate.
    pub interval: Duration,
    /// How many the day may have in all.
    pub per_day: Option<i64>,
    /// Offset of the day's time zone: the seconds that it is ahead of UTC.
    pub day_offset: i32,
}

/// The outcome of a reservation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reserved {
    /// The requests may be made, evenly spaced. `next_in` is when the turn of the request after the
    /// last comes, before any burst is taken off; it is negative if that might be past already.
    Granted {
        /// Seconds until one interval after the last.
        next_in: f64,
    },
    /// The source wants to be left alone for so long.
    HeldOff(Duration),
    /// The day has had its requests; the next one begins in this time.
    DaySpent(Duration),
}

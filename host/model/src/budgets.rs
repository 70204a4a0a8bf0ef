//! Budgets of requests, shared by all hosts.

use std::time::Duration;

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account<'a> {
    /// The client.
    pub cliente_id: i32,
    /// The API.
    pub api: &'a str,
}

/// Requests that somebody wants to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestsAsked {
    /// How many, at least 1: all or none are granted.
    pub requests: u32,
    /// The time between two of them, if they come evenly; zero: there is no rate.
    pub interval: Duration,
    /// How many the day may have in all.
    pub per_day: Option<i64>,
    /// Where that day begins: seconds that the time zone is ahead of UTC.
    pub day_offset: i32,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reserved {
    /// They may be made, evenly, the last of them this many seconds from now, before any burst is
    /// taken off; less than zero if it might have been made before.
    Granted {
        /// Seconds until one interval after the last.
        next_in: f64,
    },
    /// The source wants to be left alone for so long.
    HeldOff(Duration),
    /// The day has had its requests; the next one begins in this time.
    DaySpent(Duration),
}

//! Schedules: scraps that are created at fixed times.

use crate::NewScrap;

/// A schedule to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSchedule {
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// When: five fields.
    pub cron: String,
    /// The time zone that they are read in.
    pub timezone: String,
    /// The days that a scrap asks for, the present one included; none: the route takes no period.
    pub window_days: Option<i32>,
    /// Records a page; 0: as the connector says.
    pub page_size: i32,
    /// Whether a scrap is created although the one before has not ended.
    pub overlap: bool,
    /// When it is due first, in seconds since 1970.
    pub next: i64,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its number.
    pub id: i64,
    /// The client.
    pub cliente_id: i32,
    /// The route.
    pub rota: String,
    /// When: five fields.
    pub cron: String,
    /// The time zone that they are read in.
    pub timezone: String,
    /// The days that a scrap asks for, the present one included.
    pub window_days: Option<i32>,
    /// Records a page; 0: as the connector says.
    pub page_size: i32,
    /// Whether a scrap is created although the one before has not ended.
    pub overlap: bool,
    /// Whether it creates any.
    pub active: bool,
    /// When it is due next, in seconds since 1970.
    pub next: i64,
    /// The scrap that it created last.
    pub last_scrap: Option<i64>,
    /// The last day that was read for certain, ISO 8601; before anything was, the first that was
    /// asked for.
    pub last_day: Option<String>,
}

/// A schedule that is due, and what comes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firing<'a> {
    /// The schedule.
    pub schedule: &'a Schedule,
    /// When it is due after this.
    pub next: i64,
    /// The scrap.
    pub scrap: &'a NewScrap,
}

/// The outcome of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fired {
    /// A scrap, by its number.
    Scrap(i64),
    /// No scrap was created: the one before has not ended.
    Overlaps,
    /// No scrap was created: another host was first, or the schedule was changed.
    Passed,
}

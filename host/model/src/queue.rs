//! The queue that workers take scraps from, and the processes that run them.

use std::time::Duration;

/// How many hosts may die one after the other with a scrap that brings no page meanwhile: perhaps
/// it is what they die of.
pub const TAKE_OVERS_MAX: i32 = 12;

/// A process that runs scraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its id: random, and its own.
    pub id: String,
    /// Its name, for people: the machine's, and the process's number.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// How long it counts as alive after it was seen, in whole seconds.
    pub lease: Duration,
}

/// What a worker can run, and may.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The process.
    pub host: &'a str,
    /// The routes that it serves.
    pub routes: &'a [String],
    /// The connectors that it has: a scrap that began with another one is not for it.
    pub connectors: &'a [String],
    /// The scraps that it runs: whatever else the table says that it runs, it does not.
    pub running: &'a [i64],
    /// How many scraps of one client may run at once, on all hosts together.
    pub per_client: i64,
    /// Whether scraps of hosts that are no longer seen may be taken. Whoever was not seen for a
    /// while itself does not know.
    pub may_take_over: bool,
    /// What to write down where a scrap is taken over no more, after [`TAKE_OVERS_MAX`] hosts.
    pub reason_to_give_up: &'a str,
}

/// Who holds a scrap, and what is asked of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The lease is the newest.
    Held,
    /// It is, and somebody wants the scrap paused.
    AskedToPause,
    /// Somebody else has the scrap now.
    Lost,
}

/// What became of somebody's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// It is done.
    Done,
    /// Whoever runs the scrap was asked, and does it.
    Passed,
    /// The scrap is in no state for it.
    Refused,
}

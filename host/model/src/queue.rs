//! The queue that workers take scraps from, and the processes that run them.

use std::time::Duration;

/// Hosts that may die one after the other while running a scrap without a new page, before it is
/// given up: perhaps the scrap is what they die of.
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

/// A worker's offer to the queue: the routes and versions that it can run, and its limits.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// The process.
    pub host: &'a str,
    /// The routes that it serves.
    pub routes: &'a [String],
    /// The connectors that it has: a scrap that began with another one is not for it.
    pub connectors: &'a [String],
    /// The scraps that it runs. Others that the table marks as run by this host are not, and may be
    /// taken again.
    pub running: &'a [i64],
    /// How many scraps of one client may run at once, on all hosts together.
    pub per_client: i64,
    /// Whether scraps of hosts that are no longer seen may be taken. A host that was itself not
    /// seen for a while cannot judge that.
    pub may_take_over: bool,
    /// The reason to store with a scrap that is given up after [`TAKE_OVERS_MAX`] hosts.
    pub reason_to_give_up: &'a str,
}

/// The standing of a lease, and what its holder is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The lease is the newest.
    Held,
    /// The lease is the newest, and an operator wants the scrap paused.
    AskedToPause,
    /// Another process has claimed the scrap since.
    Lost,
}

/// The outcome of a request to pause or requeue a scrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOutcome {
    /// Done.
    Done,
    /// The running worker will do it.
    Forwarded,
    /// The scrap's state does not allow it.
    Refused,
}

//! Live events: each listener receives all of them in order, or a notice that some are missing.
//!
//! Scraps may run on any host, so their events are made from the database, which is polled twice a
//! second (`watch`). What only this process knows (slow pages, waits, attempts) comes from its own
//! runs (`runs`).
//!
//! - `happening`  what happens, as listeners receive it
//! - `journal`  the events, kept for listeners that reconnect
//! - `runs`     what this process's runs say of themselves
//! - `watch`    scraps that change
//! - `listeners`  how many listen at once
//! - `stream`   the events as server-sent events

mod happening;
mod journal;
mod listeners;
mod runs;
mod stream;
mod watch;

pub(super) use self::happening::{Happening, Live};
pub(super) use self::journal::{EventId, Journal};
pub(super) use self::listeners::Listeners;
pub(super) use self::runs::Runs;
pub(super) use self::stream::{Wanted, stream};
pub(super) use self::watch::Watch;

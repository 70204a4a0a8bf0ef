//! The guest's clock. It starts at the scrap's `now`, and advances only while the guest sleeps, so
//! that a replay sees the same moments. A guest that polls it in a loop spins until its CPU time is
//! spent. In `describe` a sleep ends at once: a start waits for every file of the folder, and there
//! is no request that a sleep could be for.

use std::time::Duration;

use chrono::DateTime;
use wasmtime::component::Resource;

use super::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use super::bindings::wasi::io::poll;
use crate::guest::Guest;

/// An instance's clock.
pub(super) struct Clock {
    /// When it began, since 1970.
    start: Duration,
    /// How long it has slept.
    slept: Duration,
    /// Whether a sleep takes the time that it says.
    is_real: bool,
}

impl Clock {
    /// Begins at this RFC 3339 moment; at 1970 if it were none.
    pub(super) fn at(now: &str) -> Self {
        let since_1970 = DateTime::parse_from_rfc3339(now).ok().and_then(|at| u64::try_from(at.timestamp()).ok());
        Self { start: Duration::from_secs(since_1970.unwrap_or(0)), slept: Duration::ZERO, is_real: true }
    }

    /// The same, but a sleep ends at once and advances the clock by its length.
    pub(super) fn that_jumps(now: &str) -> Self {
        Self { is_real: false, ..Self::at(now) }
    }

    fn monotonic(&self) -> u64 {
        u64::try_from(self.slept.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// What a guest can wait for.
#[allow(unreachable_pub)] // the generated bindings re-export it
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// Ready at any time: streams are.
    Always,
    /// A reading of the monotonic clock.
    At(u64),
}

impl Awaited {
    fn left(self, now: u64) -> u64 {
        match self {
            Self::Always => 0,
            Self::At(at) => at.saturating_sub(now),
        }
    }
}

impl Guest {
    fn awaited(&self, pollable: &Resource<Awaited>) -> wasmtime::Result<Awaited> {
        Ok(*self.table.get(pollable)?)
    }

    /// Sleeps, and advances the clock. The limit on the page's wall time ends a sleep that is too
    /// long.
    async fn sleep(&mut self, nanos: u64) {
        if nanos > 0 {
            let duration = Duration::from_nanos(nanos);
            if self.wasi.clock.is_real {
                tokio::time::sleep(duration).await;
            }
            self.wasi.clock.slept = self.wasi.clock.slept.saturating_add(duration);
        }
    }
}

impl poll::Host for Guest {
    async fn poll(&mut self, list: Vec<Resource<Awaited>>) -> wasmtime::Result<Vec<u32>> {
        let awaited = list.iter().map(|pollable| self.awaited(pollable)).collect::<wasmtime::Result<Vec<_>>>()?;
        let now = self.wasi.clock.monotonic();
        let Some(soonest) = awaited.iter().map(|one| one.left(now)).min() else {
            wasmtime::bail!("`poll` of nothing");
        };
        self.sleep(soonest).await;
        let now = self.wasi.clock.monotonic();
        Ok((0_u32..).zip(&awaited).filter(|(_, one)| one.left(now) == 0).map(|(index, _)| index).collect())
    }
}

impl poll::HostPollable for Guest {
    fn ready(&mut self, this: Resource<Awaited>) -> wasmtime::Result<bool> {
        Ok(self.awaited(&this)?.left(self.wasi.clock.monotonic()) == 0)
    }

    async fn block(&mut self, this: Resource<Awaited>) -> wasmtime::Result<()> {
        let left = self.awaited(&this)?.left(self.wasi.clock.monotonic());
        self.sleep(left).await;
        Ok(())
    }

    fn drop(&mut self, this: Resource<Awaited>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl monotonic_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(self.wasi.clock.monotonic())
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> wasmtime::Result<Resource<Awaited>> {
        Ok(self.table.push(Awaited::At(when))?)
    }

    fn subscribe_duration(&mut self, when: u64) -> wasmtime::Result<Resource<Awaited>> {
        let at = self.wasi.clock.monotonic().saturating_add(when);
        Ok(self.table.push(Awaited::At(at))?)
    }
}

impl wall_clock::Host for Guest {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = self.wasi.clock.start.saturating_add(self.wasi.clock.slept);
        Ok(wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

//! WASI for guests whose toolchains bring it along: the four packages that reach nothing outside the sandbox, and of those
//! nothing of this machine. No environment, no arguments, no input; output goes to the connector's log; the time is the
//! scrap's; random numbers follow from the scrap and the cursor. So the same page with the same answers is the same again.
//!
//! Files, sockets and HTTP are not refused here: there is no code for them.
//!
//! - `clock`   time, which passes only while the guest sleeps, and what it can wait for
//! - `random`  numbers that follow from the page
//! - `stdio`   streams: an empty input, and the log
//! - `cli`     no environment, no terminal, and an exit that is a trap

mod cli;
mod clock;
mod random;
mod stdio;
#[cfg(test)]
mod tests;

use chacha20::ChaCha20Rng;
use wasmtime::component::{HasSelf, Linker};

use self::clock::Clock;
use super::bindings::atlas::connector::types as wit;
use super::guest::Guest;

mod bindings {
    #![allow(missing_docs, unreachable_pub)]

    wasmtime::component::bindgen!({
        path: "wit/wasi",
        world: "granted",
        imports: { default: trappable, "wasi:io/poll.[method]pollable.block": async | trappable, "wasi:io/poll.poll": async | trappable },
        with: {
            "wasi:io/poll.pollable": super::clock::Awaited,
            "wasi:io/streams.input-stream": super::stdio::EmptyInput,
            "wasi:io/streams.output-stream": super::stdio::LogOutput,
        },
    });
}

/// What WASI is to one instance.
pub(super) struct Wasi {
    clock: Clock,
    random: ChaCha20Rng,
}

impl Wasi {
    /// For one attempt at a page: the time and the random numbers that follow from what the connector is told.
    pub(super) fn of_page(scrap: &wit::Scrap, cursor: Option<&str>) -> Self {
        Self { clock: Clock::at(&scrap.now), random: random::of_page(scrap, cursor) }
    }

    /// For `describe`, which is the same whenever and wherever it is asked.
    pub(super) fn of_describe() -> Self {
        Self { clock: Clock::that_jumps(DESCRIBE_TIME), random: random::of_describe() }
    }
}

/// What the clock shows to `describe`.
const DESCRIBE_TIME: &str = "2000-01-01T00:00:00Z";

/// Links the four packages.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::Granted::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

//! WASI for guests whose toolchains bring it along: six packages, and of those nothing of this
//! machine. No environment, no arguments, no input, no directory, no socket; output goes to the
//! connector's log; the time is the scrap's; random numbers follow from the scrap and the cursor.
//! So the same page with the same answers is the same again.
//!
//! A language's library that looks for a file or asks for a socket is answered as on a machine that
//! has none, so that its program sees an error of its own language, and can tell where it happened.
//! There is no code behind it that could open either.
//!
//! - `clock`       time, which passes only while the guest sleeps, and what it can wait for
//! - `random`      numbers that follow from the page
//! - `stdio`       streams: an empty input, and the log
//! - `cli`         no environment, no terminal, and an exit that is a trap
//! - `filesystem`  no directory to open anything in
//! - `sockets`     a refusal for every socket and every name

mod cli;
mod clock;
mod filesystem;
mod random;
mod sockets;
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
            "wasi:filesystem/types.descriptor": super::filesystem::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": super::filesystem::DirectoryEntries,
            "wasi:sockets/network.network": super::sockets::Network,
            "wasi:sockets/ip-name-lookup.resolve-address-stream": super::sockets::Addresses,
            "wasi:sockets/tcp.tcp-socket": super::sockets::TcpSocket,
            "wasi:sockets/udp.udp-socket": super::sockets::UdpSocket,
            "wasi:sockets/udp.incoming-datagram-stream": super::sockets::Arriving,
            "wasi:sockets/udp.outgoing-datagram-stream": super::sockets::Leaving,
        },
    });
}

/// The methods of a resource that no guest is ever given. Its type has no value, so there is
/// nothing that any of them could do: a handle that a guest makes up is not in its table.
macro_rules! never_given {
    ($resource:ty { $($method:ident($($argument:ty),*) -> $result:ty;)* }) => {
        $(fn $method(
            &mut self,
            this: ::wasmtime::component::Resource<$resource>,
            $(_: $argument),*
        ) -> ::wasmtime::Result<$result> {
            match *self.table.get(&this)? {}
        })*

        fn drop(&mut self, this: ::wasmtime::component::Resource<$resource>) -> ::wasmtime::Result<()> {
            match self.table.delete(this)? {}
        }
    };
}
use never_given;

/// The WASI state of one instance.
pub(super) struct Wasi {
    clock: Clock,
    random: ChaCha20Rng,
}

impl Wasi {
    /// For one attempt at a page: the time and the random numbers that follow from what the
    /// connector is told.
    pub(super) fn of_page(scrap: &wit::Scrap, cursor: Option<&str>) -> Self {
        Self { clock: Clock::at(&scrap.now), random: random::of_page(scrap, cursor) }
    }

    /// For `describe`: fixed values, so that its result is the same at any time and on any host.
    pub(super) fn of_describe() -> Self {
        Self { clock: Clock::that_jumps(DESCRIBE_TIME), random: random::of_describe() }
    }
}

/// The clock's time in `describe`.
const DESCRIBE_TIME: &str = "2000-01-01T00:00:00Z";

/// Links the six packages.
pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    bindings::Granted::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)
}

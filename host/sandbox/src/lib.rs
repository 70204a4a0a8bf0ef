//! The sandbox: untrusted WASM components, compiled, held to a contract and called. A closed list
//! of imports, a fresh instance for each call, limits on all that a guest can use up. It knows no
//! database, no socket, and no folder but that of its compiled copies: a guest's requests go over a
//! [`Line`] of its caller's.
//!
//! Before a call:
//!
//! - `inspect`     what a component is made of and imports, before it is compiled
//! - `component`, `error`  from a component's bytes to one that can be called, or why it cannot
//! - `compile`     from a component to native code, and to what it says of itself
//! - `child`       compiling, describing and repeating a call in a process of their own
//! - `split`       core modules of much code, taken out of a component to be compiled by themselves
//! - `proposals`   which WebAssembly a component may use
//! - `describe`, `raw_descriptor`  one call of `describe`, and what it returned, unchecked
//! - `cache`, [`private`]  precompiled copies, in a directory that only this user may write to
//! - `blocking`    work on whole files, two at a time
//!
//! A call:
//!
//! - `engine`      one engine: pooling allocator, epochs, guests' threads
//! - `share`       what one client, and one connector, may take of the process
//! - `call`, `facts`  one call of `fetch-page`: what it is called with
//! - `outcome`     the page, or why there is none
//! - `guest`, `meter`, `limit`  one instance at work: its state, what it uses, what stopped it
//! - `log`, `reason`  what a guest logs, and reasons of bounded length
//!
//! What a guest may call:
//!
//! - `bindings`, `contract`  the contract, generated from `wit/`, in all versions that the host has
//! - `imports`, `held`, `convert`  the host's side of it: `http` and `log`
//! - `line`        where its requests go
//! - `wasi`        what guests may have of WASI
//! - `crash_hook`  how a guest of the tests ends its process

mod bindings;
mod blocking;
mod cache;
mod call;
mod child;
mod compile;
mod component;
mod contract;
mod convert;
#[cfg(debug_assertions)]
mod crash_hook;
mod describe;
mod engine;
mod error;
mod facts;
mod guest;
mod held;
mod imports;
mod inspect;
mod limit;
mod line;
mod log;
mod meter;
mod outcome;
pub mod private;
mod proposals;
mod raw_descriptor;
mod reason;
mod share;
mod split;
#[cfg(test)]
mod testing;
mod wasi;

pub use self::blocking::BlockingWork;
pub use self::cache::ComponentCache;
pub use self::call::{Call, call};
pub use self::child::{CHILD_COMMAND, Deadly, PageFacts, run_child};
pub use self::compile::Source;
pub use self::component::{ComponentLoader, LinkedComponent, LoadedComponent};
pub use self::engine::{ConnectorEngine, INSTANCES};
pub use self::error::{ComponentError, ImportFamily, Refused};
pub use self::facts::ScrapFacts;
#[cfg(any(test, feature = "fuzzing"))]
pub use self::inspect::fuzzing;
pub use self::inspect::{Inspected, inspect};
pub use self::limit::LimitReached;
pub use self::line::{Answer, Line, RequestError};
pub use self::meter::Spent;
pub use self::outcome::{CallError, Called, FetchError, HandedOver, Page};
pub use self::raw_descriptor::{RawAuth, RawDescriptor, RawPlaceholder, RawPosition, RawRate, RawRequest, TEXT_MAX};
pub use self::reason::{REASON_READ, REASON_SHOWN, cut};
pub use self::share::{CursorHold, PageShare, Place};

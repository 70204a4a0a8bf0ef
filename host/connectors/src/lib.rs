//! Connectors: untrusted WASM components, run in a sandbox. A closed list of imports, a fresh
//! instance for each page, limits on all that a guest can use up; and files that may change at any
//! time without harm to a running scrap.
//!
//! - `bindings`    the newest version of the contract, generated from `wit/`
//! - `contract`    all versions of the contract that components may have been made for
//! - `engine`      one engine: pooling allocator, epochs
//! - `child`       compiling, describing and repeating a call in a process of their own
//! - `compile`     from a component to native code, and to what it says of itself
//! - `split`       core modules of much code, taken out of a component to be compiled by themselves
//! - `proposals`   which WebAssembly a component may use
//! - `describe`    one call of `describe`
//! - `said`        what it returned, unchecked
//! - `cache`       precompiled copies, in a private directory
//! - `heavy`       work on whole files, two at a time
//! - `component`   from a core module, as Rust compiles it, to a component
//! - `load` from a file to a connector, or to the reason why it is none: reading, pins, imports
//! - `descriptor`  what a connector says of itself, checked
//! - `registry`    the folder of connectors: which file serves which route
//! - `verdict`     whether a new version serves, waits, or is refused
//! - `trial`       a new version fetches the last page once more
//! - `watch`       the folder's changes, while a process runs
//! - `events`      the events of a folder, and their observers
//! - `state`       what is remembered of each route: versions, and the operator's word
//! - `word`        the operator's word: accept, go back
//! - `private`     folders and files that only this user may write to
//! - `usage`       what each route's pages use
//! - `share`       what one client, and one connector, may take of the house
//! - `schema`      the schema of its settings, checked
//! - `secret_settings`  which of them are secrets
//! - `flight`      which calls are under way, in a file that outlives the process
//! - `guest`       one instance at work: its limits, its meters
//! - `exchange`    the line between a guest and its source: live, recorded, replayed
//! - `imports`     the host's side of the contract: `http` and `log`
//! - `wasi`        what guests may have of WASI
//! - `sign`        signing components for publication
//! - `source`      a connector as the pipeline sees it: a source of pages

mod bindings;
mod cache;
mod child;
mod compile;
mod component;
mod contract;
mod describe;
mod descriptor;
mod engine;
mod events;
mod exchange;
mod flight;
mod guest;
mod heavy;
mod imports;
mod load;
mod private;
mod proposals;
mod registry;
mod said;
mod schema;
mod secret_settings;
mod share;
mod sign;
mod source;
mod split;
mod state;
#[cfg(test)]
mod testing;
mod trial;
mod usage;
mod verdict;
mod wasi;
mod watch;
mod word;

pub use self::child::{CHILD_COMMAND, run_child};
pub use self::component::{EncodeError, encode_component};
pub use self::descriptor::{Descriptor, DescriptorError};
pub use self::engine::ConnectorEngine;
pub use self::events::{RegistryEvent, RegistryObserver};
pub use self::flight::{CallKind, CallUnderWay, Crash, FlightOwner, mark_crashes};
#[cfg(any(test, feature = "fuzzing"))]
pub use self::load::fuzzing;
pub use self::load::{
    ComponentFile, Connector, ImportFamily, LoadError, Pin, PinError, PublicKey, Refused, TrustError, TrustPolicy,
    public_key, read_checked, read_small, signature_file, verify_signature,
};
pub use self::registry::{Arrival, Quarantined, Registry, RegistryEntry, RegistryFolders, Standing};
pub use self::secret_settings::SecretSettings;
pub use self::sign::{NewKey, SignError, generate as generate_key, sign};
pub use self::source::{ConnectorSource, ScrapFacts};
pub use self::state::{Doubt, HISTORY, Held, HoldReason, KeptVersion, Lists, Refusal, Rollback, RouteState, Waiting};
pub use self::trial::{Skipped, Trial};
pub use self::usage::Usage;
pub use self::watch::{VersionsInUse, Watching};
pub use self::word::{WordError, accept, roll_back};

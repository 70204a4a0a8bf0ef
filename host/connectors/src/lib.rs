//! Connectors: the folder that they are served from, whose files may change at any time without
//! harm to a running scrap, and a connector as a source of pages. What runs them is the sandbox.
//!
//! - `load` from a file to a connector, or to the reason why it is none: reading, pins, the sandbox
//! - `descriptor`  what a connector says of itself, checked
//! - `schema`      the schema of its settings, checked
//! - `secret_settings`  which of them are secrets
//! - `component`   from a core module, as Rust compiles it, to a component
//! - `sign`        signing components for publication
//!
//! The folder:
//!
//! - `registry`    which file serves which route
//! - `verdict`     whether a new version serves, waits, or is refused
//! - `trial`       a new version fetches the last page once more
//! - `watch`       the folder's changes, while a process runs
//! - `events`      the events of a folder, and their observers
//! - `state`       what is remembered of each route: versions, and the operator's decisions
//! - `operator_decision`  those decisions: accept, go back
//! - `usage`, `usage_meter`  what each route's pages use
//! - `flight`      which calls are under way, in a file that outlives the process
//!
//! A page:
//!
//! - `source`      a connector as the pipeline sees it: a source of pages
//! - `page_call`   one call for it, noted while it runs
//! - `lines`       the line between a guest and its source: live, recorded, replayed
//! - `failure`     from the outcome of a call to the pipeline's

mod component;
mod descriptor;
mod events;
mod failure;
mod flight;
mod lines;
mod load;
mod operator_decision;
mod page_call;
mod registry;
mod schema;
mod secret_settings;
mod sign;
mod source;
mod state;
#[cfg(test)]
mod testing;
mod trial;
mod usage;
mod usage_meter;
mod verdict;
mod watch;

pub use self::component::{EncodeError, encode_component};
pub use self::descriptor::{Descriptor, DescriptorError};
pub use self::events::{RegistryEvent, RegistryObserver};
pub use self::flight::{CallKind, CallUnderWay, Crash, FlightOwner, mark_crashes};
pub use self::load::{
    ComponentFile, Connector, LoadError, Pin, PinError, PublicKey, TrustError, TrustPolicy, public_key, read_checked,
    read_small, signature_file, verify_signature,
};
pub use self::operator_decision::{DecisionError, accept, roll_back};
pub use self::registry::{Arrival, Quarantined, Registry, RegistryEntry, RegistryFolders, Standing};
pub use self::secret_settings::SecretSettings;
pub use self::sign::{NewKey, SignError, generate as generate_key, sign};
pub use self::source::ConnectorSource;
pub use self::state::{Doubt, HISTORY, Held, HoldReason, KeptVersion, Lists, Refusal, Rollback, RouteState, Waiting};
pub use self::trial::{Skipped, Trial};
pub use self::usage::Usage;
pub use self::watch::{VersionsInUse, Watching};

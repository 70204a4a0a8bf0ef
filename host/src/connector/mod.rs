//! Connectors: WASM components that nobody has to trust. A closed world, a fresh instance for each page, limits on all that a
//! guest can use up.
//!
//! - `bindings`    the contract, generated from `wit/`
//! - `engine`      one engine: pooling allocator, epochs
//! - `cache`       precompiled copies, in a private directory
//! - `load`        from a file to a connector, or to the reason why it is none
//! - `registry`    the folder of connectors: which file serves which route
//! - `descriptor`  what a connector says of itself, checked
//! - `guest`       one instance at work: its limits, its meters
//! - `imports`     the host's side of the contract: `http` and `log`
//! - `source`      a connector as the pipeline sees it: a source of pages

mod bindings;
mod cache;
mod descriptor;
mod engine;
mod guest;
mod imports;
mod load;
mod registry;
mod source;

pub use self::descriptor::{Descriptor, DescriptorError};
pub use self::engine::ConnectorEngine;
pub use self::load::{Connector, LoadError};
pub use self::registry::{Registry, RegistryEntry};
pub use self::source::{ConnectorSource, ScrapFacts};

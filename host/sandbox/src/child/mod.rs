//! The child process in which a new file is compiled and its `describe` called, and a single call
//! is repeated.
//!
//! A file can make the compiler take minutes or gigabytes, and a fault of the engine ends the whole
//! process; so compiler and engine first see a new file in a process of its own. The child is this
//! program with a hidden command, an empty environment, and limits that it sets itself before it
//! reads a byte. Dropping the parent's future kills it.
//!
//! - `protocol`  what the two say to each other, and how it is framed
//! - `exchange`  a request of the guest in the child, and its answer from the parent
//! - `parent`    starting a child, and talking to it
//! - `inside`    what the child does

mod exchange;
mod inside;
mod parent;
mod protocol;

pub use self::inside::run as run_child;
pub use self::parent::Deadly;
pub(super) use self::parent::{COMPILED_BYTES_MAX, Child, ChildError, Program};
pub use self::protocol::PageFacts;
pub(super) use self::protocol::{Task, Word, Work};

/// The hidden command that makes a process the child.
pub const CHILD_COMMAND: &str = "connector-child";

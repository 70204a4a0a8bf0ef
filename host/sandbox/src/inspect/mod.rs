//! Looks at a component without compiling it: what it is made of, and what it imports.
//!
//! - `anatomy`  its parts, by its sections alone
//! - `policy`   its imports, against a closed list

mod anatomy;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod policy;

use super::contract;
use super::error::ComponentError;

/// Facts of a component that is not compiled yet.
pub struct Inspected {
    /// The version of the contract that it was made for; none if it imports nothing of it.
    pub version: Option<String>,
    /// Bytes that the largest of its memories begins with.
    pub(crate) largest_memory: u64,
}

/// Looks at a component without compiling it. Reads all of it: call it where blocking is allowed.
pub fn inspect(bytes: &[u8]) -> Result<Inspected, ComponentError> {
    anatomy::check_preamble(bytes)?;
    let anatomy = anatomy::look(bytes)?;
    let version = policy::check(&anatomy.imports, &contract::versions())?;
    Ok(Inspected { version, largest_memory: anatomy.largest_memory })
}

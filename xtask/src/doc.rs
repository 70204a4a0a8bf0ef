//! The documentation of our own crates, held to have no warning: a link between items that leads
//! nowhere, mostly.

use anyhow::Result;

use crate::command::{cargo, execute};

/// Those that plain `cargo build` selects, private items too: nearly all of what links to each
/// other is private. Their dependencies were read by clippy before, with the same features, and are
/// not read again.
pub(crate) fn check() -> Result<()> {
    let mut doc = cargo(["doc", "--quiet", "--no-deps", "--document-private-items"]);
    execute(doc.env("RUSTDOCFLAGS", "--deny warnings"))
}

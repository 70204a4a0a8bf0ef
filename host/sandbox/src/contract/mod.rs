//! Versions of the contract, side by side. Each has a frozen directory of its own below `wit/`, a
//! linker, and an adapter to the newest one's types; no code outside this folder knows that there
//! are several.
//!
//! A new version is a new module here and a line in [`VERSIONS`]. The one before it then becomes an
//! adapter, as `v0_0_9` shows: a made-up earlier version that exists in tests alone, so that this
//! keeps working until it is needed.

#[cfg(test)]
mod tests;
#[cfg(test)]
mod v0_0_9;
mod v0_1_0;

use std::sync::Arc;

use async_trait::async_trait;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Module, Store};

use super::bindings::atlas::connector::types as wit;
use super::guest::Guest;
use super::{split, wasi};

/// A component linked against the version of the contract that it was made for, ready to be
/// instantiated for a call.
#[async_trait]
pub(super) trait Contract: Send + Sync {
    /// Instantiates it and calls `describe`.
    async fn describe(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<wit::Descriptor, String>>;

    /// Instantiates it and calls `fetch-page`.
    async fn fetch_page(
        &self,
        store: &mut Store<Guest>,
        scrap: &wit::Scrap,
        cursor: Option<String>,
    ) -> wasmtime::Result<Result<wit::Page, wit::FetchError>>;
}

/// One linked component, whatever its version.
pub(super) type ContractPre = Arc<dyn Contract>;

/// A version that the host has.
struct Version {
    /// As imports write it.
    name: &'static str,
    link: fn(Linker<Guest>, &Component) -> wasmtime::Result<ContractPre>,
}

/// All of them, the oldest first.
const VERSIONS: &[Version] = &[
    #[cfg(test)]
    v0_0_9::VERSION,
    v0_1_0::VERSION,
];

/// The versions' names, the oldest first.
pub(super) fn versions() -> Vec<&'static str> {
    VERSIONS.iter().map(|version| version.name).collect()
}

/// Links a component against the version that it was made for, and with the modules that were taken
/// out of it. One that imports nothing of the contract cannot have been made for any; the error
/// names what the newest misses.
pub(super) fn link(
    engine: &Engine,
    component: &Component,
    modules: &[Module],
    version: Option<&str>,
) -> wasmtime::Result<ContractPre> {
    let named = VERSIONS.iter().find(|known| Some(known.name) == version);
    let Some(version) = named.or(VERSIONS.last()) else {
        wasmtime::bail!("no version of the contract");
    };
    let mut linker = Linker::new(engine);
    wasi::add_to_linker(&mut linker)?;
    for (number, module) in modules.iter().enumerate() {
        linker.root().module(&split::import_name(number), module)?;
    }
    (version.link)(linker, component)
}

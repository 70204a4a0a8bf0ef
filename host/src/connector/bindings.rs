//! The contract, generated from `wit/`. One directory and one module for each version of `atlas:connector` that the host has.

#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "../wit/0.1.0",
    world: "connector",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "atlas:connector/http.response": super::imports::HeldResponse,
        "atlas:connector/http.selection": super::imports::HeldSelection,
    },
});

/// The version that this module speaks.
pub const VERSION: &str = "0.1.0";
/// The package that every import must come from.
pub const PACKAGE: &str = "atlas:connector/";

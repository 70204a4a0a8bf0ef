//! The newest version of the contract, generated from `wit/`. Its types are those that the house
//! speaks; `contract` has the other versions.

#![allow(missing_docs, unreachable_pub)]

wasmtime::component::bindgen!({
    path: "../../wit/0.1.0",
    world: "connector",
    imports: { default: async | trappable },
    exports: { default: async },
    with: {
        "atlas:connector/http.response": super::held::HeldResponse,
        "atlas:connector/http.selection": super::held::HeldSelection,
    },
});

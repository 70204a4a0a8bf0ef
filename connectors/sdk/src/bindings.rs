//! What `wit-bindgen` makes of the contract, word for word. Authors need none of these names: the
//! crate's root gives them the ones they use.
#![allow(missing_docs, reason = "where the contract lets a field's name speak for itself, so does this")]
#![allow(unsafe_code, reason = "generated: the canonical ABI passes pointers")]
#![allow(clippy::all, unreachable_pub, reason = "generated")]

wit_bindgen::generate!({
    path: "../../wit/0.1.0",
    world: "connector",
    export_macro_name: "export_component",
    pub_export_macro: true,
    default_bindings_module: "atlas_connector_sdk::bindings",
});

//! The WebAssembly proposals that a component may use: an allow-list, and the refusal that names
//! what is not on it.
//!
//! Every proposal is code of the compiler and the engine that an untrusted file reaches. Some of
//! that code is there without being complete: built without its garbage collector, wasmtime 48.0.8
//! still takes declared subtypes, and aborts the process where a call is made through one
//! (RUSTSEC-2026-0570). So the engine is told of each proposal, and a file is held against the list
//! before it is compiled.

use wasmparser::{Validator, WasmFeatures, WasmFeaturesInflated};

/// The allow-list. All fields stand here, so that a proposal which a newer `wasmparser` knows does
/// not compile until it was decided about. What is on is what built guests need, and a test names
/// them.
pub(crate) fn allowed() -> WasmFeatures {
    WasmFeatures::from_inflated(WasmFeaturesInflated {
        // WebAssembly 2.0 without its vectors: what compilers emit by default.
        floats: true,
        mutable_global: true,
        saturating_float_to_int: true,
        sign_extension: true,
        multi_value: true,
        bulk_memory: true,
        bulk_memory_opt: true,
        reference_types: true,
        call_indirect_overlong: true,
        component_model: true,
        // Addresses of data in modules that are linked with each other: JavaScript's and Python's
        // engines.
        extended_const: true,
        // Each of these is off because no guest that was built needs it.
        simd: false,
        relaxed_simd: false,
        threads: false,
        shared_everything_threads: false,
        tail_call: false,
        multi_memory: false,
        exceptions: false,
        legacy_exceptions: false,
        memory64: false,
        function_references: false,
        memory_control: false,
        gc: false,
        gc_types: false,
        custom_page_sizes: false,
        stack_switching: false,
        wide_arithmetic: false,
        custom_descriptors: false,
        compact_imports: false,
        cm_values: false,
        cm_nested_names: false,
        cm_async: false,
        cm_async_stackful: false,
        cm_more_async_builtins: false,
        cm_threading: false,
        cm_error_context: false,
        cm_fixed_length_lists: false,
        cm_gc: false,
        cm_map: false,
        cm64: false,
        cm_implements: false,
        cm_canon_names: false,
    })
}

/// The proposals of the engine: the allow-list, and those that wasmtime's own code needs. For
/// components within components, as JavaScript's have, it generates modules that copy between
/// memories, and so have several.
pub(crate) fn of_the_engine() -> WasmFeatures {
    allowed() | WasmFeatures::MULTI_MEMORY
}

/// Why a component is not compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Invalid {
    /// It uses proposals that are not on the list: their names, as `wasm-tools` writes them.
    #[error("{0}")]
    Uses(String),
    /// It is no component, whatever is allowed.
    #[error("{0}")]
    Malformed(String),
}

/// Validates a component with the allowed proposals alone. Takes as long as the file is large: in
/// the compile child.
pub(crate) fn validate(component: &[u8]) -> Result<(), Invalid> {
    validate_with(allowed(), component)
}

fn validate_with(features: WasmFeatures, component: &[u8]) -> Result<(), Invalid> {
    let holds = |features| Validator::new_with_features(features).validate_all(component);
    let Err(error) = holds(features) else { return Ok(()) };
    if let Some(missing) = error.missing_wasm_feature() {
        return Err(Invalid::Uses(names(missing)));
    }
    // Not every refusal of the validator says which proposal would have allowed it.
    if holds(WasmFeatures::all()).is_err() {
        return Err(Invalid::Malformed(error.to_string()));
    }
    let needed = |feature: &WasmFeatures| holds(WasmFeatures::all().difference(*feature)).is_err();
    let off = features.complement().iter().filter(needed);
    Err(Invalid::Uses(names(off.fold(WasmFeatures::empty(), WasmFeatures::union))))
}

/// The proposals' names: `gc, tail-call`.
fn names(features: WasmFeatures) -> String {
    let name = |(name, feature): (&str, WasmFeatures)| match feature {
        // The validator's own name for a part of that proposal.
        WasmFeatures::GC_TYPES => "gc".to_owned(),
        _ => name.to_lowercase().replace('_', "-"),
    };
    features.iter_names().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    use super::*;

    fn refused(module: &str) -> Invalid {
        let component = wat::parse_str(format!("(component {module})")).unwrap_or_else(|e| panic!("{module}: {e}"));
        validate(&component).err().unwrap_or_else(|| panic!("accepted: {module}"))
    }

    #[test]
    fn a_call_through_a_declared_subtype_is_refused() {
        // wasmtime 48.0.8 aborts the process where this is called (RUSTSEC-2026-0570).
        let module = r#"(core module
            (type $t (sub (func))) (type $u (sub $t (func)))
            (func $f (type $u)) (table 1 funcref) (elem (i32.const 0) func $f)
            (func (export "describe") (call_indirect (type $t) (i32.const 0))))"#;
        assert_eq!(refused(module), Invalid::Uses("gc".to_owned()));
    }

    #[test]
    fn each_proposal_that_is_not_allowed_is_refused_by_its_name() {
        let core = |body: &str| format!("(core module {body})");
        let cases = [
            ("simd", core("(func (drop (v128.const i64x2 0 0)))")),
            // What a vector is comes first.
            ("simd", core("(func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0))))")),
            ("threads", core("(memory 1) (func (drop (i32.atomic.load (i32.const 0))))")),
            ("threads", core("(memory 1 1 shared)")),
            ("tail-call", core("(func $f (return_call $f))")),
            ("multi-memory", core("(memory 1) (memory 1)")),
            ("exceptions", core("(tag)")),
            ("exceptions", core("(func (try_table))")),
            ("memory64", core("(memory i64 1)")),
            ("memory64", core("(table i64 1 funcref)")),
            ("function-references", core("(type $t (func)) (func (param (ref $t)) (call_ref $t (local.get 0)))")),
            ("gc", core("(type (struct (field i32)))")),
            ("gc", core("(type (array i8))")),
            ("gc", core("(rec (type (func)) (type (func)))")),
            ("gc", core("(func (param anyref))")),
            ("gc", core("(func (param externref))")),
            ("custom-page-sizes", core("(memory 1 (pagesize 1))")),
            ("stack-switching", core("(type $f (func)) (type (cont $f))")),
            (
                "wide-arithmetic",
                core("(func (param i64) (result i64 i64) (i64.mul_wide_s (local.get 0) (local.get 0)))"),
            ),
            ("cm-async", r#"(import "f" (func async))"#.to_owned()),
            ("cm-error-context", r#"(type error-context)"#.to_owned()),
            ("cm-fixed-length-lists", r#"(type (list u8 4))"#.to_owned()),
            ("cm-map", r#"(type (map string u32))"#.to_owned()),
        ];
        let wrong = cases.iter().filter_map(|(proposal, module)| match refused(module) {
            Invalid::Uses(names) if names.split(", ").any(|name| name == *proposal) => None,
            other => Some(format!("{proposal}: {other:?}: {module}")),
        });
        assert_eq!(wrong.collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn what_no_proposal_allows_is_told_as_it_is() {
        let cut = &wat::parse_str("(component (core module (func)))").unwrap()[..20];
        assert!(matches!(validate(cut), Err(Invalid::Malformed(_))));
        let untyped = wat::parse_str("(component (core module (func (drop (i32.add (f32.const 0) (i32.const 0))))))");
        assert!(matches!(validate(&untyped.unwrap()), Err(Invalid::Malformed(_))));
    }

    #[test]
    fn the_engine_needs_more_than_one_memory_in_a_module_for_components_within_components() {
        let javascript = built_guests().remove("pedido-js").expect("the example in JavaScript");
        let compiled = |features: WasmFeatures| {
            let mut config = wasmtime::Config::new();
            config.wasm_features(WasmFeatures::all(), false).wasm_features(features, true);
            config.concurrency_support(false);
            wasmtime::Engine::new(&config).unwrap().precompile_component(&javascript)
        };
        assert!(compiled(of_the_engine()).is_ok());
        // It writes a module that it then refuses, by a panic.
        let without = std::panic::catch_unwind(|| compiled(allowed()));
        assert!(!matches!(without, Ok(Ok(_))), "it is not needed any more: take it away");
    }

    /// The components that `cargo xtask test` built: those that ship, the examples in other
    /// languages, those of the tests.
    fn built_guests() -> BTreeMap<String, Vec<u8>> {
        let folders = ["ATLAS_CONNECTORS", "ATLAS_EXAMPLE_CONNECTORS", "ATLAS_TEST_GUESTS"].map(|name| {
            std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set: run this by `cargo xtask test`"))
        });
        let mut guests = BTreeMap::new();
        for entry in folders.iter().flat_map(|folder| fs::read_dir(Path::new(folder)).unwrap()) {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                let name = path.file_stem().unwrap().to_string_lossy().into_owned();
                guests.insert(name, fs::read(path).unwrap());
            }
        }
        guests
    }

    #[test]
    fn every_proposal_that_is_allowed_is_needed_by_a_guest_that_was_built() {
        let guests = built_guests();
        for (name, component) in &guests {
            assert_eq!(validate(component), Ok(()), "{name}");
        }
        // Part of two others, which are looked at below: an engine that has those has these.
        let parts = [WasmFeatures::CALL_INDIRECT_OVERLONG, WasmFeatures::BULK_MEMORY_OPT];
        let mut needed = Vec::new();
        for (name, proposal) in allowed().iter_names().filter(|(_, proposal)| !parts.contains(proposal)) {
            let without = allowed().difference(proposal);
            let lost = guests.iter().filter(|(_, component)| validate_with(without, component).is_err());
            let lost: Vec<&str> = lost.map(|(guest, _)| guest.as_str()).collect();
            needed.push(format!("{}: {}", name.to_lowercase(), lost.join(" ")));
        }
        insta::assert_snapshot!(needed.join("\n"));
    }
}

//! Splits large core modules off a component, so that each is compiled and cached by itself.
//!
//! A language's engine is most of what such a guest has of code, and the same in every component
//! that its tools make: an edited connector in Python differs from the one before it in its data
//! alone. What is left of the component imports the modules that were taken out, in the very places
//! where they stood, so that nothing else in it has to be numbered anew.

use std::collections::BTreeSet;
use std::ops::Range;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use wasm_encoder::{
    ComponentImportSection, ComponentSection as _, ComponentTypeRef, CoreTypeSection, EntityType, ModuleType,
};
use wasmparser::types::{EntityType as Declared, TypesRef};
use wasmparser::{Parser, Payload, ValidPayload, Validator};

use super::proposals;

/// Bytes of code from which on a module is worth a file of its own.
const CODE_MIN: usize = 128 * 1024;
/// Modules that are taken out of one component: Python's has three of that size.
const MODULES_MAX: usize = 8;
/// The section of a component that declares types of core modules.
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>
const CORE_TYPES: u8 = 3;

/// A component without the modules that were taken out of it.
#[derive(Debug, Clone)]
pub(crate) struct Split {
    /// The rest of the component, to be compiled as such.
    pub(crate) component: Bytes,
    /// The modules that were taken out, in the order of the imports that replace them.
    pub(crate) modules: Vec<CoreModule>,
}

/// A core module that was taken out.
#[derive(Debug, Clone)]
pub(crate) struct CoreModule {
    /// SHA-256 of its bytes, in hexadecimal.
    pub(crate) sha256: String,
    pub(crate) bytes: Bytes,
}

/// The name under which what is left of the component imports a module. A file that imports such a
/// name itself was refused before (`inspect`).
pub(crate) fn import_name(number: usize) -> String {
    format!("core-m{number}")
}

/// Takes the modules out. Where that is not possible, or there is none, the component stays whole.
/// Reads all of it: call it where blocking is allowed.
pub(crate) fn split(component: &Bytes) -> Split {
    let found = if component.len() < CODE_MIN { None } else { large_modules(component) };
    let left = found.filter(|found| !found.is_empty()).and_then(|found| {
        let (mut left, mut copied) = (Vec::new(), 0);
        for (number, place) in found.iter().enumerate() {
            left.extend_from_slice(&component[copied..place.section.start]);
            declare_import(&mut left, number, &component[place.module.clone()])?;
            copied = place.section.end;
        }
        left.extend_from_slice(&component[copied..]);
        Some((left, found))
    });
    let Some((left, found)) = left else {
        return Split { component: component.clone(), modules: Vec::new() };
    };
    let modules = found.into_iter().map(|place| {
        let bytes = component.slice(place.module);
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        CoreModule { sha256, bytes }
    });
    Split { component: left.into(), modules: modules.collect() }
}

/// Where a module stands.
struct Place {
    /// Its section, with the section's head.
    section: Range<usize>,
    /// The module itself.
    module: Range<usize>,
}

/// The outermost component's own modules that have much code and no data. None: the component
/// declares types of core modules, whose numbers would change, or cannot be read.
fn large_modules(component: &[u8]) -> Option<Vec<Place>> {
    let mut found = Vec::new();
    // How many components and modules the walk is inside of, and where the section before ended.
    let (mut depth, mut section_end) = (0_usize, 0);
    // The module that the walk is in, its bytes of code, and whether it has data.
    let mut module: Option<(Place, usize, bool)> = None;
    for payload in Parser::new(0).parse_all(component) {
        let payload = payload.ok()?;
        match &payload {
            Payload::Version { range, .. } => {
                depth += 1;
                if depth == 1 {
                    section_end = range.end;
                }
                continue;
            }
            Payload::End(_) => {
                depth = depth.checked_sub(1)?;
                if depth == 1
                    && let Some((place, code, false)) = module.take()
                    && code >= CODE_MIN
                    && found.len() < MODULES_MAX
                {
                    found.push(place);
                }
                continue;
            }
            Payload::CodeSectionStart { range, .. } if depth == 2 => {
                if let Some((_, code, _)) = &mut module {
                    *code = range.len();
                }
            }
            Payload::DataSection(section) if depth == 2 && section.count() > 0 => {
                if let Some((_, _, has_data)) = &mut module {
                    *has_data = true;
                }
            }
            _ => {}
        }
        let Some((id, range)) = payload.as_section().filter(|_| depth == 1) else { continue };
        if id == CORE_TYPES || range.end > component.len() {
            return None;
        }
        if let Payload::ModuleSection { .. } = payload {
            module = Some((Place { section: section_end..range.end, module: range.clone() }, 0, false));
        }
        section_end = range.end;
    }
    Some(found)
}

/// Writes the import of a module as it is: a type of core modules, and an import of that type.
fn declare_import(to: &mut Vec<u8>, number: usize, module: &[u8]) -> Option<()> {
    let mut types = CoreTypeSection::new();
    types.ty().module(&type_of(module)?);
    types.append_to_component(to);
    let mut imports = ComponentImportSection::new();
    imports.import(import_name(number).as_str(), ComponentTypeRef::Module(u32::try_from(number).ok()?));
    imports.append_to_component(to);
    Some(())
}

/// What a module imports and exports. Its functions are not looked at: they are validated where the
/// module is compiled. None: no type of a module could say it.
fn type_of(module: &[u8]) -> Option<ModuleType> {
    let mut validator = Validator::new_with_features(proposals::allowed());
    for payload in Parser::new(0).parse_all(module) {
        let ValidPayload::End(types) = validator.payload(&payload.ok()?).ok()? else { continue };
        let types = types.as_ref();
        let mut declared = ModuleType::new();
        // A type of a module has each name once.
        let mut names = BTreeSet::new();
        for (from, name, entity) in types.core_imports()? {
            if !names.insert((from, name)) {
                return None;
            }
            let entity = entity_type(&mut declared, types, entity)?;
            declared.import(from, name, entity);
        }
        for (name, entity) in types.core_exports()? {
            let entity = entity_type(&mut declared, types, entity)?;
            declared.export(name, entity);
        }
        return Some(declared);
    }
    None
}

fn entity_type(declared: &mut ModuleType, types: TypesRef<'_>, entity: Declared) -> Option<EntityType> {
    Some(match entity {
        Declared::Func(id) => {
            let of_function = types.get(id)?.unwrap_func();
            let values = |values: &[wasmparser::ValType]| values.iter().map(|ty| value_type(*ty)).collect();
            let (params, results): (Option<Vec<_>>, Option<Vec<_>>) =
                (values(of_function.params()), values(of_function.results()));
            let index = declared.type_count();
            declared.ty().function(params?, results?);
            EntityType::Function(index)
        }
        Declared::Table(table) => EntityType::Table(wasm_encoder::TableType {
            element_type: reference_type(table.element_type)?,
            minimum: table.initial,
            maximum: table.maximum,
            table64: table.table64,
            shared: table.shared,
        }),
        Declared::Memory(memory) => EntityType::Memory(wasm_encoder::MemoryType {
            minimum: memory.initial,
            maximum: memory.maximum,
            memory64: memory.memory64,
            shared: memory.shared,
            page_size_log2: memory.page_size_log2,
        }),
        Declared::Global(global) => EntityType::Global(wasm_encoder::GlobalType {
            val_type: value_type(global.content_type)?,
            mutable: global.mutable,
            shared: global.shared,
        }),
        Declared::Tag(_) | Declared::FuncExact(_) => return None,
    })
}

fn value_type(ty: wasmparser::ValType) -> Option<wasm_encoder::ValType> {
    Some(match ty {
        wasmparser::ValType::I32 => wasm_encoder::ValType::I32,
        wasmparser::ValType::I64 => wasm_encoder::ValType::I64,
        wasmparser::ValType::F32 => wasm_encoder::ValType::F32,
        wasmparser::ValType::F64 => wasm_encoder::ValType::F64,
        wasmparser::ValType::V128 => wasm_encoder::ValType::V128,
        wasmparser::ValType::Ref(ty) => wasm_encoder::ValType::Ref(reference_type(ty)?),
    })
}

fn reference_type(ty: wasmparser::RefType) -> Option<wasm_encoder::RefType> {
    match ty {
        wasmparser::RefType::FUNCREF => Some(wasm_encoder::RefType::FUNCREF),
        wasmparser::RefType::EXTERNREF => Some(wasm_encoder::RefType::EXTERNREF),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A function of more code than is worth a file.
    fn much_code() -> String {
        format!("(func (export \"f\") {})", "(drop (i32.const 1))".repeat(CODE_MIN / 3 + 1))
    }

    fn component(text: &str) -> Bytes {
        wat::parse_str(text).unwrap_or_else(|error| panic!("{error}: {text}")).into()
    }

    #[test]
    fn a_module_of_much_code_is_taken_out_and_what_is_left_is_a_component() {
        let module = format!(
            r#"(core module $large (import "env" "memory" (memory 1 2)) (import "env" "g" (global (mut i32)))
                (import "env" "t" (table 1 funcref)) (import "env" "h" (func (param i32 f64) (result i64)))
                (table (export "own") 3 7 funcref) (global (export "k") i64 (i64.const 1)) {})"#,
            much_code()
        );
        let whole = component(&format!(
            r#"(component (core module $small (memory (export "memory") 1 2)) {module}
                (core module $last (func (export "x"))) (core instance (instantiate $last)))"#
        ));
        let Split { component, modules } = split(&whole);
        assert_eq!(modules.len(), 1);
        assert!(component.len() < 1024, "{} bytes are left", component.len());
        proposals::validate(&component).unwrap();
        proposals::validate(&modules[0].bytes).unwrap();
    }

    #[test]
    fn the_same_module_has_the_same_digest_whatever_it_stands_in() {
        let within = |data: &str| {
            let module = format!("(core module {})", much_code());
            component(&format!("(component (core module (memory 1) (data (i32.const 0) \"{data}\")) {module})"))
        };
        let digests = ["one", "another"].map(|data| split(&within(data)).modules[0].sha256.clone());
        assert_eq!(digests[0], digests[1]);
        assert_ne!(split(&within("one")).component, split(&within("another")).component);
    }

    #[test]
    fn a_component_whose_types_would_be_numbered_anew_stays_whole() {
        let code = much_code();
        for text in [
            // Its own types of core modules.
            format!("(component (core type (func)) (core module {code}))"),
            // A module whose imports no type can say: the same name twice.
            format!(r#"(component (core module (import "a" "b" (func)) (import "a" "b" (func)) {code}))"#),
            // Data, which differs at each edit.
            format!("(component (core module (memory 1) (data (i32.const 0) \"x\") {code}))"),
            // Within another component.
            format!("(component (component (core module {code})))"),
            "(component (core module (func)))".to_owned(),
        ] {
            let whole = component(&text);
            let Split { component, modules } = split(&whole);
            assert!(modules.is_empty() && component == whole, "{}", &text[..80]);
        }
    }
}

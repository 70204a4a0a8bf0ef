//! Counts a component's parts and lists its imports, by its sections alone: nothing is validated,
//! compiled or run. The numbers of parts are bounded here; the sections' contents are validated
//! when it is compiled.

use std::ops::Range;

use wasmparser::{ComponentInstance, ComponentTypeRef, Encoding, Parser, Payload, TypeBounds};

use crate::error::ComponentError;

/// Imports of a component. Python's own world has 38 of WASI; ours adds four.
const IMPORTS_MAX: u64 = 256;
/// Core modules, at whatever depth. Python guests have dozens, and the engine has room for 64
/// instances in one component.
const MODULES_MAX: u64 = 64;
/// Components within the component, at whatever depth: tools make one for each interface that is
/// exported or stubbed. JavaScript guests have 23.
const COMPONENTS_MAX: u64 = 32;
/// Instances of components within the component. One of them may hold two of the next, and so on:
/// what it all comes to doubles with each two, so there may be only a few. JavaScript guests have
/// 23.
const INSTANCES_MAX: u64 = 32;
/// Functions of all core modules together: each is compiled. A JavaScript engine has 20,000, Python
/// with its libraries 60,000.
const FUNCTIONS_MAX: u64 = 250_000;
/// A page of a memory that does not say otherwise has 64 KiB.
const PAGE_LOG2: u32 = 16;

/// An import of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    pub(super) name: String,
    /// Whether the host has to provide it. A type that is another name for a known one needs
    /// nothing.
    pub(super) must_be_provided: bool,
}

/// The parts of a component that can be seen without compiling it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Anatomy {
    /// Imports of the outermost component. Inner ones can only get what that one has.
    pub(super) imports: Vec<Import>,
    /// Bytes that the largest of its memories begins with.
    pub(super) largest_memory: u64,
}

/// Tells a core module from a component, and either from what wasmtime would take for the text
/// format or for a compiled copy.
/// <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>
pub(super) fn check_preamble(bytes: &[u8]) -> Result<(), ComponentError> {
    match bytes {
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Err(ComponentError::CoreModule),
        [0, b'a', b's', b'm', ..] => Ok(()),
        _ => Err(ComponentError::NotAComponent("the file does not begin as WebAssembly does".to_owned())),
    }
}

/// Counts a component's parts, lists its imports, and looks for its largest memory.
pub(super) fn look(bytes: &[u8]) -> Result<Anatomy, ComponentError> {
    let bad = |error: wasmparser::BinaryReaderError| ComponentError::not_a_component(error);
    // The parser takes a part that the file ends in for one that ends there.
    let whole = |part: &Range<usize>| match part.end <= bytes.len() {
        true => Ok(()),
        false => Err(ComponentError::not_a_component("the file ends in the middle of a part")),
    };
    let Anatomy { mut imports, mut largest_memory } = Anatomy::default();
    let (mut components, mut modules, mut instances, mut functions) = (0, 0, 0, 0);
    // How many components and modules the walk is inside of.
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(bad)? {
            Payload::Version { encoding, .. } => {
                depth += 1;
                if depth == 1 && encoding == Encoding::Module {
                    return Err(ComponentError::CoreModule);
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentSection { unchecked_range, .. } => {
                whole(&unchecked_range)?;
                count("components", &mut components, 1, COMPONENTS_MAX)?;
            }
            Payload::ModuleSection { unchecked_range, .. } => {
                whole(&unchecked_range)?;
                count("modules", &mut modules, 1, MODULES_MAX)?;
            }
            Payload::FunctionSection(section) => {
                count("functions", &mut functions, u64::from(section.count()), FUNCTIONS_MAX)?;
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    let memory = memory.map_err(bad)?;
                    let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(PAGE_LOG2)).unwrap_or(u64::MAX);
                    largest_memory = largest_memory.max(memory.initial.saturating_mul(page));
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section {
                    if let ComponentInstance::Instantiate { .. } = instance.map_err(bad)? {
                        count("instances", &mut instances, 1, INSTANCES_MAX)?;
                    }
                }
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                let all = imports.len() as u64 + u64::from(section.count());
                count("imports", &mut 0, all, IMPORTS_MAX)?;
                for import in section {
                    let import = import.map_err(bad)?;
                    let must_be_provided = !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_)));
                    // A version may be split in two: the part that decides about compatibility, and
                    // the rest.
                    let name = format!("{}{}", import.name.name, import.name.version_suffix.unwrap_or_default());
                    imports.push(Import { name, must_be_provided });
                }
            }
            _ => {}
        }
    }
    Ok(Anatomy { imports, largest_memory })
}

fn count(part: &'static str, so_far: &mut u64, more: u64, limit: u64) -> Result<(), ComponentError> {
    *so_far += more;
    if *so_far > limit {
        return Err(ComponentError::TooManyParts { part, found: *so_far, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Anatomy, ComponentError> {
        look(&wat::parse_str(text).unwrap())
    }

    fn too_many(text: &str) -> String {
        of(text).err().unwrap().to_string()
    }

    #[test]
    fn imports_of_every_kind_are_listed_and_those_of_inner_components_are_not() {
        let found = of(r#"(component
            (import "a:b/c@1.0.0" (instance))
            (import "f" (func))
            (import "m" (core module))
            (import "k" (component))
            (type $t (record (field "x" u8)))
            (import "alias" (type (eq $t)))
            (import "r" (type (sub resource)))
            (component (import "inner" (func)))
        )"#)
        .unwrap()
        .imports;
        let provided: Vec<_> = found.iter().filter(|i| i.must_be_provided).map(|i| i.name.as_str()).collect();
        assert_eq!(provided, ["a:b/c@1.0.0", "f", "m", "k", "r"]);
        assert_eq!(found.iter().filter(|i| !i.must_be_provided).count(), 1);
    }

    #[test]
    fn a_component_of_more_parts_than_any_connector_needs_is_refused() {
        let many = |part: &str, n: usize| format!("(component {})", part.repeat(n));
        let imports: String = (0..257).map(|i| format!("(import \"i{i}\" (func))")).collect();
        // Thirty lines that would make a thousand million instances.
        let bomb: String = (1..30)
            .map(|i| format!("(component $c{i} (alias outer 1 $c{0} (component $x)) (instance (instantiate $x)) (instance (instantiate $x)))", i - 1))
            .collect();
        let functions = format!("(component (core module {}))", "(func)".repeat(250_001));
        let refusals = [
            too_many(&format!("(component {imports})")),
            too_many(&many("(core module)", 65)),
            too_many(&many("(component)", 33)),
            too_many(&format!("(component (component $c0) {bomb})")),
            too_many(&format!("(component (component $c) {})", "(instance (instantiate $c))".repeat(33))),
            too_many(&functions),
        ];
        insta::assert_snapshot!(refusals.join("\n"));
    }

    #[test]
    fn the_largest_memory_is_found_wherever_it_lies() {
        let largest = |text| of(text).unwrap().largest_memory;
        assert_eq!(largest("(component)"), 0);
        assert_eq!(largest("(component (core module (memory 3)) (core module (memory 1)))"), 3 << 16);
        assert_eq!(largest("(component (component (core module (memory i64 0x1_0000_0000_0000))))"), u64::MAX);
    }

    #[test]
    fn a_file_that_is_cut_short_anywhere_is_refused_or_read_to_its_end() {
        let whole =
            wat::parse_str(r#"(component (import "a:b/c@1.0.0" (instance)) (core module (func) (memory 1)))"#).unwrap();
        for end in 8..whole.len() {
            // A cut between two sections leaves a shorter component, which is for the contract to
            // refuse.
            if let Err(error) = look(&whole[..end]) {
                assert!(matches!(error, ComponentError::NotAComponent(_)), "{end}: {error}");
            }
        }
    }
}

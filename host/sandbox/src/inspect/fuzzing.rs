//! Fuzz target for the checks of a file before it goes to the compiler, whatever its bytes are. The
//! component's parts are counted once more, by the lengths of its sections alone, and names are
//! checked by other means.

use atlas_testing::fuzzing::Target;
use wasmparser::{BinaryReader, ComponentImportSectionReader, ComponentTypeRef, TypeBounds};

use super::{contract, inspect};

/// The targets by the names of their programs and corpora.
pub const TARGETS: [(&str, Target); 1] = [("loader", loader)];

/// What passes is a component of bounded parts, and imports of the contract and of six packages of
/// WASI alone. What does not is told on one line.
pub fn loader(file: &[u8]) {
    let version = match inspect(file) {
        Ok(inspected) => inspected.version,
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.chars().any(char::is_control), "{shown:?}");
            return;
        }
    };
    let mut parts = Parts::default();
    parts.count(file, true).expect("sections one after the other");
    assert!(parts.binaries <= 1 + 64 + 32 && parts.functions <= 250_000 && parts.imports.len() <= 256, "{parts:?}");
    assert!(version.as_deref().is_none_or(|version| contract::versions().contains(&version)), "{version:?}");
    for name in &parts.imports {
        let is_granted = if name.starts_with("atlas:connector/") {
            version.as_ref().is_some_and(|version| name.ends_with(&format!("@{version}")))
        } else {
            ["cli", "io", "clocks", "random"].iter().any(|package| name.starts_with(&format!("wasi:{package}/")))
                && name.contains("@0.2.")
        };
        assert!(is_granted, "{name:?}");
    }
}

#[derive(Debug, Default)]
struct Parts {
    /// Modules and components, the outermost among them.
    binaries: usize,
    functions: u64,
    /// Names of what has to be provided.
    imports: Vec<String>,
}

impl Parts {
    /// Adds a module or component and all that is in it.
    fn count(&mut self, binary: &[u8], outermost: bool) -> Option<()> {
        let is_module = *binary.get(6)? == 0;
        self.binaries += 1;
        let mut rest = BinaryReader::new(binary.get(8..)?, 8);
        while !rest.eof() {
            let (id, length) = (rest.read_u8().ok()?, rest.read_var_u32().ok()?);
            let section = rest.read_bytes(length as usize).ok()?;
            match id {
                3 if is_module => self.functions += u64::from(BinaryReader::new(section, 0).read_var_u32().ok()?),
                1 | 4 if !is_module => self.count(section, false)?,
                10 if outermost => self.import(section)?,
                _ => {}
            }
        }
        Some(())
    }

    fn import(&mut self, section: &[u8]) -> Option<()> {
        for import in ComponentImportSectionReader::new(BinaryReader::new(section, 0)).ok()? {
            let import = import.ok()?;
            if !matches!(import.ty, ComponentTypeRef::Type(TypeBounds::Eq(_))) {
                self.imports.push(format!("{}{}", import.name.name, import.name.version_suffix.unwrap_or_default()));
            }
        }
        Some(())
    }
}

#[cfg(test)]
#[test]
fn what_must_hold_holds_of_every_corpus() {
    atlas_testing::fuzzing::hold(&TARGETS);
}

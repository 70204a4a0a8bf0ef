//! How a fuzz target's input is divided into fields, and the run of a target over its corpus.
//!
//! A target takes any bytes at all, states what holds of them by an oracle that is simpler than the
//! code, and panics where it does not hold. `cargo fuzz` looks for bytes that break a target
//! (`fuzz/` has a program for each), and each crate's tests hold its targets against the inputs
//! that fuzzing begins with, `fuzz/corpus/`.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// The byte between the fields of an input. No UTF-8 text has it.
pub const DIVIDER: u8 = 0xff;

/// A fuzz target: panics if the input breaks what must hold.
pub type Target = fn(&[u8]);

/// The fields of an input. Missing fields are empty, and the last takes the rest.
pub fn fields<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut fields = input.splitn(N, |byte| *byte == DIVIDER);
    std::array::from_fn(|_| fields.next().unwrap_or_default())
}

/// A field as text, with invalid UTF-8 replaced.
pub fn text(field: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(field)
}

/// Runs each target over its corpus, and checks that `cargo fuzz` has a program for it.
///
/// # Panics
///
/// Where an input breaks its target, and where a corpus or a program is missing.
pub fn hold(targets: &[(&str, Target)]) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    for (name, target) in targets {
        let program = fuzz.join(format!("fuzz_targets/{name}.rs"));
        assert!(program.is_file(), "cargo fuzz has no program for {name}: {}", program.display());
        let corpus = inputs(&fuzz.join("corpus").join(name));
        assert!(!corpus.is_empty(), "{name} has nothing in its corpus");
        for path in corpus {
            let input = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let held = std::panic::catch_unwind(|| target(&input));
            assert!(held.is_ok(), "{name} does not hold of {}", path.display());
        }
    }
}

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    entries.map(|entry| entry.unwrap_or_else(|e| panic!("{}: {e}", folder.display())).path()).collect()
}

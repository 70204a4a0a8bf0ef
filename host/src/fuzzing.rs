//! What must hold of whatever a stranger controls: a source's answers, what a connector asks for, a file in the folder of
//! connectors. Examples cannot show that; so each target here takes any bytes at all, states what holds of them, by an oracle that
//! is simpler than the code, and panics where it does not.
//!
//! `cargo fuzz` looks for bytes that break one (`fuzz/` has a program for each), and the tests hold each against the inputs that
//! it begins with, `fuzz/corpus/`. An ordinary build has none of this.

use std::borrow::Cow;

pub use crate::connector::fuzzing::loader;
pub use crate::json::fuzzing::{canonical, check, select, split};
pub use crate::source::fuzzing::{headers, retry_after, urls};

/// What stands between the fields of an input: no text has such a byte.
pub(crate) const DIVIDER: u8 = 0xff;

/// The fields of an input. Those that it lacks are empty, and the last takes the rest.
pub(crate) fn fields<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut fields = input.splitn(N, |byte| *byte == DIVIDER);
    std::array::from_fn(|_| fields.next().unwrap_or_default())
}

/// A field as text, whatever its bytes.
pub(crate) fn text(field: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(field)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    type Target = fn(&[u8]);

    const TARGETS: [(&str, Target); 8] = [
        ("canonical", canonical),
        ("check", check),
        ("headers", headers),
        ("loader", loader),
        ("retry_after", retry_after),
        ("select", select),
        ("split", split),
        ("urls", urls),
    ];

    fn entries(folder: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz").join(folder);
        let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    fn names(folder: &str) -> BTreeSet<String> {
        entries(folder).iter().map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn every_target_has_a_corpus_and_a_program_and_no_other_has() {
        let targets = TARGETS.map(|(name, _)| name.to_owned()).into();
        assert_eq!(names("corpus"), targets);
        assert_eq!(names("fuzz_targets"), targets);
    }

    #[test]
    fn what_must_hold_holds_of_every_corpus() {
        for (name, target) in TARGETS {
            let corpus = entries(&format!("corpus/{name}"));
            assert!(!corpus.is_empty(), "{name} has nothing in its corpus");
            for path in corpus {
                let input = std::fs::read(&path).unwrap();
                let held = std::panic::catch_unwind(|| target(&input));
                assert!(held.is_ok(), "{name} does not hold of {}", path.display());
            }
        }
    }
}

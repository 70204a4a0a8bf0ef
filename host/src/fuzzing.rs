//! What must hold of all that a stranger controls: a source's answers, a connector's requests, a file
//! in the folder of connectors. `atlas_testing::fuzzing` says how the targets are run.

use atlas_testing::fuzzing::Target;

pub use crate::connector::fuzzing::loader;
pub use crate::source::fuzzing::{headers, retry_after, urls};

/// The targets by the names of their programs and corpora.
pub const TARGETS: [(&str, Target); 4] =
    [("headers", headers), ("loader", loader), ("retry_after", retry_after), ("urls", urls)];

#[cfg(test)]
#[test]
fn what_must_hold_holds_of_every_corpus() {
    atlas_testing::fuzzing::hold(&TARGETS);
}

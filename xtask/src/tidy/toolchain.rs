//! The toolchain file names the stable Rust and nothing else: a version by its number, a component
//! or a target that is missing has rustup fetch a toolchain, and everything that is built already
//! is built anew with it.

use super::{Fault, Source};

const TOOLCHAIN: &str = "rust-toolchain.toml";
/// All of its lines but comments and blank ones.
const LINES: [&str; 2] = ["[toolchain]", "channel = \"stable\""];

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let Some(file) = sources.iter().find(|source| source.path == TOOLCHAIN) else {
        return vec![format!("{TOOLCHAIN}:1: is missing")];
    };
    let said = file.lines().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let more = said.filter(|(_, line)| !LINES.contains(line));
    more.map(|(number, line)| format!("{TOOLCHAIN}:{number}: has rustup fetch what is not there: {line}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn what_has_rustup_fetch_a_toolchain_is_found() {
        let faults = |text: &str| check(&[source(TOOLCHAIN, text)]);
        assert_eq!(faults("# The stable one.\n[toolchain]\nchannel = \"stable\"\n"), [""; 0]);
        assert_eq!(faults("[toolchain]\nchannel = \"1.95.0\"\ntargets = [\"wasm32-unknown-unknown\"]\n").len(), 2);
        assert_eq!(check(&[]).len(), 1);
    }
}

//! The Rust that CI uses is the least that the crates ask for, so that what they promise is what is tested.

use super::{Fault, Source};

const TOOLCHAIN: &str = "rust-toolchain.toml";
const WORKSPACE: &str = "Cargo.toml";

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let value = |path: &str, key: &str| {
        let file = sources.iter().find(|source| source.path == path)?;
        let mut values = file.lines().filter_map(|(_, line)| line.strip_prefix(key)?.trim().strip_prefix('='));
        values.next().map(|value| value.trim().trim_matches('"').to_owned())
    };
    match (value(TOOLCHAIN, "channel"), value(WORKSPACE, "rust-version")) {
        (Some(channel), Some(least)) if channel == least || channel == format!("{least}.0") => Vec::new(),
        (channel, least) => {
            let [channel, least] = [channel, least].map(|version| version.unwrap_or_else(|| "nothing".to_owned()));
            vec![format!("{TOOLCHAIN}:1: channel is {channel}, and rust-version in {WORKSPACE} is {least}")]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_toolchain_that_is_not_the_least_that_the_crates_ask_for_is_found() {
        let faults = |channel: &str| {
            let toolchain = source(TOOLCHAIN, &format!("[toolchain]\nchannel = \"{channel}\"\n"));
            check(&[toolchain, source(WORKSPACE, "rust-version = \"1.95\"\n")]).len()
        };
        assert_eq!([faults("1.95.0"), faults("1.95"), faults("1.96.0"), faults("stable")], [0, 0, 1, 1]);
        assert_eq!(check(&[]).len(), 1);
    }
}

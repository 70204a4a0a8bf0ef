//! Names that mean something on one machine only, and have no place in the repository.

use super::{Fault, Source};

/// Written in pieces, since this file is checked as well. What builds Atlas finds its packages by
/// cargo's own settings.
const REGISTRIES: [&str; 7] = [
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("deb.debian", ".org"),
    concat!("proxy.golang", ".org"),
];
const FOLDERS: [&str; 2] = [concat!("/wo", "rk/"), concat!("/ro", "ot/")];
/// Cargo writes it, with the name of the index in it.
const LOCK: &str = "Cargo.lock";

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in sources.iter().filter(|file| !file.path.ends_with(LOCK)) {
        for (line, text) in file.lines() {
            let registries = REGISTRIES.into_iter().filter(|host| text.contains(host));
            let folders = FOLDERS.into_iter().filter(|folder| begins_a_path(text, folder));
            let found = registries
                .map(|host| (host, "a package registry"))
                .chain(folders.map(|f| (f, "a folder of one machine")));
            faults.extend(found.map(|(name, what)| format!("{}:{line}: names {what}: {name}", file.path)));
        }
    }
    faults
}

/// Whether an absolute path begins with this folder: it does not inside a longer path or a URL.
fn begins_a_path(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}' | '~' | '*'))
    })
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    #[test]
    fn a_machine_s_own_folder_is_found_and_a_longer_path_is_not() {
        let own = format!("see {}main", FOLDERS[0]);
        assert_eq!(check(&[source("docs/a.md", &own)]).len(), 1);
        assert_eq!(check(&[source("docs/a.md", &format!("my{}main", FOLDERS[0]))]), [""; 0]);
    }

    #[test]
    fn a_registry_is_found() {
        let text = format!("ok\nhttps://index.{}/", REGISTRIES[0]);
        let faults = check(&[source("a.toml", &text), source("Cargo.lock", &text)]);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].starts_with("a.toml:2: "), "{faults:?}");
    }
}

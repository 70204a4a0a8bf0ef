//! Checks a component's imports against a closed list: the contract, and six packages of WASI, none
//! of which reaches anything outside the sandbox. Decided by the names alone, before any part of
//! the component is compiled.

use std::collections::BTreeSet;

use super::anatomy::Import;
use crate::error::{ComponentError, ImportFamily, Refused};

/// The package of the contract.
const CONTRACT: &str = "atlas:connector/";
/// The packages of WASI that a guest may import. None has a file, a socket, or the host's clock or
/// randomness behind it.
const GRANTED: [&str; 6] = ["wasi:cli", "wasi:io", "wasi:clocks", "wasi:random", "wasi:filesystem", "wasi:sockets"];
/// The line of WASI versions that the host links: any of them serves guests made for an earlier
/// one.
const WASI_LINE: &str = "0.2.";
/// A refusal shows this many characters of a name.
const NAME_SHOWN: usize = 128;

/// Refuses every import that is neither ours nor granted, and gives the version of the contract
/// that the component was made for; none if it imports nothing of it.
pub(super) fn check(imports: &[Import], versions: &[&str]) -> Result<Option<String>, ComponentError> {
    let mut refused = Vec::new();
    let mut found = BTreeSet::new();
    for import in imports.iter().filter(|import| import.must_be_provided) {
        if let Some(interface) = import.name.strip_prefix(CONTRACT) {
            found.insert(interface.split_once('@').map_or("?", |(_, version)| version).to_owned());
        } else if let Some(family) = refused_family(&import.name) {
            refused.push((family, shown(&import.name)));
        }
    }
    if !refused.is_empty() {
        return Err(ComponentError::ForbiddenImports(Refused::new(refused)));
    }
    let known = found.iter().all(|version| versions.contains(&version.as_str()));
    if found.len() > 1 || !known {
        let found: Vec<_> = found.iter().map(|version| shown(version)).collect();
        return Err(ComponentError::OtherVersion { found: found.join(", "), have: versions.join(", ") });
    }
    Ok(found.pop_first())
}

fn refused_family(name: &str) -> Option<ImportFamily> {
    let package = name.split('/').next().unwrap_or(name);
    let version = name.split_once('@').map_or("", |(_, version)| version);
    Some(match package {
        package if GRANTED.contains(&package) && version.starts_with(WASI_LINE) => return None,
        package if GRANTED.contains(&package) => ImportFamily::OtherWasiVersion,
        "wasi:http" => ImportFamily::Http,
        package if package.starts_with("wasi:") => ImportFamily::OtherWasi,
        _ => ImportFamily::Foreign,
    })
}

/// A name for messages, cut and escaped, since the component's author chose it.
fn shown(name: &str) -> String {
    let name: String = name.chars().take(NAME_SHOWN).collect();
    name.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(names: &[&str]) -> Result<Option<String>, ComponentError> {
        let imports: Vec<_> =
            names.iter().map(|name| Import { name: (*name).to_owned(), must_be_provided: true }).collect();
        check(&imports, &["0.0.9", "0.1.0"])
    }

    fn refusal(names: &[&str]) -> String {
        checked(names).err().map_or_else(|| "accepted".to_owned(), |error| error.to_string())
    }

    #[test]
    fn the_contract_and_the_six_granted_packages_are_accepted() {
        let granted = [
            "atlas:connector/http@0.1.0",
            "atlas:connector/types@0.1.0",
            "wasi:cli/stdout@0.2.0",
            "wasi:io/streams@0.2.6",
            "wasi:clocks/monotonic-clock@0.2.12",
            "wasi:random/insecure-seed@0.2.3",
            "wasi:filesystem/types@0.2.0",
            "wasi:sockets/tcp@0.2.9",
        ];
        assert_eq!(checked(&granted).unwrap().as_deref(), Some("0.1.0"));
        assert_eq!(checked(&["atlas:connector/log@0.0.9"]).unwrap().as_deref(), Some("0.0.9"));
        assert_eq!(checked(&[]).unwrap(), None);
    }

    #[test]
    fn every_other_import_is_named_and_not_the_first_alone() {
        let long = "x".repeat(1000);
        let refusals = [
            refusal(&["wasi:sockets/tcp@0.3.0", "atlas:connector/http@0.1.0", "wasi:filesystem/types@0.1.0", "env"]),
            refusal(&["wasi:http/types@0.2.0", "wasi:cli/stdin@0.3.0", "wasi:keyvalue/store@0.2.0", "wasi:cli"]),
            refusal(&["wasi:clipboard/x@0.2.0", "wasi:io-uring/x@0.2.0", "atlas:connectors/http@0.1.0", "\u{1b}[2J"]),
            refusal(&[&long]),
            refusal(&["atlas:connector/http@9.0.0"]),
            refusal(&["atlas:connector/http"]),
            refusal(&["atlas:connector/http@0.1.0", "atlas:connector/log@0.0.9"]),
        ];
        insta::assert_snapshot!(refusals.join("\n"));
    }
}

//! Cargo.lock against patched.toml: known holes in the crates that read what strangers send.

use std::collections::{BTreeMap, BTreeSet};

use semver::{Version, VersionReq};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Spanned;

use super::{Fault, Source};

const PATCHED: &str = "patched.toml";
const LOCK: &str = "Cargo.lock";
const DENY: &str = "deny.toml";

/// The crates that read a stranger's bytes (requests, answers, certificates, components,
/// signatures) or run a stranger's code. Each that is locked has an entry or is in `nothing_known`,
/// so that one which is added to the list is looked up once.
const CRATES: [&str; 64] = [
    "addr2line",
    "async-compression",
    "axum",
    "axum-core",
    "axum-server",
    "brotli",
    "brotli-decompressor",
    "bytes",
    "chrono",
    "compression-codecs",
    "cookie",
    "cpp_demangle",
    "cranelift-codegen",
    "encoding_rs",
    "fancy-regex",
    "flate2",
    "form_urlencoded",
    "gimli",
    "h2",
    "http",
    "httparse",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "idna",
    "jsonschema",
    "libsqlite3-sys",
    "minisign-verify",
    "miniz_oxide",
    "oauth2",
    "object",
    "opentelemetry_sdk",
    "percent-encoding",
    "prost",
    "regex",
    "reqwest",
    "ring",
    "rustc-demangle",
    "rustls",
    "rustls-webpki",
    "ruzstd",
    "serde_json",
    "serde_json_path",
    "simdutf8",
    "sqlx",
    "sqlx-core",
    "sqlx-postgres",
    "sqlx-sqlite",
    "time",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "toml",
    "tower-http",
    "tracing-subscriber",
    "url",
    "wasmparser",
    "wasmtime",
    "webpki-root-certs",
    "webpki-roots",
    "zlib-rs",
    "zstd",
    "zstd-safe",
    "zstd-sys",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Patched {
    /// The day of the database that the file was last held against.
    checked: Spanned<String>,
    nothing_known: Vec<Spanned<String>>,
    #[serde(default)]
    advisory: Vec<Advisory>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Advisory {
    #[serde(rename = "crate")]
    name: String,
    id: Spanned<String>,
    date: Spanned<String>,
    patched: Vec<VersionReq>,
    what: String,
    /// Why a version below the patch is locked, and what protects Atlas meanwhile.
    held: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Version,
}

#[derive(Deserialize)]
struct Deny {
    advisories: DenyAdvisories,
}

#[derive(Deserialize)]
struct DenyAdvisories {
    ignore: Vec<Ignored>,
}

#[derive(Deserialize)]
struct Ignored {
    id: Spanned<String>,
}

/// Versions by crate: several of one may be locked.
type Locked = BTreeMap<String, Vec<Version>>;

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    match read(sources) {
        Ok((patched, locked, ignored)) => {
            let mut faults = Vec::new();
            for advisory in &patched.content.advisory {
                let at = patched.line(&advisory.id);
                faults.extend(against(advisory, &locked).into_iter().map(|what| format!("{at}: {what}")));
                let dated = (!is_date(advisory.date.get_ref())).then(|| patched.line(&advisory.date));
                faults.extend(dated.map(|at| format!("{at}: no date: {}", advisory.date.get_ref())));
            }
            if !is_date(patched.content.checked.get_ref()) {
                let at = patched.line(&patched.content.checked);
                faults.push(format!("{at}: no date: {}", patched.content.checked.get_ref()));
            }
            faults.extend(uncovered(&patched, &locked));
            faults.extend(ignore_list(&patched, &ignored));
            faults
        }
        Err(fault) => vec![fault],
    }
}

/// A file as it was parsed, with its text for the lines of what is in it.
struct Parsed<'a, T> {
    source: &'a Source,
    content: T,
}

impl<T> Parsed<'_, T> {
    /// `file:line` of a value.
    fn line<V>(&self, value: &Spanned<V>) -> String {
        at(self.source, value.span().start)
    }
}

fn at(source: &Source, offset: usize) -> String {
    let before = source.text.get(..offset).unwrap_or(&source.text);
    format!("{}:{}", source.path, before.matches('\n').count() + 1)
}

fn read(sources: &[Source]) -> Result<(Parsed<'_, Patched>, Locked, Parsed<'_, Deny>), Fault> {
    let patched = parse(sources, PATCHED)?;
    let lock: Parsed<'_, Lock> = parse(sources, LOCK)?;
    let deny = parse(sources, DENY)?;
    let mut locked = Locked::new();
    for package in lock.content.package {
        locked.entry(package.name).or_default().push(package.version);
    }
    Ok((patched, locked, deny))
}

fn parse<'a, T: DeserializeOwned>(sources: &'a [Source], path: &str) -> Result<Parsed<'a, T>, Fault> {
    let source = sources.iter().find(|source| source.path == path).ok_or(format!("{path}:1: is not there"))?;
    let content = toml::from_str(&source.text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        format!("{}: {}", at(source, start), error.message())
    })?;
    Ok(Parsed { source, content })
}

/// What is wrong with one entry.
fn against(advisory: &Advisory, locked: &Locked) -> Vec<String> {
    let Advisory { name, patched, what, held, .. } = advisory;
    let id = advisory.id.get_ref();
    let mut wrong = Vec::new();
    if !["RUSTSEC-", "GHSA-", "CVE-"].iter().any(|kind| id.starts_with(kind)) {
        wrong.push(format!("neither RustSec's number, nor a GHSA, nor a CVE: {id}"));
    }
    if what.trim().is_empty() || held.as_ref().is_some_and(|held| held.trim().is_empty()) {
        wrong.push(format!("{id} of {name}: `what` or `held` says nothing"));
    }
    let Some(versions) = locked.get(name) else {
        wrong.push(format!("{id} is stale: {name} is not locked any more"));
        return wrong;
    };
    let is_patched = |version: &&Version| patched.iter().any(|range| range.matches(version));
    let behind: Vec<_> = versions.iter().filter(|version| !is_patched(version)).map(ToString::to_string).collect();
    match (behind.is_empty(), held) {
        (false, None) => {
            let ranges: Vec<_> = patched.iter().map(ToString::to_string).collect();
            wrong.push(format!(
                "{name} {} has {id}, which is patched in {}: {what}",
                behind.join(", "),
                ranges.join(" or ")
            ));
        }
        (true, Some(_)) => wrong.push(format!("the hold is over: {id} is patched in the {name} that is locked")),
        (false, Some(_)) | (true, None) => {}
    }
    wrong
}

/// Crates that nothing is said of, and those that too much is said of.
fn uncovered(patched: &Parsed<'_, Patched>, locked: &Locked) -> Vec<Fault> {
    let Patched { nothing_known, advisory, .. } = &patched.content;
    let with_one: BTreeSet<_> = advisory.iter().map(|advisory| advisory.name.as_str()).collect();
    let without: BTreeSet<_> = nothing_known.iter().map(|name| name.get_ref().as_str()).collect();
    let mut faults = Vec::new();
    for name in CRATES.into_iter().filter(|name| locked.contains_key(*name)) {
        if !with_one.contains(name) && !without.contains(name) {
            let at = patched.line(&patched.content.checked);
            faults.push(format!("{at}: {name} has no advisory and is not in `nothing_known`"));
        }
    }
    for name in nothing_known {
        let at = patched.line(name);
        let name = name.get_ref().as_str();
        if with_one.contains(name) {
            faults.push(format!("{at}: {name} has an advisory and is in `nothing_known`"));
        }
        if !locked.contains_key(name) {
            faults.push(format!("{at}: {name} is stale: it is not locked any more"));
        }
    }
    faults
}

/// `cargo deny` passes over what is held, and nothing else.
fn ignore_list(patched: &Parsed<'_, Patched>, deny: &Parsed<'_, Deny>) -> Vec<Fault> {
    let is_rustsec = |advisory: &&Advisory| advisory.id.get_ref().starts_with("RUSTSEC-");
    let held: Vec<_> = patched.content.advisory.iter().filter(|advisory| advisory.held.is_some()).collect();
    let ignored = &deny.content.advisories.ignore;
    let mut faults = Vec::new();
    for advisory in held.iter().copied().filter(is_rustsec) {
        if !ignored.iter().any(|ignored| ignored.id.get_ref() == advisory.id.get_ref()) {
            let at = patched.line(&advisory.id);
            faults.push(format!("{at}: {} is held, and {DENY} does not ignore it", advisory.id.get_ref()));
        }
    }
    for ignored in ignored {
        if !held.iter().any(|advisory| advisory.id.get_ref() == ignored.id.get_ref()) {
            let at = deny.line(&ignored.id);
            faults.push(format!("{at}: {} is ignored, and {PATCHED} does not hold it", ignored.id.get_ref()));
        }
    }
    faults
}

/// Whether a text is a day: YYYY-MM-DD.
fn is_date(text: &str) -> bool {
    let digits = |part: &str, many| part.len() == many && part.bytes().all(|b| b.is_ascii_digit());
    let parts: Vec<_> = text.split('-').collect();
    matches!(parts[..], [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    const RING: &str = "[[package]]\nname = \"ring\"\nversion = \"0.17.14\"\n";

    /// The faults of a patched.toml of these lines, without the file's name.
    fn faults(patched: &str, lock: &str, ignored: &str) -> Vec<String> {
        let deny = format!("[advisories]\nignore = [{ignored}]\n");
        let found = check(&[source(PATCHED, patched), source(LOCK, lock), source(DENY, &deny)]);
        found.into_iter().map(|fault| fault.strip_prefix("patched.toml:").map(str::to_owned).unwrap_or(fault)).collect()
    }

    fn head(nothing_known: &str) -> String {
        format!("checked = \"2026-08-21\"\nnothing_known = [{nothing_known}]\n")
    }

    /// A file with one entry, of ring.
    fn ring(patched: &str, rest: &str) -> String {
        let id = "RUSTSEC-2025-0009";
        format!(
            "{}[[advisory]]\ncrate = \"ring\"\nid = \"{id}\"\ndate = \"2025-03-06\"\npatched = {patched}\nwhat = \"It \
             panics.\"\n{rest}\n",
            head("")
        )
    }

    #[test]
    fn a_version_below_its_patch_is_a_fault() {
        assert_eq!(
            faults(&ring("[\">= 0.17.15\"]", ""), RING, ""),
            ["5: ring 0.17.14 has RUSTSEC-2025-0009, which is patched in >=0.17.15: It panics."]
        );
        assert_eq!(faults(&ring("[]", ""), RING, "").len(), 1);
    }

    #[test]
    fn a_version_that_one_of_the_ranges_has_is_patched() {
        assert_eq!(faults(&ring("[\">= 0.16.21, < 0.17.0\", \">= 0.17.12\"]", ""), RING, ""), [""; 0]);
        assert_eq!(faults(&ring("[\">= 0.16.21, < 0.17.0\", \">= 0.18.0\"]", ""), RING, "").len(), 1);
    }

    #[test]
    fn of_two_locked_versions_the_one_below_is_a_fault() {
        let two = format!("{RING}{}", RING.replace("0.17.14", "0.16.20"));
        let found = faults(&ring("[\">= 0.17.12\"]", ""), &two, "");
        assert!(matches!(&found[..], [one] if one.contains("ring 0.16.20 has")), "{found:?}");
    }

    #[test]
    fn what_is_held_is_no_fault_until_its_patch_is_locked() {
        let ignored = "{ id = \"RUSTSEC-2025-0009\", reason = \"held\" }";
        let held = "held = \"Not published yet; AES is not used.\"";
        assert_eq!(faults(&ring("[\">= 0.17.15\"]", held), RING, ignored), [""; 0]);
        assert_eq!(
            faults(&ring("[\">= 0.17.14\"]", held), RING, ignored),
            ["5: the hold is over: RUSTSEC-2025-0009 is patched in the ring that is locked"]
        );
        assert_eq!(faults(&ring("[\">= 0.17.15\"]", "held = \" \""), RING, ignored).len(), 1);
    }

    #[test]
    fn cargo_deny_ignores_what_is_held_and_nothing_else() {
        let held = ring("[\">= 0.17.15\"]", "held = \"Not published yet.\"");
        assert_eq!(faults(&held, RING, ""), ["5: RUSTSEC-2025-0009 is held, and deny.toml does not ignore it"]);
        assert_eq!(
            faults(&ring("[\">= 0.17.12\"]", ""), RING, "{ id = \"RUSTSEC-2025-0009\" }"),
            ["deny.toml:2: RUSTSEC-2025-0009 is ignored, and patched.toml does not hold it"]
        );
        // cargo deny knows no other numbers.
        assert_eq!(faults(&held.replace("RUSTSEC-2025-0009", "CVE-2025-4432"), RING, ""), [""; 0]);
    }

    #[test]
    fn an_entry_of_a_crate_that_is_not_locked_is_stale() {
        assert_eq!(
            faults(&ring("[\">= 0.17.12\"]", ""), "package = []", ""),
            ["5: RUSTSEC-2025-0009 is stale: ring is not locked any more"]
        );
        assert_eq!(faults(&head("\"ring\""), "package = []", ""), ["2: ring is stale: it is not locked any more"]);
    }

    #[test]
    fn a_crate_that_strangers_reach_has_an_entry_or_is_one_of_which_nothing_is_known() {
        assert_eq!(faults(&head("\"ring\""), RING, ""), [""; 0]);
        assert_eq!(faults(&head(""), RING, ""), ["1: ring has no advisory and is not in `nothing_known`"]);
        let both = ring("[\">= 0.17.12\"]", "").replace("nothing_known = []", "nothing_known = [\"ring\"]");
        assert_eq!(faults(&both, RING, ""), ["2: ring has an advisory and is in `nothing_known`"]);
    }

    #[test]
    fn a_malformed_entry_is_a_fault() {
        let patched = "[\">= 0.17.12\"]";
        let unknown = faults(&ring(patched, "hold = \"a typing error\""), RING, "");
        assert!(matches!(&unknown[..], [one] if one.starts_with("9: unknown field")), "{unknown:?}");
        let range = faults(&ring("[\"since 0.17\"]", ""), RING, "");
        assert!(matches!(&range[..], [one] if one.starts_with("7: ")), "{range:?}");
        assert_eq!(faults(&ring(patched, "").replace("2025-03-06", "6 March"), RING, ""), ["6: no date: 6 March"]);
        assert_eq!(faults(&ring(patched, "").replace("RUSTSEC-2025-", "#"), RING, "").len(), 1);
        assert_eq!(faults(&head("\"ring\"").replace("2026-08-21", ""), RING, ""), ["1: no date: "]);
        assert_eq!(check(&[]), ["patched.toml:1: is not there"]);
    }
}

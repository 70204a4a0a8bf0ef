//! Every page of the book is in its table of contents, and every link of a page leads somewhere.

use std::collections::{HashMap, HashSet};

use super::{Fault, Source};

const PAGES: &str = "docs/src/";
const SUMMARY: &str = "docs/src/SUMMARY.md";
/// Links of these are left to a browser.
const OUTSIDE: [&str; 3] = ["https://", "http://", "mailto:"];

/// `exists` says whether a path below the workspace is a file or a folder: pictures are no sources.
pub(super) fn check(sources: &[Source], exists: impl Fn(&str) -> bool) -> Vec<Fault> {
    let pages: Vec<&Source> = sources.iter().filter(|file| is_page(&file.path)).collect();
    let headings: HashMap<&str, HashSet<String>> =
        pages.iter().map(|page| (page.path.as_str(), anchors(&page.text))).collect();
    let mut faults = Vec::new();
    let mut listed = HashMap::<String, usize>::new();
    for page in &pages {
        for (line, link) in links(&page.text) {
            if OUTSIDE.iter().any(|scheme| link.starts_with(scheme)) {
                continue;
            }
            let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() { Some(page.path.clone()) } else { resolve(&page.path, path) };
            let Some(target) = target.filter(|target| exists(target)) else {
                faults.push(format!("{}:{line}: leads nowhere: {link}", page.path));
                continue;
            };
            let known = anchor.is_none_or(|anchor| match headings.get(target.as_str()) {
                Some(headings) => headings.contains(anchor),
                None => false,
            });
            if !known {
                faults.push(format!("{}:{line}: there is no such heading: {link}", page.path));
            }
            if page.path == SUMMARY {
                *listed.entry(target).or_default() += 1;
            }
        }
    }
    for page in pages.iter().filter(|page| page.path.starts_with(PAGES) && page.path != SUMMARY) {
        match listed.get(&page.path).copied().unwrap_or_default() {
            1 => {}
            0 => faults.push(format!("{}:1: not in {SUMMARY}", page.path)),
            times => faults.push(format!("{}:1: {times} times in {SUMMARY}", page.path)),
        }
    }
    faults
}

/// The pages of the book, and the repository's own.
fn is_page(path: &str) -> bool {
    path.ends_with(".md") && (path.starts_with(PAGES) || path.starts_with(".github/") || !path.contains('/'))
}

/// The lines outside of fenced blocks, numbered, without what stands in backquotes.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((index + 1, line))
    })
}

/// Where the links of a page lead, with their lines. One that is broken between two lines is found
/// as well: only its end counts.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(number, line)| {
        let ends = line
            .match_indices("](")
            .filter(|(at, _)| line[..*at].matches('`').count() % 2 == 0 || line[..*at].ends_with('`'));
        let ends = ends.filter_map(|(at, _)| line[at + 2..].split_once(')')).map(|(link, _)| link);
        ends.map(move |link| (number, link)).collect::<Vec<_>>()
    })
}

/// The path that a link from this page means, below the workspace; none, if it leads out of it.
fn resolve(page: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The names of a page's headings, as mdBook and the forges make them.
fn anchors(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut times = HashMap::<String, usize>::new();
    for (_, line) in prose(text) {
        let title = line.trim_start_matches('#');
        let Some(title) = title.strip_prefix(' ').filter(|_| line.starts_with('#')) else { continue };
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
        let name: String = title.trim().to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-");
        let before = times.entry(name.clone()).or_default();
        found.insert(if *before == 0 { name } else { format!("{name}-{before}") });
        *before += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::source;
    use super::*;

    fn faults(pages: &[(&str, &str)]) -> Vec<Fault> {
        let sources: Vec<Source> = pages.iter().map(|(path, text)| source(path, text)).collect();
        check(&sources, |path| path == "wit" || pages.iter().any(|(page, _)| *page == path))
    }

    #[test]
    fn links_between_pages_to_headings_and_to_folders_lead_somewhere() {
        let summary = (SUMMARY, "- [A](operator/a.md)\n- [B](b.md)");
        let a = (
            "docs/src/operator/a.md",
            "# A page, and `code`\n\n[b](../b.md#one-2), [wit](../../../wit), [here](#a-page-and-code)",
        );
        let b = ("docs/src/b.md", "## One 2\n```sh\n# [no](link.md)\n```\n`[no](link.md)`, [`yes`](operator/a.md)");
        assert_eq!(faults(&[summary, a, b]), [""; 0]);
    }

    #[test]
    fn a_page_that_no_one_lists_and_links_that_lead_nowhere_are_found() {
        let summary = (SUMMARY, "- [B](b.md)\n- [Gone](gone.md)");
        let a = ("docs/src/a.md", "");
        let b = ("docs/src/b.md", "# B\n[no heading](#c)\n[`no file`](c.md)\n[out](../../../../c.md)");
        let found = faults(&[summary, a, b]);
        let expected = [
            "docs/src/SUMMARY.md:2: leads nowhere: gone.md",
            "docs/src/b.md:2: there is no such heading: #c",
            "docs/src/b.md:3: leads nowhere: c.md",
            "docs/src/b.md:4: leads nowhere: ../../../../c.md",
            "docs/src/a.md:1: not in docs/src/SUMMARY.md",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_page_that_is_listed_twice_is_found() {
        let found = faults(&[(SUMMARY, "- [B](b.md)\n- [B](b.md)"), ("docs/src/b.md", "")]);
        assert_eq!(found, ["docs/src/b.md:1: 2 times in docs/src/SUMMARY.md"]);
    }

    #[test]
    fn headings_of_one_name_are_numbered() {
        assert_eq!(anchors("# A\n## A\n"), HashSet::from(["a".to_owned(), "a-1".to_owned()]));
    }
}

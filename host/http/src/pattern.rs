//! Kinds of request: what a connector declares that it needs beside GET and HEAD, and what the
//! operator grants.

use std::fmt;

use atlas_model::Method;
use thiserror::Error;

use super::target;

/// The longest path of a pattern.
const PATTERN_MAX: usize = 256;

/// A kind of request: a method, and a path below the base URL in which `*` stands for one segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestPattern {
    method: Method,
    segments: Vec<String>,
}

/// A text that is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no request pattern: a method, a space, and a path such as /pedidos/*, of letters, digits and -._~!$&'()+,;=:@"
)]
pub struct BadPattern(String);

impl RequestPattern {
    /// Reads `METHOD /path`.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let shown = || BadPattern(text.chars().take(PATTERN_MAX).collect());
        let (name, path) = text.trim().split_once(' ').ok_or_else(shown)?;
        let method = Method::ALL.into_iter().find(|method| method.name() == name).ok_or_else(shown)?;
        Self::new(method, path.trim()).map_err(|_| shown())
    }

    /// A pattern of a method and a path. Nothing in the path is percent-encoded: what is, no
    /// pattern covers.
    pub fn new(method: Method, path: &str) -> Result<Self, BadPattern> {
        let stated = path.strip_prefix('/').unwrap_or(path);
        let fits = |segment: &str| {
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$&'()+,;=:@".contains(&b);
            segment == "*" || (!segment.is_empty() && segment.bytes().all(plain) && !target::climbs(segment))
        };
        // One that ends in a slash covers paths that do.
        let body = stated.strip_suffix('/').unwrap_or(stated);
        if path.len() > PATTERN_MAX || !body.split('/').all(fits) {
            return Err(BadPattern(format!(
                "{} {}",
                method.name(),
                path.chars().take(PATTERN_MAX).collect::<String>()
            )));
        }
        Ok(Self { method, segments: stated.split('/').map(str::to_owned).collect() })
    }

    /// Whether it covers a request. `path` is what follows the base URL's own path, as it goes onto
    /// the wire.
    pub(super) fn covers(&self, method: Method, path: &str) -> bool {
        let found: Vec<&str> = path.split('/').collect();
        let same = |(pattern, segment): (&String, &&str)| match pattern.as_str() {
            "*" => !target::is_no_segment(segment),
            pattern => pattern == *segment,
        };
        self.method == method && found.len() == self.segments.len() && self.segments.iter().zip(&found).all(same)
    }

    /// Whether it covers every request that another one covers.
    pub fn covers_all_of(&self, other: &Self) -> bool {
        let covers = |(own, others): (&String, &String)| own == others || own == "*" && !target::is_no_segment(others);
        self.method == other.method
            && self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(covers)
    }
}

impl fmt::Display for RequestPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} /{}", self.method.name(), self.segments.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_method_and_a_plain_path() {
        for good in ["POST /pedidos/*", "PUT /a/b.c/*/d", "DELETE /x", "GET /v2/*", "PATCH /*/", "HEAD /*"] {
            assert_eq!(RequestPattern::parse(good).map(|pattern| pattern.to_string()).as_deref(), Ok(good));
        }
        let long = format!("POST /{}", "a".repeat(PATTERN_MAX));
        for bad in [
            "",
            "POST",
            "POST ",
            "POST /",
            "/a",
            "post /a",
            "TRACE /a",
            "POST //a",
            "POST /a//b",
            "POST /../a",
            "POST /a/..",
            "POST /a%2fb",
            "POST /a b",
            "POST /a?x",
            "POST /a#x",
            "POST /**",
            "POST /a*",
            "POST /ação",
            "POST /a\\b",
            &long,
        ] {
            assert!(RequestPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_pattern_covers_narrower_ones() {
        let covers = |wide: &str, narrow: &str| {
            let [wide, narrow] =
                [wide, narrow].map(|text| RequestPattern::parse(text).unwrap_or_else(|e| panic!("{e}")));
            wide.covers_all_of(&narrow)
        };
        for (wide, narrow) in [("POST /a/*", "POST /a/b"), ("POST /*/*", "POST /a/*"), ("POST /a", "POST /a")] {
            assert!(covers(wide, narrow), "{wide} {narrow}");
            assert!(wide == narrow || !covers(narrow, wide), "{narrow} {wide}");
        }
        for (wide, narrow) in [
            ("POST /*", "PUT /a"),
            ("POST /*", "POST /a/b"),
            ("POST /a/*", "POST /a/"),
            ("POST /a/*", "POST /a/;x"),
            ("POST /a", "POST /b"),
        ] {
            assert!(!covers(wide, narrow), "{wide} {narrow}");
        }
    }

    #[test]
    fn a_star_is_one_segment_and_a_whole_one() {
        let covers = |pattern: &str, path: &str| {
            RequestPattern::parse(pattern).unwrap_or_else(|e| panic!("{e}")).covers(Method::Post, path)
        };
        for (pattern, path) in [("POST /a/*", "a/b"), ("POST /*/b", "a/b"), ("POST /*/", "a/"), ("POST /a", "a")] {
            assert!(covers(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("POST /a/*", "a"),
            ("POST /a/*", "a/"),
            ("POST /a/*", "a/b/c"),
            ("POST /a/*", "a/b/"),
            ("POST /a/*", "a/.."),
            ("POST /a/*", "a/%2e%2e"),
            ("POST /a/*", "a/b%2fc"),
            ("POST /a/*", "a/b%3fc"),
            ("POST /a/*", "a/.;x"),
            ("POST /a/*", "a/;x"),
            ("POST /a/*", "a/%252e"),
            ("POST /a/*", "a/７／itens"),
            ("POST /a/*", "A/b"),
            ("PUT /a", "a"),
        ] {
            assert!(!covers(pattern, path), "{pattern} {path}");
        }
    }
}

#![allow(clippy::unwrap_used, reason = "a test that panics is a test that fails")]

mod canonical;
mod numbers;
mod pointer;
mod properties;
mod split;

use super::*;

fn pointer(text: &str) -> Pointer {
    Pointer::parse(text).unwrap()
}

fn canonical_leaving_out(record: &str, unhashed: &[&str]) -> Result<String, Rejection> {
    let unhashed = unhashed.iter().map(|text| pointer(text)).collect();
    let mut canonicalizer = Canonicalizer::new(RecordLimits::default(), unhashed);
    canonicalizer.canonicalize(record.as_bytes()).map(|form| String::from_utf8(form.to_vec()).unwrap())
}

fn canonical(record: &str) -> Result<String, Rejection> {
    canonical_leaving_out(record, &[])
}

fn code(record: &str) -> &'static str {
    canonical(record).map_or_else(|rejection| rejection.code(), |_| "accepted")
}

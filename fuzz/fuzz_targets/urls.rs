//! Where requests and redirects go.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_http::fuzzing::urls(input));

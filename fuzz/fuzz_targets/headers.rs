//! Headers of requests and answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_http::fuzzing::headers(input));

//! The wait that an answer asks for.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_http::fuzzing::retry_after(input));

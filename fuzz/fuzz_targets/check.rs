//! The checker of records.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_json::fuzzing::check(input));

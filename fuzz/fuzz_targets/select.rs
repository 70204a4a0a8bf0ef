//! JSON pointers, and what they select.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_json::fuzzing::select(input));

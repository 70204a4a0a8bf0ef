//! The splitter of bodies.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_json::fuzzing::split(input));

//! Headers of requests and answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_host::fuzzing::headers(input));

//! Files in the folder of connectors.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| atlas_sandbox::fuzzing::loader(input));

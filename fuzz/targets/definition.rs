//! `cloacina_fuzz::definition` under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloacina_fuzz::definition(bytes));

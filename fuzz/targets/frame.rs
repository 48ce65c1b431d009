//! The frames of package hosts under libFuzzer. The first byte chooses the direction.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cloacina::testing::check_frames(bytes));

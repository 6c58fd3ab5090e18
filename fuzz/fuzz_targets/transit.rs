//! Fuzzes `crates/core/tests/corpus/transit.rs`.
#![no_main]

#[path = "../../crates/core/tests/corpus/chunks.rs"]
mod chunks;
#[path = "../../crates/core/tests/corpus/transit.rs"]
mod transit;

libfuzzer_sys::fuzz_target!(|data: &[u8]| transit::check(data));

//! Fuzzes `crates/core/tests/corpus/framing.rs`.
#![no_main]

#[path = "../../crates/core/tests/corpus/chunks.rs"]
mod chunks;
#[path = "../../crates/core/tests/corpus/framing.rs"]
mod framing;

libfuzzer_sys::fuzz_target!(|data: &[u8]| framing::check(data));

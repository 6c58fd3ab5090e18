//! Fuzzes `crates/core/tests/corpus/sse.rs`.
#![no_main]

#[path = "../../crates/core/tests/corpus/chunks.rs"]
mod chunks;
#[path = "../../crates/core/tests/corpus/sse.rs"]
mod sse;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sse::check(data));

//! Fuzzes `crates/core/tests/corpus/sse.rs`.
#![no_main]

#[path = "../../crates/core/tests/corpus/sse.rs"]
mod sse;
#[path = "../../crates/core/tests/corpus/chunks.rs"]
mod chunks;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sse::check(data));

//! Fuzzes `crates/core/tests/corpus/trace.rs`.
#![no_main]

#[path = "../../crates/core/tests/corpus/trace.rs"]
mod trace;

libfuzzer_sys::fuzz_target!(|data: &[u8]| trace::check(data));

//! Fuzzes `crates/core/tests/corpus/envelope.rs`.
#![no_main]

#[path = "../../crates/core/tests/corpus/envelope.rs"]
mod envelope;
#[path = "../../crates/core/tests/corpus/reference.rs"]
mod reference;

libfuzzer_sys::fuzz_target!(|data: &[u8]| envelope::check(data));

//! Fuzzes `crates/qe/src/gate/inputs/promises.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| aqe_qe::fuzzing::gate_report(data));

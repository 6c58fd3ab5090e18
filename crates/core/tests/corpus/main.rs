//! Replays the fuzzers' corpus (`fuzz/corpus`) against the properties that the fuzzers check, so that every build
//! does, with or without a fuzzer.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a broken promise fails the test"
)]

mod chunks;
mod envelope;
mod framing;
mod reference;
mod sse;
mod trace;
mod transit;

use std::path::Path;

fn replay(target: &str, check: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        eprintln!("{}", path.display());
        check(&text);
        // What a fuzzer would soon try.
        for cut in 0..text.len().min(512) {
            check(&text[..cut]);
            check(&text[cut..]);
        }
        count += 1;
    }
    assert!(count > 0, "no corpus in {}", folder.display());
}

#[test]
fn messages_are_what_the_reference_says_and_edits_change_only_what_they_name() {
    replay("envelope", envelope::check);
}

#[test]
fn a_response_in_pieces_becomes_what_the_whole_one_becomes() {
    replay("transit", transit::check);
    for seed in [0, 1, 2, 77] {
        replay("envelope", |text| transit::check(&[&[seed], text].concat()));
    }
}

#[test]
fn lines_do_not_depend_on_chunks_and_memory_is_bounded() {
    replay("framing", framing::check);
}

#[test]
fn events_do_not_depend_on_chunks_and_survive_a_round_trip() {
    replay("sse", sse::check);
}

#[test]
fn a_trace_context_is_what_the_grammar_says_and_is_written_as_it_was_read() {
    replay("trace", trace::check);
}

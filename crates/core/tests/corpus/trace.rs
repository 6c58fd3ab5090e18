//! What holds for `traceparent` and `tracestate`, whatever a client sends as one.

use aqe_core::trace::{MAX_STATE_BYTES, TraceParent, is_state, shortened_state};

/// Checks every promise on one input: the value of either header.
pub(crate) fn check(input: &[u8]) {
    if let Some(parent) = TraceParent::parse(input) {
        let text = parent.to_string();
        assert_eq!(
            TraceParent::parse(text.as_bytes()),
            Some(parent),
            "what was read is written and read again"
        );
        assert!(input.starts_with(&[&text.as_bytes()[..2], b"-"].concat()) || input[..2] != *b"00");
        assert_eq!(&input[2..53], &text.as_bytes()[2..53], "trace and parent are those that were sent");
        assert_ne!(&input[..2], b"ff");
    }
    if let Ok(text) = std::str::from_utf8(input)
        && is_state(text)
    {
        assert!(text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte)), "fit for a header");
        let short = shortened_state(text);
        assert!(short.len() <= MAX_STATE_BYTES);
        assert!(short.is_empty() || is_state(&short));
    }
}

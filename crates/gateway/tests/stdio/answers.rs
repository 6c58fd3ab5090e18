//! The ways a child can answer one call, or not (reliability: what is malformed fails its call at once, and no other).

use std::time::Duration;

use aqe_gateway::upstream::{CallError, Connection as _, next_item};
use libtest_mimic::Trial;

use super::support::{start_child, trial};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Answer,
    Malformed,
    Closed,
    Nothing,
}

/// Mode of the child, what the call gets, whether the next call on the connection works.
const MODES: [(&str, First, bool); 30] = [
    ("line over 16 MiB", First::Malformed, true),
    ("line of 100 MB", First::Malformed, true),
    ("depth 200", First::Malformed, true),
    ("invalid UTF-8", First::Malformed, true),
    ("unknown id", First::Malformed, true),
    ("result and error", First::Malformed, true),
    ("neither result nor error", First::Malformed, true),
    ("NaN", First::Malformed, true),
    ("duplicate id member", First::Malformed, true),
    ("result is text", First::Malformed, true),
    ("batch", First::Answer, true),
    ("log lines", First::Answer, true),
    ("junk", First::Answer, true),
    ("15 MiB", First::Answer, true),
    ("depth 100", First::Answer, true),
    ("id as a string", First::Answer, true),
    ("two answers", First::Answer, true),
    ("CRLF", First::Answer, true),
    ("byte order mark", First::Answer, true),
    ("byte by byte", First::Answer, true),
    ("odd result", First::Answer, true),
    ("never", First::Nothing, true),
    ("write without end", First::Nothing, false),
    ("stop reading", First::Nothing, false),
    ("last answer, then exit", First::Answer, false),
    ("answer without a line end, then exit", First::Answer, false),
    ("half a line, then exit", First::Malformed, false),
    ("exit", First::Closed, false),
    ("killed", First::Closed, false),
    ("close stdout", First::Closed, false),
];

pub fn trials() -> Vec<Trial> {
    MODES
        .into_iter()
        .map(|(mode, first, next)| trial(&format!("answers::{mode}"), move || check(mode, first, next)))
        .collect()
}

async fn check(mode: &str, first: First, next: bool) {
    let upstream = start_child().await;
    // Another call is open, so that the broken answer must be attributed by its id where it has one.
    let mut other = None;
    if first != First::Malformed || mode != "unknown id" {
        other = Some(upstream.send("hold", "{}"));
    }
    assert!(upstream.works().await);

    if first == First::Nothing {
        let mut call = upstream.send(mode, "{}");
        let item = tokio::time::timeout(Duration::from_millis(300), next_item(call.as_mut())).await;
        assert!(item.is_err(), "{item:?}");
    } else {
        let got = match upstream.call(mode, "{}").await {
            Ok(_) => First::Answer,
            Err(CallError::Malformed(_)) => First::Malformed,
            Err(CallError::Closed(_)) => First::Closed,
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(got, first);
    }
    if next {
        assert!(upstream.works().await, "the next call");
        assert_eq!(upstream.connection.in_flight().len(), usize::from(other.is_some()), "the other call");
    } else if first != First::Nothing {
        let refused = upstream.call("echo", "{}").await;
        assert!(matches!(refused, Err(CallError::NotSent(_) | CallError::Closed(_))), "{refused:?}");
    }
    drop(other);
    upstream.connection.close("the test is over").await;
}

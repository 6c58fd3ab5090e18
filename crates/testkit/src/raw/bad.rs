//! The tool `bad`: answers that no client should have to meet.

use super::{channel::Channel, request::Request, server::Call, tools::Outcome};

/// Lines that are no messages, as a careless server prints them to its standard output.
pub(super) const GARBAGE: [&[u8]; 4] =
    [b"Server listening on stdio...\n", b"\n", b"{not json}\n", b"\xff\xfe\x00\x01\n"];

/// Whether this call must stop the reading of standard input.
pub(super) fn is_deafening(_request: &Request) -> bool {
    false
}

/// Answers badly.
pub(super) async fn call(_request: &Request, _call: &Call, _channel: &mut Channel) -> Outcome {
    Err("no such mode".to_owned())
}

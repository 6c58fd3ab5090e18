//! HTTP/2 to upstreams (RFC 9113), where a server offers it in the TLS handshake: one connection carries many exchanges.
//!
//! Framing, header compression and flow control are the `h2` crate's. Ours is what decides about calls: how many go on a
//! connection, which ones the server says it has not processed, and when a silent connection is given up.
//!
//! - [`conn`]: a connection and the places on it; [`exchange`]: one request and its response
//! - [`driver`]: the task that moves a connection's bytes, and its PINGs; [`health`]: what both sides know of it

mod conn;
mod driver;
mod exchange;
mod health;

use super::client::causes;
pub(super) use conn::{Conn, Place};
pub(super) use exchange::{Failure, Incoming, Unprocessed};

/// What ALPN calls it (RFC 9113 section 3.3).
pub(super) const ALPN: &[u8] = b"h2";

/// What an error says, in the words of the library alone: what the server adds to a GOAWAY may be long, or private.
fn described(error: &h2::Error) -> String {
    match error.reason() {
        Some(reason) if error.is_go_away() && error.is_remote() => format!("the server goes away: {reason}"),
        Some(reason) if error.is_go_away() => format!("connection given up: {reason}"),
        _ => causes(error),
    }
}

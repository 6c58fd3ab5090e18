//! How clients reach the gateway: newline-delimited streams (stdio, Unix socket) and streamable HTTP.

pub mod http;
pub mod intake;
pub mod lines;
mod long_line;
mod rewound;
pub mod stdio;
pub mod unix;

use std::time::Duration;

/// Bounds that hold for every transport.
#[derive(Debug, Clone, Copy)]
pub struct EdgeLimits {
    /// Open connections; more wait in the operating system's queue.
    pub max_connections: usize,
    /// Longest body or line in bytes.
    pub max_body_bytes: usize,
    /// From the first byte of a request to the end of its headers.
    pub header_timeout: Duration,
    /// Longest silence between two requests on one HTTP connection.
    pub keep_alive_timeout: Duration,
    /// From the end of the headers to the end of the body.
    pub body_timeout: Duration,
    /// How long open calls may go on once the gateway is asked to stop.
    pub drain_timeout: Duration,
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            max_body_bytes: 16 * 1024 * 1024,
            header_timeout: Duration::from_secs(5),
            keep_alive_timeout: Duration::from_secs(120),
            body_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(30),
        }
    }
}

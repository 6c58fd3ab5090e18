//! Bad input against the real binary and real upstream processes: HTTP heads, JSON bodies, JSON-RPC, MCP, and framing
//! in both directions.
//!
//! Each test is a table of cases on one gateway process. Every case must get its refusal (HTTP status, JSON-RPC code,
//! id, a word of the reason) soon and short, and leave the connection fit for the next request, unless the reply says
//! that it closes. A table reports all its failures at once. The configuration's own bad input is in `src/config`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod connections;
mod framing;
mod http_head;
mod json_body;
mod json_rpc;
mod mcp;
mod mcp_modern;
mod mirrored_headers;
mod request;
mod stdio_in;
mod support;
mod talk;
mod upstream_answers;

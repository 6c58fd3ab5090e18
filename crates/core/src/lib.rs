//! Pure decisions of aqe-v3: no sockets, processes, disk, environment or wall clock.
//!
//! # Layout
//! - [`envelope`]: JSON-RPC messages as borrowed spans of the received bytes, line framing, SSE.
//! - [`revision`]: the MCP revisions and their two eras.

pub mod envelope;
pub mod revision;

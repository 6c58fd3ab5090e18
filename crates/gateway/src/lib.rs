//! Everything that moves and everything MCP.
//!
//! # Layout
//! - [`upstream`]: connections to MCP servers: child processes, HTTP servers, in-process tools.

pub mod upstream;

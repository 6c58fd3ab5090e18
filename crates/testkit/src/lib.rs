//! Fixture upstreams and misbehaving peers, for tests and benchmarks only.
//!
//! - [`fixture`]: a well-behaved MCP server on the official SDK (binary `fixture`).
//! - [`raw`]: an MCP server written by hand (binary `rawmcp`) that answers with exactly the bytes a
//!   test asks for, and misbehaves on request.
//! - [`client`]: MCP clients that show every byte, for end-to-end tests.
//! - [`faults`]: a TCP proxy that fails as networks do, switched while it runs.
//! - [`process`]: finds the workspace's binaries, looks at process groups, polls.
//! - [`http1`]: just enough HTTP/1.1 framing for both sides.

mod buffered;
pub mod client;
pub mod faults;
pub mod fixture;
pub mod http1;
pub mod process;
pub mod raw;

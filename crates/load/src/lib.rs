//! Measures MCP servers: sends calls, checks every reply, counts time, processor and memory.
//!
//! `aqe-v3 mcp bench` and the developers' `bench/` are both built on it.
//!
//! - [`message`]: the requests that are sent, as bytes. [`reply`]: what comes over HTTP, as JSON or as events.
//!   [`check`]: whether a reply is what was asked for.
//! - [`http`], [`connection`], [`endpoint`]: one exchange, in plain or by TLS. [`load`], [`open_loop`], [`pipe`]: many, closed loop or at a fixed rate,
//!   over HTTP or to a child process.
//! - [`process`], [`tree`]: what processes use. [`stats`]: medians, ratios, intervals.
//! - [`target`]: a server that a user named, opened. [`contest`]: rounds of several of them in turns.
//!
//! One thread sends and reads, and one more keeps the time of an open loop: what it can send is limited by one
//! processor, and [`contest::Outcome::load_cpu_percent`] says how near that was.

pub mod check;
pub mod connection;
pub mod contest;
pub mod endpoint;
pub mod http;
pub mod load;
pub mod message;
pub mod open_loop;
pub mod pipe;
pub mod process;
pub mod reply;
pub mod stats;
pub mod target;
pub mod tree;

/// What went wrong, for a person to read: nothing here is handled by its kind but [`check::Fault`].
pub type Error = Box<dyn std::error::Error + Send + Sync>;
/// With [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

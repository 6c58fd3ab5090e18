//! Everything that moves and everything MCP.
//!
//! # Layout
//! - [`transport`]: how clients reach us: stdio, streamable HTTP, a Unix socket.
//! - [`session`]: one client's conversation.
//! - [`proxy`]: what happens to a client's message.
//! - [`catalog`]: what all upstreams offer together.
//! - [`cache`]: answers that are given again.
//! - [`bridge`]: messages between clients and upstreams of either era.
//! - [`upstream`]: connections to MCP servers: child processes, HTTP servers, in-process tools.
//! - [`monitor`]: what is known of the requests and of the process.
//! - [`exposition`]: the same as metrics for other programs.
//! - [`alerts`]: who is told when it goes wrong.
//! - [`admin`]: what the user's own programs ask a running gateway.
//! - [`outbound`]: POSTs to URLs that the user has configured.
//! - [`settings`]: what the application configures.
//! - [`telemetry`]: traces by OTLP, and the access log.

pub mod admin;
pub mod alerts;
pub mod bridge;
pub mod cache;
pub mod catalog;
mod coding;
pub mod exposition;
pub mod monitor;
pub mod outbound;
pub mod pool;
pub mod proxy;
pub mod refusal;
pub mod session;
pub mod settings;
pub mod tasks;
pub mod telemetry;
mod tls;
pub mod transport;
pub mod upstream;
pub mod wire;

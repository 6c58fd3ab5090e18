//! Pure decisions of aqe-v3: no sockets, processes, disk, environment or wall clock.
//!
//! # Layout
//! - [`balancer`]: which replica of an upstream takes a call.
//! - [`batching`]: which messages of one stream are written together, and when.
//! - [`cache`]: which answers may be kept, for how long and for whom.
//! - [`durable`]: the trait of work that tools keep beyond calls and processes.
//! - [`envelope`]: JSON-RPC messages as borrowed spans of the received bytes, line framing, SSE.
//! - [`health`]: when a replica is taken out, tried again and trusted again.
//! - [`inprocess`]: the trait of tools that run inside this process.
//! - [`monitor`]: what is known of the calls: counts, errors, latencies, over sliding windows.
//! - [`pool`]: who gets which connection to an upstream, and when one is opened, probed and closed.
//! - [`registry`]: tool names: exact and near lookup, categories, one list of many upstreams' tools.
//! - [`revision`]: the MCP revisions and their two eras.
//! - [`tasks`]: work that goes on after its request was answered, and what came of it.
//! - [`trace`]: which trace a request belongs to.
//! - [`work`]: durable tasks: states, dependencies, retries, order, assignment.

pub mod balancer;
pub mod batching;
pub mod cache;
pub mod durable;
pub mod envelope;
pub mod health;
pub mod inprocess;
pub mod monitor;
pub mod pool;
pub mod registry;
pub mod revision;
pub mod tasks;
pub mod trace;
pub mod work;

//! The real binary between real clients and real upstream processes: what the conformance suite cannot see.
//!
//! Each test starts its own gateway in folders of its own and talks to loopback only. Most are tables over
//! [`support::Pair`]: client and upstream, each of both eras and over both transports.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests")]

mod access_log;
mod alerts;
mod batches;
mod cache;
mod cache_flights;
mod cache_forgets;
mod cache_on_disk;
mod calls_in_flight;
mod cancellation;
mod changes;
mod compression;
mod fidelity;
mod http2;
mod long_replies;
mod long_replies_broken;
mod manifests;
mod metrics;
mod names;
mod no_blocking;
mod order;
mod processes;
mod recording;
mod relay;
mod reload;
mod replicas;
mod requests_to_client;
mod resuming;
mod runs;
mod scopes;
mod sessions;
mod support;
mod tasks;
mod tasks_monitored;
mod tasks_of_upstreams;
mod terminal;
mod traces;
mod upstreams;
mod writes;

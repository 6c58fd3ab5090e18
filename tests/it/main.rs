//! The binary, as users and agents run it: real processes, each test with a home of its own.

#![allow(clippy::unwrap_used, reason = "a failing test is what a panic is for")]

mod architecture;
mod bench;
mod check;
mod cli;
mod control;
mod dashboard;
mod durable;
mod fleet;
mod fleet_learning;
mod http;
mod lifecycle;
mod qe;
mod state;
mod stdio;
mod store;
mod support;

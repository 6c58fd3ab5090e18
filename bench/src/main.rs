//! What a call, a start and idling cost the gateway, beside baselines of the same run.
//!
//! `cargo run --release -p aqe-bench -- all` builds the gateway, measures, and prints tables; `--help` lists the
//! parts. `README.md` in this folder says what is measured, and how to read it.
//!
//! - [`serve`]: the baselines and the upstream, run as processes of their own.
//! - [`subject`]: the gateway as a process: a command line and where it then listens.
//! - `aqe_load`: the requests that are sent, sending them, what processes use. [`load`]: sending many from the processor
//!   that is not measured, where every reply must be good. [`place`]: which processor something runs on.
//! - [`admin`]: asking the gateway about itself.
//! - [`syscalls`], [`compression`]: what writing replies costs. [`shaper`]: lines of less bandwidth.
//! - [`calls`], [`pipes`], [`latency`], [`flat`], [`start`], [`memory`], [`pool`], [`workers`], [`strategies`], [`optimized`],
//!   [`threads`], [`monitoring`]: the measurements. [`budget`]: what calls may cost. [`soak`]: minutes of everything at once.
//!   [`peers`]: other gateways and servers beside ours. [`qe`]: the quality tools; [`store`]: memory, learning,
//!   fleets; [`line`]: a gateway spoken to over pipes or HTTP.
//! - [`trend`], [`report`]: tables. [`record`], [`results`], [`claims`]: keeping them in a file, and the pages that quote
//!   it.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool; only the hidden servers speak a protocol"
)]

mod admin;
mod budget;
mod callgrind;
mod calls;
mod cases;
mod claims;
mod cli;
mod compression;
mod echo;
mod flat;
mod latency;
mod line;
mod load;
mod memory;
mod monitoring;
mod optimized;
mod peers;
mod pipes;
mod place;
mod pool;
mod qe;
mod record;
mod report;
mod results;
mod serve;
mod shaper;
mod soak;
mod start;
mod store;
mod strategies;
mod subject;
mod syscalls;
mod threads;
mod trend;
mod workers;

use std::process::ExitCode;

use aqe_load::{Error, Result, connection, http, message, process, stats};

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

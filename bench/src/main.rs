//! What a call, a start and idling cost the gateway, beside baselines of the same run.
//!
//! `cargo run --release -p aqe-bench -- all` builds the gateway, measures, and prints tables; `--help` lists the
//! parts. `README.md` in this folder says what is measured, and how to read it.
//!
//! - [`serve`]: the baselines and the upstream, run as processes of their own.
//! - [`subject`]: the gateway as a process: a command line and where it then listens.
//! - [`process`]: starting, placing and weighing processes.
//! - [`message`]: the requests that are sent. [`http`], [`connection`]: sending one. [`load`], [`open_loop`], [`pipe`]:
//!   sending many. [`admin`]: asking the gateway about itself.
//! - [`calls`], [`latency`], [`flat`], [`start`], [`memory`], [`pool`], [`workers`], [`strategies`], [`optimized`]: the
//!   measurements. [`soak`]: minutes of everything at once. [`stats`], [`trend`], [`report`]: their tables.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool; only the hidden servers speak a protocol"
)]

mod admin;
mod callgrind;
mod calls;
mod cases;
mod cli;
mod connection;
mod echo;
mod flat;
mod http;
mod latency;
mod load;
mod memory;
mod message;
mod open_loop;
mod optimized;
mod pipe;
mod pool;
mod process;
mod report;
mod serve;
mod soak;
mod start;
mod stats;
mod strategies;
mod subject;
mod trend;
mod workers;

use std::process::ExitCode;

/// What went wrong, for a person to read: nothing here is handled by its kind.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

fn main() -> ExitCode {
    match cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

//! Connections to real child processes.
//!
//! This binary is also what the tests start: a child that misbehaves on demand ([`child`]), a gateway that can be
//! killed ([`orphans`]), and its guardian.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "these are tests; their harness is not rustc's")]
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::exit, reason = "so are the programs they start")]
#![allow(unreachable_pub, reason = "nothing is reachable from outside a test")]

mod answers;
mod child;
mod ends;
mod orphans;
mod support;
mod traffic;

use std::process::ExitCode;

use aqe_gateway::upstream::guardian;
use libtest_mimic::Arguments;

fn main() -> ExitCode {
    if guardian::run_if_asked() {
        return ExitCode::SUCCESS;
    }
    match std::env::args().nth(1).as_deref() {
        Some(child::ARGUMENT) => {
            child::run();
            return ExitCode::SUCCESS;
        }
        Some(orphans::ARGUMENT) => orphans::run_gateway(),
        _ => {}
    }
    support::count_log_lines();
    let trials = [answers::trials(), ends::trials(), orphans::trials(), traffic::trials()];
    let conclusion = libtest_mimic::run(&Arguments::from_args(), trials.into_iter().flatten().collect());
    guardian::dismiss();
    conclusion.exit_code()
}

//! The raw upstream as a process: see `aqe_testkit::raw`.

use std::{io::Write, process::ExitCode};

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    match aqe_testkit::raw::run(aqe_testkit::raw::Cli::parse()).await {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Standard error may be closed; there is no other place for the message.
            let _ = writeln!(std::io::stderr(), "rawmcp: {error}");
            ExitCode::FAILURE
        }
    }
}

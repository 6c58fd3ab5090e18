//! Tasks of development that cargo does not know. `cargo xtask` lists them.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool; no protocol on its stdout"
)]

mod interop;

use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask interop [OPTION]…

Runs real MCP clients and the conformance suite against the gateway, with real
MCP servers behind it, and the dashboard in a browser. Installs what it needs
from npm and PyPI under target/interop, once; needs npm, python3 with venv, git
and, for the dashboard, chromium; for the scrapes, prometheus; for the quality
tools, lcov.

Options:
  --only GROUP     Run only this group; may be repeated. Groups:
                   conformance-http, conformance-stdio, conformance-client, clients, dashboard,
                   prometheus, otlp, qe
  --keep-going     Go on after a group that failed
  --direct         Leave the gateway out: the baseline of the same checks
  --debug          Build and run the dev profile instead of release
  --gateway FILE   Run this gateway instead of building one
  --fixture FILE   Run this fixture upstream instead of building one
  --install        Install what the groups need, and stop
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let outcome = match arguments.next().as_deref() {
        Some("interop") => interop::Options::parse(arguments).and_then(|options| interop::run(&options)),
        None | Some("help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(true)
        }
        Some(other) => Err(format!("no task {other:?}; `cargo xtask help` lists them").into()),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

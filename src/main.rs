//! `aqe-v3`: see the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The same file is started again as the process that outlives us; that one does nothing else.
    if aqe_gateway::upstream::guardian::run_if_asked() {
        return ExitCode::SUCCESS;
    }
    aqe_v3::cli::run()
}

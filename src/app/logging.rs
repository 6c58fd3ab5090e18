//! The log: to standard error, because standard output may be the protocol.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// Starts the log. `filter` is in the language of `RUST_LOG`; without one, `default` holds.
///
/// # Errors
/// If the filter cannot be read.
pub fn start(filter: Option<&str>, default: &str) -> Result<(), ParseError> {
    let filter = EnvFilter::try_new(filter.unwrap_or(default))?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // A second log in one process (tests) is nobody's loss.
    let _ = log.try_init();
    Ok(())
}

//! What people and scripts read.

use std::io::{self, Write as _};

/// Writes to standard output.
pub(super) fn write(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Writes a text and the end of a line to standard output.
pub(super) fn line(text: &str) -> io::Result<()> {
    write(format!("{text}\n").as_bytes())
}

/// Writes a text and the end of a line to standard error; there is no better place to say that this failed.
pub(super) fn complain(text: &str) {
    let _ = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Text of others for a terminal: without control characters but line ends and tabs, so that it cannot repaint the
/// screen.
pub(super) fn printable(text: &str) -> String {
    let fits = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    text.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }).collect()
}

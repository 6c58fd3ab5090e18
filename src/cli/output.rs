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
/// screen, and without those that turn the direction of writing, so that it reads as what it is.
pub(super) fn printable(text: &str) -> String {
    let turns = |c: char| {
        // Unicode's Bidi_Control (UAX #9, 2).
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let fits = |c: char| !(c.is_control() || turns(c)) || matches!(c, '\n' | '\t');
    text.chars().map(|c| if fits(c) { c } else { '\u{fffd}' }).collect()
}

/// A number of bytes for people.
pub(super) fn bytes(number: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = units[0];
    for next in &units[1..] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    format!("{value:.1} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_neither_paints_nor_turns() {
        assert_eq!(printable("a\u{1b}[2J\u{202e}b\tc\n\u{9b}é"), "a\u{fffd}[2J\u{fffd}b\tc\n\u{fffd}é");
    }

    #[test]
    fn bytes_are_in_the_unit_that_reads_best() {
        assert_eq!(
            [0, 1023, 1024, 1 << 30, 1 << 50].map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.0 GiB", "1024.0 TiB"]
        );
    }
}

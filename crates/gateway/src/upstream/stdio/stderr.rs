//! The child's standard error: always drained, logged within bounds, its last lines kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aqe_core::envelope::{Line, Lines};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout_at};

use super::throttle::Throttle;

const LOG_LINES_PER_SECOND: u32 = 100;
const KEPT_LINES: usize = 20;
/// Bytes of one line that are kept and logged.
const LINE_BYTES: usize = 400;
/// Bytes of the last lines that go into the reason why a call failed.
const REASON_BYTES: usize = 1_000;
const CHUNK_BYTES: usize = 8 * 1024;

/// The last lines that a child wrote to its standard error.
#[derive(Debug, Default)]
pub(super) struct LastWords(Mutex<VecDeque<Vec<u8>>>);

impl LastWords {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lock();
        let mut kept =
            if lines.len() < KEPT_LINES { Vec::new() } else { lines.pop_front().unwrap_or_default() };
        kept.clear();
        kept.extend_from_slice(&line[..line.len().min(LINE_BYTES)]);
        lines.push_back(kept);
    }

    /// All of them as text, the oldest first.
    pub(super) fn lines(&self) -> Vec<String> {
        self.lock().iter().map(|line| printable(line)).collect()
    }

    /// As many of the last as fit into a reason, in one line; `None` if there are none.
    pub(super) fn summary(&self) -> Option<String> {
        let mut lines = self.lines();
        let mut room = REASON_BYTES;
        let fit = lines.iter().rev().take_while(|line| {
            let fits = line.len() <= room;
            room = room.saturating_sub(line.len());
            fits
        });
        let first = lines.len() - fit.count();
        let text = lines.split_off(first).join(" | ");
        (!text.is_empty()).then_some(text)
    }
}

/// Text without terminal control sequences, so that a child cannot repaint the screen of whoever reads the log.
pub(super) fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '\u{1b}' && chars.next_if_eq(&'[').is_some() {
            // ECMA-48 section 5.4: parameters up to a final character.
            while chars.next().is_some_and(|char| !('\u{40}'..='\u{7e}').contains(&char)) {}
        } else if char == '\t' {
            out.push(' ');
        } else if !char.is_control() {
            out.push(char);
        }
    }
    out
}

/// Reads until the child and all that share its standard error have closed it.
pub(super) async fn drain(mut pipe: pipe::Receiver, label: String, words: Arc<LastWords>) {
    let mut lines = Lines::new(LINE_BYTES);
    let mut throttle = Throttle::new(LOG_LINES_PER_SECOND);
    loop {
        lines.buffer().reserve(CHUNK_BYTES);
        let read = pipe.read_buf(lines.buffer());
        let count = match throttle.due() {
            // A flood may have been followed by silence; what was dropped is reported all the same.
            Some(due) => timeout_at(due, read).await.ok(),
            None => Some(read.await),
        };
        let now = Instant::now();
        if let Some(dropped) = throttle.dropped(now) {
            tracing::info!(upstream = label, dropped, "lines on stderr were not logged: too many");
        }
        match count {
            None => {}
            Some(Ok(1..)) => {
                while let Some(line) = lines.next_line() {
                    take(&line, &label, &words, &mut throttle, now);
                }
            }
            Some(Ok(0) | Err(_)) => break,
        }
    }
    if let Some(line) = lines.finish_stream() {
        take(&line, &label, &words, &mut throttle, Instant::now());
    }
}

fn take(line: &Line, label: &str, words: &LastWords, throttle: &mut Throttle, now: Instant) {
    let text = match line {
        Line::Whole(text) | Line::TooLong { head: text, .. } => &text[..text.len().min(LINE_BYTES)],
    };
    words.push(text);
    if throttle.admit(now) {
        tracing::info!(upstream = label, "{}", printable(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_twenty_lines_within_bounds() {
        let words = LastWords::default();
        assert_eq!(words.summary(), None);
        for number in 0..100 {
            words.push(format!("{number} {}", "x".repeat(1_000)).as_bytes());
        }
        let lines = words.lines();
        assert_eq!(lines.len(), 20);
        assert!(lines[0].starts_with("80 ") && lines[19].starts_with("99 "));
        assert!(lines.iter().all(|line| line.len() <= LINE_BYTES));
        let summary = words.summary().unwrap();
        assert!(summary.contains("99 ") && summary.len() <= REASON_BYTES + 10);
    }

    #[test]
    fn control_sequences_do_not_reach_the_log() {
        assert_eq!(printable(b"\x1b[31mred\x1b[0m\ta\x07\r\xff"), "red a\u{fffd}");
    }
}

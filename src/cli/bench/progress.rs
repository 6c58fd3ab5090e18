//! A line on standard error that says how far it is, where somebody sees it.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::output::printable;

/// How often the line is drawn.
const TICK: Duration = Duration::from_millis(100);
/// Characters of the bar, and of what stands beside it.
const WIDTH: usize = 24;
const TEXT: usize = 48;
/// Texts that wait for the next tick.
const QUEUE: usize = 64;

/// The line; gone with this value. Without a terminal there is none.
#[derive(Debug)]
pub(super) struct Bar {
    /// The thread's end follows that of the sender.
    drawing: Option<(SyncSender<String>, JoinHandle<()>)>,
}

impl Bar {
    /// For something that takes about this time, where that is known.
    pub(super) fn start(time: Option<Duration>) -> Self {
        if !stderr().is_terminal() {
            return Self { drawing: None };
        }
        let (say, said) = sync_channel(QUEUE);
        let started = Instant::now();
        let thread = std::thread::spawn(move || {
            let mut text = String::new();
            loop {
                match said.recv_timeout(TICK) {
                    Ok(new) => text = new,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => break,
                }
                let share = time.map(|time| (started.elapsed().as_secs_f64() / time.as_secs_f64()).min(1.0));
                // There is no better place to say that this failed.
                let _ = write!(stderr(), "\r\x1b[K{}", line(share, &text));
                let _ = stderr().flush();
            }
            let _ = write!(stderr(), "\r\x1b[K");
        });
        Self { drawing: Some((say, thread)) }
    }

    /// Says what is going on.
    pub(super) fn say(&self, text: &str) {
        if let Some((say, _)) = &self.drawing {
            // A line that is gone is missed by nobody.
            let _ = say.try_send(text.to_owned());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some((say, thread)) = self.drawing.take() {
            drop(say);
            let _ = thread.join();
        }
    }
}

fn line(share: Option<f64>, text: &str) -> String {
    let text: String = printable(text).chars().take(TEXT).collect();
    let Some(share) = share else { return text };
    let full = (share * WIDTH as f64) as usize;
    format!("[{}{}] {:3.0} %  {text}", "#".repeat(full), ".".repeat(WIDTH - full), share * 100.0)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn the_bar_is_as_long_whatever_it_says() {
        assert_eq!(line(Some(0.5), "x\u{1b}[2J"), "[############............]  50 %  x\u{fffd}[2J");
        assert!(line(Some(1.0), &"y".repeat(500)).starts_with("[########################] 100 %  yyy"));
        assert!(line(Some(0.0), &"y".repeat(500)).chars().count() < 90);
        assert_eq!(line(None, "round 1"), "round 1");
    }
}

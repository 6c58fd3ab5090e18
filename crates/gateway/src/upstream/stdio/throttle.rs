//! A bound on log lines per second.

use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// Admits so many lines per second and counts the rest.
#[derive(Debug)]
pub(super) struct Throttle {
    per_second: u32,
    window: Option<Instant>,
    admitted: u32,
    dropped: u64,
}

impl Throttle {
    pub(super) fn new(per_second: u32) -> Self {
        Self { per_second, window: None, admitted: 0, dropped: 0 }
    }

    /// Whether a line may be logged now. Ask [`Throttle::dropped`] before.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        if self.window.is_none_or(|start| now >= start + WINDOW) {
            self.window = Some(now);
            self.admitted = 0;
        }
        if self.admitted == self.per_second {
            self.dropped += 1;
            return false;
        }
        self.admitted += 1;
        true
    }

    /// When the number of dropped lines should be logged; `None` while nothing was dropped.
    pub(super) fn due(&self) -> Option<Instant> {
        self.window.filter(|_| self.dropped > 0).map(|start| start + WINDOW)
    }

    /// The lines dropped since it was last asked, once that is due.
    pub(super) fn dropped(&mut self, now: Instant) -> Option<u64> {
        self.due().filter(|due| now >= *due).map(|_| std::mem::take(&mut self.dropped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admits_so_many_per_second_and_counts_the_rest() {
        let mut throttle = Throttle::new(2);
        let start = Instant::now();
        let admitted = (0..10).filter(|_| throttle.admit(start)).count();
        assert_eq!((admitted, throttle.dropped(start)), (2, None));
        let later = start + WINDOW;
        assert_eq!(throttle.dropped(later), Some(8));
        assert_eq!((throttle.dropped(later), throttle.due()), (None, None));
        assert!(throttle.admit(later));
    }
}

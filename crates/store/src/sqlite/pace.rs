//! Whether writes come one by one: then each is best done at once, else they are better gathered.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Watches writes: whether they meet, and how the time between two compares with that of one. Two that wait for the same thread do
/// not meet, but follow each other fast. Threads may use it at the same time: a figure that one of them loses is made good by
/// the next.
#[derive(Debug)]
pub(super) struct Pace {
    start: Instant,
    /// When the last write was asked for, in nanoseconds since `start`.
    asked: AtomicU64,
    /// Mean time between two, in nanoseconds; later ones weigh more.
    between: AtomicU64,
    /// Mean time of a write that is done alone, in nanoseconds; later ones weigh more.
    write: AtomicU64,
    /// So many writes more are gathered, because some have met.
    gathering: AtomicU32,
}

/// Writes that come further apart than so many times what one takes count as so far apart: after a pause a burst is to be
/// noticed soon.
const FAR: u64 = 4;
/// Writes that are gathered after two have met. Of many clients some soon meet again.
const GATHERED: u32 = 32;
/// A write that takes so long was held up by the medium (many a page that waits to be written), which must not happen often on a
/// thread that others' calls need.
const STALLED: Duration = Duration::from_millis(5);
/// Writes that are gathered after that.
const AFTER_STALL: u32 = 1_024;

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        let zero = || AtomicU64::new(0);
        Self { start: now, asked: zero(), between: zero(), write: zero(), gathering: AtomicU32::new(0) }
    }

    /// Notes that a write is asked for, while others are under way or not; answers whether they come one by one: none have met
    /// lately, and at least half as long again as one takes lies between two.
    pub(super) fn is_slow(&self, now: Instant, has_met: bool) -> bool {
        let now = nanoseconds(now.saturating_duration_since(self.start));
        let write = self.write.load(Ordering::Relaxed);
        let since = now.saturating_sub(self.asked.swap(now, Ordering::Relaxed)).min(FAR * write);
        let between = mean(self.between.load(Ordering::Relaxed), since);
        self.between.store(between, Ordering::Relaxed);
        let gathering = self.gathering.load(Ordering::Relaxed);
        let left = if has_met { gathering.max(GATHERED) } else { gathering.saturating_sub(1) };
        if left != gathering {
            self.gathering.store(left, Ordering::Relaxed);
        }
        left == 0 && between >= write + write / 2
    }

    /// Notes how long a write took that was done alone and did not wait for the disk.
    pub(super) fn took(&self, time: Duration) {
        if time >= STALLED {
            self.gathering.store(AFTER_STALL, Ordering::Relaxed);
        }
        self.write.store(mean(self.write.load(Ordering::Relaxed), nanoseconds(time)), Ordering::Relaxed);
    }
}

fn mean(before: u64, new: u64) -> u64 {
    if before == 0 { new } else { before - before / 4 + new / 4 }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITE: Duration = Duration::from_micros(80);

    /// Asks so often at these distances; answers how often that was slow.
    fn slow(pace: &Pace, now: &mut Instant, times: usize, apart: Duration) -> usize {
        (0..times)
            .filter(|_| {
                *now += apart;
                let slow = pace.is_slow(*now, false);
                pace.took(WRITE);
                slow
            })
            .count()
    }

    #[test]
    fn one_client_at_a_time_is_slow_and_many_at_once_are_not() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        assert!(pace.is_slow(now, false), "nothing is known yet");
        pace.took(WRITE);
        assert_eq!(slow(&pace, &mut now, 100, 2 * WRITE), 100);
        let before_noticed = slow(&pace, &mut now, 100, WRITE / 2);
        assert!(before_noticed < 5, "{before_noticed}");
        assert_eq!(slow(&pace, &mut now, 100, WRITE / 2), 0);
        // After a pause of a second a burst is noticed as soon.
        now += Duration::from_secs(1);
        let before_noticed = slow(&pace, &mut now, 100, WRITE / 2);
        assert!(before_noticed < 8, "{before_noticed}");
        let until_slow_again = 100 - slow(&pace, &mut now, 100, 2 * WRITE);
        assert!(until_slow_again < 8, "{until_slow_again}");
    }

    #[test]
    fn writes_that_meet_are_gathered_for_a_while() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        assert!(!pace.is_slow(now, true));
        let gathered = GATHERED as usize - 1;
        assert_eq!(slow(&pace, &mut now, gathered, 2 * WRITE), 0);
        assert_eq!(slow(&pace, &mut now, 10, 2 * WRITE), 10);
    }

    #[test]
    fn a_write_that_the_medium_holds_up_is_the_last_here_for_long() {
        let mut now = Instant::now();
        let pace = Pace::new(now);
        assert_eq!(slow(&pace, &mut now, 10, 2 * WRITE), 10);
        pace.took(STALLED);
        assert_eq!(slow(&pace, &mut now, AFTER_STALL as usize - 1, 2 * WRITE), 0);
        assert_eq!(slow(&pace, &mut now, 10, 2 * WRITE), 10);
    }
}

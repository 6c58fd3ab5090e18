//! When a replica that fails to open connections is tried again, and when it counts as crash-looping.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Wait after the first failure; it doubles with each further one.
pub const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// Longest wait between attempts, and the wait between attempts of a replica that is crash-looping.
pub const BACKOFF_MOST: Duration = Duration::from_secs(30);
/// Failures within [`CRASH_LOOP_WINDOW`] that make a crash loop.
pub const CRASH_LOOP_FAILURES: usize = 5;
/// See [`CRASH_LOOP_FAILURES`].
pub const CRASH_LOOP_WINDOW: Duration = Duration::from_secs(60);
/// A connection that ends sooner than this after it opened counts as a failure to open, and one that lives longer
/// clears the failures before it.
pub const STABLE_AFTER: Duration = Duration::from_secs(5);

/// The failures of one replica since it last proved itself.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    /// Failures in a row.
    streak: u32,
    /// When the latest of them happened, oldest first.
    recent: VecDeque<Instant>,
    /// No attempt before this; `None` while the replica is not known to be bad.
    retry_at: Option<Instant>,
    /// Since when a connection that opened after the last failure has been living.
    proving_since: Option<Instant>,
    crash_looping: bool,
    last_error: Option<Arc<str>>,
}

impl Backoff {
    /// An attempt that began at `begun` failed, or its connection died young. `process`: it was one, so that many failures
    /// are a crash loop. `dice` is a random number.
    ///
    /// Attempts that ran side by side fail for one cause: what did not begin after the last failure counts with it.
    pub(super) fn failed(&mut self, now: Instant, begun: Instant, error: Arc<str>, process: bool, dice: u64) {
        self.last_error = Some(error);
        if self.recent.back().is_some_and(|last| begun <= *last) && self.retry_at.is_some() {
            return;
        }
        self.proving_since = None;
        self.streak += 1;
        self.recent.push_back(now);
        while self.recent.len() > CRASH_LOOP_FAILURES {
            self.recent.pop_front();
        }
        self.crash_looping |= process
            && self.recent.len() == CRASH_LOOP_FAILURES
            && self.recent.front().is_some_and(|first| now.duration_since(*first) <= CRASH_LOOP_WINDOW);
        let wait = if self.crash_looping {
            BACKOFF_MOST
        } else {
            let doublings = (self.streak - 1).min(16);
            let full = (BACKOFF_FIRST * (1 << doublings)).min(BACKOFF_MOST);
            // Between half and all of it, so that replicas that failed together do not come back together.
            full / 2 + (full / 2).mul_f64(unit(dice))
        };
        self.retry_at = Some(now + wait);
    }

    /// A connection opened. Whether it stays open is still to be seen.
    pub(super) fn opened(&mut self, now: Instant) {
        self.retry_at = None;
        if self.streak > 0 && self.proving_since.is_none() {
            self.proving_since = Some(now);
        }
    }

    /// Clears the failures if a connection has been living long enough.
    pub(super) fn settle(&mut self, now: Instant) {
        if self.proved_at().is_some_and(|at| at <= now) {
            let last_error = self.last_error.take();
            *self = Self { last_error, ..Self::default() };
        }
    }

    /// When [`Self::settle`] would clear the failures.
    pub(super) fn proved_at(&self) -> Option<Instant> {
        self.proving_since.map(|since| since + STABLE_AFTER)
    }

    /// Lets the next attempt begin at once, unless there is a crash loop.
    pub(super) fn try_now(&mut self, now: Instant) {
        if !self.crash_looping {
            self.retry_at = self.retry_at.map(|at| at.min(now));
        }
    }

    /// Whether an attempt may begin.
    pub(super) fn may_try(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    pub(super) fn failures(&self) -> u32 {
        self.streak
    }

    pub(super) fn crash_looping(&self) -> bool {
        self.crash_looping
    }

    /// What the last failure said, kept after recovery too.
    pub(super) fn last_error(&self) -> Option<&Arc<str>> {
        self.last_error.as_ref()
    }
}

/// A random number as a fraction: at least 0, less than 1.
pub(super) fn unit(dice: u64) -> f64 {
    (dice >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(backoff: &mut Backoff, at: Instant) -> Duration {
        backoff.failed(at, at, "exit code 1".into(), true, u64::MAX);
        backoff.retry_at().unwrap() - at
    }

    #[test]
    fn waits_double_from_a_tenth_of_a_second_and_lie_within_half_of_that() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        for (n, ms) in [(0, 100), (1, 200), (2, 400), (3, 800)] {
            let wait = fail(&mut backoff, start + Duration::from_secs(100 * n));
            assert!(
                wait > Duration::from_millis(ms * 9 / 10) && wait <= Duration::from_millis(ms),
                "{wait:?}"
            );
        }
        let mut backoff = Backoff::default();
        backoff.failed(start, start, "".into(), true, 0);
        assert_eq!(backoff.retry_at().unwrap() - start, Duration::from_millis(50));
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        for n in 0..40 {
            assert!(fail(&mut backoff, start + Duration::from_secs(100 * n)) <= BACKOFF_MOST);
        }
        assert!(!backoff.crash_looping(), "the failures are far apart");
    }

    #[test]
    fn five_failures_within_a_minute_are_a_crash_loop_until_a_connection_lives() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        for n in 0..5 {
            assert!(!backoff.crash_looping());
            fail(&mut backoff, start + Duration::from_secs(15 * n));
        }
        assert!(backoff.crash_looping());
        assert_eq!(backoff.retry_at(), Some(start + Duration::from_secs(60) + BACKOFF_MOST));
        let opened = start + Duration::from_secs(100);
        backoff.opened(opened);
        backoff.settle(opened + STABLE_AFTER / 2);
        assert!(backoff.crash_looping(), "opening alone proves nothing");
        backoff.settle(opened + STABLE_AFTER);
        assert!(!backoff.crash_looping() && backoff.may_try(opened) && backoff.failures() == 0);
        assert_eq!(backoff.last_error().map(|e| &**e), Some("exit code 1"));
    }

    #[test]
    fn attempts_that_ran_side_by_side_count_as_one_failure() {
        let (mut backoff, start) = (Backoff::default(), Instant::now());
        for n in 1..=10 {
            backoff.failed(start + Duration::from_millis(n), start, "refused".into(), true, 0);
        }
        assert_eq!((backoff.failures(), backoff.crash_looping()), (1, false));
    }
}

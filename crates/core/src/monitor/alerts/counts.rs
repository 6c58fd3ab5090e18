//! Counters over the last minutes or hours: samples of ever growing numbers, and differences between them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Samples that are kept of one span at most: 30 s between two of them in six hours.
const SAMPLES: u32 = 720;
/// Least time between two samples that are kept. Shorter than a tick, which may come a little early.
const LEAST_STEP: Duration = Duration::from_millis(500);

/// How much there was, and how much of it was bad.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub total: u64,
    /// The bad ones among them.
    pub bad: u64,
}

impl Counts {
    /// The share of the bad ones; `None` of nothing.
    pub fn share(self) -> Option<f64> {
        (self.total > 0).then(|| self.bad as f64 / self.total as f64)
    }

    fn since(self, earlier: Self) -> Self {
        Self { total: self.total - earlier.total, bad: self.bad - earlier.bad }
    }
}

/// Samples of a pair of counters, as far back as the longest window needs.
#[derive(Debug)]
pub(super) struct Samples {
    span: Duration,
    step: Duration,
    kept: VecDeque<(Instant, Counts)>,
    latest: Option<(Instant, Counts)>,
}

impl Samples {
    /// Room for windows of up to `span`.
    pub(super) fn new(span: Duration) -> Self {
        Self { span, step: (span / SAMPLES).max(LEAST_STEP), kept: VecDeque::new(), latest: None }
    }

    /// Takes the counters as they are now. Counters that have become smaller were begun anew; so are the samples then.
    pub(super) fn take(&mut self, counts: Counts, now: Instant) {
        if self.latest.is_some_and(|(_, last)| counts.total < last.total || counts.bad < last.bad) {
            self.kept.clear();
        }
        self.latest = Some((now, counts));
        if self.kept.back().is_none_or(|(at, _)| now.saturating_duration_since(*at) >= self.step) {
            self.kept.push_back((now, counts));
        }
        // One sample from before the span stays: the difference to it covers the whole of it.
        while self.kept.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= self.span) {
            self.kept.pop_front();
        }
    }

    /// What was counted over the last `window`, or since the first sample where that is later.
    pub(super) fn over(&self, window: Duration, now: Instant) -> Option<Counts> {
        let (_, latest) = self.latest?;
        let inside = self.kept.partition_point(|(at, _)| now.saturating_duration_since(*at) >= window);
        let (_, base) = self.kept.get(inside.saturating_sub(1))?;
        Some(latest.since(*base))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(total: u64, bad: u64) -> Counts {
        Counts { total, bad }
    }

    #[test]
    fn a_window_holds_what_was_counted_in_it_and_no_more() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut samples = Samples::new(Duration::from_secs(60));
        assert_eq!(samples.over(Duration::from_secs(10), start), None);
        for s in 0..=100 {
            samples.take(counts(2 * s, s), at(s));
        }
        assert_eq!(samples.over(Duration::from_secs(10), at(100)), Some(counts(20, 10)));
        assert_eq!(samples.over(Duration::from_secs(60), at(100)), Some(counts(120, 60)));
        // As far back as there are samples.
        assert_eq!(samples.over(Duration::from_secs(3600), at(100)), Some(counts(120, 60)));
    }

    #[test]
    fn six_hours_of_ticks_take_bounded_room_and_are_off_by_one_step_at_most() {
        let start = Instant::now();
        let span = Duration::from_secs(6 * 3600);
        let mut samples = Samples::new(span);
        for s in 0..8 * 3600_u64 {
            samples.take(counts(s, 0), start + Duration::from_secs(s));
        }
        assert!(samples.kept.len() <= SAMPLES as usize + 2, "{}", samples.kept.len());
        let now = start + Duration::from_secs(8 * 3600 - 1);
        let total = samples.over(span, now).unwrap().total;
        assert!((6 * 3600..=6 * 3600 + 30).contains(&total), "{total}");
    }

    #[test]
    fn counters_that_begin_anew_are_not_subtracted_from_the_former() {
        let start = Instant::now();
        let mut samples = Samples::new(Duration::from_secs(60));
        samples.take(counts(1_000, 10), start);
        samples.take(counts(3, 1), start + Duration::from_secs(1));
        assert_eq!(samples.over(Duration::from_secs(60), start + Duration::from_secs(1)), Some(counts(0, 0)));
        samples.take(counts(5, 2), start + Duration::from_secs(2));
        assert_eq!(samples.over(Duration::from_secs(60), start + Duration::from_secs(2)), Some(counts(2, 1)));
    }
}

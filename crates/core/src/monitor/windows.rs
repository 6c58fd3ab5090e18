//! Sliding windows of a series: what was added to it in the last 10 s, 1 min, 5 min.
//!
//! Once a second what was added since the second before is put into a ring of ten; ten of those together go into a ring
//! of thirty. A window is the newest entries of both, so it slides by a second and covers its length or up to nine
//! seconds more ([`Windows::covered`]): rates are made with the time that it truly covers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::series::{Series, Step, Totals};

/// A stretch of time that ends now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Span {
    /// Ten seconds.
    TenSeconds,
    /// One minute.
    Minute,
    /// Five minutes.
    FiveMinutes,
    /// As long as there is anything to know.
    Start,
}

impl Span {
    /// All, from short to long.
    pub const ALL: [Self; 4] = [Self::TenSeconds, Self::Minute, Self::FiveMinutes, Self::Start];

    /// Its name: `10s`, `1m`, `5m`, `start`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TenSeconds => "10s",
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Start => "start",
        }
    }

    /// The span of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|span| span.as_str() == name)
    }

    /// Full tens of seconds that it is made of, beside the seconds since the last.
    const fn tens(self) -> usize {
        match self {
            Self::TenSeconds => 0,
            Self::Minute => 6,
            Self::FiveMinutes | Self::Start => TENS,
        }
    }
}

const SECONDS: usize = 10;
const TENS: usize = 30;

/// What stood when at the steps of all windows: something that only grows, of which a window is the difference.
#[derive(Debug)]
pub struct Marks<T> {
    first: T,
    /// At the ends of the steps of the ring of seconds, and of that of tens; the newest last.
    seconds: VecDeque<T>,
    tens: VecDeque<T>,
}

impl<T: Copy> Marks<T> {
    /// Marks of windows that begin now.
    pub fn new(first: T) -> Self {
        Self { first, seconds: VecDeque::from([first]), tens: VecDeque::from([first]) }
    }

    /// A second is over; `ten` is what [`Clock::is_ten`] tells.
    pub fn push(&mut self, now: T, ten: bool) {
        push(&mut self.seconds, now, SECONDS + 1);
        if ten {
            push(&mut self.tens, now, TENS + 1);
        }
    }

    /// At the beginning and at the end of a window.
    pub fn ends(&self, span: Span) -> (T, T) {
        let from = match span {
            Span::Start => None,
            Span::TenSeconds => self.seconds.front(),
            span => self.tens.get(self.tens.len().saturating_sub(1 + span.tens())),
        };
        let newest = self.seconds.back();
        (from.copied().unwrap_or(self.first), newest.copied().unwrap_or(self.first))
    }
}

/// When the steps of all windows were taken, so that each knows what it covers.
#[derive(Debug)]
pub struct Clock {
    marks: Marks<Instant>,
    /// Seconds since the last ten.
    since_ten: usize,
}

impl Clock {
    /// A clock of windows that begin now.
    pub fn new(now: Instant) -> Self {
        Self { marks: Marks::new(now), since_ten: 0 }
    }

    /// A second is over. Then every [`Windows`] is to be [stepped](Windows::step).
    pub fn tick(&mut self, now: Instant) {
        self.since_ten = (self.since_ten + 1) % SECONDS;
        let ten = self.is_ten();
        self.marks.push(now, ten);
    }

    /// Whether with the last second ten were over.
    pub fn is_ten(&self) -> bool {
        self.since_ten == 0
    }

    /// The time that a window truly covers, at the last tick.
    pub fn covered(&self, span: Span) -> Duration {
        let (from, now) = self.marks.ends(span);
        now.saturating_duration_since(from)
    }
}

fn push<T>(ring: &mut VecDeque<T>, newest: T, most: usize) {
    if ring.len() == most {
        ring.pop_front();
    }
    ring.push_back(newest);
}

/// The windows of one series.
#[derive(Debug, Default)]
pub struct Windows {
    /// `None`: nothing was added in that time.
    seconds: VecDeque<Option<Box<Step>>>,
    tens: VecDeque<Option<Box<Step>>>,
    /// Everything until the last step.
    former: Step,
    former_requests: u64,
}

impl Windows {
    /// A second is over, by this clock.
    pub fn step(&mut self, series: &Series, clock: &Clock) {
        let requests = series.requests();
        let step = (requests != self.former_requests).then(|| {
            let totals = series.totals();
            self.former_requests = totals.requests();
            Box::new(self.former.advance(&totals))
        });
        push(&mut self.seconds, step, SECONDS);
        if clock.is_ten() {
            let mut all = Totals::EMPTY;
            self.add_latest(&mut all, SECONDS);
            push(&mut self.tens, (all.requests() > 0).then(|| Box::new(all.sparse())), TENS);
        }
    }

    fn add_latest(&self, totals: &mut Totals, seconds: usize) {
        for step in self.seconds.iter().rev().take(seconds).flatten() {
            totals.merge_step(step);
        }
    }

    /// Adds what was added in the second before the last step.
    pub fn add_last_second(&self, totals: &mut Totals) {
        self.add_latest(totals, 1);
    }

    /// Adds what was added in a window, until the last step.
    pub fn add_to(&self, totals: &mut Totals, series: &Series, span: Span, clock: &Clock) {
        match span {
            Span::Start => series.add_to(totals),
            Span::TenSeconds => self.add_latest(totals, SECONDS),
            span => {
                self.add_latest(totals, clock.since_ten);
                for step in self.tens.iter().rev().take(span.tens()).flatten() {
                    totals.merge_step(step);
                }
            }
        }
    }

    /// What was added in a window, until the last step.
    pub fn totals(&self, series: &Series, span: Span, clock: &Clock) -> Totals {
        let mut totals = Totals::EMPTY;
        self.add_to(&mut totals, series, span, clock);
        totals
    }

    /// Whether nothing was added in the longest window.
    pub fn is_idle(&self) -> bool {
        self.seconds.iter().chain(&self.tens).all(Option::is_none)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::monitor::Finished;

    /// Requests of each second, and the windows after the last.
    fn run(counts: &[u64]) -> (Series, Windows, Clock) {
        let series = Series::default();
        let mut windows = Windows::default();
        let mut now = Instant::now();
        let mut clock = Clock::new(now);
        for (second, count) in counts.iter().enumerate() {
            for _ in 0..*count {
                series.finished(&Finished {
                    latency: Duration::from_millis(second as u64 + 1),
                    ..Finished::default()
                });
            }
            now += Duration::from_secs(1);
            clock.tick(now);
            windows.step(&series, &clock);
        }
        (series, windows, clock)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_window_holds_exactly_what_came_in_the_time_that_it_covers(
            counts in prop::collection::vec(0_u64..4, 0..420)
        ) {
            let (series, windows, clock) = run(&counts);
            for span in Span::ALL {
                let covered = clock.covered(span).as_secs() as usize;
                let expected: u64 = counts.iter().rev().take(covered).sum();
                let totals = windows.totals(&series, span, &clock);
                prop_assert_eq!(totals.requests(), expected, "{:?} covers {} s", span, covered);
                prop_assert_eq!(totals.latency.count(), expected);
                let full = match span {
                    Span::TenSeconds => 10,
                    Span::Minute => 60,
                    Span::FiveMinutes => 300,
                    Span::Start => counts.len(),
                };
                prop_assert!(covered >= full.min(counts.len()) && covered < full + 10);
            }
            let mut last = Totals::EMPTY;
            windows.add_last_second(&mut last);
            prop_assert_eq!(last.requests(), counts.last().copied().unwrap_or(0));
        }
    }

    #[test]
    fn a_series_that_is_first_seen_late_has_what_came_before_in_its_first_second() {
        let series = Series::default();
        series.finished(&Finished::default());
        let mut clock = Clock::new(Instant::now());
        let mut windows = Windows::default();
        for second in 1..=25 {
            clock.tick(Instant::now());
            if second < 18 {
                continue;
            }
            windows.step(&series, &clock);
            assert_eq!(windows.totals(&series, Span::Minute, &clock).requests(), 1, "after {second} s");
            let mut last = Totals::EMPTY;
            windows.add_last_second(&mut last);
            assert_eq!(last.requests(), u64::from(second == 18));
        }
    }

    #[test]
    fn windows_are_idle_once_everything_is_older_than_the_longest() {
        let mut counts = vec![1];
        counts.resize(309, 0);
        assert!(!run(&counts).1.is_idle());
        counts.resize(311, 0);
        assert!(run(&counts).1.is_idle());
    }
}

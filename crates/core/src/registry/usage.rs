//! Calls, errors and latency of one tool, as atomics that every snapshot of the tool shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Half-life of the moving average of the latency, in calls: the last so many calls weigh as much as all before.
pub const LATENCY_HALF_LIFE_CALLS: u32 = 32;

/// Weight of the newest call: `1 - 2^(-1/32)`.
const NEWEST_WEIGHT: f64 = 0.021_427_937_912_299_91;

/// Calls before anything is said of the 95th percentile.
const P95_CALLS: u64 = 20;

/// How far the 95th percentile moves up at one call, as a share of itself.
const P95_STEP: f64 = 0.1;

/// What happened to the calls of one tool since the process started, or since the tool first appeared.
#[derive(Debug)]
pub struct Usage {
    calls: AtomicU64,
    errors: AtomicU64,
    latency_total_ns: AtomicU64,
    /// Bits of an `f64` in nanoseconds; NaN until the first call.
    latency_ewma_ns: AtomicU64,
    /// Bits of an `f64` in nanoseconds; NaN until the first call that succeeded.
    latency_p95_ns: AtomicU64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency_total_ns: AtomicU64::new(0),
            latency_ewma_ns: AtomicU64::new(f64::NAN.to_bits()),
            latency_p95_ns: AtomicU64::new(f64::NAN.to_bits()),
        }
    }
}

impl Usage {
    /// Counts one finished call.
    pub fn record(&self, latency: Duration, failed: bool) {
        let ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.errors.fetch_add(1, Ordering::Relaxed);
        }
        self.latency_total_ns.fetch_add(ns, Ordering::Relaxed);
        let newest = ns as f64;
        if !failed {
            self.move_p95(newest);
        }
        let mut seen = self.latency_ewma_ns.load(Ordering::Relaxed);
        loop {
            let before = f64::from_bits(seen);
            let after = if before.is_nan() { newest } else { before + NEWEST_WEIGHT * (newest - before) };
            match self.latency_ewma_ns.compare_exchange_weak(
                seen,
                after.to_bits(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// One step of a stochastic search for the 95th percentile, after "frugal" streaming quantiles (Ma, Muthukrishnan,
    /// Sandler 2013): up a little at a higher latency, down a nineteenth of that at a lower one, so that it rests where
    /// one in twenty is higher. Of two steps at the same moment one may get lost.
    fn move_p95(&self, newest: f64) {
        let before = f64::from_bits(self.latency_p95_ns.load(Ordering::Relaxed));
        let after = if before.is_nan() {
            newest
        } else if newest > before {
            before * (1.0 + P95_STEP)
        } else {
            before * (1.0 - P95_STEP / 19.0)
        };
        self.latency_p95_ns.store(after.max(1.0).to_bits(), Ordering::Relaxed);
    }

    /// About the 95th percentile of the latency of calls that succeeded; `None` until there are enough.
    pub fn p95(&self) -> Option<Duration> {
        let p95 = f64::from_bits(self.latency_p95_ns.load(Ordering::Relaxed));
        (self.calls() >= P95_CALLS && !p95.is_nan()).then(|| Duration::from_nanos(p95 as u64))
    }

    /// Finished calls so far.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// All figures at about one moment: each is exact, but a call that ends meanwhile may be in some and not in others.
    pub fn read(&self) -> UsageReading {
        let calls = self.calls();
        let ewma = f64::from_bits(self.latency_ewma_ns.load(Ordering::Relaxed));
        let total = self.latency_total_ns.load(Ordering::Relaxed);
        UsageReading {
            calls,
            errors: self.errors.load(Ordering::Relaxed),
            mean: (calls > 0).then(|| Duration::from_nanos(total / calls.max(1))),
            ewma: (!ewma.is_nan()).then(|| Duration::from_nanos(ewma as u64)),
        }
    }
}

/// The figures of a [`Usage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UsageReading {
    /// Finished calls.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Mean latency of all calls; `None` before the first.
    pub mean: Option<Duration>,
    /// Moving average of the latency with a half-life of [`LATENCY_HALF_LIFE_CALLS`]; `None` before the first call.
    pub ewma: Option<Duration>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_claimed_before_the_first_call() {
        assert_eq!(Usage::default().read(), UsageReading { calls: 0, errors: 0, mean: None, ewma: None });
    }

    #[test]
    fn calls_errors_and_mean_are_exact() {
        let usage = Usage::default();
        usage.record(Duration::from_micros(10), false);
        usage.record(Duration::from_micros(30), true);
        let read = usage.read();
        assert_eq!((read.calls, read.errors, read.mean), (2, 1, Some(Duration::from_micros(20))));
    }

    #[test]
    fn the_95th_percentile_is_about_where_one_in_twenty_is_higher_and_follows_a_change() {
        let usage = Usage::default();
        let mut random = 1_u64;
        let mut next = || {
            // A linear congruential generator (Knuth's MMIX constants).
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 11) as f64 / (1_u64 << 53) as f64
        };
        for scale_us in [1_000.0, 20_000.0, 100.0] {
            let mut higher = 0;
            for call in 0..4_000 {
                // Exponential: the 95th percentile is three times the mean.
                let latency = Duration::from_secs_f64(-next().max(1e-12).ln() * scale_us * 1e-6);
                if call >= 2_000 && usage.p95().is_none_or(|p95| latency > p95) {
                    higher += 1;
                }
                usage.record(latency, false);
            }
            assert!((60..=160).contains(&higher), "{higher} of 2000 are above it");
        }
    }

    #[test]
    fn the_95th_percentile_is_not_told_before_there_are_enough_calls() {
        let usage = Usage::default();
        for call in 0..P95_CALLS {
            assert_eq!(usage.p95(), None, "after {call} calls");
            usage.record(Duration::from_millis(1), false);
        }
        assert!(usage.p95().is_some());
    }

    #[test]
    fn the_average_is_half_way_after_one_half_life() {
        let usage = Usage::default();
        usage.record(Duration::ZERO, false);
        for _ in 0..LATENCY_HALF_LIFE_CALLS {
            usage.record(Duration::from_millis(1), false);
        }
        let ewma = usage.read().ewma.unwrap();
        assert!(ewma.abs_diff(Duration::from_micros(500)) < Duration::from_nanos(10), "{ewma:?}");
    }
}

//! Calls, errors and latency of one tool, as atomics that every snapshot of the tool shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Half-life of the moving average of the latency, in calls: the last so many calls weigh as much as all before.
pub const LATENCY_HALF_LIFE_CALLS: u32 = 32;

/// Weight of the newest call: `1 - 2^(-1/32)`.
const NEWEST_WEIGHT: f64 = 0.021_427_937_912_299_91;

/// What happened to the calls of one tool since the process started, or since the tool first appeared.
#[derive(Debug)]
pub struct Usage {
    calls: AtomicU64,
    errors: AtomicU64,
    latency_total_ns: AtomicU64,
    /// Bits of an `f64` in nanoseconds; NaN until the first call.
    latency_ewma_ns: AtomicU64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            calls: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency_total_ns: AtomicU64::new(0),
            latency_ewma_ns: AtomicU64::new(f64::NAN.to_bits()),
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

//! What the calls of one tool were like; every snapshot of the tool shares it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crate::monitor::Series;

/// Calls before anything is said of the 95th percentile.
const P95_CALLS: u32 = 20;

/// How far the 95th percentile moves up at one call, as a share of itself.
const P95_STEP: f64 = 0.1;

/// What happened to the calls of one tool since the process started, or since the tool first appeared.
#[derive(Debug)]
pub struct Usage {
    /// Requests, errors, latencies.
    pub series: Arc<Series>,
    /// Calls that were learnt from, up to [`P95_CALLS`].
    learnt: AtomicU32,
    /// Bits of an `f64` in nanoseconds; NaN until the first call that was learnt from.
    latency_p95_ns: AtomicU64,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            series: Arc::default(),
            learnt: AtomicU32::new(0),
            latency_p95_ns: AtomicU64::new(f64::NAN.to_bits()),
        }
    }
}

impl Usage {
    /// Learns from the latency of a call that succeeded.
    ///
    /// One step of a stochastic search for the 95th percentile, after "frugal" streaming quantiles (Ma, Muthukrishnan,
    /// Sandler 2013): up a little at a higher latency, down a nineteenth of that at a lower one, so that it rests where
    /// one in twenty is higher. Of two steps at the same moment one may get lost. It serves decisions that are made
    /// for each call; the histograms of [`Usage::series`] are exact, and dear to ask.
    pub fn learn(&self, latency: Duration) {
        let newest = latency.as_nanos() as f64;
        let learnt = self.learnt.load(Ordering::Relaxed);
        if learnt < P95_CALLS {
            self.learnt.store(learnt + 1, Ordering::Relaxed);
        }
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
        (self.learnt.load(Ordering::Relaxed) >= P95_CALLS && !p95.is_nan())
            .then(|| Duration::from_nanos(p95 as u64))
    }

    /// Requests so far.
    pub fn calls(&self) -> u64 {
        self.series.requests()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                usage.learn(latency);
            }
            assert!((60..=160).contains(&higher), "{higher} of 2000 are above it");
        }
    }

    #[test]
    fn the_95th_percentile_is_not_told_before_there_are_enough_calls() {
        let usage = Usage::default();
        for call in 0..P95_CALLS {
            assert_eq!(usage.p95(), None, "after {call} calls");
            usage.learn(Duration::from_millis(1));
        }
        assert!(usage.p95().is_some());
    }
}

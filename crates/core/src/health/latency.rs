//! Two averages of one replica's latency: a wary one to choose by, a steady one to judge by.

use std::time::{Duration, Instant};

/// Time in seconds after which the peak average has forgotten all but `1/e` of what it knew.
const DECAY_S: f64 = 10.0;
/// Weight of the newest call in the steady average: `1 - 2^(-1/32)`, a half-life of 32 calls.
const NEWEST_WEIGHT: f64 = 0.021_427_937_912_299_91;
/// Calls before the steady average says anything.
const MIN_SAMPLES: u32 = 20;

/// The *peak* average (peak EWMA, as in Finagle) jumps to every higher latency at once and comes down over seconds,
/// also when nothing happens, so that an idle replica is tried again. The *typical* latency is a moving average of the
/// logarithm: one call of a minute among many of a millisecond hardly moves it.
#[derive(Debug, Clone)]
pub(crate) struct Latency {
    /// Nanoseconds; zero before the first call.
    peak: f64,
    at: Instant,
    typical_log2: f64,
    samples: u32,
}

impl Latency {
    pub(crate) fn new(now: Instant) -> Self {
        Self { peak: 0.0, at: now, typical_log2: 0.0, samples: 0 }
    }

    /// Takes the latency of a call that was answered.
    pub(crate) fn observe(&mut self, latency: Duration, now: Instant) {
        let sample = nanoseconds(latency);
        if sample >= self.peak {
            self.peak = sample;
        } else {
            self.peak = sample + (self.peak - sample) * self.kept(now);
        }
        self.at = self.at.max(now);
        self.samples = self.samples.saturating_add(1);
        // A plain mean at first, so that the first call of all does not outweigh the next dozens.
        let weight = NEWEST_WEIGHT.max(1.0 / f64::from(self.samples));
        self.typical_log2 += weight * (sample.log2() - self.typical_log2);
    }

    /// Takes the time that a call spent without an answer, which its latency would have exceeded.
    pub(crate) fn observe_at_least(&mut self, waited: Duration, now: Instant) {
        let sample = nanoseconds(waited);
        if self.peak > 0.0 && sample > self.peak * self.kept(now) {
            self.peak = sample;
            self.at = self.at.max(now);
        }
    }

    /// The peak average in nanoseconds; `None` before the first answer.
    pub(crate) fn peak_ns(&self, now: Instant) -> Option<f64> {
        (self.peak > 0.0).then(|| (self.peak * self.kept(now)).max(1.0))
    }

    /// The typical latency; `None` before enough calls, or if the last was longer than `within` ago.
    pub(crate) fn typical(&self, within: Duration, now: Instant) -> Option<Duration> {
        let fresh = now.saturating_duration_since(self.at) <= within;
        (fresh && self.samples >= MIN_SAMPLES).then(|| Duration::from_nanos(self.typical_log2.exp2() as u64))
    }

    /// What is left of the peak by now, from 1 down to 0.
    fn kept(&self, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.at).as_secs_f64() * (1.0 / DECAY_S);
        // The usual case by far; the error is below 10^-6.
        if age < 1e-3 { 1.0 - age } else { (-age).exp() }
    }
}

fn nanoseconds(latency: Duration) -> f64 {
    (latency.as_secs_f64() * 1e9).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const DECAY: Duration = Duration::from_secs(10);

    #[test]
    fn the_peak_rises_at_once_and_falls_in_seconds() {
        let now = Instant::now();
        let mut latency = Latency::new(now);
        assert_eq!(latency.peak_ns(now), None);
        latency.observe(MS, now);
        latency.observe(100 * MS, now);
        assert_eq!(latency.peak_ns(now), Some(1e8));
        let later = latency.peak_ns(now + DECAY).unwrap();
        assert!((later / 1e8 - (-1.0_f64).exp()).abs() < 1e-9);
        latency.observe(MS, now + DECAY);
        assert!(latency.peak_ns(now + DECAY).unwrap() < 4e7, "a sample pulls it further down");
    }

    #[test]
    fn waiting_can_only_raise_the_peak() {
        let now = Instant::now();
        let mut latency = Latency::new(now);
        latency.observe_at_least(MS, now);
        assert_eq!(latency.peak_ns(now), None, "nothing was answered yet");
        latency.observe(10 * MS, now);
        latency.observe_at_least(MS, now);
        assert_eq!(latency.peak_ns(now), Some(1e7));
        latency.observe_at_least(20 * MS, now);
        assert_eq!(latency.peak_ns(now), Some(2e7));
    }

    #[test]
    fn one_long_call_among_many_is_not_typical() {
        let now = Instant::now();
        let mut latency = Latency::new(now);
        for _ in 1..MIN_SAMPLES {
            latency.observe(MS, now);
            assert_eq!(latency.typical(DECAY, now), None);
        }
        latency.observe(60_000 * MS, now);
        assert!(latency.typical(DECAY, now).unwrap() < 2 * MS);
        assert_eq!(latency.typical(DECAY, now + 2 * DECAY), None, "too old to judge by");
    }
}

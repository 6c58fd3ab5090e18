//! Thresholds and times of health, as validated values.

use std::time::Duration;

use thiserror::Error;

/// Longest time that any setting may have.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// When a replica is taken out, and how it comes back.
#[derive(Debug, Clone, PartialEq)]
pub struct HealthConfig {
    /// Whether calls can eject a replica. Probes take replicas out either way.
    pub ejection: bool,
    /// Failures in a row that eject.
    pub failures_in_row: u32,
    /// Time-outs in a row that eject: fewer, for each costs a caller the whole deadline.
    pub timeouts_in_row: u32,
    /// Least share of successes among the calls of the last ten seconds, from 0 to 1.
    pub success_rate: f64,
    /// Calls within the last ten seconds below which the share says nothing.
    pub min_calls: u32,
    /// A replica is slow if its typical latency is more than so many times the median of the others'. Infinity for
    /// never.
    pub slow_factor: f64,
    /// A typical latency below this is never slow.
    pub slow_floor: Duration,
    /// First back-off; doubled each time that the replica fails again, and lengthened by up to a half at random.
    pub backoff_min: Duration,
    /// Longest back-off before the random part. A replica that stays well for longer starts from the first again.
    pub backoff_max: Duration,
    /// Time over which the share of a replica that came back grows to the full one. Zero for at once.
    pub slow_start: Duration,
    /// Least share of healthy replicas, from 0 to 1, at which ejections are kept. Below it (panic) ejected replicas
    /// serve the calls that find no healthy one with room. At 0.5 at most half of the replicas can be shut out by
    /// what their calls say.
    pub panic_threshold: f64,
    /// Time between probes of one replica; `None` if the driver does not probe.
    pub probe_interval: Option<Duration>,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            ejection: true,
            failures_in_row: 7,
            timeouts_in_row: 3,
            success_rate: 0.8,
            min_calls: 5,
            slow_factor: 5.0,
            slow_floor: Duration::from_millis(10),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(60),
            slow_start: Duration::from_secs(10),
            panic_threshold: 0.5,
            probe_interval: Some(Duration::from_secs(10)),
        }
    }
}

impl HealthConfig {
    /// Whether the settings can be used.
    ///
    /// # Errors
    /// The first that cannot.
    pub fn check(&self) -> Result<(), HealthConfigError> {
        let share = |name, value: f64| {
            if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(HealthConfigError::Share { name, value }) }
        };
        let count = |name, value| if value > 0 { Ok(()) } else { Err(HealthConfigError::Zero { name }) };
        share("success_rate", self.success_rate)?;
        share("panic_threshold", self.panic_threshold)?;
        count("failures_in_row", self.failures_in_row)?;
        count("timeouts_in_row", self.timeouts_in_row)?;
        count("min_calls", self.min_calls)?;
        if self.slow_factor.is_nan() || self.slow_factor <= 1.0 {
            return Err(HealthConfigError::SlowFactor(self.slow_factor));
        }
        for (name, value, least) in [
            ("backoff_min", self.backoff_min, Duration::from_millis(1)),
            ("backoff_max", self.backoff_max, self.backoff_min),
            ("slow_floor", self.slow_floor, Duration::ZERO),
            ("slow_start", self.slow_start, Duration::ZERO),
            ("probe_interval", self.probe_interval.unwrap_or(LONGEST), Duration::from_millis(100)),
        ] {
            if !(least..=LONGEST).contains(&value) {
                return Err(HealthConfigError::Time { name, value, least });
            }
        }
        Ok(())
    }
}

/// A setting of health that cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum HealthConfigError {
    /// A share outside 0 to 1.
    #[error("{name} must lie between 0 and 1, not {value}")]
    Share {
        /// Which setting.
        name: &'static str,
        /// What was given.
        value: f64,
    },
    /// A threshold of nothing.
    #[error("{name} must be at least 1")]
    Zero {
        /// Which setting.
        name: &'static str,
    },
    /// A factor that would call half of the replicas slow.
    #[error("slow_factor must be above 1, not {0}")]
    SlowFactor(f64),
    /// A time too short or too long.
    #[error("{name} must lie between {least:?} and {max:?}, not {value:?}", max = LONGEST)]
    Time {
        /// Which setting.
        name: &'static str,
        /// What was given.
        value: Duration,
        /// The least that it may be.
        least: Duration,
    },
}

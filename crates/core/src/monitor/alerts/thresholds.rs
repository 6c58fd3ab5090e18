//! The rules that there are without configuration.

use std::time::Duration;

use super::rule::{Comparison, Condition, Rule, Severity};
use super::scope::Scope;
use super::signal::{Signal, Window};

/// The thresholds of the rules that there are without configuration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// p95 of the latency, milliseconds.
    pub p95_response_time_ms: f64,
    /// Error rate, a share.
    pub error_rate: f64,
    /// Pool hit rate, a share.
    pub pool_hit_rate: f64,
    /// Memory in use, bytes.
    pub memory_bytes: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { p95_response_time_ms: 200.0, error_rate: 0.05, pool_hit_rate: 0.7, memory_bytes: 500e6 }
    }
}

impl Thresholds {
    /// The four rules: response time for five minutes, errors for one, pool hits for ten, memory for five.
    pub fn rules(&self) -> Vec<Rule> {
        use Comparison::{Above, Below};
        let rule = |name: &str, signal, comparison, threshold, minutes: u64, severity| Rule {
            name: name.into(),
            condition: Condition::Threshold { signal, comparison, threshold, window: Window::OneMinute },
            scope: Scope::All,
            hold: Duration::from_secs(minutes * 60),
            resolve_after: Duration::ZERO,
            severity,
            min_requests: 1,
            is_default: true,
        };
        let p95 = self.p95_response_time_ms;
        vec![
            rule("response-time", Signal::LatencyP95, Above, p95, 5, Severity::Warning),
            rule("error-rate", Signal::ErrorRate, Above, self.error_rate, 1, Severity::Critical),
            rule("pool-hit-rate", Signal::PoolHitRate, Below, self.pool_hit_rate, 10, Severity::Warning),
            rule("memory", Signal::MemoryBytes, Above, self.memory_bytes, 5, Severity::Warning),
        ]
    }
}

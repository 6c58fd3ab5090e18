//! Whether the whole is well: the verdict of two rates, with reasons.

/// How well it is; ordered from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing is known to be wrong.
    Healthy,
    /// Somebody should look.
    Warning,
    /// Somebody should act.
    Critical,
}

impl Verdict {
    /// In lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// From where on a rate is a warning, and critical.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// The share of failed requests above which it is a warning.
    pub error_rate_warning: f64,
    /// The share of failed requests above which it is critical.
    pub error_rate_critical: f64,
    /// The share of pool hits below which it is a warning.
    pub pool_hit_rate_warning: f64,
    /// The share of pool hits below which it is critical.
    pub pool_hit_rate_critical: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            error_rate_warning: 0.05,
            error_rate_critical: 0.1,
            pool_hit_rate_warning: 0.7,
            pool_hit_rate_critical: 0.5,
        }
    }
}

/// Why it is not healthy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// `error_rate` or `pool_hit_rate`.
    pub signal: &'static str,
    /// What it is.
    pub value: f64,
    /// The threshold that it has passed.
    pub threshold: f64,
    /// What that means.
    pub verdict: Verdict,
}

/// Calls below which a rate says nothing: one failed call of three is no outage.
pub const LEAST_CALLS: u64 = 10;

/// What the verdict is made from, all of one window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Vitals {
    /// Requests.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Calls that found a connection.
    pub pool_hits: u64,
    /// Calls that needed a new one.
    pub pool_misses: u64,
}

impl Vitals {
    /// The reasons not to call it healthy.
    pub fn reasons(&self, thresholds: &Thresholds) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let mut judge = |signal, part: u64, whole: u64, warning: f64, critical: f64, above: bool| {
            if whole < LEAST_CALLS {
                return;
            }
            let value = part as f64 / whole as f64;
            let passed = |threshold: f64| if above { value > threshold } else { value < threshold };
            let (threshold, verdict) = match () {
                () if passed(critical) => (critical, Verdict::Critical),
                () if passed(warning) => (warning, Verdict::Warning),
                () => return,
            };
            reasons.push(Reason { signal, value, threshold, verdict });
        };
        let Thresholds { error_rate_warning, error_rate_critical, .. } = *thresholds;
        judge("error_rate", self.errors, self.requests, error_rate_warning, error_rate_critical, true);
        let Thresholds { pool_hit_rate_warning, pool_hit_rate_critical, .. } = *thresholds;
        let acquired = self.pool_hits + self.pool_misses;
        judge(
            "pool_hit_rate",
            self.pool_hits,
            acquired,
            pool_hit_rate_warning,
            pool_hit_rate_critical,
            false,
        );
        reasons
    }
}

/// The worst of the reasons.
pub fn verdict(reasons: &[Reason]) -> Verdict {
    reasons.iter().map(|reason| reason.verdict).max().unwrap_or(Verdict::Healthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(requests: u64, errors: u64, pool_hits: u64, pool_misses: u64) -> (Verdict, Vec<&'static str>) {
        let reasons = Vitals { requests, errors, pool_hits, pool_misses }.reasons(&Thresholds::default());
        (verdict(&reasons), reasons.iter().map(|reason| reason.signal).collect())
    }

    #[test]
    fn the_thresholds_are_passed_and_not_only_reached() {
        assert_eq!(of(100, 5, 70, 30), (Verdict::Healthy, vec![]));
        assert_eq!(of(100, 6, 0, 0), (Verdict::Warning, vec!["error_rate"]));
        assert_eq!(of(100, 10, 0, 0), (Verdict::Warning, vec!["error_rate"]));
        assert_eq!(of(100, 11, 0, 0), (Verdict::Critical, vec!["error_rate"]));
        assert_eq!(of(0, 0, 69, 31), (Verdict::Warning, vec!["pool_hit_rate"]));
        assert_eq!(of(0, 0, 49, 51), (Verdict::Critical, vec!["pool_hit_rate"]));
        assert_eq!(of(100, 6, 49, 51), (Verdict::Critical, vec!["error_rate", "pool_hit_rate"]));
    }

    #[test]
    fn nothing_is_claimed_from_a_few_calls_or_none() {
        assert_eq!(of(0, 0, 0, 0).0, Verdict::Healthy);
        assert_eq!(of(9, 9, 0, 9).0, Verdict::Healthy);
    }
}

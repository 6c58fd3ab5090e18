//! What is watched, and from which value on it is an alert.

use std::sync::Arc;
use std::time::Duration;

use super::scope::Scope;
use super::signal::{Signal, Unit, Window};

/// How bad it is, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Somebody should look at it soon.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// All of them, least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == word)
    }
}

/// On which side of the threshold the condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Above it.
    Above,
    /// Below it.
    Below,
}

impl Comparison {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// Whether the condition holds.
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Above => value > threshold,
            Self::Below => value < threshold,
        }
    }

    /// The one of two values that is further on the wrong side.
    pub(super) fn worse(self, one: f64, other: f64) -> f64 {
        match self {
            Self::Above => one.max(other),
            Self::Below => one.min(other),
        }
    }
}

/// The error budget is used up too fast, over a long window and still over a short one ("The Site Reliability
/// Workbook", chapter 5, "Multiwindow, Multi-Burn-Rate Alerts"). A burn rate of 1 uses the budget up exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnRate {
    /// The share of calls that should succeed, above 0 and below 1.
    pub objective: f64,
    /// The burn rate above which the condition holds.
    pub factor: f64,
    /// The window that shows that it matters.
    pub long: Duration,
    /// The window that shows that it goes on; shorter.
    pub short: Duration,
}

impl BurnRate {
    /// Longest window.
    pub const LONGEST: Duration = Duration::from_secs(6 * 3600);
    /// A short window is at least the long one divided by this, so that samples are fine enough for it.
    pub const FINEST: u32 = 60;
}

/// When a rule's condition holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// A signal is beyond a threshold.
    Threshold {
        /// What is compared.
        signal: Signal,
        /// On which side of the threshold it holds.
        comparison: Comparison,
        /// In the signal's unit.
        threshold: f64,
        /// What the signal is taken over, if it has a window.
        window: Window,
    },
    /// The error budget burns too fast.
    BurnRate(BurnRate),
}

/// One rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name, unique.
    pub name: Arc<str>,
    /// When its condition holds.
    pub condition: Condition,
    /// Of what.
    pub scope: Scope,
    /// For how long the condition must hold until the rule fires.
    pub hold: Duration,
    /// For how long it must not hold until the rule resolves.
    pub resolve_after: Duration,
    /// How bad it is.
    pub severity: Severity,
    /// Calls in the window (of a burn rate: in the long one) below which nothing is known. Only for signals of calls.
    pub min_requests: u64,
    /// It is one of those that there are without configuration.
    pub is_default: bool,
}

impl Rule {
    /// The name of what is watched.
    pub fn signal(&self) -> &'static str {
        match &self.condition {
            Condition::Threshold { signal, .. } => signal.as_str(),
            Condition::BurnRate(_) => "burn_rate",
        }
    }

    /// What its values are measured in.
    pub fn unit(&self) -> Unit {
        match &self.condition {
            Condition::Threshold { signal, .. } => signal.unit(),
            Condition::BurnRate(_) => Unit::Number,
        }
    }

    /// On which side of the threshold the condition holds.
    pub fn comparison(&self) -> Comparison {
        match &self.condition {
            Condition::Threshold { comparison, .. } => *comparison,
            Condition::BurnRate(_) => Comparison::Above,
        }
    }

    /// The threshold, in the signal's unit.
    pub fn threshold(&self) -> f64 {
        match &self.condition {
            Condition::Threshold { threshold, .. } => *threshold,
            Condition::BurnRate(burn) => burn.factor,
        }
    }

    /// What is wrong, in a sentence: `p95 of the latency of upstream files is 312 ms, above 200 ms (over 1m)`; or that
    /// nothing is: `memory in use is 20 MB; an alert is above 500 MB`.
    pub fn sentence(&self, value: f64) -> String {
        let of = if self.scope == Scope::All { String::new() } else { format!(" of {}", self.scope) };
        let unit = self.unit();
        let side = match (self.comparison().holds(value, self.threshold()), self.comparison()) {
            (true, side) => format!(", {}", side.as_str()),
            (false, side) => format!("; an alert is {}", side.as_str()),
        };
        let (value, threshold) = (unit.show(value), unit.show(self.threshold()));
        match &self.condition {
            Condition::Threshold { signal, window, .. } => {
                let over =
                    if signal.has_window() { format!(" (over {})", window.as_str()) } else { String::new() };
                format!("{}{of} is {value}{side} {threshold}{over}", signal.words())
            }
            Condition::BurnRate(burn) => format!(
                "errors{of} use up the budget of {} {value} times as fast as it allows{side} {threshold} (over {} \
                 and {})",
                Unit::Share.show(1.0 - burn.objective),
                minutes(burn.long),
                minutes(burn.short),
            ),
        }
    }
}

fn minutes(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        s if s.is_multiple_of(3600) => format!("{}h", s / 3600),
        s if s.is_multiple_of(60) => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

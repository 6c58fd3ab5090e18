//! The verdict: whether each condition holds, and so the gate.

use serde::Serialize;

use super::condition::{Condition, Level, Op, Rules, Status, Verdict};
use super::measure::Source;
use super::measured::{Evidence, Measured, Value};
use super::metric::Metric;

/// All that a gate says, as it is given back.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) status: Verdict,
    /// What a script should end with: 0 passed or warn, 2 failed, 3 no data.
    pub(crate) exit_code: u8,
    pub(crate) summary: String,
    /// Whether only the condition is told that a cursor is of; `status` is that of all.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_part: bool,
    pub(crate) gate: Named,
    pub(crate) new_code: NewCode,
    pub(crate) conditions: Vec<Judged>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) baseline: Option<Compared>,
    pub(crate) suppressed: Suppressed,
    /// As many as are shown, and how many there are.
    pub(crate) provenance: Vec<Source>,
    pub(crate) provenance_total: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
}

/// Which gate.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
    /// `built-in`, or the file.
    pub(crate) source: String,
    pub(crate) require_data: bool,
}

/// What is new; `null`, with the reason, if that is not known.
#[derive(Debug, Serialize)]
pub(crate) struct NewCode {
    pub(crate) base: Option<String>,
    pub(crate) commit: Option<String>,
    pub(crate) files: Option<u64>,
    pub(crate) lines: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// One condition and how it went.
#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    pub(crate) metric: Metric,
    pub(crate) op: Op,
    pub(crate) threshold: f64,
    pub(crate) level: Level,
    /// Whether it is the baseline that asks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) of_baseline: bool,
    pub(crate) actual: Option<f64>,
    pub(crate) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// What it is more than in the baseline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delta: Option<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) evidence_total: u64,
    /// For more of it. Of a report at most the first 500 places are named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_cursor: Option<String>,
    pub(crate) provenance: Vec<String>,
}

/// Beside the baseline.
#[derive(Debug, Serialize)]
pub(crate) struct Compared {
    pub(crate) file: String,
    pub(crate) commit: Option<String>,
    /// Findings that are gone, and that are new; `null`: the baseline knows of none.
    pub(crate) fixed: Option<u64>,
    pub(crate) new: Option<u64>,
    /// Metrics that are worse.
    pub(crate) worse: Vec<Metric>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// Findings that do not count.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Suppressed {
    pub(crate) in_reports: u64,
    pub(crate) by_gate: u64,
    /// Suppressions of the gate that no longer hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) expired: Vec<String>,
}

/// Paths that each condition names, and sources and warnings that a verdict lists: Surefire writes a report for each class.
const PATHS: usize = 5;
pub(crate) const SOURCES: usize = 20;
pub(crate) const WARNINGS: usize = 20;

impl Judged {
    pub(crate) fn new(
        condition: &Condition,
        measured: Measured,
        rules: Rules,
        was: Option<f64>,
        page: impl FnOnce(Vec<Evidence>) -> (Vec<Evidence>, Option<String>),
    ) -> Self {
        let (status, reason) = condition.judge(&measured, rules);
        let actual = match measured.value {
            Value::Known(value) => Some(value),
            Value::Unknown(_) | Value::Nothing(_) => None,
        };
        let (evidence, next_cursor) = page(measured.evidence);
        let mut provenance = measured.sources;
        let more = provenance.len().saturating_sub(PATHS);
        provenance.truncate(PATHS);
        if more > 0 {
            provenance.push(format!("and {more} more"));
        }
        Self {
            metric: condition.metric,
            op: condition.op,
            threshold: condition.threshold,
            level: condition.level,
            of_baseline: false,
            actual,
            status,
            reason,
            // As many decimals as the figures have.
            delta: actual.zip(was).map(|(actual, was)| ((actual - was) * 100.0).round() / 100.0),
            evidence,
            evidence_total: measured.evidence_total,
            next_cursor,
            provenance,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        Verdict::of(self.status, self.level)
    }

    /// Whether it failed, and places that made it fail are not named.
    pub(crate) fn is_cut(&self) -> bool {
        self.status == Status::Failed && (self.evidence.len() as u64) < self.evidence_total
    }

    /// `new_coverage >= 80`
    pub(crate) fn asked(&self) -> String {
        format!("{} {} {}", self.metric, self.op, self.threshold)
    }

    /// What came of it, in words.
    pub(crate) fn said(&self) -> String {
        let unit = if self.metric.is_share() { " %" } else { "" };
        let actual = self.actual.map_or("not known".to_owned(), |actual| format!("{actual}{unit}"));
        match &self.reason {
            Some(reason) => format!("{actual} ({reason})"),
            None => actual,
        }
    }
}

/// One line for people.
pub(crate) fn summary(status: Verdict, conditions: &[Judged]) -> String {
    let count = |status: Status| conditions.iter().filter(|one| one.status == status).count();
    let word = match status {
        Verdict::Passed => "passed",
        Verdict::Warn => "passed with warnings",
        Verdict::NoData => "not known",
        Verdict::Failed => "failed",
    };
    let mut parts = vec![format!("{} of {} conditions hold", count(Status::Passed), conditions.len())];
    for (status, word) in
        [(Status::Failed, "do not"), (Status::NoData, "have no data"), (Status::Ignored, "are ignored")]
    {
        let number = count(status);
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    format!("Quality gate {word}: {}.", parts.join(", "))
}

//! A condition, and whether it holds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::inputs::sarif::Severity;
use super::measured::{Measured, Value};
use super::metric::Metric;

/// What must hold.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    pub(crate) metric: Metric,
    pub(crate) op: Op,
    #[serde(rename = "value")]
    pub(crate) threshold: f64,
    #[serde(default)]
    pub(crate) level: Level,
    /// Which findings count, of metrics of findings; all but those of level `none` if nothing is said.
    pub(crate) severity: Option<SeverityFilter>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Op {
    #[serde(rename = ">=")]
    AtLeast,
    #[serde(rename = "<=")]
    AtMost,
    #[serde(rename = ">")]
    More,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "==")]
    Equal,
}

/// What a condition that does not hold makes of the verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    #[default]
    Error,
    Warn,
}

/// `>=warning`: that and worse; `warning`: that alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SeverityFilter {
    level: Severity,
    and_worse: bool,
}

impl SeverityFilter {
    /// All that a reader should see.
    const DEFAULT: Self = Self { level: Severity::Note, and_worse: true };

    pub(crate) fn lets(self, severity: Severity) -> bool {
        severity == self.level || (self.and_worse && severity > self.level)
    }
}

impl TryFrom<String> for SeverityFilter {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (word, and_worse) = match text.strip_prefix(">=") {
            Some(word) => (word.trim(), true),
            None => (text.trim(), false),
        };
        let level = match word {
            "error" => Severity::Error,
            "warning" => Severity::Warning,
            "note" => Severity::Note,
            "none" => Severity::None,
            _ => {
                return Err(format!(
                    "`{text}` is no severity: `error`, `warning`, `note`, or `>=` before one of them"
                ));
            }
        };
        Ok(Self { level, and_worse })
    }
}

impl Op {
    fn holds(self, actual: f64, threshold: f64) -> bool {
        match self {
            Self::AtLeast => actual >= threshold,
            Self::AtMost => actual <= threshold,
            Self::More => actual > threshold,
            Self::Less => actual < threshold,
            // Whole numbers; and shares that were rounded alike.
            Self::Equal => (actual - threshold).abs() < 1e-9,
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AtLeast => ">=",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::Less => "<",
            Self::Equal => "==",
        })
    }
}

/// Whether a condition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Passed,
    Failed,
    NoData,
    /// It was not asked, and the reason is known for certain.
    Ignored,
}

/// How conditions are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// What is stale counts as missing.
    pub(crate) require_data: bool,
    /// Below so many, shares of new lines say nothing.
    pub(crate) min_new_lines: u64,
    /// `None` if they are not known.
    pub(crate) new_lines: Option<u64>,
}

impl Condition {
    /// # Errors
    /// If no figure could be asked this.
    pub(crate) fn check(&self) -> Result<(), String> {
        let metric = self.metric;
        let range = if metric.is_share() { 0.0..=100.0 } else { 0.0..=f64::MAX };
        if !range.contains(&self.threshold) {
            let most = if metric.is_share() { "100" } else { "any number" };
            return Err(format!("`value` of `{metric}` must be from 0 to {most}, not {}", self.threshold));
        }
        if self.severity.is_some() && !metric.is_of_issues() {
            return Err(format!("`{metric}` has no severity: only `new_issues` and `issues` have"));
        }
        Ok(())
    }

    /// Which findings count.
    pub(crate) fn filter(&self) -> SeverityFilter {
        self.severity.unwrap_or(SeverityFilter::DEFAULT)
    }

    /// Whether it holds, and why not if the figure alone does not say.
    pub(crate) fn judge(&self, measured: &Measured, rules: Rules) -> (Status, Option<String>) {
        let least = rules.min_new_lines;
        if self.metric.is_share()
            && self.metric.is_of_change()
            && let Some(lines) = rules.new_lines.filter(|lines| *lines < least)
        {
            return (
                Status::Ignored,
                Some(format!("new_lines {lines} < {least}: a share of so few says nothing")),
            );
        }
        match &measured.value {
            Value::Nothing(reason) => (Status::Ignored, Some(reason.clone())),
            Value::Unknown(reason) => (Status::NoData, Some(reason.clone())),
            Value::Known(_) if rules.require_data && measured.stale.is_some() => {
                (Status::NoData, measured.stale.as_ref().map(|why| format!("stale: {why}")))
            }
            Value::Known(value) => {
                let stale = measured.stale.as_ref().map(|why| format!("stale, used all the same: {why}"));
                match (self.op.holds(*value, self.threshold), &measured.incomplete) {
                    // What is missing could only make it worse.
                    (false, _) => (Status::Failed, stale),
                    (true, Some(why)) if rules.require_data => {
                        (Status::NoData, Some(format!("incomplete: {why}")))
                    }
                    (true, Some(why)) => {
                        (Status::Passed, Some(format!("incomplete, used all the same: {why}")))
                    }
                    (true, None) => (Status::Passed, stale),
                }
            }
        }
    }
}

/// Whether the whole gate holds. The later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Passed,
    Warn,
    NoData,
    Failed,
}

impl Verdict {
    /// What one condition makes of it.
    pub(crate) fn of(status: Status, level: Level) -> Self {
        match (status, level) {
            (Status::Passed | Status::Ignored, _) => Self::Passed,
            (Status::Failed | Status::NoData, Level::Warn) => Self::Warn,
            (Status::NoData, Level::Error) => Self::NoData,
            (Status::Failed, Level::Error) => Self::Failed,
        }
    }

    /// What a program that asks for it ends with: 0 to go on, 2 failed, 3 not known. (1: the tool itself failed.)
    pub(crate) fn exit_code(self, require_data: bool) -> u8 {
        match self {
            Self::Failed => 2,
            Self::NoData if require_data => 3,
            Self::Passed | Self::Warn | Self::NoData => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condition(metric: Metric, op: Op, threshold: f64, level: Level) -> Condition {
        Condition { metric, op, threshold, level, severity: None }
    }

    const RULES: Rules = Rules { require_data: true, min_new_lines: 20, new_lines: Some(100) };

    #[test]
    fn each_operator_says_what_it_is_read_as() {
        for (op, below, same, above) in [
            (Op::AtLeast, false, true, true),
            (Op::AtMost, true, true, false),
            (Op::More, false, false, true),
            (Op::Less, true, false, false),
            (Op::Equal, false, true, false),
        ] {
            let holds = [79.99, 80.0, 80.01].map(|actual| op.holds(actual, 80.0));
            assert_eq!(holds, [below, same, above], "{op}");
            assert_eq!(serde_json::to_value(op).unwrap(), op.to_string());
        }
    }

    #[test]
    fn severities_are_filtered() {
        let lets = |text: &str| {
            let filter = SeverityFilter::try_from(text.to_owned()).unwrap();
            [Severity::None, Severity::Note, Severity::Warning, Severity::Error]
                .map(|level| filter.lets(level))
        };
        assert_eq!(lets(">=warning"), [false, false, true, true]);
        assert_eq!(lets("warning"), [false, false, true, false]);
        assert_eq!(lets(">= none"), [true; 4]);
        assert!(SeverityFilter::try_from("critical".to_owned()).unwrap_err().contains("critical"));
    }

    #[test]
    fn what_no_figure_can_be_asked_is_an_error() {
        let bad =
            |metric, threshold| condition(metric, Op::AtLeast, threshold, Level::Error).check().is_err();
        for threshold in [f64::NAN, f64::INFINITY, -1.0, 100.5] {
            assert!(bad(Metric::Coverage, threshold), "{threshold}");
        }
        assert!(!bad(Metric::Coverage, 100.0) && !bad(Metric::TestsTotal, 1e6));
        let severity = Some(SeverityFilter::DEFAULT);
        let of = |metric| Condition { severity, ..condition(metric, Op::AtMost, 0.0, Level::Error) };
        assert!(of(Metric::Issues).check().is_ok() && of(Metric::Coverage).check().is_err());
    }

    #[test]
    fn shares_of_a_small_change_are_not_asked_and_counts_are() {
        let small = Rules { new_lines: Some(19), ..RULES };
        let status = |metric, value: &Measured, rules| {
            condition(metric, Op::AtLeast, 80.0, Level::Error).judge(value, rules).0
        };
        let low = Measured::known(0.0);
        assert_eq!(status(Metric::NewCoverage, &low, small), Status::Ignored);
        assert_eq!(status(Metric::NewCoverage, &low, RULES), Status::Failed);
        assert_eq!(status(Metric::Coverage, &low, small), Status::Failed, "all code is never small");
        assert_eq!(status(Metric::NewIssues, &low, small), Status::Failed);
        let unknown = Rules { new_lines: None, ..RULES };
        assert_eq!(status(Metric::NewCoverage, &Measured::unknown("no git"), unknown), Status::NoData);
    }

    #[test]
    fn what_is_stale_is_missing_where_data_is_required() {
        let old = Measured { stale: Some("a.py is newer".into()), ..Measured::known(90.0) };
        let asked = condition(Metric::Coverage, Op::AtLeast, 80.0, Level::Error);
        let (status, reason) = asked.judge(&old, RULES);
        assert_eq!((status, reason.as_deref()), (Status::NoData, Some("stale: a.py is newer")));
        let (status, reason) = asked.judge(&old, Rules { require_data: false, ..RULES });
        assert!(status == Status::Passed && reason.unwrap().contains("a.py"));
    }

    #[test]
    fn a_part_that_nobody_measured_does_not_pass() {
        let asked = condition(Metric::NewCoverage, Op::AtLeast, 80.0, Level::Error);
        let part =
            |value| Measured { incomplete: Some("b.py is in no report".into()), ..Measured::known(value) };
        assert_eq!(asked.judge(&part(90.0), RULES).0, Status::NoData);
        assert_eq!(asked.judge(&part(70.0), RULES).0, Status::Failed);
        assert_eq!(asked.judge(&part(90.0), Rules { require_data: false, ..RULES }).0, Status::Passed);
    }

    #[test]
    fn exit_codes_are_what_scripts_expect() {
        let codes = |require| {
            [Verdict::Passed, Verdict::Warn, Verdict::NoData, Verdict::Failed]
                .map(|verdict| verdict.exit_code(require))
        };
        assert_eq!(codes(true), [0, 0, 3, 2]);
        assert_eq!(codes(false), [0, 0, 0, 2]);
    }

    fn judged(conditions: &[(Condition, Measured)], rules: Rules) -> Verdict {
        let each = conditions
            .iter()
            .map(|(condition, measured)| Verdict::of(condition.judge(measured, rules).0, condition.level));
        each.max().unwrap_or(Verdict::Passed)
    }

    fn any_condition() -> impl Strategy<Value = (Condition, Measured)> {
        let op =
            prop_oneof![Just(Op::AtLeast), Just(Op::AtMost), Just(Op::More), Just(Op::Less), Just(Op::Equal)];
        let level = prop_oneof![Just(Level::Error), Just(Level::Warn)];
        let value = prop_oneof![
            (0_u32..=100).prop_map(|value| Measured::known(value.into())),
            (0_u32..=100)
                .prop_map(|value| Measured { stale: Some("old".into()), ..Measured::known(value.into()) }),
            Just(Measured::unknown("absent")),
            Just(Measured::nothing("nothing new")),
        ];
        (proptest::sample::select(&Metric::ALL), op, 0_u32..=100, level, value).prop_map(
            |(metric, op, threshold, level, measured)| {
                (condition(metric, op, threshold.into(), level), measured)
            },
        )
    }

    proptest! {
        /// The whole truth table: metrics by operators by levels by what is known.
        #[test]
        fn losing_an_input_never_makes_a_verdict_better(
            before in proptest::collection::vec(any_condition(), 1..6),
            lost in 0_usize..6,
            loses_git: bool,
            require_data: bool,
            new_lines in proptest::option::of(0_u64..40),
        ) {
            let rules = Rules { require_data, min_new_lines: 20, new_lines };
            let was = judged(&before, rules);
            let mut after = before.clone();
            let mut then = rules;
            if loses_git {
                then.new_lines = None;
                for (condition, measured) in &mut after {
                    if condition.metric.is_of_change() {
                        *measured = Measured::unknown("no git");
                    }
                }
            } else {
                let kinds = before[lost % before.len()].0.metric.kinds();
                for (condition, measured) in &mut after {
                    if condition.metric.kinds().iter().any(|kind| kinds.contains(kind)) {
                        *measured = Measured::unknown("the report was deleted");
                    }
                }
            }
            let is = judged(&after, then);
            // `failed` may become `no_data`, and neither is good enough.
            prop_assert!(is >= was.min(Verdict::NoData), "{was:?} became {is:?}");
            if require_data {
                prop_assert!(was.exit_code(true) == 0 || is.exit_code(true) != 0);
            }
            prop_assert_eq!(is == Verdict::Passed && was != Verdict::Passed, false);
        }
    }
}

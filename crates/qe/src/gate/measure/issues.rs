//! Findings of all reports: which are of this project, which are new, which are suppressed by the gate.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::places::Places;
use crate::gate::baseline::Baseline;
use crate::gate::change::Change;
use crate::gate::condition::Condition;
use crate::gate::inputs::Loaded;
use crate::gate::inputs::sarif::{Findings, Issue};
use crate::gate::measured::{Evidence, Measured};
use crate::gate::metric::Metric;
use crate::gate::settings::Suppression;
use crate::project::Project;

/// The findings that count, the worst first.
#[derive(Debug, Default)]
pub(crate) struct Issues {
    placed: Vec<Placed>,
    /// How many the gate suppresses, and how many the reports.
    pub(crate) by_gate: u64,
    pub(crate) in_reports: u64,
    /// Those that the baseline knew and that are gone; `None` without such a baseline.
    pub(crate) fixed: Option<u64>,
    pub(crate) new: Option<u64>,
}

#[derive(Debug)]
struct Placed {
    issue: Issue,
    /// Relative to the project.
    file: Option<String>,
    is_new: Result<bool, String>,
}

/// What decides whether a finding is new.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Newness<'a> {
    /// The baseline, if there should be one; it decides if it knows of findings.
    pub(crate) baseline: Option<&'a Result<Baseline, String>>,
    pub(crate) change: &'a Result<Change, String>,
}

impl Issues {
    pub(crate) fn of(
        project: &Project,
        loaded: &Loaded<Findings>,
        newness: Newness<'_>,
        suppressions: &[Suppression],
        today: Date,
    ) -> Self {
        let mut issues = Self::default();
        let mut places = Places::of(project);
        for (_, findings) in &loaded.reports {
            issues.in_reports += findings.suppressed;
            for issue in &findings.issues {
                let file = issue.file.as_deref().and_then(|file| places.find(file));
                let is_hidden = |one: &Suppression| one.holds(today) && one.covers(issue, file.as_deref());
                if suppressions.iter().any(is_hidden) {
                    issues.by_gate += 1;
                    continue;
                }
                let is_new = newness.of(issue, file.as_deref());
                issues.placed.push(Placed { issue: issue.clone(), file, is_new });
            }
        }
        issues.placed.sort_by(|one, other| {
            let key = |placed: &Placed| {
                (std::cmp::Reverse(placed.issue.severity), placed.file.clone(), placed.issue.lines)
            };
            key(one).cmp(&key(other))
        });
        if let Some(Ok(baseline)) = newness.baseline
            && let Some(known) = &baseline.issues
        {
            let now = issues.fingerprints();
            issues.fixed = Some(known.difference(&now).count() as u64);
            issues.new = Some(now.difference(known).count() as u64);
        }
        issues
    }

    pub(crate) fn fingerprints(&self) -> BTreeSet<String> {
        self.placed.iter().map(|placed| placed.issue.fingerprint.clone()).collect()
    }

    /// The count that a condition asks for.
    pub(crate) fn measure(&self, condition: &Condition, loaded: &Loaded<Findings>) -> Measured {
        let advice = "have the linters write one (ruff --output-format sarif, eslint -f @microsoft/eslint-formatter-sarif, clippy-sarif), or name it in `inputs.sarif`, or take the condition out";
        if let Some(reason) = loaded.gap("report of findings in SARIF", advice) {
            return Measured::unknown(reason);
        }
        let filter = condition.filter();
        let is_new_asked = condition.metric == Metric::NewIssues;
        let mut evidence = Vec::new();
        for placed in self.placed.iter().filter(|placed| filter.lets(placed.issue.severity)) {
            match &placed.is_new {
                Err(reason) if is_new_asked => {
                    return Measured {
                        sources: loaded.paths(),
                        ..Measured::unknown(format!("which findings are new is not known: {reason}"))
                    };
                }
                Ok(false) if is_new_asked => {}
                _ => evidence.push(placed.evidence()),
            }
        }
        Measured { sources: loaded.paths(), ..Measured::known(evidence.len() as f64) }.with(evidence)
    }
}

impl Newness<'_> {
    fn of(self, issue: &Issue, file: Option<&str>) -> Result<bool, String> {
        match self.baseline {
            Some(Err(reason)) => return Err(reason.clone()),
            Some(Ok(Baseline { issues: Some(known), .. })) => return Ok(!known.contains(&issue.fingerprint)),
            Some(Ok(Baseline { issues: None, .. })) | None => {}
        }
        match (issue.is_new, self.change) {
            (Some(is_new), _) => Ok(is_new),
            (None, Err(reason)) => Err(reason.clone()),
            // What cannot be placed may well be new.
            (None, Ok(change)) => Ok(file.is_none_or(|file| change.touches(file, issue.lines))),
        }
    }
}

impl Placed {
    fn evidence(&self) -> Evidence {
        let issue = &self.issue;
        let detail = format!("{}: {}", format!("{:?}", issue.severity).to_lowercase(), issue.message);
        Evidence {
            file: self.file.clone(),
            range: issue.lines,
            id: format!("{} {}", issue.rule, issue.fingerprint),
            detail: Some(detail),
        }
    }
}

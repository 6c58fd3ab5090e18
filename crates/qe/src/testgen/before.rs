//! What the project's own tests reach, as far as a coverage report of the project says.

use std::collections::BTreeSet;

use serde::Serialize;

use super::candidates::{Branch, Found};
use super::figures::Coverage;
use super::target::Target;
use crate::builtin::{Context, Request};
use crate::coverage::collect::{Asked, collect};
use crate::coverage::model::{FileCoverage, Outcome};
use crate::project::Project;
use crate::reply::Refusal;

/// What is reached without the new tests.
#[derive(Debug, Default)]
pub(super) struct Before {
    /// `None`: not known.
    pub(super) lines: Option<BTreeSet<u32>>,
    pub(super) branches: Option<Vec<(u32, Way)>>,
    pub(super) told: Told,
}

/// Where an outcome leads, as far as a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    To(u32),
    Out,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Told {
    /// The report it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<String>,
    /// Why something of it is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Before {
    fn unknown(reason: impl Into<String>) -> Self {
        Self { told: Told { report: None, reason: Some(reason.into()) }, ..Self::default() }
    }

    /// Looks for reports where runners put them.
    ///
    /// # Errors
    /// If the call is over.
    pub(super) fn of(
        context: &Context,
        project: &Project,
        target: &Target,
        request: &Request,
    ) -> Result<Self, Refusal> {
        let found = collect(&context.coverage, project, &Asked::default(), request.now, &request.stop);
        request.stop.check()?;
        let coverage = match found {
            Ok(Some(coverage)) => coverage,
            Ok(None) => {
                return Ok(Self::unknown(
                    "no coverage report is there, and the project's own tests were not run",
                ));
            }
            Err(refusal) => return Ok(Self::unknown(refusal.0)),
        };
        let Some(file) = coverage.report.file(&target.file) else {
            return Ok(Self::unknown("the file is in none of the coverage reports"));
        };
        if coverage.is_stale(&target.file) {
            return Ok(Self::unknown("the file is newer than its coverage report"));
        }
        let report = coverage.provenance.first().map(|source| source.path.clone());
        let lines = file
            .lines
            .as_ref()
            .map(|lines| lines.iter().filter(|line| line.hits > 0).map(|line| line.number).collect());
        let branches = branches(file);
        let reason = (lines.is_none() || branches.is_none())
            .then(|| "the report does not say which lines, or where branches lead".to_owned());
        Ok(Self { lines, branches, told: Told { report, reason } })
    }

    /// As figures of the lines and branches that there are.
    pub(super) fn coverage(&self, found: &Found, target: &Target) -> Option<Coverage> {
        let lines = self.lines.as_ref()?;
        let branches = self.branches.as_ref().map(|_| self.reached(&found.universe.branches));
        let mut coverage =
            Coverage::of(&found.universe, lines, &branches.clone().unwrap_or_default(), target.language);
        if branches.is_none() {
            coverage.without_branches();
        }
        Some(coverage)
    }

    /// Which of these branches are taken.
    pub(super) fn reached(&self, all: &[Branch]) -> BTreeSet<Branch> {
        let taken = self.branches.as_deref().unwrap_or_default();
        let is_taken = |(from, to): &Branch| {
            taken.iter().any(|(line, way)| {
                i64::from(*line) == *from
                    && match way {
                        Way::To(line) => i64::from(*line) == *to,
                        Way::Out => *to < 0,
                    }
            })
        };
        all.iter().copied().filter(is_taken).collect()
    }
}

/// The outcomes that were taken; `None` if the report only counts them.
fn branches(file: &FileCoverage) -> Option<Vec<(u32, Way)>> {
    let mut taken = Vec::new();
    for branch in file.branches.as_ref()? {
        let Outcome::Text(_) = branch.outcome else { return None };
        let words = branch.outcome.to_string();
        let way = match words.strip_prefix("jump to line ").map(str::parse) {
            Some(Ok(line)) => Way::To(line),
            Some(Err(_)) => return None,
            // To the end of the function, the module or the comprehension.
            None => Way::Out,
        };
        if branch.is_taken() {
            taken.push((branch.line, way));
        }
    }
    Some(taken)
}

//! Coverage, of all code and of new code.

use std::collections::BTreeSet;

use crate::coverage::collect::{Asked, Coverage, collect};
use crate::coverage::load;
use crate::coverage::model::Counts;
use crate::coverage::patch::Patch;
use crate::gate::Judge;
use crate::gate::change::{Change, is_source};
use crate::gate::measured::{Evidence, Measured};
use crate::metrics::is_test;
use crate::project::Project;
use crate::reply::Refusal;

/// What reports say of the lines, or why they say nothing.
#[derive(Debug)]
pub(super) struct Covered {
    coverage: Result<Coverage, String>,
    /// A source of the change that was written after a report.
    newer: Option<String>,
}

/// Files that are named as evidence.
const NAMED_MAX: usize = 2_000;

impl Covered {
    pub(super) fn read(judge: &Judge<'_>) -> Result<Self, Refusal> {
        let named = judge.gate.inputs.coverage.clone();
        let (request, context) = (judge.request, judge.context);
        let coverage = match named {
            Some(named) if named.is_empty() => Err("`inputs.coverage` names no report".into()),
            named => {
                let named = named.unwrap_or_default();
                let asked = Asked { reports: &named, ..Asked::default() };
                let read = collect(&context.coverage, judge.project, &asked, request.now, &request.stop);
                request.stop.check()?;
                let advice = "have the tests write one (pytest --cov --cov-report=lcov, cargo llvm-cov --lcov, jest --coverage), or name it in `inputs.coverage`";
                match read {
                    Ok(Some(coverage)) => coverage.if_whole(),
                    Ok(None) => Err(format!("there is no coverage report: {advice}")),
                    Err(refusal) => Err(refusal.0),
                }
            }
        };
        Ok(Self { coverage, newer: None })
    }

    /// Notes whether a report is older than the change.
    pub(super) fn compare(&mut self, project: &Project, change: &Change) {
        let Ok(coverage) = &self.coverage else { return };
        self.newer = coverage.provenance.iter().find_map(|from| {
            let written = project.find(&from.path).ok()?.metadata().ok()?.modified().ok()?;
            let newer = change.newer_than(written)?;
            Some(format!("{newer} was written after {}; run it again", from.path))
        });
    }

    pub(super) fn known(&self) -> Result<&Coverage, String> {
        self.coverage.as_ref().map_err(Clone::clone)
    }

    pub(super) fn provenance(&self) -> impl Iterator<Item = &load::Provenance> {
        self.coverage.iter().flat_map(|coverage| &coverage.provenance)
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = String> {
        self.provenance().map(|from| from.path.clone())
    }

    pub(super) fn warnings(&self) -> impl Iterator<Item = &String> {
        self.coverage.iter().flat_map(|coverage| &coverage.warnings)
    }

    /// Why the reports may no longer be true, of a change or of all files.
    pub(super) fn stale(&self, change: Option<&Change>) -> Option<String> {
        let coverage = self.coverage.as_ref().ok()?;
        let is_meant = |file: &str| change.is_none_or(|change| change.patch.added.contains_key(file));
        let stale = coverage.stale.iter().find(|stale| is_meant(&stale.file));
        stale
            .map(|stale| format!("{} is {}; run it again", stale.file, stale.reason))
            .or_else(|| self.newer.clone())
    }

    /// Why a report was not read as a whole.
    fn partly(&self) -> Option<String> {
        let is_of_report = |warning: &&String| {
            let mut of = self.provenance().map(|from| &from.path);
            of.any(|path| warning.strip_prefix(path.as_str()).is_some_and(|rest| rest.starts_with(": ")))
        };
        self.warnings().find(is_of_report).cloned()
    }

    /// Coverage of all files that are in a report.
    pub(super) fn of_all(&self, of_branches: bool) -> Measured {
        let coverage = match self.known() {
            Ok(coverage) => coverage,
            Err(reason) => return Measured::unknown(reason),
        };
        let totals = coverage.report.totals();
        let counts = if of_branches { totals.branch } else { totals.line };
        let mut measured = percent(counts, "no report has any of that");
        let mut files: Vec<(u64, &str)> = coverage
            .report
            .files()
            .iter()
            .filter_map(|file| {
                let totals = file.totals();
                let counts = if of_branches { totals.branch } else { totals.line }?;
                Some((counts.total - counts.covered, file.path.as_str())).filter(|(missed, _)| *missed > 0)
            })
            .collect();
        files.sort_unstable_by(|one, other| other.0.cmp(&one.0).then(one.1.cmp(other.1)));
        let what = if of_branches { "outcomes never taken" } else { "lines never run" };
        let named = files.iter().take(NAMED_MAX).map(|(missed, path)| Evidence {
            file: Some((*path).to_owned()),
            range: None,
            id: format!("{missed} {what}"),
            detail: None,
        });
        measured.evidence = named.collect();
        measured.evidence_total = files.len() as u64;
        Measured {
            sources: self.paths().collect(),
            stale: self.stale(None),
            incomplete: self.partly(),
            ..measured
        }
    }

    /// Coverage of the change.
    pub(super) fn of_change(&self, change: &Change, of_branches: bool) -> Measured {
        let coverage = match self.known() {
            Ok(coverage) => coverage,
            Err(reason) => return Measured::unknown(reason),
        };
        let patch = Patch::of(coverage, &change.patch);
        let unmeasured = unmeasured(coverage, &patch);
        let counts = if of_branches { patch.branch } else { Some(patch.line) };
        let sources = self.paths().collect();
        let stale = self.stale(Some(change));
        let is_nothing = counts.is_none_or(|counts| counts.total == 0);
        match unmeasured.first() {
            Some(first) if is_nothing => {
                return Measured {
                    sources,
                    ..Measured::unknown(format!("{first} is new code, and in no report"))
                };
            }
            None if is_nothing => {
                let what = if of_branches { "decision that was measured" } else { "line with code" };
                return Measured { sources, stale, ..Measured::nothing(format!("no new {what}")) };
            }
            _ => {}
        }
        let incomplete = unmeasured.first().map(|first| {
            let more = if unmeasured.len() > 1 {
                format!(" and {} more", unmeasured.len() - 1)
            } else {
                String::new()
            };
            format!(
                "{first}{more}: new code in no report (name it in the gate's `exclude` if it need not be)"
            )
        });
        let incomplete = self.partly().or(incomplete);
        let evidence: Vec<_> = patch
            .uncovered
            .iter()
            .flat_map(|of| of.ranges.iter().map(move |range| (of, *range)))
            .map(|(of, range)| Evidence {
                file: Some(of.file.clone()),
                range: Some(range),
                id: "never run".into(),
                detail: None,
            })
            .collect();
        Measured { sources, stale, incomplete, ..percent(counts, "nothing was measured") }.with(evidence)
    }
}

/// Changed sources of a language that is measured, which are in no report. Tests need no tests.
fn unmeasured<'a>(coverage: &Coverage, patch: &'a Patch) -> Vec<&'a String> {
    let ending = |path: &str| path.rsplit_once('.').map(|(_, ending)| ending.to_owned());
    let known: BTreeSet<_> = coverage.report.files().iter().filter_map(|file| ending(&file.path)).collect();
    let is_missing = |path: &&String| {
        is_source(path) && !is_test(path) && ending(path).is_some_and(|ending| known.contains(&ending))
    };
    patch.unmeasured.iter().filter(is_missing).collect()
}

fn percent(counts: Option<Counts>, otherwise: &str) -> Measured {
    counts.and_then(Counts::percent).map_or_else(|| Measured::unknown(otherwise), Measured::known)
}

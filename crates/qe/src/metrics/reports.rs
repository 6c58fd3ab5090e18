//! What the project's reports say of its tests: coverage, outcomes, mutants. Read as the quality gate reads them.

use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde_json::{Map, Value};

use super::cache::Snapshot;
use crate::builtin::{Context, Request};
use crate::coverage::collect::Coverage;
use crate::coverage::model::Counts;
use crate::gate::{self, Facts, Runs};
use crate::project::Project;
use crate::reply::Refusal;

/// Reports that are listed.
const LISTED: usize = 20;

/// What was read, or why it is not known.
#[derive(Debug)]
pub(super) struct Reports(Result<Facts, String>);

/// How much of the code the tests run: of all files of the reports, or of those below the paths that were asked for.
#[derive(Debug, Serialize)]
pub(super) struct Covered {
    line: Option<Counts>,
    branch: Option<Counts>,
    function: Option<Counts>,
    files: usize,
    /// Sources that are measured here and are in no report: nothing is known of them, and they are in none of the counts.
    unmeasured_files: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Tests {
    total: u64,
    failed: u64,
    skipped: u64,
    flaky: u64,
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Mutation {
    /// Percent of the mutants that a test noticed.
    score: f64,
    killed: u64,
    timeout: u64,
    survived: u64,
    no_coverage: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale: Option<String>,
}

impl Reports {
    pub(super) fn read(context: &Context, project: &Project, request: &Request) -> Result<Self, Refusal> {
        let read = gate::reports(context, project, request);
        request.stop.check()?;
        Ok(Self(read.map_err(|refusal| refusal.0)))
    }

    fn facts(&self) -> Result<&Facts, String> {
        self.0.as_ref().map_err(Clone::clone)
    }

    /// The lines that ran.
    pub(super) fn coverage(&self) -> Result<&Coverage, String> {
        self.facts()?.covered()
    }

    /// Their sums over the files that are wanted.
    pub(super) fn covered(
        &self,
        snapshot: &Snapshot,
        places: &[usize],
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Covered, String> {
        let coverage = self.coverage()?;
        let mut totals = crate::coverage::model::Totals::default();
        let mut files = 0;
        for file in coverage.report.files().iter().filter(|file| is_wanted(&file.path)) {
            totals.add(file.totals());
            files += 1;
        }
        if files == 0 {
            return Err("none of these files is in a coverage report".into());
        }
        let is_absent = |at: &&usize| {
            let source = &snapshot.files[**at];
            !source.measured.functions.is_empty() && coverage.report.file(&source.file.path).is_none()
        };
        let stale = coverage.stale.iter().find(|stale| is_wanted(&stale.file));
        Ok(Covered {
            line: totals.line,
            branch: totals.branch,
            function: totals.function,
            files,
            unmeasured_files: places.iter().filter(is_absent).count(),
            stale: stale.map(|stale| format!("{} is {}; run the tests again", stale.file, stale.reason)),
        })
    }

    pub(super) fn tests(&self, snapshot: &Snapshot) -> Result<Tests, String> {
        let facts = self.facts()?;
        let loaded = facts.tests()?;
        let runs = Runs::of(loaded);
        Ok(Tests {
            total: runs.total,
            failed: runs.failed,
            skipped: runs.skipped,
            flaky: runs.flaky,
            seconds: runs.seconds.map(|seconds| (seconds * 1_000.0).round() / 1_000.0),
            stale: stale(facts, &loaded.paths(), snapshot),
        })
    }

    pub(super) fn mutation(&self, snapshot: &Snapshot) -> Result<Mutation, String> {
        let facts = self.facts()?;
        let (mutants, paths) = facts.mutants()?;
        Ok(Mutation {
            score: mutants.score()?,
            killed: mutants.killed,
            timeout: mutants.timeout,
            survived: mutants.survived,
            no_coverage: mutants.no_coverage,
            stale: stale(facts, &paths, snapshot),
        })
    }

    /// What was read, as in a verdict of the gate; and all of it in a few bytes.
    pub(super) fn provenance(&self) -> Vec<Value> {
        let all = self.0.iter().flat_map(Facts::provenance).take(LISTED);
        all.filter_map(|source| serde_json::to_value(source).ok()).collect()
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        self.0.iter().flat_map(Facts::warnings).collect()
    }
}

/// Why a report may no longer be true: a source was written after it.
fn stale(facts: &Facts, paths: &[String], snapshot: &Snapshot) -> Option<String> {
    let (path, written) = facts.oldest(paths)?;
    let (newest, source) = snapshot.newest.as_ref()?;
    let written = i128::try_from(written.duration_since(UNIX_EPOCH).ok()?.as_nanos()).ok()?;
    (*newest > written).then(|| format!("{source} was written after {path}; run it again"))
}

/// The value, or its reason among the others.
pub(super) fn known<T>(what: &str, result: Result<T, String>, unknown: &mut Map<String, Value>) -> Option<T> {
    result.map_err(|why| unknown.insert(what.to_owned(), why.into())).ok()
}

impl Covered {
    /// Percent of the lines, unless they are not known any more.
    pub(super) fn fresh(&self) -> [(&'static str, Option<f64>); 2] {
        let of = |counts: Option<Counts>| counts.and_then(Counts::percent).filter(|_| self.stale.is_none());
        [("coverage", of(self.line)), ("branch_coverage", of(self.branch))]
    }
}

impl Tests {
    pub(super) fn fresh(&self) -> [(&'static str, Option<f64>); 2] {
        let of = |count: u64| Some(count as f64).filter(|_| self.stale.is_none());
        [("tests", of(self.total)), ("tests_failed", of(self.failed))]
    }
}

impl Mutation {
    pub(super) fn fresh(&self) -> [(&'static str, Option<f64>); 1] {
        [("mutation_score", Some(self.score).filter(|_| self.stale.is_none()))]
    }
}

//! From reports and sources to the figures that conditions are about.

mod coverage;
mod issues;
mod places;
mod runs;
mod sources;

use std::collections::BTreeSet;
use std::thread;
use std::time::SystemTime;

use serde::Serialize;

use self::coverage::Covered;
pub(crate) use self::issues::{Issues, Newness};
use self::places::Places;
pub(crate) use self::runs::Runs;
use super::Judge;
use super::change::Change;
use super::condition::Condition;
use super::inputs::junit::{Outcome, Tests};
use super::inputs::mutation::Mutants;
use super::inputs::sarif::Findings;
use super::inputs::{Loaded, Provenance, hex, junit, load, mutation, sarif};
use super::measured::{Evidence, Measured};
use super::metric::{Kind, Metric};
use crate::coverage::collect::Coverage;
use crate::each::joined;
use crate::metrics::Snapshot;
use crate::reply::Refusal;

/// All that was read for a gate: only what its conditions ask for.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) change: Result<Change, String>,
    tests: Option<Loaded<Tests>>,
    findings: Option<Loaded<Findings>>,
    mutants: Option<Loaded<Mutants>>,
    coverage: Option<Covered>,
    sources: Option<Result<Snapshot, String>>,
}

/// What was read.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Source {
    Report(Provenance),
    Coverage(crate::coverage::load::Provenance),
    Sources { kind: Kind, files: usize, sha256_128: String, commit: Option<String> },
}

impl Facts {
    /// Reads what is needed, Git's answers, sources and reports beside each other.
    pub(crate) fn read(
        judge: &Judge<'_>,
        change: impl FnOnce() -> Result<Result<Change, String>, Refusal> + Send,
        needed: &BTreeSet<Kind>,
    ) -> Result<Self, Refusal> {
        let (project, request) = (judge.project, judge.request);
        let (change, sources, reports) = thread::scope(|scope| {
            let change = scope.spawn(change);
            let sources = needed.contains(&Kind::Source).then(|| {
                // What makes a test is not what makes a product.
                scope.spawn(|| judge.context.measurements.snapshot(project, |file| !file.is_test, request))
            });
            let reports = Self::reports_of(judge, needed);
            (joined(change), sources.map(joined), reports)
        });
        request.stop.check()?;
        let mut facts = Self {
            change: change?,
            sources: sources.map(|snapshot| snapshot.map_err(|refusal| refusal.0)),
            ..reports?
        };
        if let (Some(covered), Ok(change)) = (&mut facts.coverage, &facts.change) {
            covered.compare(project, change);
        }
        facts.place(&mut Places::of(project));
        Ok(facts)
    }

    /// The reports that are needed.
    fn reports_of(judge: &Judge<'_>, needed: &BTreeSet<Kind>) -> Result<Self, Refusal> {
        let (project, paths, request) = (judge.project, &judge.gate.inputs, judge.request);
        let known = &judge.context.reports;
        let mut facts = Self {
            change: Err(String::new()),
            tests: None,
            findings: None,
            mutants: None,
            coverage: None,
            sources: None,
        };
        if needed.contains(&Kind::Junit) {
            facts.tests = Some(load(known, project, paths, Kind::Junit, request, |bytes| {
                junit::parse(&crate::xml::text(bytes)).map(|tests| (tests, "junit".to_owned(), Vec::new()))
            })?);
        }
        if needed.contains(&Kind::Sarif) {
            facts.findings = Some(load(known, project, paths, Kind::Sarif, request, |bytes| {
                sarif::parse(bytes).map(|findings| {
                    let tools = findings.tools.clone();
                    (findings, "sarif 2.1.0".to_owned(), tools)
                })
            })?);
        }
        if needed.contains(&Kind::Mutation) {
            facts.mutants = Some(load(known, project, paths, Kind::Mutation, request, |bytes| {
                mutation::parse(bytes).map(|mutants| {
                    let tool = mutants.tool.clone();
                    (mutants, "mutation report".to_owned(), vec![tool])
                })
            })?);
        }
        if needed.contains(&Kind::Coverage) {
            facts.coverage = Some(Covered::read(judge)?);
        }
        Ok(facts)
    }

    /// Names files as the project does; a file that is not the project's is named in words only.
    fn place(&mut self, places: &mut Places<'_>) {
        let tests = self.tests.iter_mut().flat_map(|loaded| &mut loaded.reports);
        for test in tests.flat_map(|(_, tests)| &mut tests.named) {
            test.file = test.file.take().and_then(|file| places.find(&file));
            if test.line.is_some() && test.file.is_some() {
                continue;
            }
            // The failure speaks of where it was, the test itself first in most runners.
            let mut of_failure = std::mem::take(&mut test.places).into_iter();
            let is_same =
                |known: &Option<String>, found: &String| known.as_ref().is_none_or(|known| known == found);
            let found = of_failure.find_map(|(path, line)| {
                let found = places.find(&path).filter(|found| is_same(&test.file, found))?;
                Some((found, line))
            });
            if let Some((file, line)) = found {
                (test.file, test.line) = (Some(file), Some(line));
            }
        }
        let mutants = self.mutants.iter_mut().flat_map(|loaded| &mut loaded.reports);
        for (_, mutants) in mutants {
            mutants.place(|file| places.find(file));
        }
    }

    /// The reports that were read.
    fn reports(&self) -> impl Iterator<Item = &Provenance> {
        let tests = self.tests.iter().flat_map(|loaded| loaded.reports.iter().map(|(from, _)| from));
        let findings = self.findings.iter().flat_map(|loaded| loaded.reports.iter().map(|(from, _)| from));
        let mutants = self.mutants.iter().flat_map(|loaded| loaded.reports.iter().map(|(from, _)| from));
        tests.chain(findings).chain(mutants)
    }

    /// All that was read.
    pub(crate) fn provenance(&self) -> Vec<Source> {
        let mut all: Vec<_> = self.reports().cloned().map(Source::Report).collect();
        let covered = self.coverage.iter().flat_map(Covered::provenance);
        all.extend(covered.cloned().map(Source::Coverage));
        if let Some(Ok(snapshot)) = &self.sources {
            all.push(Source::Sources {
                kind: Kind::Source,
                files: snapshot.files.len(),
                sha256_128: hex(&snapshot.fingerprint),
                commit: snapshot.head.clone(),
            });
        }
        all
    }

    /// What is odd about what was read.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let tests = self.tests.iter().flat_map(|loaded| &loaded.reports);
        let tests =
            tests.flat_map(|(from, tests)| tests.warnings.iter().map(|one| format!("{}: {one}", from.path)));
        let coverage = self.coverage.iter().flat_map(Covered::warnings).cloned();
        let sources = self.sources.iter().flatten().flat_map(|snapshot| &snapshot.warnings).cloned();
        tests.chain(coverage).chain(sources).collect()
    }

    pub(crate) fn findings(&self) -> Option<&Loaded<Findings>> {
        self.findings.as_ref()
    }

    /// The figure that a condition asks for.
    pub(crate) fn measure(&self, condition: &Condition, issues: Option<&Issues>) -> Measured {
        let metric = condition.metric;
        let mut measured = match metric {
            Metric::TestsFailed | Metric::TestsSkipped | Metric::TestsTotal | Metric::Flaky => {
                self.of_tests(metric)
            }
            Metric::MutationScore => self.of_mutants(),
            Metric::NewMutationScore => self.of_new_mutants(),
            Metric::NewIssues | Metric::Issues => match (&self.findings, issues) {
                (Some(loaded), Some(issues)) => issues.measure(condition, loaded),
                _ => Measured::unknown("no findings were read"),
            },
            Metric::Coverage | Metric::BranchCoverage | Metric::NewCoverage | Metric::NewBranchCoverage => {
                self.of_coverage(metric)
            }
            Metric::NewDuplicatedPct
            | Metric::DuplicatedPct
            | Metric::ComplexityMaxNew
            | Metric::CrapMaxNew => self.of_sources(metric),
            Metric::NewLines => match &self.change {
                Ok(change) => Measured::known(change.lines() as f64),
                Err(reason) => Measured::unknown(reason.clone()),
            },
        };
        if measured.stale.is_none() {
            measured.stale = self.stale(&measured.sources);
        }
        measured
    }

    /// The test reports, if there are some and all of them can be read.
    pub(crate) fn tests(&self) -> Result<&Loaded<Tests>, String> {
        let Some(loaded) = &self.tests else { return Err("no test report was read".into()) };
        let advice = "have the tests write one (pytest --junitxml=junit.xml, nextest's junit.path, jest-junit), or name it in `inputs.junit`";
        match loaded.gap("test report in JUnit's XML", advice) {
            Some(reason) => Err(reason),
            None if loaded.reports.iter().all(|(_, tests)| tests.total == 0) => {
                Err("the test reports hold no test".into())
            }
            None => Ok(loaded),
        }
    }

    fn of_tests(&self, metric: Metric) -> Measured {
        let loaded = match self.tests() {
            Ok(loaded) => loaded,
            Err(reason) => return Measured::unknown(reason),
        };
        let runs = Runs::of(loaded);
        let (count, named) = match metric {
            Metric::TestsFailed => (runs.failed, Some(Outcome::Failed)),
            Metric::Flaky => (runs.flaky, Some(Outcome::Flaky)),
            Metric::TestsSkipped => (runs.skipped, None),
            _ => (runs.total, None),
        };
        let evidence_total = if named.is_some() { count } else { 0 };
        let evidence = named.map(|outcome| runs.named(outcome)).unwrap_or_default();
        Measured { evidence, evidence_total, sources: loaded.paths(), ..Measured::known(count as f64) }
    }

    /// The mutants of all reports, and where they are from.
    pub(crate) fn mutants(&self) -> Result<(Mutants, Vec<String>), String> {
        let Some(loaded) = &self.mutants else { return Err("no mutation report was read".into()) };
        let advice = "run Stryker, cargo-mutants, mutmut (and its export-cicd-stats) or PIT, or name the report in `inputs.mutation`";
        if let Some(reason) = loaded.gap("mutation report", advice) {
            return Err(reason);
        }
        let mut all = Mutants::default();
        for (_, mutants) in &loaded.reports {
            all.merge(mutants.clone());
        }
        Ok((all, loaded.paths()))
    }

    fn of_mutants(&self) -> Measured {
        let (all, sources) = match self.mutants() {
            Ok(known) => known,
            Err(reason) => return Measured::unknown(reason),
        };
        let score = match all.score() {
            Ok(score) => score,
            Err(reason) => return Measured { sources, ..Measured::unknown(reason) },
        };
        let evidence = all.survivors.iter().map(|survivor| Evidence {
            file: survivor.file.clone(),
            range: survivor.lines,
            id: survivor.id.clone(),
            detail: None,
        });
        let evidence = evidence.collect();
        Measured { evidence, evidence_total: all.unnoticed(), sources, ..Measured::known(score) }
    }

    /// What reports say of the lines.
    pub(crate) fn covered(&self) -> Result<&Coverage, String> {
        self.coverage.as_ref().map_or_else(|| Err("no coverage report was read".into()), Covered::known)
    }

    /// The report of this path that was written first of those, with its time.
    pub(crate) fn oldest(&self, paths: &[String]) -> Option<(&str, SystemTime)> {
        let of = self.reports().filter(|from| paths.contains(&from.path));
        of.filter_map(|from| Some((from.path.as_str(), from.written?))).min_by_key(|(_, written)| *written)
    }

    /// Of the mutants with a new or changed line.
    fn of_new_mutants(&self) -> Measured {
        let (all, sources) = match self.mutants() {
            Ok(known) => known,
            Err(reason) => return Measured::unknown(reason),
        };
        let change = match &self.change {
            Ok(change) => change,
            Err(reason) => return Measured { sources, ..Measured::unknown(reason.clone()) },
        };
        let (mut noticed, mut unnoticed, mut undecided) = (0, 0, 0_u64);
        for (file, places) in &all.places {
            for place in places.iter().filter(|place| change.patch.has(file, place.lines)) {
                match place.is_noticed {
                    Some(true) => noticed += 1,
                    Some(false) => unnoticed += 1,
                    None => undecided += 1,
                }
            }
        }
        let evidence = all.survivors.iter().filter_map(|survivor| {
            let (file, lines) = (survivor.file.as_ref()?, survivor.lines?);
            let is_new = change.patch.has(file, lines);
            is_new.then(|| Evidence {
                file: Some(file.clone()),
                range: Some(lines),
                id: survivor.id.clone(),
                detail: None,
            })
        });
        let evidence = evidence.collect();
        let measured = match mutation::score(noticed, unnoticed) {
            _ if undecided > 0 => Measured::unknown(format!(
                "the run was not whole: {undecided} mutants of new lines are not decided"
            )),
            Some(score) => Measured::known(score),
            None if all.unplaced > 0 => {
                Measured::unknown(format!("where {} mutants are, the reports do not say", all.unplaced))
            }
            None => Measured::nothing("no mutant on a new line"),
        };
        let incomplete =
            (all.unplaced > 0).then(|| format!("where {} mutants are, the reports do not say", all.unplaced));
        Measured { evidence, evidence_total: unnoticed, sources, incomplete, ..measured }
    }

    fn of_coverage(&self, metric: Metric) -> Measured {
        let Some(covered) = &self.coverage else { return Measured::unknown("no coverage report was read") };
        match (metric, &self.change) {
            (Metric::Coverage, _) => covered.of_all(false),
            (Metric::BranchCoverage, _) => covered.of_all(true),
            (_, Err(reason)) => Measured::unknown(reason.clone()),
            (Metric::NewBranchCoverage, Ok(change)) => covered.of_change(change, true),
            (_, Ok(change)) => covered.of_change(change, false),
        }
    }

    fn of_sources(&self, metric: Metric) -> Measured {
        let snapshot = match &self.sources {
            Some(Ok(snapshot)) => snapshot,
            Some(Err(reason)) => return Measured::unknown(reason.clone()),
            None => return Measured::unknown("the sources were not read"),
        };
        match (metric, &self.change) {
            (Metric::DuplicatedPct, _) => sources::duplicated(snapshot),
            (_, Err(reason)) => Measured::unknown(reason.clone()),
            (Metric::NewDuplicatedPct, Ok(change)) => sources::new_duplicated(snapshot, change),
            (Metric::CrapMaxNew, Ok(change)) => match self.coverage.as_ref().map(Covered::known) {
                Some(Ok(coverage)) => {
                    let crap = sources::crap(snapshot, change, coverage);
                    let stale = self.coverage.as_ref().and_then(|covered| covered.stale(Some(change)));
                    let of = self.coverage.iter().flat_map(Covered::paths).collect();
                    Measured { sources: of, stale, ..crap }
                }
                Some(Err(reason)) => Measured::unknown(reason),
                None => Measured::unknown("no coverage report was read"),
            },
            (_, Ok(change)) => sources::complexity(snapshot, change),
        }
    }

    /// Why reports are older than what they are about.
    fn stale(&self, sources: &[String]) -> Option<String> {
        let change = self.change.as_ref().ok()?;
        let of = self.reports().filter(|from| sources.contains(&from.path));
        of.filter_map(|from| Some((from, from.written?))).find_map(|(from, written): (_, SystemTime)| {
            let newer = change.newer_than(written)?;
            Some(format!("{newer} was written after {}; run it again", from.path))
        })
    }
}

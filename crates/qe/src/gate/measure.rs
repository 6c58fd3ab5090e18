//! From reports and sources to the figures that conditions are about.

mod issues;

use std::collections::BTreeSet;
use std::time::SystemTime;

pub(crate) use issues::{Issues, Newness};

use super::change::Change;
use super::condition::Condition;
use super::inputs::junit::{Outcome, Test, Tests};
use super::inputs::mutation::Mutants;
use super::inputs::sarif::Findings;
use super::inputs::{Loaded, Paths, Provenance, junit, load, mutation, sarif, xml};
use super::measured::{Evidence, Measured};
use super::metric::{Kind, Metric};
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

/// All that was read for a gate: only what its conditions ask for.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) change: Result<Change, String>,
    tests: Option<Loaded<Tests>>,
    findings: Option<Loaded<Findings>>,
    mutants: Option<Loaded<Mutants>>,
}

impl Facts {
    /// Reads what is needed.
    pub(crate) fn read(
        project: &Project,
        paths: &Paths,
        change: Result<Change, String>,
        needed: &BTreeSet<Kind>,
        stop: &Stop,
    ) -> Result<Self, Refusal> {
        let mut facts = Self { change, tests: None, findings: None, mutants: None };
        if needed.contains(&Kind::Junit) {
            facts.tests = Some(load(project, paths, Kind::Junit, stop, |bytes| {
                junit::parse(&xml::text(bytes)).map(|tests| (tests, "junit".to_owned(), Vec::new()))
            })?);
        }
        if needed.contains(&Kind::Sarif) {
            facts.findings = Some(load(project, paths, Kind::Sarif, stop, |bytes| {
                sarif::parse(bytes).map(|findings| {
                    let tools = findings.tools.clone();
                    (findings, "sarif 2.1.0".to_owned(), tools)
                })
            })?);
        }
        if needed.contains(&Kind::Mutation) {
            facts.mutants = Some(load(project, paths, Kind::Mutation, stop, |bytes| {
                mutation::parse(bytes).map(|mutants| {
                    let tool = mutants.tool.clone();
                    (mutants, "mutation report".to_owned(), vec![tool])
                })
            })?);
        }
        Ok(facts)
    }

    /// The reports that were read.
    pub(crate) fn provenance(&self) -> impl Iterator<Item = &Provenance> {
        let tests = self.tests.iter().flat_map(|loaded| loaded.reports.iter().map(|(from, _)| from));
        let findings = self.findings.iter().flat_map(|loaded| loaded.reports.iter().map(|(from, _)| from));
        let mutants = self.mutants.iter().flat_map(|loaded| loaded.reports.iter().map(|(from, _)| from));
        tests.chain(findings).chain(mutants)
    }

    pub(crate) fn findings(&self) -> Option<&Loaded<Findings>> {
        self.findings.as_ref()
    }

    /// What is odd about what was read.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let tests = self.tests.iter().flat_map(|loaded| &loaded.reports);
        let tests =
            tests.flat_map(|(from, tests)| tests.warnings.iter().map(|one| format!("{}: {one}", from.path)));
        let all = self.findings.iter().flat_map(|loaded| &loaded.reports);
        let all =
            all.flat_map(|(from, found)| found.warnings.iter().map(|one| format!("{}: {one}", from.path)));
        tests.chain(all).collect()
    }

    /// The figure that a condition asks for.
    pub(crate) fn measure(&self, condition: &Condition, issues: Option<&Issues>) -> Measured {
        let metric = condition.metric;
        let mut measured = match metric.kind() {
            Kind::Junit => self.of_tests(metric),
            Kind::Mutation => self.of_mutants(),
            Kind::Sarif => match (&self.findings, issues) {
                (Some(loaded), Some(issues)) => issues.measure(condition, loaded),
                _ => Measured::unknown("no findings were read"),
            },
            Kind::Coverage => Measured::unknown("coverage is not joined"),
            Kind::Source => self.of_sources(metric),
        };
        if measured.stale.is_none() {
            measured.stale = self.stale(&measured.sources);
        }
        measured
    }

    fn of_tests(&self, metric: Metric) -> Measured {
        let Some(loaded) = &self.tests else { return Measured::unknown("no test report was read") };
        let advice = "have the tests write one (pytest --junitxml=junit.xml, nextest's junit.path, jest-junit), or name it in `inputs.junit`";
        if let Some(reason) = loaded.gap("test report in JUnit's XML", advice) {
            return Measured::unknown(reason);
        }
        let sum = |of: fn(&Tests) -> u64| {
            loaded.reports.iter().map(|(_, tests)| of(tests)).fold(0, u64::saturating_add)
        };
        if sum(|tests| tests.total) == 0 {
            return Measured::unknown("the test reports hold no test");
        }
        let (count, wanted) = match metric {
            Metric::TestsFailed => (sum(|tests| tests.failed), Some(Outcome::Failed)),
            Metric::Flaky => (sum(|tests| tests.flaky), Some(Outcome::Flaky)),
            Metric::TestsSkipped => (sum(|tests| tests.skipped), None),
            _ => (sum(|tests| tests.total), None),
        };
        let named = loaded.reports.iter().flat_map(|(_, tests)| &tests.named);
        let evidence: Vec<_> = named.filter(|test| Some(test.outcome) == wanted).map(test).collect();
        let total = if wanted.is_some() { count } else { 0 };
        Measured { evidence, evidence_total: total, sources: loaded.paths(), ..Measured::known(count as f64) }
    }

    fn of_mutants(&self) -> Measured {
        let Some(loaded) = &self.mutants else { return Measured::unknown("no mutation report was read") };
        let advice = "run Stryker, cargo-mutants, mutmut (and its export-cicd-stats) or PIT, or name the report in `inputs.mutation`";
        if let Some(reason) = loaded.gap("mutation report", advice) {
            return Measured::unknown(reason);
        }
        let mut all = Mutants::default();
        for (_, mutants) in &loaded.reports {
            all.merge(mutants.clone());
        }
        let score = match all.score() {
            Ok(score) => score,
            Err(reason) => return Measured { sources: loaded.paths(), ..Measured::unknown(reason) },
        };
        let evidence = all.survivors.iter().map(|survivor| Evidence {
            file: survivor.file.clone(),
            range: survivor.lines,
            id: survivor.id.clone(),
            detail: None,
        });
        let evidence = evidence.collect();
        Measured {
            evidence,
            evidence_total: all.unnoticed(),
            sources: loaded.paths(),
            ..Measured::known(score)
        }
    }

    fn of_sources(&self, metric: Metric) -> Measured {
        match (&self.change, metric) {
            (Err(reason), _) if metric.is_of_change() => Measured::unknown(reason.clone()),
            (Ok(change), Metric::NewLines) => Measured::known(change.lines() as f64),
            _ => Measured::unknown("duplication and complexity are not joined"),
        }
    }

    /// Why reports are older than what they are about.
    fn stale(&self, sources: &[String]) -> Option<String> {
        let change = self.change.as_ref().ok()?;
        let of = self.provenance().filter(|from| sources.contains(&from.path));
        of.filter_map(|from| Some((from, from.written?))).find_map(|(from, written): (_, SystemTime)| {
            let newer = change.newer_than(written)?;
            Some(format!("{newer} was written after {}; run it again", from.path))
        })
    }
}

fn test(test: &Test) -> Evidence {
    let range = test.line.map(|line| crate::project::git::Lines { start: line, end: line });
    Evidence { file: test.file.clone(), range, id: test.id.clone(), detail: test.message.clone() }
}

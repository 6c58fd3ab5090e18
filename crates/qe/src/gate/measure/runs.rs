//! Tests over all reports: shards, and runs of the same tests beside each other.

use std::collections::HashMap;

use crate::gate::inputs::Loaded;
use crate::gate::inputs::junit::{Ends, Outcome, Test, Tests};
use crate::gate::measured::Evidence;
use crate::project::git::Lines;

/// What became of the tests.
#[derive(Debug)]
pub(crate) struct Runs<'a> {
    loaded: &'a Loaded<Tests>,
    pub(crate) total: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
    /// Those that their tools call flaky, and those that failed in one run and passed in another. The latter count as
    /// failed too: nothing says which of the runs was the last.
    pub(crate) flaky: u64,
    /// `None` if no report says.
    pub(crate) seconds: Option<f64>,
    /// Of the tests that failed and passed.
    disagreeing: HashMap<u64, Ends>,
}

impl<'a> Runs<'a> {
    pub(crate) fn of(loaded: &'a Loaded<Tests>) -> Self {
        let mut ends: HashMap<u64, Ends> = HashMap::new();
        if let [(_, only)] = &loaded.reports[..] {
            ends.extend(only.ends.iter().filter(|(_, ends)| ends.disagree()));
        } else {
            for (key, of_report) in loaded.reports.iter().flat_map(|(_, tests)| &tests.ends) {
                ends.entry(*key).or_default().merge(*of_report);
            }
            ends.retain(|_, ends| ends.disagree());
        }
        let sum = |of: fn(&Tests) -> u64| {
            loaded.reports.iter().map(|(_, tests)| of(tests)).fold(0, u64::saturating_add)
        };
        let seconds: Vec<f64> = loaded.reports.iter().filter_map(|(_, tests)| tests.seconds).collect();
        Self {
            loaded,
            total: sum(|tests| tests.total),
            failed: sum(|tests| tests.failed),
            skipped: sum(|tests| tests.skipped),
            flaky: sum(|tests| tests.flaky).saturating_add(ends.len() as u64),
            seconds: (!seconds.is_empty()).then(|| seconds.iter().sum()),
            disagreeing: ends,
        }
    }

    /// Those of one outcome that are named.
    pub(crate) fn named(&self, outcome: Outcome) -> Vec<Evidence> {
        let all = self.loaded.reports.iter();
        let all = all.flat_map(|(from, tests)| tests.named.iter().map(move |test| (&from.path, test)));
        let mut told: Vec<u64> = Vec::new();
        let mut evidence = Vec::new();
        for (path, test) in all {
            if test.outcome == outcome {
                evidence.push(place(test));
            } else if outcome == Outcome::Flaky
                && self.disagreeing.contains_key(&test.key)
                && !told.contains(&test.key)
            {
                told.push(test.key);
                let detail = match self.passed_in(test.key) {
                    Some(other) if other != path => format!("failed in {path}, passed in {other}"),
                    _ => format!("failed and passed in {path}"),
                };
                evidence.push(Evidence { detail: Some(detail), ..place(test) });
            }
        }
        evidence
    }

    fn passed_in(&self, key: u64) -> Option<&String> {
        let has = |tests: &Tests| tests.ends.get(&key).is_some_and(|ends| ends.passed);
        self.loaded.reports.iter().find(|(_, tests)| has(tests)).map(|(from, _)| &from.path)
    }
}

fn place(test: &Test) -> Evidence {
    let range = test.line.map(|line| Lines { start: line, end: line });
    Evidence { file: test.file.clone(), range, id: test.id.clone(), detail: test.message.clone() }
}

//! A baseline: what was true once, so that it gets no worse. A ratchet: a new one is written from the better of the two.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::condition::{Condition, Level, Op};
use super::metric::{Better, Metric};
use crate::project::Project;

/// Where a project keeps it if its gate says nothing else.
pub(crate) const FILE: &str = ".qe/baseline.json";

const FILE_MAX_BYTES: u64 = 16 << 20;

/// The form of the file.
const VERSION: u32 = 1;

/// What was true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Baseline {
    version: u32,
    /// The commit that it was taken of.
    pub(crate) commit: Option<String>,
    pub(crate) metrics: BTreeMap<Metric, f64>,
    /// Fingerprints of the findings that were there; `None`: nobody looked.
    pub(crate) issues: Option<BTreeSet<String>>,
}

impl Baseline {
    pub(crate) fn new(commit: Option<String>) -> Self {
        Self { version: VERSION, commit, metrics: BTreeMap::new(), issues: None }
    }

    /// # Errors
    /// If it is not there or is none.
    pub(crate) fn read(project: &Project, path: &str) -> Result<Self, String> {
        let bytes = project.read(path, FILE_MAX_BYTES).map_err(|refusal| refusal.0)?;
        let baseline: Self = serde_json::from_slice(&bytes).map_err(|error| format!("{path}: {error}"))?;
        if baseline.version != VERSION {
            return Err(format!("{path}: version {} is not read, only {VERSION}", baseline.version));
        }
        Ok(baseline)
    }

    /// What must hold for nothing to have got worse. Figures of new code are of another change each time.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = Condition> + '_ {
        self.metrics.iter().filter(|(metric, _)| !metric.is_of_change()).map(|(metric, value)| Condition {
            metric: *metric,
            op: match metric.better() {
                Better::Higher => Op::AtLeast,
                Better::Lower => Op::AtMost,
            },
            threshold: *value,
            level: Level::Error,
            severity: None,
        })
    }

    /// Notes a figure, unless the one that is there is better.
    pub(crate) fn keep(&mut self, metric: Metric, value: f64) {
        let kept = self.metrics.entry(metric).or_insert(value);
        *kept = match metric.better() {
            Better::Higher => kept.max(value),
            Better::Lower => kept.min(value),
        };
    }

    /// Notes the findings of now. Those that are new stay out of it: a ratchet lets nothing in.
    pub(crate) fn keep_issues(&mut self, now: BTreeSet<String>) {
        self.issues = Some(match self.issues.take() {
            Some(before) => before.intersection(&now).cloned().collect(),
            None => now,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratchet_turns_one_way_only() {
        let mut baseline = Baseline::new(None);
        for (metric, value) in [(Metric::Coverage, 80.0), (Metric::Issues, 5.0), (Metric::NewCoverage, 10.0)]
        {
            baseline.keep(metric, value);
        }
        for (metric, worse) in [(Metric::Coverage, 70.0), (Metric::Issues, 9.0)] {
            let before = baseline.clone();
            baseline.keep(metric, worse);
            assert_eq!(baseline, before);
        }
        baseline.keep(Metric::Coverage, 81.0);
        baseline.keep(Metric::Issues, 4.0);
        let all: Vec<_> =
            baseline.conditions().map(|one| format!("{} {} {}", one.metric, one.op, one.threshold)).collect();
        assert_eq!(all, ["coverage >= 81", "issues <= 4"]);
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        baseline.keep_issues(set(&["a", "b"]));
        baseline.keep_issues(set(&["b", "c"]));
        assert_eq!(baseline.issues, Some(set(&["b"])));
    }

    #[test]
    fn a_baseline_comes_back_as_it_was_written() {
        let mut baseline = Baseline::new(Some("abc".into()));
        baseline.keep(Metric::MutationScore, 66.66);
        let text = serde_json::to_string(&baseline).unwrap();
        assert_eq!(text, r#"{"version":1,"commit":"abc","metrics":{"mutation_score":66.66},"issues":null}"#);
        assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), baseline);
        assert!(serde_json::from_str::<Baseline>(&text.replace("mutation_score", "mutants")).is_err());
    }
}

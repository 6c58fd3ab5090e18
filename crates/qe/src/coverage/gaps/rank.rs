//! Which gap comes first.

use serde::{Deserialize, Serialize};

use super::find::{Gap, Risk, Users, first_line, name};
use crate::coverage::patch::Change;
use crate::metrics::{Snapshot, is_test};

/// What gaps are ordered by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rank {
    /// What the lack of tests adds to the CRAP figure, times 0.5 to 1 by how often the file changes compared to others,
    /// times 3 for what the change touches, times 1 + log2(1 + sources that use the name). Tests come last.
    #[default]
    Risk,
    Crap,
    /// Lines that never ran.
    Size,
    /// Commits of the last 90 days.
    Churn,
}

/// How much a change counts.
const CHANGED: f64 = 3.0;

/// Weighs the gaps and puts them in order. Equal ones are in the order of their files and lines, so that the order is the
/// same each time.
pub(super) fn rank(gaps: &mut [Gap], snapshot: &Snapshot, users: &Users, change: Option<&Change>, by: Rank) {
    let commits = commits(snapshot);
    for gap in gaps.iter_mut() {
        gap.risk = risk(gap, snapshot, users, change, commits.as_deref());
    }
    let key = |gap: &Gap| match by {
        Rank::Risk => gap.risk.priority,
        Rank::Crap => gap.risk.crap.unwrap_or(0.0),
        Rank::Size => f64::from(gap.uncovered),
        Rank::Churn => f64::from(gap.risk.commits.unwrap_or(0)),
    };
    gaps.sort_by(|one, other| {
        key(other)
            .total_cmp(&key(one))
            .then_with(|| other.missing.len().cmp(&one.missing.len()))
            .then_with(|| one.file.path.cmp(&other.file.path))
            .then_with(|| first_line(one).cmp(&first_line(other)))
            .then_with(|| one.function.cmp(&other.function))
    });
}

/// The commits of all sources, in order; `None` if they are not known.
fn commits(snapshot: &Snapshot) -> Option<Vec<u32>> {
    let history = snapshot.history.as_ref().ok()?;
    let of = |path: &str| history.get(path).map_or(0, |churn| churn.commits);
    let mut all: Vec<u32> = snapshot.files.iter().map(|source| of(&source.file.path)).collect();
    all.sort_unstable();
    Some(all)
}

fn risk(
    gap: &Gap,
    snapshot: &Snapshot,
    users: &Users,
    change: Option<&Change>,
    commits: Option<&[u32]>,
) -> Risk {
    let source = gap.source.and_then(|at| snapshot.files.get(at));
    let path = &gap.file.path;
    let (cyclomatic, cognitive) = match (source, gap.function) {
        (None, _) => (None, None),
        (Some(source), Some(at)) => {
            let function = source.measured.functions.get(at);
            (function.map(|function| function.cyclomatic), function.map(|function| function.cognitive))
        }
        // What stands outside of functions is the rest of the file.
        (Some(source), None) => {
            let measured = &source.measured;
            let inside = measured.functions.iter().map(|function| function.cyclomatic).sum::<u32>();
            let cognitive = measured.functions.iter().map(|function| function.cognitive).sum::<u32>();
            (
                Some(1 + measured.cyclomatic.saturating_sub(inside)),
                Some(measured.cognitive.saturating_sub(cognitive)),
            )
        }
    };
    let total = gap.line.total.max(1) as f64;
    let uncovered = 1.0 - gap.line.covered as f64 / total;
    // What is not known counts as the simplest there is.
    let excess = f64::from(cyclomatic.unwrap_or(1)).powi(2) * uncovered.powi(3);
    let of_file = match &snapshot.history {
        Ok(history) => Some(history.get(path.as_str()).map_or(0, |churn| churn.commits)),
        Err(_) => None,
    };
    let percentile = match (of_file, commits) {
        (Some(of_file), Some(all)) if !all.is_empty() => {
            all.partition_point(|commits| *commits < of_file) as f64 / all.len() as f64
        }
        _ => 0.5,
    };
    let in_change = change.is_some_and(|change| {
        let missing = gap.missing.iter().map(|branch| (branch.line, branch.line));
        let lines = gap.ranges.iter().map(|range| (range.start, range.end)).chain(missing);
        lines.into_iter().any(|(start, end)| change.has(path, crate::project::git::Lines { start, end }))
    });
    let used_in = name(gap, snapshot).and_then(|name| users.get(&name)).map(|files| {
        let others = files.iter().filter(|at| Some(**at) != gap.source && !snapshot.files[**at].file.is_test);
        others.count() as u32
    });
    let is_test = source.map_or_else(|| is_test(path), |source| source.file.is_test);
    let priority = if is_test {
        0.0
    } else {
        let changed = if in_change { CHANGED } else { 1.0 };
        let reach = 1.0 + f64::from(1 + used_in.unwrap_or(0)).log2();
        excess * (0.5 + 0.5 * percentile) * changed * reach
    };
    Risk {
        cyclomatic,
        cognitive,
        crap: cyclomatic.map(|cyclomatic| excess + f64::from(cyclomatic)),
        commits: of_file,
        in_change,
        is_test,
        used_in,
        priority,
    }
}

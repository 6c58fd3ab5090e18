//! How much is reached, and what is not.

use std::collections::BTreeSet;

use serde::Serialize;

use super::LISTED_MAX;
use super::candidates::{Branch, Mutant, Reach};
use super::files::ranges;
use super::target::Language;

#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Ratio {
    covered: usize,
    total: usize,
    pct: Option<f64>,
}

/// Python: branches are arcs of the byte code. JavaScript: V8 counts blocks, and no branches.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Coverage {
    line: Ratio,
    branch: Option<Ratio>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<Ratio>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Mutation {
    killed: usize,
    total: usize,
    survivors: Vec<Mutant>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Uncovered {
    lines: Vec<[u32; 2]>,
    lines_total: usize,
    branches: Vec<Branch>,
    branches_total: usize,
}

impl Mutation {
    pub(super) fn of(mutants: Vec<Mutant>, killed: &BTreeSet<u32>) -> Self {
        let total = mutants.len();
        let survivors = mutants.into_iter().zip(0_u32..).filter(|(_, number)| !killed.contains(number));
        Self {
            killed: killed.len(),
            total,
            survivors: survivors.map(|(mutant, _)| mutant).take(20).collect(),
        }
    }
}

impl Coverage {
    /// Of what there is, what `lines` and `branches` are.
    pub(super) fn of(
        universe: &Reach,
        lines: &BTreeSet<u32>,
        branches: &BTreeSet<Branch>,
        language: Language,
    ) -> Self {
        let ratio = |covered: usize, total: usize| Ratio {
            covered,
            total,
            pct: (total > 0).then(|| percent(covered, total)),
        };
        let second = ratio(
            universe.branches.iter().filter(|one| branches.contains(one)).count(),
            universe.branches.len(),
        );
        let line =
            ratio(universe.lines.iter().filter(|one| lines.contains(one)).count(), universe.lines.len());
        match language {
            Language::Python => Self { line, branch: Some(second), block: None },
            Language::JavaScript | Language::TypeScript => Self { line, branch: None, block: Some(second) },
            Language::Rust | Language::Go | Language::Java => Self { line, branch: None, block: None },
        }
    }
}

impl Coverage {
    /// Of a source that says nothing of branches.
    pub(super) fn without_branches(&mut self) {
        self.branch = None;
        self.block = None;
    }
}

/// To one decimal, rounded down, so that 100 means all.
pub(super) fn percent(part: usize, whole: usize) -> f64 {
    (part as f64 * 1_000.0 / whole as f64).floor() / 10.0
}

impl Uncovered {
    pub(super) fn parts(self) -> (Vec<[u32; 2]>, Vec<Branch>) {
        (self.lines, self.branches)
    }

    pub(super) fn of(universe: &Reach, lines: &BTreeSet<u32>, branches: &BTreeSet<Branch>) -> Self {
        let left: Vec<u32> = universe.lines.iter().copied().filter(|line| !lines.contains(line)).collect();
        let open: Vec<Branch> =
            universe.branches.iter().copied().filter(|one| !branches.contains(one)).collect();
        let mut found = ranges(left.iter().copied());
        found.truncate(LISTED_MAX);
        Self {
            lines: found,
            lines_total: left.len(),
            branches_total: open.len(),
            branches: open.into_iter().take(LISTED_MAX).collect(),
        }
    }
}

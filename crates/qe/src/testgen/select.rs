//! Which tests stay: those that pass in every fresh process, and of these the few that reach all that all of them reach.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::before::Before;
use super::candidates::{Block, Branch, Found, Verdict, Verdicts};
use super::target::Target;

/// The oracle of tests that say something of many inputs at once.
const PROPERTY: &str = "property";

/// The oracle of tests that something is raised.
const EXCEPTION: &str = "exception";

/// How many of the candidates went which way.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Counts {
    pub(super) candidates: usize,
    pub(super) compiled: usize,
    /// In both fresh processes, as first written or with less asserted.
    pub(super) passed: usize,
    pub(super) weakened: usize,
    pub(super) flaky: usize,
    /// Reach nothing that is not reached anyway.
    pub(super) redundant: usize,
    pub(super) kept: usize,
}

/// Takes what passed in all of `runs`; what passes only with less asserted, asserts less.
pub(super) fn confirmed(blocks: Vec<Block>, runs: &[Vec<Verdicts>], counts: &mut Counts) -> Vec<Block> {
    counts.candidates = blocks.len();
    let mut kept = Vec::with_capacity(blocks.len());
    for (place, mut block) in blocks.into_iter().enumerate() {
        let verdicts: Vec<_> = runs.iter().filter_map(|run| run.get(place)).collect();
        let all = |verdict: &dyn Fn(&Verdicts) -> bool| {
            verdicts.len() == runs.len() && verdicts.iter().all(|one| verdict(one))
        };
        if all(&|one| one.strong != Verdict::Broken) {
            counts.compiled += 1;
        }
        let weak_passes = |one: &Verdicts| one.strong == Verdict::Passed || one.weak == Some(Verdict::Passed);
        if all(&|one| one.strong == Verdict::Passed) {
            counts.passed += 1;
        } else if let Some(weak) = block.weak.take().filter(|_| all(&weak_passes)) {
            block.strong = weak;
            if block.oracle != EXCEPTION {
                block.oracle = "type".into();
            }
            // What it noticed, it noticed by what it no longer asserts.
            block.kills.clear();
            block.cost += 40;
            counts.passed += 1;
            counts.weakened += 1;
        } else {
            counts.flaky += usize::from(all(&|one| one.strong != Verdict::Broken));
            continue;
        }
        kept.push(block);
    }
    kept
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Reached {
    Line(u32),
    Branch(Branch),
    Fault(u32),
}

/// What is worth reaching: what the project's own tests do not reach yet and, of gaps, their lines alone.
#[derive(Debug, Default)]
pub(super) struct Goal {
    lines: BTreeSet<u32>,
    /// `None`: the report says nothing of branches, so those of lines that run count as taken.
    branches: Option<BTreeSet<Branch>>,
    wanted: Option<BTreeSet<u32>>,
    /// The line of each fault.
    faults: Vec<u32>,
}

impl Goal {
    pub(super) fn of(target: &Target, found: &Found, before: &Before) -> Self {
        Self {
            lines: before.lines.clone().unwrap_or_default(),
            branches: before.branches.as_ref().map(|_| before.reached(&found.universe.branches)),
            wanted: target
                .lines
                .as_ref()
                .map(|ranges| ranges.iter().flat_map(|range| range.start..=range.end).collect()),
            faults: found.mutants.iter().flatten().map(|mutant| mutant.line).collect(),
        }
    }

    fn has(&self, one: &Reached) -> bool {
        let is_wanted = |line: u32| self.wanted.as_ref().is_none_or(|wanted| wanted.contains(&line));
        match one {
            Reached::Line(line) => is_wanted(*line) && !self.lines.contains(line),
            Reached::Branch(branch) => {
                let from = u32::try_from(branch.0).unwrap_or(0);
                let is_known = match &self.branches {
                    Some(taken) => taken.contains(branch),
                    None => self.lines.contains(&from),
                };
                is_wanted(from) && !is_known
            }
            // Whether other tests notice a fault in lines that they reach is not known.
            Reached::Fault(fault) => match self.faults.get(*fault as usize) {
                Some(line) => is_wanted(*line) && !self.lines.contains(line),
                None => true,
            },
        }
    }
}

fn reach<'a>(block: &'a Block, goal: &'a Goal) -> impl Iterator<Item = Reached> + 'a {
    let lines = block.lines.iter().map(|line| Reached::Line(*line));
    let branches = block.branches.iter().map(|branch| Reached::Branch(*branch));
    let faults = block.kills.iter().map(|fault| Reached::Fault(*fault));
    lines.chain(branches).chain(faults).filter(|one| goal.has(one))
}

/// The cheapest few that reach what all do (greedy), at most `most`, in the order in which they came.
///
/// Properties come first: they say more than one value does.
pub(super) fn smallest(blocks: Vec<Block>, most: usize, goal: &Goal, counts: &mut Counts) -> Vec<Block> {
    // What is reached gets numbers: there are thousands of things, looked at for each choice.
    let mut numbers: HashMap<Reached, usize> = HashMap::new();
    let mut reaches: Vec<Vec<usize>> = Vec::with_capacity(blocks.len());
    for block in &blocks {
        let mut own = Vec::new();
        for one in reach(block, goal) {
            let next = numbers.len();
            own.push(*numbers.entry(one).or_insert(next));
        }
        reaches.push(own);
    }
    // How many of the chosen reach each.
    let mut by = vec![0_u32; numbers.len()];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < most {
        let gain = |place: usize| reaches[place].iter().filter(|one| by[**one] == 0).count() as u64;
        // What reading them costs stands against what they reach; the first of equals, so that order decides, not chance.
        let worth = |place: usize| gain(place) * 1_000_000 / u64::from(30 + blocks[place].cost);
        let is_next = |place: &usize| blocks[*place].oracle == PROPERTY && worth(*place) > 0;
        let first = (0..blocks.len()).find(is_next).map(|place| (worth(place), Reverse(place)));
        let best = first.or_else(|| (0..blocks.len()).map(|place| (worth(place), Reverse(place))).max());
        let Some((1.., Reverse(best))) = best else { break };
        for one in &reaches[best] {
            by[*one] += 1;
        }
        chosen.push(best);
    }
    // What later ones made needless.
    let mut by_cost = chosen.clone();
    by_cost.sort_by_key(|place| (Reverse(blocks[*place].cost), *place));
    for place in by_cost {
        if blocks[place].oracle != PROPERTY && reaches[place].iter().all(|one| by[*one] > 1) {
            for one in &reaches[place] {
                by[*one] -= 1;
            }
            chosen.retain(|other| *other != place);
        }
    }
    counts.redundant = blocks.len() - chosen.len();
    counts.kept = chosen.len();
    let chosen: HashSet<usize> = chosen.into_iter().collect();
    blocks
        .into_iter()
        .enumerate()
        .filter(|(place, _)| chosen.contains(place))
        .map(|(_, block)| block)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(name: &str, lines: &[u32], cost: u32) -> Block {
        Block {
            name: name.into(),
            strong: "strong".into(),
            weak: Some("weak".into()),
            imports: Vec::new(),
            target: "f".into(),
            oracle: "value".into(),
            kills: vec![1],
            cost,
            lines: lines.to_vec(),
            branches: Vec::new(),
        }
    }

    fn verdicts(strong: Verdict, weak: Option<Verdict>) -> Verdicts {
        Verdicts { strong, weak }
    }

    #[test]
    fn what_differs_between_processes_asserts_less_or_goes() {
        let blocks = vec![
            block("same", &[1], 1),
            block("weaker", &[1], 1),
            block("flaky", &[1], 1),
            block("broken", &[1], 1),
        ];
        let first = vec![verdicts(Verdict::Passed, None); 3]
            .into_iter()
            .chain([verdicts(Verdict::Broken, None)])
            .collect();
        let second = vec![
            verdicts(Verdict::Passed, None),
            verdicts(Verdict::Failed, Some(Verdict::Passed)),
            verdicts(Verdict::Failed, Some(Verdict::Failed)),
            verdicts(Verdict::Broken, None),
        ];
        let mut counts = Counts::default();
        let kept = confirmed(blocks, &[first, second], &mut counts);
        let kept: Vec<_> =
            kept.iter().map(|one| (one.name.as_str(), one.strong.as_str(), one.kills.len())).collect();
        assert_eq!(kept, [("same", "strong", 1), ("weaker", "weak", 0)]);
        assert_eq!(
            (counts.candidates, counts.compiled, counts.passed, counts.weakened, counts.flaky),
            (4, 3, 2, 1, 1)
        );
    }

    #[test]
    fn a_run_that_did_not_answer_confirms_nothing() {
        let mut counts = Counts::default();
        let run = vec![verdicts(Verdict::Passed, None)];
        assert!(confirmed(vec![block("a", &[1], 1)], &[run, Vec::new()], &mut counts).is_empty());
    }

    #[test]
    fn the_few_cheapest_that_reach_everything_stay() {
        let blocks = vec![
            block("all but 4", &[1, 2, 3], 10),
            block("dear", &[1, 2, 3], 900),
            block("4", &[4], 10),
            block("1", &[1], 1),
        ];
        let mut counts = Counts::default();
        let kept: Vec<_> = smallest(blocks.clone(), 10, &Goal::default(), &mut counts)
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(kept, ["all but 4", "4"]);
        assert_eq!((counts.redundant, counts.kept), (2, 2));
        assert_eq!(smallest(blocks, 1, &Goal::default(), &mut counts).len(), 1);
    }
}

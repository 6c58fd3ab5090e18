//! From what a search found to the tests that stay, as a result tells of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::LISTED_MAX;
use super::arguments::Arguments;
use super::before::{self, Before};
use super::candidates::{Block, Branch, Fate, Found, Verdicts};
use super::figures::{Coverage, Mutation, Uncovered, percent};
use super::files::{self, TestFile, ranges};
use super::learned::Tried;
use super::order::Means;
use super::select::{self, Counts, Goal};
use super::target::{Language, Target};
use crate::project::Project;
use crate::reply::Refusal;

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names)] // They are names of the result.
pub(crate) struct Tests {
    file: String,
    language: Language,
    framework: &'static str,
    /// `characterization`: they say what the code does, not that it is right.
    kind: &'static str,
    /// `kept`: its tests were run as they are. `emitted`: `reason` says how they were not.
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    test_file: Option<TestFile>,
    counts: Counts,
    /// Of the candidates; `null` if there were none.
    compile_rate: Option<f64>,
    pass_rate: Option<f64>,
    tests: Vec<Test>,
    tests_total: usize,
    /// Functions, methods and classes.
    targets: Vec<Fate>,
    targets_total: usize,
    /// What the project's own tests reach; `null` where nobody knows.
    before: Option<Coverage>,
    before_source: before::Told,
    /// What importing the file reaches, without any test.
    by_import: Coverage,
    /// `before`, what importing reaches, and the new tests.
    after: Coverage,
    mutation: Option<Mutation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutation_reason: Option<&'static str>,
    uncovered_left: Uncovered,
    /// The same seed gives the same bytes; not where the clock cut the search short.
    deterministic: bool,
    executed: u64,
    /// From an earlier call: nothing that it depends on has changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    cached: bool,
    verified_by: &'static str,
    commands: Vec<String>,
    /// What was known of the sources of values; only if their order was to be the learned one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) order: Option<Means>,
    /// How the ways of asserting did, and the sources of values.
    #[serde(skip)]
    pub(super) tried: Tried,
    #[serde(skip)]
    pub(super) sources: BTreeMap<String, (u32, u32)>,
}

#[derive(Debug, Serialize)]
struct Test {
    name: String,
    target: String,
    oracle: String,
    new_lines: Vec<[u32; 2]>,
    new_branches: Vec<Branch>,
    kills: usize,
}

impl Tests {
    pub(super) fn uncovered(self) -> (Uncovered, Coverage, Vec<Fate>, Vec<String>, &'static str) {
        (self.uncovered_left, self.after, self.targets, self.commands, self.framework)
    }
}

/// How a language came to its tests, and how it writes them down.
pub(super) struct Evidence<'a> {
    pub(super) found: Found,
    /// How each candidate did in each fresh process.
    pub(super) runs: Vec<Vec<Verdicts>>,
    pub(super) framework: &'static str,
    /// The name of what ran them; its version is in `found`.
    pub(super) tool: &'static str,
    pub(super) status: Status,
    /// Known from an earlier call.
    pub(super) cached: bool,
    /// Why `mutation` is unknown, if it is.
    pub(super) mutation_reason: &'static str,
    pub(super) emission: Emission<'a>,
}

/// How far the test file itself was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Status {
    /// Run: each test passed in two fresh processes.
    Kept,
    /// Written for a runner that was not called; its tests passed by other means.
    Emitted(String),
}

type Text<'a> = Box<dyn Fn(&[Block], &str) -> String + 'a>;
type Commands<'a> = Box<dyn Fn(&str) -> Vec<String> + 'a>;

/// A test file to be: the place that it would like, and by its real place its text and how it is run.
pub(super) struct Emission<'a> {
    pub(super) wanted: String,
    /// What a test is called in the file, by its name here.
    pub(super) title: Box<dyn Fn(&str) -> String + 'a>,
    pub(super) text: Text<'a>,
    pub(super) commands: Commands<'a>,
}

/// Chooses among the candidates, writes down those that stay, and says what they reach.
pub(super) fn tests(
    project: &Project,
    target: &Target,
    arguments: &Arguments,
    evidence: Evidence<'_>,
    before: &Before,
) -> Result<(Tests, String), Refusal> {
    let Evidence { mut found, runs, framework, tool, status, cached, mutation_reason, emission } = evidence;
    let mut counts = Counts::default();
    let mut tried = Tried::of(&found.blocks);
    let confirmed = select::confirmed(std::mem::take(&mut found.blocks), &runs, &mut counts);
    tried.confirmed(&confirmed);
    let goal = Goal::of(target, &found, before);
    let kept = select::smallest(confirmed, arguments.max_tests, &goal, &mut counts);
    tried.kept(&kept);

    let mut lines: BTreeSet<u32> = found.import.lines.iter().copied().collect();
    let mut branches: BTreeSet<Branch> = found.import.branches.iter().copied().collect();
    let by_import = Coverage::of(&found.universe, &lines, &branches, target.language);
    lines.extend(before.lines.iter().flatten());
    branches.extend(before.reached(&found.universe.branches));
    let mut tests = Vec::new();
    let mut killed: BTreeSet<u32> = BTreeSet::new();
    for (block, (name, _)) in kept.iter().zip(files::named(&kept)) {
        let new_lines = block.lines.iter().copied().filter(|line| lines.insert(*line));
        let new_lines = ranges(new_lines.collect::<BTreeSet<_>>());
        let new_branches: Vec<_> =
            block.branches.iter().copied().filter(|one| branches.insert(*one)).collect();
        killed.extend(&block.kills);
        tests.push(Test {
            name: (emission.title)(&name),
            target: block.target.clone(),
            oracle: block.oracle.clone(),
            new_lines,
            new_branches: if target.language == Language::Python { new_branches } else { Vec::new() },
            kills: block.kills.len(),
        });
    }
    let tests_total = tests.len();
    tests.truncate(LISTED_MAX);
    let test_file = if kept.is_empty() {
        None
    } else {
        let path = files::place(project, &emission.wanted)?;
        let content = (emission.text)(&kept, &path);
        Some(files::delivered(project, path, content, kept.len(), arguments.write)?)
    };
    let commands = test_file.as_ref().map_or_else(Vec::new, |file| (emission.commands)(file.path()));
    let rate = |part: usize| (counts.candidates > 0).then(|| percent(part, counts.candidates) / 100.0);
    let mut fates = std::mem::take(&mut found.targets);
    let targets_total = fates.len();
    fates.sort_by_key(|fate| fate.status == "searched");
    fates.truncate(LISTED_MAX);
    let tool = format!("{tool} {}", found.version);
    let (status, reason, verified_by) = match status {
        Status::Kept => ("kept", None, "two fresh processes"),
        Status::Emitted(reason) => ("emitted", Some(reason), "two fresh processes"),
    };
    let tests = Tests {
        file: target.file.clone(),
        language: target.language,
        framework,
        kind: "characterization",
        status,
        reason,
        test_file,
        compile_rate: rate(counts.compiled),
        pass_rate: rate(counts.passed),
        counts,
        tests,
        tests_total,
        targets: fates,
        targets_total,
        before: before.coverage(&found, target),
        before_source: before.told.clone(),
        by_import,
        after: Coverage::of(&found.universe, &lines, &branches, target.language),
        mutation_reason: found.mutants.is_none().then_some(mutation_reason),
        mutation: found.mutants.map(|mutants| Mutation::of(mutants, &killed)),
        uncovered_left: Uncovered::of(&found.universe, &lines, &branches),
        deterministic: !found.late,
        executed: found.executed,
        cached,
        verified_by,
        commands,
        order: found.sources.order,
        tried,
        sources: found.sources.tried,
    };
    Ok((tests, tool))
}

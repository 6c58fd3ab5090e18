//! What a call answers, by mode.

use std::collections::BTreeSet;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::arguments::{Arguments, Mode};
use super::candidates::{Block, Branch, Fate, Found, Mutant, Reach};
use super::files::{self, TestFile, ranges};
use super::judge::{self, Judged};
use super::sandbox::Told;
use super::scratch::Scratch;
use super::select::{self, Counts};
use super::sketch::{self, Sketch};
use super::target::{Language, Target};
use super::workorder::{self, Order};
use super::{javascript, python};
use crate::builtin::Request;
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

/// Entries of one list in a result.
const LISTED_MAX: usize = 40;

#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    mode: Mode,
    seed: u64,
    results: Vec<Outcome>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<Told>,
    provenance: Vec<Source>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
}

/// What was looked at, so that a result can be told from one of another state.
#[derive(Debug, Serialize)]
pub(crate) struct Source {
    kind: &'static str,
    path: String,
    bytes: usize,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<String>,
}

/// Of one file.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Tests(Box<Tests>),
    Sketch(Sketch),
    Order(Box<Order>),
    Judged(Box<Judged>),
    Failed(Failure),
}

#[derive(Debug, Serialize)]
pub(crate) struct Failure {
    pub(super) file: String,
    pub(super) language: Language,
    /// Why there are no tests for it.
    pub(super) failed: String,
}

#[derive(Debug, Serialize)]
#[allow(clippy::struct_field_names)] // They are names of the result.
pub(crate) struct Tests {
    file: String,
    language: Language,
    framework: &'static str,
    /// `characterization`: they say what the code does, not that it is right.
    kind: &'static str,
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
    /// What importing the file reaches, without any test; other tests of the project were not run.
    before: Coverage,
    after: Coverage,
    mutation: Option<Mutation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutation_reason: Option<&'static str>,
    uncovered_left: Uncovered,
    /// The same seed gives the same bytes; not where the clock cut the search short.
    deterministic: bool,
    executed: u64,
    verified_by: &'static str,
    commands: Vec<String>,
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
            _ => Self { line, branch: None, block: Some(second) },
        }
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

impl Answer {
    fn new(mode: Mode, seed: u64, targets: &[Target]) -> Self {
        let provenance = targets
            .iter()
            .map(|target| Source {
                kind: "source",
                path: target.file.clone(),
                bytes: target.source.len(),
                sha256: files::hexadecimal(&Sha256::digest(&target.source)),
                tool: None,
            })
            .collect();
        Self { mode, seed, results: Vec::new(), sandbox: None, provenance, warnings: Vec::new() }
    }
}

/// Modes `generate` and `plan`.
pub(super) fn generate(
    project: &Project,
    targets: &[Target],
    arguments: &Arguments,
    request: &Request,
) -> Result<Answer, Refusal> {
    let stop = &request.stop;
    let mut answer = Answer::new(arguments.mode, arguments.seed, targets);
    let mut scratch = None;
    for (place, target) in targets.iter().enumerate() {
        stop.check()?;
        let is_run =
            matches!(target.language, Language::Python | Language::JavaScript | Language::TypeScript);
        if arguments.mode == Mode::Plan || !is_run {
            answer.results.push(Outcome::Sketch(sketch::of(target)));
            continue;
        }
        if scratch.is_none() {
            scratch = Some(copied(project, targets, stop)?);
        }
        let Some(scratch) = &scratch else { continue };
        let outcome = match tests(project, scratch, target, arguments, stop) {
            Ok((tests, tool)) => {
                answer.provenance[place].tool = Some(tool);
                Outcome::Tests(Box::new(tests))
            }
            // One file is no obstacle to the others, unless the whole call is over.
            Err(refusal) => {
                stop.check()?;
                Outcome::Failed(Failure {
                    file: target.file.clone(),
                    language: target.language,
                    failed: refusal.0,
                })
            }
        };
        answer.results.push(outcome);
        request.report(place + 1, targets.len(), &target.file);
    }
    if let Some(scratch) = scratch {
        let is_python = targets.iter().any(|target| target.language == Language::Python);
        answer.sandbox = Some(Told::of(arguments.allow_effects, is_python));
        answer.warnings.extend(scratch.warnings.iter().cloned());
    }
    if let ([Outcome::Failed(failure)], [_]) = (&answer.results[..], targets) {
        return Err(Refusal(failure.failed.clone()));
    }
    Ok(answer)
}

/// The copy of the project, with both harnesses beside it.
fn copied(project: &Project, targets: &[Target], stop: &Stop) -> Result<Scratch, Refusal> {
    // Where the whole is too much: the package that a target is in, with all above it that is needed to import it.
    let parts: BTreeSet<&str> = targets
        .iter()
        .map(|target| {
            let first = target.file.split('/').next().unwrap_or(&target.file);
            if matches!(first, "src" | "lib" | "packages") {
                target.file.rsplit_once('/').map_or(target.file.as_str(), |(folder, _)| folder)
            } else {
                first
            }
        })
        .collect();
    let scratch = Scratch::of(project, &parts.into_iter().collect::<Vec<_>>(), stop)?;
    python::install(&scratch)?;
    javascript::install(&scratch)?;
    Ok(scratch)
}

fn tests(
    project: &Project,
    scratch: &Scratch,
    target: &Target,
    arguments: &Arguments,
    stop: &Stop,
) -> Result<(Tests, String), Refusal> {
    let is_python = target.language == Language::Python;
    let (found, runs, framework, import_root): (Found, _, _, _) = if is_python {
        let module = python::Module::of(project, target)?;
        let framework = python::framework(arguments, scratch);
        let found = python::search(scratch, &module, target, framework, arguments, stop)?;
        let allow = arguments.allow_effects;
        let runs = python::confirm(scratch, &module, &found.blocks, framework, allow, stop)?;
        (found, runs, framework, module)
    } else {
        let found = javascript::search(project, scratch, target, arguments, stop)?;
        let runs = javascript::confirm(scratch, target, &found.blocks, arguments.allow_effects, stop)?;
        (found, runs, "node", python::Module::none())
    };
    let mut counts = Counts::default();
    let confirmed = select::confirmed(found.blocks, &runs, &mut counts);
    let kept = select::smallest(confirmed, arguments.max_tests, &mut counts);

    let mut lines: BTreeSet<u32> = found.import.lines.iter().copied().collect();
    let mut branches: BTreeSet<Branch> = found.import.branches.iter().copied().collect();
    let before = Coverage::of(&found.universe, &lines, &branches, target.language);
    let mut tests = Vec::new();
    let mut killed: BTreeSet<u32> = BTreeSet::new();
    for (block, (name, _)) in kept.iter().zip(files::named(&kept)) {
        let new_lines = block.lines.iter().copied().filter(|line| lines.insert(*line));
        let new_lines = ranges(new_lines.collect::<BTreeSet<_>>());
        let new_branches: Vec<_> =
            block.branches.iter().copied().filter(|one| branches.insert(*one)).collect();
        killed.extend(&block.kills);
        tests.push(Test {
            name,
            target: block.target.clone(),
            oracle: block.oracle.clone(),
            new_lines,
            new_branches: if is_python { new_branches } else { Vec::new() },
            kills: block.kills.len(),
        });
    }
    let tests_total = tests.len();
    tests.truncate(LISTED_MAX);
    let test_file = written(project, scratch, target, &kept, framework, &import_root, arguments)?;
    let commands = commands(target, test_file.as_ref(), framework, &import_root);
    let rate = |part: usize| (counts.candidates > 0).then(|| percent(part, counts.candidates) / 100.0);
    let mut fates = found.targets;
    let targets_total = fates.len();
    fates.sort_by_key(|fate| fate.status == "searched");
    fates.truncate(LISTED_MAX);
    let tool = format!("{} {}", if is_python { "Python" } else { "Node.js" }, found.version);
    let tests = Tests {
        file: target.file.clone(),
        language: target.language,
        framework,
        kind: "characterization",
        test_file,
        compile_rate: rate(counts.compiled),
        pass_rate: rate(counts.passed),
        counts,
        tests,
        tests_total,
        targets: fates,
        targets_total,
        before,
        after: Coverage::of(&found.universe, &lines, &branches, target.language),
        mutation_reason: found.mutants.is_none().then_some(if is_python {
            "no faults were planted"
        } else {
            "faults are planted in Python only"
        }),
        mutation: found.mutants.map(|mutants| Mutation::of(mutants, &killed)),
        uncovered_left: Uncovered::of(&found.universe, &lines, &branches),
        deterministic: !found.late,
        executed: found.executed,
        verified_by: "two fresh processes",
        commands,
    };
    Ok((tests, tool))
}

fn written(
    project: &Project,
    scratch: &Scratch,
    target: &Target,
    kept: &[Block],
    framework: &str,
    module: &python::Module,
    arguments: &Arguments,
) -> Result<Option<TestFile>, Refusal> {
    if kept.is_empty() {
        return Ok(None);
    }
    let folder = ["tests", "test", "__tests__"]
        .into_iter()
        .find(|name| scratch.project().join(name).is_dir())
        .unwrap_or(if target.language == Language::Python { "tests" } else { "test" });
    let (wanted, content) = if target.language == Language::Python {
        let stem = module.name.replace('.', "_");
        let wanted = format!("{folder}/test_{stem}_characterization.py");
        (wanted, files::python(kept, &module.name, framework, arguments.seed))
    } else {
        let stem =
            target.file.rsplit_once('.').map_or(target.file.as_str(), |(stem, _)| stem).replace('/', "-");
        let wanted = format!("{folder}/{stem}.characterization.test.mjs");
        (wanted, String::new())
    };
    let path = files::place(project, &wanted)?;
    let content =
        if content.is_empty() { javascript::file(kept, target, &path, arguments.seed) } else { content };
    files::delivered(project, path, content, kept.len(), arguments.write).map(Some)
}

fn commands(
    target: &Target,
    file: Option<&TestFile>,
    framework: &str,
    module: &python::Module,
) -> Vec<String> {
    let Some(path) = file.map(TestFile::path) else { return Vec::new() };
    if target.language != Language::Python {
        return vec![format!("node --test {path}")];
    }
    let runner = if framework == "unittest" { "python" } else { "python -m pytest" };
    let root = if module.import_root.is_empty() { "." } else { &module.import_root };
    // `python -m pytest` puts the folder that it is called in on the path, and a file's own folder is not enough.
    if root == "." && framework != "unittest" {
        vec![format!("{runner} {path}")]
    } else {
        vec![format!("PYTHONPATH={root} {runner} {path}")]
    }
}

/// Mode `workorder`.
pub(super) fn workorder(
    project: &Project,
    targets: &[Target],
    arguments: &Arguments,
    request: &Request,
) -> Result<Answer, Refusal> {
    let mut answer = generate(project, targets, arguments, request)?;
    answer.results = answer
        .results
        .into_iter()
        .zip(targets)
        .map(|(outcome, target)| Outcome::Order(Box::new(workorder::of(project, target, outcome))))
        .collect();
    Ok(answer)
}

/// Mode `verify`.
pub(super) fn verify(
    project: &Project,
    targets: &[Target],
    arguments: &Arguments,
    stop: &Stop,
) -> Result<Answer, Refusal> {
    let mut answer = Answer::new(arguments.mode, arguments.seed, targets);
    let [target] = targets else {
        return Err(Refusal("mode `verify` judges candidates for one file: give one target".into()));
    };
    let scratch = copied(project, targets, stop)?;
    let (judged, tool) = judge::of(project, &scratch, target, arguments, stop)?;
    answer.provenance[0].tool = Some(tool);
    answer.sandbox = Some(Told::of(true, target.language == Language::Python));
    answer.warnings.extend(scratch.warnings.iter().cloned());
    answer.results.push(Outcome::Judged(Box::new(judged)));
    Ok(answer)
}

impl Tests {
    pub(super) fn uncovered(self) -> (Uncovered, Coverage, Vec<Fate>, Vec<String>, &'static str) {
        (self.uncovered_left, self.after, self.targets, self.commands, self.framework)
    }
}

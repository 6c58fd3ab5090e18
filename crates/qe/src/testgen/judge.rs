//! Mode `verify`: tests that somebody else wrote, judged one by one. A test is accepted if it passes in two fresh processes
//! and reaches something that neither importing nor the tests before it reach, or notices a planted fault.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::call::Call;
use super::candidates::{Branch, Mutant, Reach};
use super::figures::{Coverage, Mutation};
use super::files::{self, ranges};
use super::sandbox::Held;
use super::target::{Language, Target};
use super::{faults, go, java, javascript, python, rust};
use crate::reply::Refusal;

/// Faults that are planted at most: for each, all candidates run once more.
pub(super) const MUTANTS_MAX: u32 = 20;
const TESTS_MAX: usize = 120;
/// What may end, in words.
const JUDGING: &str = "a process that ran the candidates";
/// One run of all candidates.
const JUDGE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize)]
pub(crate) struct Judged {
    file: String,
    language: Language,
    runner: String,
    tests: Vec<Verdict>,
    tests_total: usize,
    /// Files that could not be collected at all.
    broken: Vec<Broken>,
    before: Coverage,
    after: Coverage,
    mutation: Option<Mutation>,
    /// Files of which every test was accepted, as a patch; others say why not in `tests`.
    patch: Option<String>,
    accepted_files: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Verdict {
    name: String,
    compiled: bool,
    passed: bool,
    flaky: bool,
    new_lines: Vec<[u32; 2]>,
    new_branches: Vec<Branch>,
    killed: usize,
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_excerpt: Option<String>,
}

/// A file of candidates that could not be loaded or compiled, and why.
#[derive(Debug, Clone, Deserialize, Serialize)]
pub(super) struct Broken {
    pub(super) path: String,
    pub(super) error: String,
}

/// One run of all candidates.
#[derive(Debug, Deserialize)]
pub(super) struct Run {
    pub(super) tests: Vec<Ran>,
    pub(super) broken: Vec<Broken>,
    pub(super) by: String,
    pub(super) mutants: Option<Vec<Mutant>>,
    pub(super) universe: Reach,
    pub(super) import: Reach,
    pub(super) version: String,
    #[serde(default)]
    pub(super) held: Held,
}

/// How one test did; its name begins with the path of its file and `::`.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ran {
    pub(super) name: String,
    /// `passed`, or anything else.
    pub(super) outcome: String,
    pub(super) error: Option<String>,
    pub(super) lines: Vec<u32>,
    pub(super) branches: Vec<Branch>,
    /// Faults that it notices, from 0 by their place in the mutants of the run.
    pub(super) kills: Vec<u32>,
}

/// Puts the candidates into the copy and runs them twice.
pub(super) fn of(call: &Call<'_>, target: &Target) -> Result<(Judged, String, Held), Refusal> {
    let (project, arguments) = (call.project, call.arguments);
    let scratch = call.scratch()?;
    let mut paths = Vec::new();
    for candidate in &arguments.candidates {
        if project.place(&candidate.path)?.symlink_metadata().is_ok() {
            return Err(Refusal(format!(
                "{}: there is such a file already; nothing is overwritten",
                candidate.path
            )));
        }
        let place = scratch.project().join(&candidate.path);
        let failed = |error: std::io::Error| Refusal(format!("{}: {error}", candidate.path));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::write(place, &candidate.content).map_err(failed)?;
        paths.push(candidate.path.clone());
    }
    let (first, second) = match target.language {
        Language::Python => of_python(call, target, &paths)?,
        Language::Java => java::judge(call, target)?,
        Language::Go => go::judge(call, target)?,
        Language::Rust => rust::judge(call, target)?,
        _ => of_javascript(call, target, &paths)?,
    };
    let again: BTreeMap<&str, &str> =
        second.tests.iter().map(|test| (test.name.as_str(), test.outcome.as_str())).collect();

    let mut lines: BTreeSet<u32> = first.import.lines.iter().copied().collect();
    let mut branches: BTreeSet<Branch> = first.import.branches.iter().copied().collect();
    let before = Coverage::of(&first.universe, &lines, &branches, target.language);
    let mut killed: BTreeSet<u32> = BTreeSet::new();
    let mut tests = Vec::new();
    for test in &first.tests {
        let other = again.get(test.name.as_str()).copied().unwrap_or("missing");
        let passed = test.outcome == "passed" && other == "passed";
        let flaky = test.outcome != other;
        let (mut new_lines, mut new_branches, mut kills) = (BTreeSet::new(), Vec::new(), 0);
        if passed {
            new_lines = test.lines.iter().copied().filter(|line| lines.insert(*line)).collect();
            new_branches = test.branches.iter().copied().filter(|one| branches.insert(*one)).collect();
            kills = test.kills.iter().filter(|fault| killed.insert(**fault)).count();
        }
        tests.push(Verdict {
            name: test.name.clone(),
            compiled: true,
            passed,
            flaky,
            accepted: passed && (!new_lines.is_empty() || !new_branches.is_empty() || kills > 0),
            new_lines: ranges(new_lines),
            new_branches,
            killed: test.kills.len(),
            error_excerpt: test.error.clone().or_else(|| {
                let error = second.tests.iter().find(|two| two.name == test.name)?.error.clone();
                flaky.then_some(error).flatten()
            }),
        });
    }
    let whole = arguments.candidates.iter().filter(|candidate| {
        let mut own = tests
            .iter()
            .filter(|test| test.name.split("::").next() == Some(candidate.path.as_str()))
            .peekable();
        own.peek().is_some() && own.all(|test| test.accepted)
    });
    let whole: Vec<_> = whole.collect();
    let patch: String =
        whole.iter().map(|candidate| files::patch(&candidate.path, &candidate.content)).collect();
    let tests_total = tests.len();
    tests.truncate(TESTS_MAX);
    let judged = Judged {
        file: target.file.clone(),
        language: target.language,
        runner: first.by,
        tests,
        tests_total,
        broken: first.broken,
        before,
        after: Coverage::of(&first.universe, &lines, &branches, target.language),
        mutation: first.mutants.map(|mutants| Mutation::of(mutants, &killed)),
        patch: (!patch.is_empty()).then_some(patch),
        accepted_files: whole.iter().map(|candidate| candidate.path.clone()).collect(),
    };
    let tool = match target.language {
        Language::Python => "Python",
        Language::Java => "Java",
        Language::Go => "Go",
        Language::Rust => "Rust",
        Language::JavaScript | Language::TypeScript => "Node.js",
    };
    Ok((judged, format!("{tool} {}", first.version), first.held.and(second.held)))
}

fn of_python(call: &Call<'_>, target: &Target, paths: &[String]) -> Result<(Run, Run), Refusal> {
    let (arguments, stop, scratch) = (call.arguments, call.stop(), call.scratch()?);
    let module = python::Module::of(call, target)?;
    let run = |backwards: bool, mutants: u32, env: &[(&str, &str)]| -> Result<Run, Refusal> {
        let request = json!({
            "mode": "judge", "scratch": scratch.project(), "import_root": module.import_root, "file": target.file,
            "module": module.name, "paths": paths, "backwards": backwards, "mutants": mutants, "seed": arguments.seed,
            "allow_effects": true, "functions": [], "lines": null, "skip": [],
        });
        python::ask(scratch, &module.interpreter, request, env, stop).map_err(|asked| asked.refusal(JUDGING))
    };
    let mutants = arguments.mutants.min(MUTANTS_MAX);
    let first = run(false, mutants, &[("PYTHONHASHSEED", "1"), ("TZ", "UTC")])?;
    let second = run(true, 0, &[("PYTHONHASHSEED", "4242"), ("TZ", "Asia/Tokyo")])?;
    Ok((first, second))
}

/// As for Python; a fault is planted in the copy, and all candidates run once more in a process of their own.
fn of_javascript(call: &Call<'_>, target: &Target, paths: &[String]) -> Result<(Run, Run), Refusal> {
    let (project, arguments, stop, scratch) = (call.project, call.arguments, call.stop(), call.scratch()?);
    javascript::link_dependencies(project, scratch);
    let run = |backwards: bool, zone: &str| -> Result<Run, Refusal> {
        let request = json!({
            "mode": "judge", "scratch": scratch.project(), "file": target.file, "paths": paths, "backwards": backwards,
        });
        javascript::ask(scratch, &request, zone, &stop.within(JUDGE)).map_err(|asked| asked.refusal(JUDGING))
    };
    let mut first = run(false, "UTC")?;
    let second = run(true, "Asia/Tokyo")?;
    let place = scratch.project().join(&target.file);
    let failed = |error: std::io::Error| Refusal(format!("{}: {error}", target.file));
    let mut mutants = Vec::new();
    for fault in faults::of(target, arguments.mutants.min(MUTANTS_MAX) as usize) {
        stop.check()?;
        let mut text = target.source.clone();
        text.splice(fault.from..fault.to, fault.text.bytes());
        fs::write(&place, text).map_err(failed)?;
        let faulty = run(false, "UTC");
        fs::write(&place, &target.source).map_err(failed)?;
        let number = u32::try_from(mutants.len()).unwrap_or(u32::MAX);
        for test in first.tests.iter_mut().filter(|test| test.outcome == "passed") {
            // A module that cannot be imported, or ends its process, is noticed by whatever imports it.
            let notices = faulty.as_ref().map_or(true, |run| {
                !run.tests.iter().any(|other| other.name == test.name && other.outcome == "passed")
            });
            if notices {
                test.kills.push(number);
            }
        }
        mutants.push(fault.mutant);
    }
    first.mutants = (!mutants.is_empty()).then_some(mutants);
    Ok((first, second))
}

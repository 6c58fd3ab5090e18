//! What a call answers, by mode.

use std::collections::BTreeSet;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::arguments::{Arguments, Mode};
use super::judge::{self, Judged};
use super::kept::{self, Tests};
use super::sandbox::Told;
use super::scratch::Scratch;
use super::sketch::{self, Sketch};
use super::target::{Language, Target};
use super::workorder::{self, Order};
use super::{files, go, javascript, python, rust};
use crate::builtin::Request;
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

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
        let is_run = target.language != Language::Java;
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
        let is_native = targets.iter().any(|target| matches!(target.language, Language::Rust | Language::Go));
        answer.sandbox = Some(Told::of(arguments.allow_effects, is_python, is_native));
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

/// Searches one file by the means of its language.
fn tests(
    project: &Project,
    scratch: &Scratch,
    target: &Target,
    arguments: &Arguments,
    stop: &Stop,
) -> Result<(Tests, String), Refusal> {
    let evidence = match target.language {
        Language::Python => python::evidence(project, scratch, target, arguments, stop)?,
        Language::Go => go::evidence(scratch, target, arguments, stop)?,
        Language::Rust => rust::evidence(scratch, target, arguments, stop)?,
        _ => javascript::evidence(project, scratch, target, arguments, stop)?,
    };
    kept::tests(project, target, arguments, evidence)
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
    answer.sandbox = Some(Told::of(true, target.language == Language::Python, false));
    answer.warnings.extend(scratch.warnings.iter().cloned());
    answer.results.push(Outcome::Judged(Box::new(judged)));
    Ok(answer)
}

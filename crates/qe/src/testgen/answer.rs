//! What a call answers, by mode.

use std::collections::BTreeSet;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::arguments::{Arguments, Mode};
use super::before::Before;
use super::call::Call;
use super::judge::{self, Judged};
use super::kept::{self, Tests};
use super::sandbox::{Held, Told};
use super::scratch::Listing;
use super::sketch::{self, Sketch};
use super::target::{Language, Target};
use super::workorder::{self, Order};
use super::{files, go, java, javascript, learned, order, python, rust};
use crate::builtin::{Context, Request};
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
    context: &Context,
    project: &Project,
    targets: &[Target],
    arguments: &Arguments,
    request: &Request,
) -> Result<Answer, Refusal> {
    let stop = &request.stop;
    let mut answer = Answer::new(arguments.mode, arguments.seed, targets);
    let listing = if arguments.mode == Mode::Plan { None } else { Some(listing(project, targets, stop)?) };
    let call = listing.as_ref().map(|listing| Call::new(context, project, arguments, request, listing));
    let mut held: Option<Held> = None;
    for (place, target) in targets.iter().enumerate() {
        stop.check()?;
        let outcome = match call.as_ref().map(|call| tests(call, target)) {
            None => sketch::of(target, None).map(Outcome::Sketch),
            Some(Ok((tests, tool, also))) => {
                // What does not hold in all processes does not hold.
                held = Some(held.map_or(also, |held| held.and(also)));
                answer.provenance[place].tool = Some(tool);
                Ok(Outcome::Tests(Box::new(tests)))
            }
            Some(Err(refusal)) if target.language == Language::Java && refusal.0.contains("plan only") => {
                sketch::of(target, Some(refusal.0)).map(Outcome::Sketch)
            }
            Some(Err(refusal)) => Err(refusal),
        };
        // One file is no obstacle to the others, unless the whole call is over.
        let outcome = match outcome {
            Ok(outcome) => outcome,
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
    if let Some(held) = held {
        let is_python = targets.iter().any(|target| target.language == Language::Python);
        let is_native = targets
            .iter()
            .any(|target| matches!(target.language, Language::Rust | Language::Go | Language::Java));
        answer.sandbox = Some(Told::of(arguments.allow_effects, is_python, is_native).held(held));
    }
    if let Some(listing) = listing.filter(|_| answer.sandbox.is_some()) {
        answer.warnings.extend(listing.warnings);
    }
    if let ([Outcome::Failed(failure)], [_]) = (&answer.results[..], targets) {
        return Err(Refusal(failure.failed.clone()));
    }
    Ok(answer)
}

/// What is copied of the project.
fn listing(project: &Project, targets: &[Target], stop: &Stop) -> Result<Listing, Refusal> {
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
    Listing::of(project, &parts.into_iter().collect::<Vec<_>>(), stop)
}

/// Searches one file by the means of its language.
fn tests(call: &Call<'_>, target: &Target) -> Result<(Tests, String, Held), Refusal> {
    let (project, arguments) = (call.project, call.arguments);
    order::check(arguments, target)?;
    let evidence = match target.language {
        Language::Python => python::evidence(call, target)?,
        Language::Go => go::evidence(call.scratch()?, target, arguments, call.stop())?,
        Language::Rust => rust::evidence(call.scratch()?, target, arguments, call.stop())?,
        Language::Java => java::evidence(call.scratch()?, target, arguments, call.stop())?,
        _ => javascript::evidence(project, call.scratch()?, target, arguments, call.stop())?,
    };
    let held = evidence.found.held;
    let before = Before::of(call.context, project, target, call.request)?;
    let framework = evidence.framework;
    let (tests, tool) = kept::tests(project, target, arguments, evidence, &before)?;
    learned::tell(call, target, framework, &tests);
    Ok((tests, tool, held))
}

/// Mode `workorder`.
pub(super) fn workorder(
    context: &Context,
    project: &Project,
    targets: &[Target],
    arguments: &Arguments,
    request: &Request,
) -> Result<Answer, Refusal> {
    let mut answer = generate(context, project, targets, arguments, request)?;
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
    context: &Context,
    project: &Project,
    targets: &[Target],
    arguments: &Arguments,
    request: &Request,
) -> Result<Answer, Refusal> {
    let mut answer = Answer::new(arguments.mode, arguments.seed, targets);
    let [target] = targets else {
        return Err(Refusal("mode `verify` judges candidates for one file: give one target".into()));
    };
    let listing = listing(project, targets, &request.stop)?;
    let call = Call::new(context, project, arguments, request, &listing);
    let (judged, tool, held) = judge::of(&call, target)?;
    answer.provenance[0].tool = Some(tool);
    answer.sandbox = Some(Told::of(true, target.language == Language::Python, false).held(held));
    answer.warnings.extend(listing.warnings.iter().cloned());
    answer.results.push(Outcome::Judged(Box::new(judged)));
    Ok(answer)
}

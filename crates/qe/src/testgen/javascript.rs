//! JavaScript, and TypeScript by what the project compiles it with: the harness in `javascript/`, run by `node`.

mod emit;
mod plant;

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::candidates::{Block, Fate, Found, Verdicts};
use super::harness::{self, Asked};
use super::kept::Evidence;
use super::sandbox::Job;
use super::scratch::Scratch;
use super::target::Target;
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;
use emit::Runner;
use plant::plant;

const FOLDER: &str = "harness-js";
const HARNESS: [(&str, &str); 13] = [
    ("main.mjs", include_str!("javascript/main.mjs")),
    ("coverage.mjs", include_str!("javascript/coverage.mjs")),
    ("faults.mjs", include_str!("javascript/faults.mjs")),
    ("judge.mjs", include_str!("javascript/judge.mjs")),
    ("shim.mjs", include_str!("javascript/shim.mjs")),
    ("shimhooks.mjs", include_str!("javascript/shimhooks.mjs")),
    ("typescript.mjs", include_str!("javascript/typescript.mjs")),
    ("discover.mjs", include_str!("javascript/discover.mjs")),
    ("loader.mjs", include_str!("javascript/loader.mjs")),
    ("guard.mjs", include_str!("javascript/guard.mjs")),
    ("outcome.mjs", include_str!("javascript/outcome.mjs")),
    ("search.mjs", include_str!("javascript/search.mjs")),
    ("values.mjs", include_str!("javascript/values.mjs")),
];
const GRACE: Duration = Duration::from_secs(8);
const WALL_FACTOR: u32 = 12;
const WALL_LEAST: Duration = Duration::from_secs(8);
const RESTARTS_MAX: usize = 3;
const DOCUMENTS_MAX: usize = 4;
/// MiB of heap; V8 reserves far more addresses than it uses, so that those cannot be limited.
const HEAP: &str = "--max-old-space-size=512";

/// Puts the harness beside the copy.
pub(super) fn install(scratch: &Scratch) -> Result<PathBuf, Refusal> {
    scratch.put(FOLDER, &HARNESS)
}

/// Searches one module and tries what was found in fresh processes.
pub(super) fn evidence<'a>(
    project: &Project,
    scratch: &Scratch,
    target: &'a Target,
    arguments: &'a Arguments,
    stop: &Stop,
) -> Result<Evidence<'a>, Refusal> {
    let mut found = search(project, scratch, target, arguments, stop)?;
    plant(scratch, target, arguments, &mut found, stop)?;
    let runs = confirm(scratch, target, &found.blocks, arguments.allow_effects, stop)?;
    let runner = Runner::of(arguments, scratch);
    Ok(Evidence {
        found,
        runs,
        framework: runner.name(),
        tool: "Node.js",
        status: runner.status(),
        cached: false,
        mutation_reason: "no faults were planted",
        emission: runner.emission(scratch, target, arguments.seed),
    })
}

/// Searches one module.
fn search(
    project: &Project,
    scratch: &Scratch,
    target: &Target,
    arguments: &Arguments,
    stop: &Stop,
) -> Result<Found, Refusal> {
    link_dependencies(project, scratch);
    let wall = (Duration::from_millis(arguments.budget().into()) * WALL_FACTOR).max(WALL_LEAST);
    let status = scratch.beside("status");
    let documents = scratch.files.iter().filter(|file| file.to_ascii_lowercase().starts_with("readme"));
    let mut fatal: Vec<String> = Vec::new();
    let mut ended = String::new();
    for _ in 0..=RESTARTS_MAX {
        let request = json!({
            "mode": "search", "scratch": scratch.project(), "file": target.file, "functions": target.functions,
            "fatal": fatal, "seed": arguments.seed, "budget_ms": arguments.budget(), "wall_ms": wall.as_millis() as u64,
            "allow_effects": arguments.allow_effects, "status": status, "plants": arguments.mutants > 0,
            "documents": documents.clone().take(DOCUMENTS_MAX).collect::<Vec<_>>(),
        });
        let _ = std::fs::remove_file(&status);
        match ask::<Found>(scratch, &request, "UTC", &stop.within(wall + GRACE)) {
            Ok(mut found) => {
                for expression in &fatal {
                    found.targets.push(Fate {
                        target: expression.clone(),
                        status: "fatal".into(),
                        reason: Some(format!("a case that ended the process ({ended}) was left out")),
                    });
                }
                return Ok(found);
            }
            Err(Asked::Refused(refusal)) => return Err(refusal),
            Err(Asked::Died(how)) => {
                stop.check()?;
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let Some((_, expression)) = text.trim_end_matches([' ', '\0']).split_once('\n') else {
                    return Err(Refusal(format!("{}: importing it ended the process: {how}", target.file)));
                };
                fatal.push(expression.to_owned());
                ended = how;
            }
        }
    }
    Err(Refusal(format!(
        "{}: its code ended the process {} times, last by {ended}",
        target.file,
        RESTARTS_MAX + 1
    )))
}

/// Dependencies are read where they are: a copy would cost more than all the rest.
pub(super) fn link_dependencies(project: &Project, scratch: &Scratch) {
    let from = project.root.join("node_modules");
    if from.is_dir() {
        // It may be there from the file before.
        let _ = std::os::unix::fs::symlink(from, scratch.project().join("node_modules"));
    }
}

#[derive(Debug, Deserialize)]
struct Fresh {
    results: Vec<Verdicts>,
}

/// Runs all candidates in two processes that share nothing: other time zone, other order, and in one of them another day.
fn confirm(
    scratch: &Scratch,
    target: &Target,
    blocks: &[Block],
    allow_effects: bool,
    stop: &Stop,
) -> Result<Vec<Vec<Verdicts>>, Refusal> {
    let texts: Vec<_> =
        blocks.iter().map(|block| json!({"strong": block.strong, "weak": block.weak})).collect();
    let run = |backwards: bool, days: u32, zone: &str| {
        let request = json!({
            "mode": "fresh", "scratch": scratch.project(), "file": target.file, "blocks": texts, "backwards": backwards,
            "shift_days": days, "allow_effects": allow_effects,
        });
        ask::<Fresh>(scratch, &request, zone, &stop.within(GRACE * 4))
            .map(|fresh| fresh.results)
            .map_err(|asked| asked.refusal("a fresh process that ran the candidates"))
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| run(false, 0, "Asia/Tokyo"));
        let other = run(true, 1_000, "America/New_York");
        (one.join(), other)
    });
    let one = one.map_err(|_| Refusal("this is a fault of ours: a thread has panicked".into()))?;
    Ok(vec![one?, other?])
}

pub(super) fn ask<T: for<'de> Deserialize<'de>>(
    scratch: &Scratch,
    request: &Value,
    zone: &str,
    stop: &Stop,
) -> Result<T, Asked> {
    let main = scratch.beside(FOLDER).join("main.mjs").display().to_string();
    let args = [HEAP, "--no-warnings", &main];
    let input = request.to_string().into_bytes();
    let job = Job { env: &[("TZ", zone)], input, ..Job::of("node", &args) };
    harness::answer(&harness::ended(job.run(scratch, stop))?, "node")
}

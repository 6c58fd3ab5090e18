//! JavaScript, and TypeScript where Node can strip its types: the harness in `javascript/`, run by `node`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::Arguments;
use super::candidates::{Block, Fate, Found, Verdicts};
use super::files;
use super::kept::{Emission, Evidence, Status};
use super::sandbox;
use super::scratch::Scratch;
use super::target::Target;
use crate::project::Project;
use crate::project::child::RunError;
use crate::reply::Refusal;
use crate::stop::Stop;

const FOLDER: &str = "harness-js";
const HARNESS: [(&str, &str); 7] = [
    ("main.mjs", include_str!("javascript/main.mjs")),
    ("coverage.mjs", include_str!("javascript/coverage.mjs")),
    ("discover.mjs", include_str!("javascript/discover.mjs")),
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
    let found = search(project, scratch, target, arguments, stop)?;
    let runs = confirm(scratch, target, &found.blocks, arguments.allow_effects, stop)?;
    let stem = target.file.rsplit_once('.').map_or(target.file.as_str(), |(stem, _)| stem).replace('/', "-");
    Ok(Evidence {
        found,
        runs,
        framework: "node",
        tool: "Node.js",
        status: Status::Kept,
        cached: false,
        mutation_reason: "faults are planted in Python only",
        emission: Emission {
            wanted: format!("{}/{stem}.characterization.test.mjs", scratch.tests("test")),
            text: Box::new(|kept, path| file(kept, target, path, arguments.seed)),
            commands: Box::new(|path| vec![format!("node --test {path}")]),
        },
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
            "allow_effects": arguments.allow_effects, "status": status,
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
fn link_dependencies(project: &Project, scratch: &Scratch) {
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
        ask::<Fresh>(scratch, &request, zone, &stop.within(GRACE * 4)).map(|fresh| fresh.results).map_err(
            |asked| match asked {
                Asked::Refused(refusal) => refusal,
                Asked::Died(how) => Refusal(format!("a fresh process that ran the candidates ended: {how}")),
            },
        )
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| run(false, 0, "Asia/Tokyo"));
        let other = run(true, 1_000, "America/New_York");
        (one.join(), other)
    });
    let one = one.map_err(|_| Refusal("this is a fault of ours: a thread has panicked".into()))?;
    Ok(vec![one?, other?])
}

enum Asked {
    Refused(Refusal),
    Died(String),
}

fn ask<T: for<'de> Deserialize<'de>>(
    scratch: &Scratch,
    request: &Value,
    zone: &str,
    stop: &Stop,
) -> Result<T, Asked> {
    let main = scratch.beside(FOLDER).join("main.mjs").display().to_string();
    let refused = |text: String| Asked::Refused(Refusal(text));
    let args = [HEAP, "--no-warnings", &main];
    let input = request.to_string().into_bytes();
    let output = match sandbox::run(scratch, "node", &args, &[("TZ", zone)], input, stop) {
        Ok(output) => output,
        Err(RunError::Stopped { .. }) => return Err(Asked::Died("it did not end in time".into())),
        Err(error) => return Err(refused(error.to_string())),
    };
    if output.stdout.is_empty() {
        return Err(match output.status.code() {
            Some(127) => refused("node is not installed".into()),
            _ => Asked::Died(files::ended(output.status)),
        });
    }
    let answer: Value = serde_json::from_slice(&output.stdout)
        .map_err(|error| Asked::Died(format!("its answer cannot be read: {error}")))?;
    if let Some(failed) = answer.get("failed").and_then(Value::as_str) {
        return Err(refused(failed.to_owned()));
    }
    serde_json::from_value(answer)
        .map_err(|error| refused(format!("this is a fault of ours: the harness answered otherwise: {error}")))
}

/// A whole test file, for `node --test`.
fn file(blocks: &[Block], target: &Target, path: &str, seed: u64) -> String {
    let mut text = format!(
        "// Characterization tests of {}: they pin what it does, which need not be right.\n// Generated by qe_test_generate (seed {seed}).\n\nimport assert from 'node:assert/strict';\nimport {{ test }} from 'node:test';\n",
        target.file
    );
    // What each name is of the module: itself, an export, or a member of its default export (CommonJS).
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (what, name) in blocks.iter().flat_map(|block| &block.imports) {
        if let Some(name) = name {
            names.insert(name, what);
        }
    }
    let from = relative(path, &target.file);
    let of = |wanted: &str| -> Vec<&str> {
        names.iter().filter(|(_, what)| **what == wanted).map(|(name, _)| *name).collect()
    };
    let (default, named, members) = (of("default"), of("named"), of("member"));
    let mut imports: Vec<String> = default.first().map(|name| (*name).to_owned()).into_iter().collect();
    if !members.is_empty() && imports.is_empty() {
        imports.push("subject".into());
    }
    if !named.is_empty() {
        imports.push(format!("{{ {} }}", named.join(", ")));
    }
    let _ = writeln!(text, "\nimport {} from '{from}';", imports.join(", "));
    if !members.is_empty() {
        let whole = default.first().copied().unwrap_or("subject");
        let _ = writeln!(text, "\nconst {{ {} }} = {whole};", members.join(", "));
    }
    for (name, test) in files::named(blocks) {
        let title = name.strip_prefix("test_").unwrap_or(&name).replace('_', " ");
        let body = test.replacen(&name, &title, 1);
        text.push('\n');
        text.push_str(&body);
    }
    text
}

/// The way from one file of a project to another, as an import writes it.
fn relative(from: &str, to: &str) -> String {
    let up = Path::new(from).parent().map_or(0, |folder| folder.components().count());
    let folders: Vec<_> = from.split('/').collect();
    let parts: Vec<_> = to.split('/').collect();
    let shared = folders.iter().take(up).zip(&parts).take_while(|(one, other)| one == other).count();
    let climb = up - shared;
    let rest = parts[shared..].join("/");
    if climb == 0 { format!("./{rest}") } else { format!("{}{rest}", "../".repeat(climb)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_lead_from_the_test_to_the_file() {
        assert_eq!(relative("test/a.test.mjs", "index.js"), "../index.js");
        assert_eq!(relative("test/a.test.mjs", "src/lib/b.js"), "../src/lib/b.js");
        assert_eq!(relative("src/test/a.mjs", "src/b.js"), "../b.js");
        assert_eq!(relative("a.mjs", "b.js"), "./b.js");
    }
}

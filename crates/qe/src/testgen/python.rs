//! Python: the harness in `python/`, run by the interpreter of the project.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::arguments::{Arguments, Framework};
use super::candidates::{Block, Fate, Found, Verdicts};
use super::files;
use super::kept::{Emission, Evidence, Status};
use super::sandbox::{self, CPU_SECONDS, FILE_BYTES, MEMORY_BYTES};
use super::scratch::Scratch;
use super::target::Target;
use crate::project::Project;
use crate::reply::Refusal;
use crate::stop::Stop;

const PACKAGE: &str = "harness/aqe_testgen";
const HARNESS: [(&str, &str); 16] = [
    ("__init__.py", include_str!("python/__init__.py")),
    ("cases.py", include_str!("python/cases.py")),
    ("clock.py", include_str!("python/clock.py")),
    ("discover.py", include_str!("python/discover.py")),
    ("emit.py", include_str!("python/emit.py")),
    ("fresh.py", include_str!("python/fresh.py")),
    ("generate.py", include_str!("python/generate.py")),
    ("guard.py", include_str!("python/guard.py")),
    ("judge.py", include_str!("python/judge.py")),
    ("main.py", include_str!("python/main.py")),
    ("mutate.py", include_str!("python/mutate.py")),
    ("outcome.py", include_str!("python/outcome.py")),
    ("search.py", include_str!("python/search.py")),
    ("strings.py", include_str!("python/strings.py")),
    ("tracer.py", include_str!("python/tracer.py")),
    ("values.py", include_str!("python/values.py")),
];

/// The search may take so many times its budget by the clock before it is cut off, and then a moment to end.
const WALL_FACTOR: u32 = 12;
const WALL_LEAST: Duration = Duration::from_secs(8);
const GRACE: Duration = Duration::from_secs(8);
/// How often a search begins again without the case that ended its process.
const RESTARTS_MAX: usize = 4;
/// Files in which calls are looked for that show how a function is used.
const CALLERS_MAX: usize = 60;
const DOCUMENTS_MAX: usize = 8;

/// A module of a project, ready to be run.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) interpreter: String,
    /// Dotted, as tests import it.
    pub(super) name: String,
    /// The folder that has to be on the path, relative to the project; empty: the project's own.
    pub(super) import_root: String,
}

impl Module {
    /// How a file is imported, and by which interpreter.
    pub(super) fn of(project: &Project, target: &Target) -> Result<Self, Refusal> {
        let mut folder = target.path.parent().unwrap_or(&project.root).to_path_buf();
        let mut parts = Vec::new();
        let stem = target.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        if stem != "__init__" {
            parts.push(stem.to_owned());
        }
        while folder != project.root && folder.join("__init__.py").is_file() {
            parts.push(folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned());
            folder = folder.parent().unwrap_or(&project.root).to_path_buf();
        }
        parts.reverse();
        let is_name = |part: &String| {
            !part.is_empty()
                && !part.starts_with(|first: char| first.is_ascii_digit())
                && part.chars().all(|one| one.is_alphanumeric() || one == '_')
        };
        if parts.is_empty() || !parts.iter().all(is_name) {
            return Err(Refusal(format!("{}: its name cannot be imported", target.file)));
        }
        Ok(Self {
            interpreter: interpreter(project, &target.path),
            name: parts.join("."),
            import_root: project
                .shown(&folder)
                .trim_start_matches(project.root.to_str().unwrap_or("/"))
                .to_owned(),
        })
    }
}

/// The interpreter of the virtual environment nearest above a file, or the one on the path.
fn interpreter(project: &Project, file: &Path) -> String {
    let folders = file.ancestors().skip(1).take_while(|folder| folder.starts_with(&project.root));
    for folder in folders {
        for name in [".venv", "venv", "env"] {
            let python = folder.join(name).join("bin/python");
            if folder.join(name).join("pyvenv.cfg").is_file() && python.exists() {
                return python.display().to_string();
            }
        }
    }
    "python3".into()
}

/// `pytest` unless the project's tests are written for `unittest` alone.
fn framework(arguments: &Arguments, scratch: &Scratch) -> &'static str {
    match arguments.framework {
        Framework::Unittest => "unittest",
        Framework::Auto => {
            let tests = scratch.files.iter().filter(|file| is_test(file)).take(20);
            let mut texts = tests
                .filter_map(|file| std::fs::read_to_string(scratch.project().join(file)).ok())
                .peekable();
            let some = texts.peek().is_some();
            let configured = ["pytest.ini", "conftest.py", "tests/conftest.py"]
                .iter()
                .any(|name| scratch.files.iter().any(|file| file == name));
            if some && !configured && texts.all(|text| text.contains("unittest") && !text.contains("pytest"))
            {
                "unittest"
            } else {
                "pytest"
            }
        }
        Framework::Pytest | Framework::Node | Framework::Vitest | Framework::Jest => "pytest",
    }
}

pub(super) fn is_test(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.strip_suffix(".py").is_some_and(|stem| stem.starts_with("test_") || stem.ends_with("_test"))
}

/// Searches one module. A case that ends the process is named and left out; the search begins again, which is the same
/// search up to there.
fn search(
    scratch: &Scratch,
    module: &Module,
    target: &Target,
    framework: &str,
    arguments: &Arguments,
    stop: &Stop,
) -> Result<Found, Refusal> {
    let mut fatal: Vec<String> = Vec::new();
    let mut skip: Vec<(String, String)> = Vec::new();
    let wall = (Duration::from_millis(arguments.budget_ms.into()) * WALL_FACTOR).max(WALL_LEAST);
    let status = scratch.beside("status");
    let documents = scratch.files.iter().filter(|file| {
        let name = file.to_ascii_lowercase();
        name.starts_with("readme") || (name.starts_with("docs/") && has_ending(&name, &["md", "rst"]))
    });
    let callers = scratch.files.iter().filter(|file| has_ending(file, &["py"]) && **file != target.file);
    let mut ended = String::new();
    for _ in 0..=RESTARTS_MAX {
        let request = json!({
            "mode": "search", "scratch": scratch.project(), "import_root": module.import_root, "file": target.file,
            "module": module.name, "functions": target.functions, "skip": skip, "fatal": fatal, "seed": arguments.seed,
            "budget_ms": arguments.budget_ms, "wall_ms": wall.as_millis() as u64, "mutants": arguments.mutants,
            "framework": framework, "allow_effects": arguments.allow_effects, "status": status,
            "documents": documents.clone().take(DOCUMENTS_MAX).collect::<Vec<_>>(),
            "callers": callers.clone().take(CALLERS_MAX).collect::<Vec<_>>(),
        });
        let _ = std::fs::remove_file(&status);
        let within = stop.within(wall + GRACE);
        match ask::<Found>(
            scratch,
            &module.interpreter,
            request,
            &[("PYTHONHASHSEED", "0"), ("TZ", "UTC")],
            &within,
        ) {
            Ok(mut found) => {
                found.late |= !fatal.is_empty() && ended.contains("time");
                for expression in &fatal {
                    found.targets.push(Fate {
                        target: expression.clone(),
                        status: "fatal".into(),
                        reason: Some(format!("a case that ended the interpreter ({ended}) was left out")),
                    });
                }
                return Ok(found);
            }
            Err(Asked::Refused(refusal)) => return Err(refusal),
            Err(Asked::Died(how)) => {
                stop.check()?;
                let text = std::fs::read_to_string(&status).unwrap_or_default();
                let Some((name, expression)) = text.trim_end_matches([' ', '\0']).split_once('\n') else {
                    return Err(Refusal(format!(
                        "{}: importing it ended the interpreter: {how}",
                        target.file
                    )));
                };
                if fatal.iter().any(|one| one.starts_with(name)) || fatal.iter().any(|one| one == expression)
                {
                    skip.push((
                        name.to_owned(),
                        format!("ends the interpreter ({how}), as {expression} does"),
                    ));
                }
                fatal.push(expression.to_owned());
                ended = how;
            }
        }
    }
    Err(Refusal(format!(
        "{}: its code ended the interpreter {} times, last by {ended}",
        target.file,
        RESTARTS_MAX + 1
    )))
}

/// Searches one module and tries what was found in fresh processes.
pub(super) fn evidence<'a>(
    project: &Project,
    scratch: &Scratch,
    target: &'a Target,
    arguments: &'a Arguments,
    stop: &Stop,
) -> Result<Evidence<'a>, Refusal> {
    let module = Module::of(project, target)?;
    let framework = framework(arguments, scratch);
    let found = search(scratch, &module, target, framework, arguments, stop)?;
    let runs = confirm(scratch, &module, &found.blocks, framework, arguments.allow_effects, stop)?;
    let Module { name, import_root, .. } = module;
    Ok(Evidence {
        found,
        runs,
        framework,
        tool: "Python",
        status: Status::Kept,
        mutation_reason: "no faults were planted",
        emission: Emission {
            wanted: format!("{}/test_{}_characterization.py", scratch.tests("tests"), name.replace('.', "_")),
            title: str::to_owned,
            text: Box::new(move |kept, _| files::python(kept, &name, framework, arguments.seed)),
            commands: Box::new(move |path| vec![command(path, framework, &import_root)]),
        },
    })
}

/// How a user runs a test file.
fn command(path: &str, framework: &str, import_root: &str) -> String {
    let runner = if framework == "unittest" { "python" } else { "python -m pytest" };
    let root = if import_root.is_empty() { "." } else { import_root };
    // `python -m pytest` puts the folder that it is called in on the path, and a file's own folder is not enough.
    if root == "." && framework != "unittest" {
        format!("{runner} {path}")
    } else {
        format!("PYTHONPATH={root} {runner} {path}")
    }
}

#[derive(Debug, Deserialize)]
struct Fresh {
    results: Vec<Verdicts>,
}

/// Runs all candidates in two processes that share nothing with the search nor with each other: other hash seed, other
/// time zone, other order, and in one of them another day.
fn confirm(
    scratch: &Scratch,
    module: &Module,
    blocks: &[Block],
    framework: &str,
    allow_effects: bool,
    stop: &Stop,
) -> Result<Vec<Vec<Verdicts>>, Refusal> {
    let texts: Vec<_> =
        blocks.iter().map(|block| json!({"strong": block.strong, "weak": block.weak})).collect();
    let header = files::python_imports(blocks, framework);
    let request = |backwards: bool, days: u32| {
        json!({
            "mode": "fresh", "scratch": scratch.project(), "import_root": module.import_root, "blocks": texts, "header": header,
            "framework": framework, "allow_effects": allow_effects, "backwards": backwards, "shift_days": days,
            "test_module": "test_generated",
        })
    };
    let run = |request: Value, env: &[(&str, &str)]| {
        let within = stop.within(GRACE * 4);
        match ask::<Fresh>(scratch, &module.interpreter, request, env, &within) {
            Ok(fresh) => Ok(fresh.results),
            Err(Asked::Refused(refusal)) => Err(refusal),
            Err(Asked::Died(how)) => {
                Err(Refusal(format!("a fresh process that ran the candidates ended: {how}")))
            }
        }
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| run(request(false, 0), &[("PYTHONHASHSEED", "1"), ("TZ", "Asia/Tokyo")]));
        let other = run(request(true, 1_000), &[("PYTHONHASHSEED", "4242"), ("TZ", "America/New_York")]);
        (one.join(), other)
    });
    let one = one.map_err(|_| Refusal("this is a fault of ours: a thread has panicked".into()))?;
    Ok(vec![one?, other?])
}

/// Why there is no answer.
pub(super) enum Asked {
    /// The harness says why, or could not be started.
    Refused(Refusal),
    /// The process ended without an answer.
    Died(String),
}

/// Sends a request to the harness.
pub(super) fn ask<T: for<'de> Deserialize<'de>>(
    scratch: &Scratch,
    interpreter: &str,
    mut request: Value,
    env: &[(&str, &str)],
    stop: &Stop,
) -> Result<T, Asked> {
    request["memory"] = MEMORY_BYTES.into();
    request["cpu_seconds"] = CPU_SECONDS.into();
    request["file_bytes"] = FILE_BYTES.into();
    let begin = "import sys; sys.path.insert(0, sys.argv[1]); from aqe_testgen import main; sys.path.pop(0); main.run()";
    let harness = scratch.beside("harness").display().to_string();
    let refused = |text: String| Asked::Refused(Refusal(text));
    let args = ["-I", "-X", "utf8", "-c", begin, &harness];
    let output = match sandbox::run(scratch, interpreter, &args, env, request.to_string().into_bytes(), stop)
    {
        Ok(output) => output,
        Err(crate::project::child::RunError::Stopped { .. }) => {
            return Err(Asked::Died("it did not end in time".into()));
        }
        Err(error) => return Err(refused(error.to_string())),
    };
    if output.stdout.is_empty() {
        return Err(match output.status.code() {
            Some(127) => refused(format!("{interpreter} is not installed")),
            Some(1) if output.stderr.contains("Traceback") => {
                let last = output.stderr.trim_end().lines().next_back().unwrap_or_default();
                Asked::Died(format!("it failed: {last}"))
            }
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

fn has_ending(file: &str, endings: &[&str]) -> bool {
    Path::new(file).extension().is_some_and(|ending| endings.iter().any(|one| ending == *one))
}

/// Puts the harness beside the copy.
pub(super) fn install(scratch: &Scratch) -> Result<PathBuf, Refusal> {
    scratch.put(PACKAGE, &HARNESS)
}

//! Python: the harness in `python/`, run by the interpreter of the project.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::arguments::{Arguments, Framework};
use super::call::Call;
use super::candidates::{Block, Fate, Found, Verdicts};
use super::files;
use super::harness::{self, Asked};
use super::interpreter::Interpreter;
use super::kept::{Emission, Evidence, Status};
use super::memo::Searched;
use super::order::{self, Means};
use super::sandbox::{CPU_SECONDS, FILE_BYTES, Job, MEMORY_BYTES};
use super::scratch::Scratch;
use super::target::Target;
use crate::reply::Refusal;
use crate::stop::Stop;

const BUDGET_MOST_MS: u32 = 4_000;
/// The search may take so many times its budget by the clock before it is cut off, and then a moment to end.
const WALL_FACTOR: u32 = 12;
const WALL_LEAST: Duration = Duration::from_secs(8);
const GRACE: Duration = Duration::from_secs(8);
/// How often a search begins again without the case that ended its process.
const RESTARTS_MAX: usize = 6;
/// Files in which calls are looked for that show how a function is used.
const CALLERS_MAX: usize = 60;
const DOCUMENTS_MAX: usize = 8;

/// A module of a project, ready to be run.
#[derive(Debug)]
pub(super) struct Module {
    pub(super) interpreter: Arc<Interpreter>,
    /// Dotted, as tests import it.
    pub(super) name: String,
    /// The folder that has to be on the path, relative to the project; empty: the project's own.
    pub(super) import_root: String,
}

impl Module {
    /// How a file is imported, and by which interpreter.
    pub(super) fn of(call: &Call<'_>, target: &Target) -> Result<Self, Refusal> {
        let project = call.project;
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
            interpreter: call.memo().interpreters.of(project, &target.path, call.stop())?,
            name: parts.join("."),
            import_root: project
                .shown(&folder)
                .trim_start_matches(project.root.to_str().unwrap_or("/"))
                .to_owned(),
        })
    }
}

/// `pytest` unless the project's tests are written for `unittest` alone.
fn framework(call: &Call<'_>) -> &'static str {
    let (arguments, listing) = (call.arguments, call.listing);
    match arguments.framework {
        Framework::Unittest => "unittest",
        Framework::Auto => {
            let tests = listing.files.iter().filter(|file| is_test(file)).take(20);
            let mut texts = tests
                .filter_map(|file| std::fs::read_to_string(call.project.root.join(file)).ok())
                .peekable();
            let some = texts.peek().is_some();
            let configured = ["pytest.ini", "conftest.py", "tests/conftest.py"]
                .iter()
                .any(|name| listing.files.iter().any(|file| file == name));
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
    (framework, order): (&str, Option<&Means>),
    arguments: &Arguments,
    stop: &Stop,
) -> Result<Found, Refusal> {
    let mut fatal: Vec<String> = Vec::new();
    let mut skip: Vec<(String, String)> = Vec::new();
    // Without a budget the harness takes one by the size of the module.
    let budget = arguments.budget_ms.unwrap_or(BUDGET_MOST_MS);
    let wall = (Duration::from_millis(budget.into()) * WALL_FACTOR).max(WALL_LEAST);
    let status = scratch.beside("status");
    let documents = scratch.files.iter().filter(|file| {
        let name = file.to_ascii_lowercase();
        name.starts_with("readme") || (name.starts_with("docs/") && has_ending(&name, &["md", "rst"]))
    });
    let callers = scratch.files.iter().filter(|file| has_ending(file, &["py"]) && **file != target.file);
    let mut ended = String::new();
    let mut mutants = arguments.mutants;
    for _ in 0..=RESTARTS_MAX {
        let request = json!({
            "mode": "search", "scratch": scratch.project(), "import_root": module.import_root, "file": target.file,
            "module": module.name, "functions": target.functions, "lines": target.lines, "skip": skip, "fatal": fatal, "seed": arguments.seed,
            "budget_ms": arguments.budget_ms, "wall_ms": wall.as_millis() as u64, "mutants": mutants,
            "framework": framework, "allow_effects": arguments.allow_effects, "status": status, "order": order,
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
                if name.is_empty() {
                    // A fault that was planted: it says nothing of the code.
                    mutants = 0;
                    ended = how;
                    continue;
                }
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

/// Searches one module and tries what was found in fresh processes, unless that is known from an earlier call.
pub(super) fn evidence<'a>(call: &Call<'a>, target: &'a Target) -> Result<Evidence<'a>, Refusal> {
    let module = Module::of(call, target)?;
    let framework = framework(call);
    let began = SystemTime::now();
    let order = order::of(call, target, framework);
    let key = key(call, &module, target, order.as_ref())?;
    let known = key.as_ref().and_then(|key| call.memo().known(key));
    let cached = known.is_some();
    let searched = if let Some(searched) = known {
        searched
    } else {
        let searched = Arc::new(searched(call, &module, target, framework, order)?);
        if let Some(key) = key {
            call.memo().keep(key, &searched, began);
        }
        searched
    };
    let Searched { found, runs } = Arc::unwrap_or_clone(searched);
    let folders = ["tests", "test", "__tests__"];
    let folder = folders.into_iter().find(|name| call.project.root.join(name).is_dir()).unwrap_or("tests");
    let wanted = format!("{folder}/test_{}_characterization.py", module.name.replace('.', "_"));
    let (path, seed) = (path_statement(call, &module.import_root, folder, framework), call.arguments.seed);
    let name = module.name;
    Ok(Evidence {
        found,
        runs,
        framework,
        tool: "Python",
        status: Status::Kept,
        cached,
        mutation_reason: "no faults were planted",
        emission: Emission {
            wanted,
            title: Box::new(str::to_owned),
            text: Box::new(move |kept, _| files::python(kept, &name, framework, path.as_deref(), seed)),
            commands: Box::new(move |path| {
                let runner = if framework == "unittest" { "python" } else { "python -m pytest" };
                vec![format!("{runner} {path}")]
            }),
        },
    })
}

fn searched(
    call: &Call<'_>,
    module: &Module,
    target: &Target,
    framework: &str,
    order: Option<Means>,
) -> Result<Searched, Refusal> {
    let (arguments, stop) = (call.arguments, call.stop());
    let scratch = call.scratch()?;
    let mut found = search(scratch, module, target, (framework, order.as_ref()), arguments, stop)?;
    found.sources.order = order;
    let runs = confirm(scratch, module, &found.blocks, framework, arguments.allow_effects, stop)?;
    Ok(Searched { found, runs })
}

/// A hash of all that is known beforehand and may change what is found.
fn key(
    call: &Call<'_>,
    module: &Module,
    target: &Target,
    order: Option<&Means>,
) -> Result<Option<[u8; 32]>, Refusal> {
    let Some(content) = call.listing.digest(call.stop())? else { return Ok(None) };
    let Arguments { seed, budget_ms, mutants, allow_effects, framework, .. } = call.arguments;
    let interpreter = &module.interpreter;
    let all = format!(
        "{:?}",
        (
            (
                content,
                &call.project.root,
                &module.name,
                &module.import_root,
                &target.functions,
                &target.lines
            ),
            (&interpreter.executable, interpreter.stamp, seed, budget_ms, mutants, allow_effects, framework),
            order,
        )
    );
    Ok(Some(Sha256::digest(all).into()))
}

/// The statement of a test file that makes the project's modules importable, wherever it is started from. `None` where
/// pytest does so by itself: by its `pythonpath` setting, or by a `conftest.py` or a package that make it add the right folder.
fn path_statement(call: &Call<'_>, import_root: &str, folder: &str, framework: &str) -> Option<String> {
    let root = &call.project.root;
    let has = |name: &str| root.join(name).is_file();
    let is_set = ["pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini"]
        .iter()
        .any(|name| std::fs::read_to_string(root.join(name)).is_ok_and(|text| text.contains("pythonpath")));
    let is_added = import_root.is_empty() && (has("conftest.py") || has(&format!("{folder}/__init__.py")));
    if framework == "pytest" && (is_set || is_added) {
        return None;
    }
    let place = if import_root.is_empty() { String::new() } else { format!(" / {import_root:?}") };
    Some(format!("sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]{place}))"))
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
    let header = files::python_imports(blocks, framework, None);
    let request = |backwards: bool, days: u32| {
        json!({
            "mode": "fresh", "scratch": scratch.project(), "import_root": module.import_root, "blocks": texts, "header": header,
            "framework": framework, "allow_effects": allow_effects, "backwards": backwards, "shift_days": days,
            "test_module": "test_generated",
        })
    };
    let run = |request: Value, env: &[(&str, &str)]| {
        let within = stop.within(GRACE * 4);
        ask::<Fresh>(scratch, &module.interpreter, request, env, &within)
            .map(|fresh| fresh.results)
            .map_err(|asked| asked.refusal("a fresh process that ran the candidates"))
    };
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| run(request(false, 0), &[("PYTHONHASHSEED", "1"), ("TZ", "Asia/Tokyo")]));
        let other = run(request(true, 1_000), &[("PYTHONHASHSEED", "4242"), ("TZ", "America/New_York")]);
        (one.join(), other)
    });
    let one = one.map_err(|_| Refusal("this is a fault of ours: a thread has panicked".into()))?;
    Ok(vec![one?, other?])
}

/// Sends a request to the harness.
pub(super) fn ask<T: for<'de> Deserialize<'de>>(
    scratch: &Scratch,
    interpreter: &Interpreter,
    mut request: Value,
    env: &[(&str, &str)],
    stop: &Stop,
) -> Result<T, Asked> {
    request["memory"] = MEMORY_BYTES.into();
    request["cpu_seconds"] = CPU_SECONDS.into();
    request["file_bytes"] = FILE_BYTES.into();
    let input = interpreter.input(&request.to_string());
    let args = &Interpreter::ARGS;
    let job = Job { env, input, ..Job::of(&interpreter.executable, args) };
    let output = harness::ended(job.run(scratch, stop))?;
    if output.stdout.is_empty() && output.status.code() == Some(1) && output.stderr.contains("Traceback") {
        let last = output.stderr.trim_end().lines().next_back().unwrap_or_default();
        return Err(Asked::Died(format!("it failed: {last}")));
    }
    harness::answer(&output, &interpreter.executable)
}

fn has_ending(file: &str, endings: &[&str]) -> bool {
    Path::new(file).extension().is_some_and(|ending| endings.iter().any(|one| ending == *one))
}

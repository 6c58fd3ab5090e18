//! The built-in quality tools beside programs that count the same, on real packages: the scripts of `interop/qe`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::clients::count;
use super::install::{example, sources_of};
use super::process::finish;
use super::{Context, Result, Tally};

/// Time for one script; measured: the slowest takes 25 s.
const LIMIT: Duration = Duration::from_secs(120);
/// Why a path cannot be an argument.
const NOT_TEXT: &str = "a path is no text";
/// Time for the one that runs the workspace's own tests, which may have to be compiled first.
const COMPILING: Duration = Duration::from_secs(900);
/// What makes the folders that the others look at, without a gateway.
const CORPUS: &str = "corpus.py";
/// What runs tests as tasks of a fleet, and by hand.
const FLEET: &str = "fleet.py";
/// The oracles: what they are called, the script, and its arguments before the gateway.
const ORACLES: [(&str, &str, &[&str]); 15] = [
    ("radon", "complexity.py", &["radon", "python"]),
    ("eslint", "complexity.py", &["eslint", "javascript"]),
    ("lizard", "complexity.py", &["lizard", "java"]),
    ("big-code-analysis", "complexity.py", &["bca", "rust"]),
    ("jscpd-javascript", "duplication.py", &["javascript", ".js", "javascript"]),
    ("jscpd-rust", "duplication.py", &["rust", ".rs", "rust"]),
    ("coverage.py", "coverage_py.py", &[]),
    ("diff-cover", "diff_cover.py", &["6"]),
    ("node-nyc-c8", "javascript_coverage.py", &[]),
    ("lcov", "lcov_summary.py", &[]),
    ("junit", "junit.py", &[]),
    ("sarif", "gate.py", &["python"]),
    ("testgen", "testgen.py", &["short", "."]),
    ("bm25s", "scores.py", &[]),
    ("retrieval", "retrieval.py", &["--questions", "300"]),
];

/// Runs the scripts one after the other, each with a gateway of its own; prints what each found.
pub(super) fn run(context: &Context) -> Result<Option<Tally>> {
    let Some(gateway) = &context.gateway else { return Ok(None) };
    let found = finish(context.run.command(Path::new("lcov"), "lcov")?.arg("--version"), LIMIT);
    found.map_err(|_| "lcov is not on the path. On Debian: apt-get install lcov")?;
    let folder = context.run.folder().join("qe");
    fs::create_dir_all(&folder)?;
    // A TOML basic string takes the escapes of JSON.
    let root = serde_json::Value::from(folder.display().to_string());
    fs::write(folder.join("aqe.toml"), format!("[qe]\nroots = [{root}]\n"))?;
    let mut tally = Tally::default();
    one(context, &folder, ("corpus", CORPUS, &[]), None, LIMIT, &mut tally)?;
    for oracle in ORACLES {
        one(context, &folder, oracle, Some(gateway), LIMIT, &mut tally)?;
    }
    let root = context.tools.root();
    let vectors = example(root, "aqe-embed", "vectors")?;
    let model = sources_of(&root.join("crates/embed/weights/Cargo.toml"), "yantrikdb")?;
    let model = model.join("assets/potion-base-2M");
    let arguments = [vectors.to_str().ok_or(NOT_TEXT)?, model.to_str().ok_or(NOT_TEXT)?];
    one(context, &folder, ("model2vec", "embedding.py", &arguments), Some(gateway), LIMIT, &mut tally)?;
    one(context, &folder, ("fleet", FLEET, &[]), Some(gateway), COMPILING, &mut tally)?;
    Ok(Some(tally))
}

/// Runs one script and counts its lines `ok …` and `not ok …`.
fn one(
    context: &Context,
    folder: &Path,
    (title, script, arguments): (&str, &str, &[&str]),
    gateway: Option<&Path>,
    limit: Duration,
    tally: &mut Tally,
) -> Result<()> {
    let started = Instant::now();
    let log = format!("qe-{title}");
    let mut command = context.run.command(&context.tools.python("python"), &log)?;
    command
        .current_dir(folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AQE_WORKSPACE", context.tools.root());
    command.arg(context.tools.script(&format!("qe/{script}"))).args(arguments);
    if let Some(gateway) = gateway {
        command.arg("--").arg(gateway).args(["mcp", "start", "--transport", "stdio", "--config", "aqe.toml"]);
    }
    let finished = finish(&mut command, limit)?;
    fs::write(context.run.logs().join(format!("{log}.txt")), &finished.stdout)?;
    for line in finished.stdout.lines().filter_map(|line| line.strip_prefix("ok ")) {
        println!("  ok {line}");
    }
    count(&finished, &format!("{title} ({:.1} s)", started.elapsed().as_secs_f32()), tally);
    Ok(())
}

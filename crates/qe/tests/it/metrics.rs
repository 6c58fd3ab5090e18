//! `qe_quality_metrics` as a client sees it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::support::Tools;

const TOOL: &str = "qe_quality_metrics";

fn write(root: &Path, path: &str, text: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn git(root: &Path, args: &[&str]) {
    let who = ["-c", "user.name=A", "-c", "user.email=a@x", "-c", "commit.gpgsign=false"];
    let output = Command::new("git")
        .current_dir(root)
        .args(who)
        .args(args)
        .env("GIT_COMMITTER_DATE", "2026-11-01T12:00:00Z")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Distinct lines of Python, six words each.
fn lines(seed: u32, many: u32) -> String {
    (0..many).fold(String::new(), |text, line| text + &format!("v{seed}_{line} = f{line}_{seed} + {line}\n"))
}

const BRANCHING: &str =
    "def f(a):\n    if a and a.b:\n        for x in a:\n            yield x\n    # done\n";

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "src/hot.py", BRANCHING);
    write(root, "src/one.py", &format!("{}\n{}", lines(1, 3), lines(7, 12)));
    write(root, "src/deep/two.py", &lines(7, 12));
    write(root, "tests/test_hot.py", "def test_f():\n    assert True\n");
    folder
}

#[tokio::test]
async fn figures_are_those_of_the_files() {
    let folder = project();
    let tools = Tools::over(&[folder.path()]);
    let all = tools.call(TOOL, r#"{"group_by":"file","sort":"path"}"#).await;
    let project = &all["project"];
    assert_eq!(
        (&project["files"], &project["ncloc"], &project["comment"]),
        (&json!(3), &json!(31), &json!(1))
    );
    assert_eq!(project["cyclomatic"], json!({"sum": 4, "p50": 4, "p95": 4, "max": 4}));
    assert_eq!((&project["cognitive"]["sum"], &project["duplicated_lines"]), (&json!(4), &json!(24)));
    let paths: Vec<_> = all["items"].as_array().unwrap().iter().map(|item| &item["path"]).collect();
    assert_eq!(paths, ["src/deep/two.py", "src/hot.py", "src/one.py"]);
    let functions = tools.call(TOOL, r#"{"group_by":"function","scope":"all"}"#).await;
    let names: Vec<_> = functions["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["f", "test_f"]);
    assert_eq!(functions["items"][0]["lines"], json!([1, 5]));
    let folders = tools.call(TOOL, r#"{"group_by":"dir"}"#).await;
    let rows = |all: &Value| -> Vec<_> {
        all["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["path"].clone(), row["ncloc"].clone()))
            .collect()
    };
    assert_eq!(
        rows(&folders),
        [(json!("."), json!(31)), (json!("src"), json!(31)), (json!("src/deep"), json!(12))]
    );
    let part = tools.call(TOOL, r#"{"paths":["src/deep"]}"#).await;
    assert_eq!((&part["project"]["files"], &part["project"]["duplicated_lines"]), (&json!(1), &json!(12)));
    let twice = tools.call(TOOL, r#"{"group_by":"duplicate"}"#).await;
    let places =
        json!([{"file": "src/deep/two.py", "lines": [1, 12]}, {"file": "src/one.py", "lines": [5, 16]}]);
    assert_eq!((&twice["items"][0]["places"], &twice["total"]), (&places, &json!(1)));
}

#[tokio::test]
async fn what_is_not_known_is_null_with_its_reason() {
    let folder = project();
    let tools = Tools::over(&[folder.path()]);
    let all = tools.call(TOOL, r#"{"history":5}"#).await;
    for unknown in ["coverage", "tests", "mutation"] {
        assert!(all[unknown].is_null() && all["unknown"][unknown].is_string(), "{all}");
    }
    assert!(all["items"][0]["hotspot"].is_null() && all["items"][0]["commits_90d"].is_null());
    for unknown in ["churn", "hotspot", "trend"] {
        assert!(all["unknown"][unknown].as_str().unwrap().contains("Git"), "{all}");
    }
    let refusal = tools.refusal(TOOL, r#"{"sort":"hotspot"}"#).await;
    assert!(refusal.contains("Git"), "{refusal}");
    let empty = tempfile::tempdir().unwrap();
    let tools = Tools::over(&[empty.path()]);
    let none = tools.call(TOOL, "{}").await;
    assert_eq!((&none["project"]["ncloc"], &none["project"]["maintainability"]), (&json!(0), &Value::Null));
    assert_eq!(
        (&none["project"]["cyclomatic"]["p95"], &none["project"]["duplicated_pct"]),
        (&Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn a_source_that_changed_a_moment_ago_is_measured_anew() {
    let folder = project();
    let tools = Tools::over(&[folder.path()]);
    for round in 0..20 {
        // The same size each time, and no time between the writes.
        let word = ["while", "if   "][round % 2];
        write(
            folder.path(),
            "src/hot.py",
            &format!("def f(a):\n    {word} a{}: pass\n", [" and b", " + b  "][round / 2 % 2]),
        );
        let all = tools.call(TOOL, r#"{"group_by":"function"}"#).await;
        let wanted = [3, 2][round / 2 % 2];
        assert_eq!(all["items"][0]["cyclomatic"], wanted, "round {round}");
    }
    let again = tools.call(TOOL, "{}").await;
    assert_eq!((&again["computed_files"], &again["cached_files"]), (&json!(0), &json!(3)));
    fs::remove_file(folder.path().join("src/hot.py")).unwrap();
    assert_eq!(tools.call(TOOL, "{}").await["project"]["functions"], 0);
}

#[tokio::test]
async fn changes_are_counted_and_make_hotspots() {
    let folder = project();
    let root = folder.path();
    git(root, &["init", "-q", "-b", "main"]);
    let tools = Tools::over(&[root]);
    let none = tools.call(TOOL, "{}").await;
    assert!(none["unknown"]["churn"].as_str().unwrap().contains("no commit"), "{none}");
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "one"]);
    git(root, &["mv", "src/hot.py", "src/hotter.py"]);
    git(root, &["commit", "-qm", "two"]);
    let all = tools.call(TOOL, "{}").await;
    let hottest = &all["items"][0];
    assert_eq!(
        (&hottest["path"], &hottest["commits_90d"], &hottest["hotspot"]),
        (&json!("src/hotter.py"), &json!(2), &json!(8))
    );
    assert_eq!((&hottest["lines_changed_90d"], &hottest["authors_90d"]), (&json!(5), &json!(1)));
    let below = tools.call(TOOL, r#"{"root":"src"}"#).await;
    assert_eq!((&below["items"][0]["path"], &below["items"][0]["hotspot"]), (&json!("hotter.py"), &json!(8)));
}

#[tokio::test]
async fn a_trend_has_the_figures_of_commits_and_of_nothing_else() {
    let folder = project();
    let root = folder.path();
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "one"]);
    let tools = Tools::over(&[root]);
    let first = tools.call(TOOL, r#"{"history":5}"#).await;
    assert_eq!(first["trend"]["kept"], true);
    assert_eq!((&first["trend"]["metrics"]["ncloc"], &first["trend"]["delta"]), (&json!([31.0]), &json!({})));
    write(root, "src/new.py", "x = 1\n");
    let dirty = tools.call(TOOL, r#"{"history":5}"#).await;
    assert_eq!(
        (&dirty["trend"]["kept"], &dirty["trend"]["metrics"]["ncloc"]),
        (&json!(false), &json!([31.0]))
    );
    assert_eq!(dirty["project"]["ncloc"], 32);
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "two", "--date", "2026-11-02T12:00:00Z"]);
    let second = tools.call(TOOL, r#"{"history":5}"#).await;
    assert_eq!(second["trend"]["commits"].as_array().unwrap().len(), 2);
    assert_eq!(second["trend"]["branch"], "main");
    let refusal = tools.refusal(TOOL, r#"{"history":5,"paths":["src"]}"#).await;
    assert!(refusal.contains("`history`"), "{refusal}");
}

#[tokio::test]
async fn pages_are_whole_and_a_cursor_does_not_outlive_what_it_pages_over() {
    let folder = tempfile::tempdir().unwrap();
    for file in 0..45 {
        write(folder.path(), &format!("a{file:02}.py"), "x = 1\n");
    }
    let tools = Tools::over(&[folder.path()]);
    let mut paths = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = tools.call(TOOL, &format!(r#"{{"sort":"path"{cursor}}}"#)).await;
        assert_eq!(page["total"], 45);
        paths.extend(
            page["items"].as_array().unwrap().iter().map(|item| item["path"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!(r#","cursor":"{next}""#);
    }
    let wanted: Vec<_> = (0..45).map(|file| format!("a{file:02}.py")).collect();
    assert_eq!(paths, wanted);
    let other = tools.refusal(TOOL, &format!(r#"{{"sort":"ncloc"{cursor}}}"#)).await;
    write(folder.path(), "a00.py", "y = 1\n");
    let stale = tools.refusal(TOOL, &format!(r#"{{"sort":"path"{cursor}}}"#)).await;
    for refusal in [other, stale, tools.refusal(TOOL, r#"{"cursor":"x"}"#).await] {
        assert!(refusal.contains("without it"), "{refusal}");
    }
}

#[tokio::test]
async fn nothing_outside_of_the_roots_is_measured() {
    let folder = project();
    write(folder.path(), "in/a.py", "x = 1\n");
    std::os::unix::fs::symlink(folder.path().join("src"), folder.path().join("in/link")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("src/hot.py"), folder.path().join("in/hot.py")).unwrap();
    let tools = Tools::over(&[&folder.path().join("in")]);
    assert_eq!(tools.call(TOOL, "{}").await["project"]["files"], 1);
    for arguments in
        [r#"{"root":".."}"#, r#"{"root":"link"}"#, r#"{"paths":["../src"]}"#, r#"{"paths":["link"]}"#]
    {
        let refusal = tools.refusal(TOOL, arguments).await;
        assert!(refusal.contains("outside"), "{arguments}: {refusal}");
    }
    assert!(tools.refusal(TOOL, r#"{"paths":["none"]}"#).await.contains("none"));
}

#[tokio::test]
async fn a_source_that_cannot_be_measured_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "bundle.js", &"a();".repeat(1_000));
    write(folder.path(), "broken.py", "def f(:\n    )\n");
    write(folder.path(), "huge.go", &"// x\n".repeat(900_000));
    fs::write(folder.path().join("bytes.rs"), [0xff, 0xfe, 0, b'\n']).unwrap();
    let all = Tools::over(&[folder.path()]).call(TOOL, "{}").await;
    let warnings = all["warnings"].to_string();
    for (named, why) in
        [("bundle.js", "too long for people"), ("huge.go", "4194304"), ("broken.py", "errors")]
    {
        assert!(warnings.contains(named) && warnings.contains(why), "{named}: {warnings}");
    }
    assert_eq!(all["project"]["files"], 2);
}

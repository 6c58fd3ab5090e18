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
    git_at(root, args, "2026-11-01T12:00:00Z");
}

fn git_at(root: &Path, args: &[&str], date: &str) {
    let who = ["-c", "user.name=A", "-c", "user.email=a@x", "-c", "commit.gpgsign=false"];
    let output = Command::new("git")
        .current_dir(root)
        .args(who)
        .args(args)
        .env("GIT_COMMITTER_DATE", date)
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
        assert!(all[unknown].is_null(), "{all}");
        assert!(all["unknown"][unknown].as_str().unwrap().contains("there is no"), "{all}");
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
    let folder = with_reports();
    let root = folder.path();
    write(root, ".gitignore", "*.info\n*.xml\nreports/\n");
    git(root, &["init", "-q", "-b", "main"]);
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "one"]);
    let tools = Tools::over(&[root]);
    let first = tools.call(TOOL, r#"{"history":5}"#).await;
    assert_eq!(first["trend"]["kept"], true, "{first:#}");
    let of = |all: &Value, metric: &str| all["trend"]["metrics"][metric].clone();
    assert_eq!(of(&first, "ncloc"), json!({"first": 33.0, "last": 33.0, "delta": 0.0, "values": [33.0]}));
    assert_eq!(of(&first, "coverage")["last"], 66.66);
    write(root, "src/new.py", "x = 1\n");
    let dirty = tools.call(TOOL, r#"{"history":5}"#).await;
    assert_eq!((&dirty["trend"]["kept"], &of(&dirty, "ncloc")["values"]), (&json!(false), &json!([33.0])));
    assert_eq!(dirty["project"]["ncloc"], 34);
    git(root, &["add", "."]);
    git_at(root, &["commit", "-qm", "two"], "2026-11-02T12:00:00Z");
    let second = tools.call(TOOL, r#"{"history":5}"#).await;
    assert_eq!(second["trend"]["commits"].as_array().unwrap().len(), 2);
    assert_eq!(second["trend"]["branch"], "main");
    let wanted = json!({"first": 33.0, "last": 34.0, "delta": 1.0, "values": [33.0, 34.0]});
    assert_eq!(of(&second, "ncloc"), wanted);
    // The tests were not run after the change: what is stale is not kept.
    assert_eq!(of(&second, "tests")["values"], json!([2.0, null]), "{second:#}");
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

/// `src/hot.py` is half covered, and one of two tests failed.
fn with_reports() -> tempfile::TempDir {
    let folder = project();
    let root = folder.path();
    write(root, "src/cold.py", "def g(a):\n    return a\n");
    write(
        root,
        "lcov.info",
        "SF:src/hot.py\nDA:1,1\nDA:2,1\nDA:3,0\nDA:4,0\nend_of_record\nSF:src/one.py\nDA:1,1\nDA:2,1\nend_of_record\n",
    );
    let tests = r#"<testsuite><testcase name="a" time="0.5"/><testcase name="b" time="1,000.25"><failure message="no"/></testcase></testsuite>"#;
    write(root, "junit.xml", tests);
    let mutant = |status: &str| json!({"id": status, "status": status, "mutatorName": "m", "location": {"start": {"line": 2, "column": 1}, "end": {"line": 2, "column": 3}}});
    let file = json!({"language": "python", "source": "", "mutants": [mutant("Killed"), mutant("Survived")]});
    let report =
        json!({"schemaVersion": "2", "thresholds": {"high": 80, "low": 60}, "files": {"src/hot.py": file}});
    write(root, "reports/mutation/mutation.json", &report.to_string());
    folder
}

#[tokio::test]
async fn what_reports_say_of_the_tests_stands_beside_the_code() {
    let folder = with_reports();
    let tools = Tools::over(&[folder.path()]);
    let all = tools.call(TOOL, r#"{"sort":"crap"}"#).await;
    assert_eq!(all["coverage"]["line"], json!({"covered": 4, "total": 6, "pct": 66.66}), "{all:#}");
    let analyzed = tools.call("qe_coverage_analyze", "{}").await;
    assert_eq!(all["coverage"]["line"], analyzed["totals"]["line"]);
    // src/cold.py has a function and is in no report; src/deep/two.py has none.
    assert_eq!((&all["coverage"]["files"], &all["coverage"]["unmeasured_files"]), (&json!(2), &json!(1)));
    assert_eq!(all["coverage"]["branch"], Value::Null);
    let tests = json!({"total": 2, "failed": 1, "skipped": 0, "flaky": 0, "seconds": 1000.75});
    assert_eq!(all["tests"], tests);
    assert_eq!((&all["mutation"]["score"], &all["mutation"]["survived"]), (&json!(50.0), &json!(1)));
    let unknown: Vec<_> = all["unknown"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(unknown, ["churn", "hotspot"]);
    let kinds: Vec<_> =
        all["provenance"].as_array().unwrap().iter().map(|from| from["kind"].clone()).collect();
    assert_eq!(kinds, ["measured", "junit", "mutation", "coverage"]);
    // Complexity 4, half of it covered: 16 · 0.125 + 4.
    let hot = &all["items"][0];
    assert_eq!(
        (&hot["path"], &hot["line_pct"], &hot["crap_max"]),
        (&json!("src/hot.py"), &json!(50.0), &json!(6.0))
    );
    let functions = tools.call(TOOL, r#"{"group_by":"function","sort":"coverage"}"#).await;
    assert_eq!((&functions["items"][0]["name"], &functions["items"][0]["crap"]), (&json!("f"), &json!(6.0)));
    let cold = &functions["items"][1];
    assert_eq!((&cold["name"], &cold["line_pct"], &cold["crap"]), (&json!("g"), &Value::Null, &Value::Null));
    let folders = tools.call(TOOL, r#"{"group_by":"dir"}"#).await;
    assert_eq!(
        (&folders["items"][0]["line_pct"], &folders["items"][0]["unmeasured_files"]),
        (&json!(66.66), &json!(1))
    );
    let part = tools.call(TOOL, r#"{"paths":["src/one.py"]}"#).await;
    assert_eq!(part["coverage"]["line"]["pct"], 100.0);
    let none = tools.call(TOOL, r#"{"paths":["src/deep"]}"#).await;
    assert!(none["coverage"].is_null() && none["unknown"]["coverage"].as_str().unwrap().contains("report"));
}

#[tokio::test]
async fn reports_that_are_older_than_the_sources_say_so_and_broken_ones_say_nothing() {
    let folder = with_reports();
    let tools = Tools::over(&[folder.path()]);
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let source = fs::File::options().write(true).open(folder.path().join("src/hot.py")).unwrap();
    source.set_modified(later).unwrap();
    let all = tools.call(TOOL, "{}").await;
    for what in ["coverage", "tests", "mutation"] {
        assert!(all[what]["stale"].as_str().unwrap().contains("src/hot.py"), "{what}: {all:#}");
    }
    write(folder.path(), "junit.xml", "<testsuite><testcase name='a'>");
    write(folder.path(), "lcov.info", "nothing of the kind");
    fs::remove_dir_all(folder.path().join("reports")).unwrap();
    let broken = tools.call(TOOL, "{}").await;
    for (what, why) in [("coverage", "lcov.info"), ("tests", "junit.xml"), ("mutation", "there is no")] {
        assert!(broken[what].is_null(), "{broken:#}");
        assert!(broken["unknown"][what].as_str().unwrap().contains(why), "{broken:#}");
    }
    let refusal = tools.refusal(TOOL, r#"{"sort":"coverage"}"#).await;
    assert!(refusal.contains("lcov.info"), "{refusal}");
    // The gate's inputs are those of the metrics.
    write(folder.path(), "other.xml", "<testsuite><testcase name='a'/></testsuite>");
    write(
        folder.path(),
        ".qe/gate.toml",
        "[inputs]\njunit = [\"other.xml\"]\n[[condition]]\nmetric = \"tests_failed\"\nop = \"<=\"\nvalue = 0\n",
    );
    assert_eq!(tools.call(TOOL, "{}").await["tests"]["total"], 1);
    write(folder.path(), ".qe/gate.toml", "[gate\n");
    let gate = tools.call(TOOL, "{}").await;
    assert!(gate["unknown"]["tests"].as_str().unwrap().contains("gate.toml"), "{gate:#}");
}

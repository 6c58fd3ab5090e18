//! Reports that are strange, broken, of elsewhere, or of tests: what the coverage tools make of them.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use serde_json::{Value, json};

use crate::project::Project;

const ANALYZE: &str = "qe_coverage_analyze";
const GAPS: &str = "qe_coverage_gaps";

const SOURCE: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";

/// A report in which of each file the second line has run and the third has not.
fn half(paths: &[&str]) -> String {
    paths.iter().fold(String::new(), |mut text, path| {
        writeln!(text, "SF:{path}\nDA:2,1\nDA:3,0\nend_of_record").unwrap();
        text
    })
}

fn paths(result: &Value) -> Vec<&str> {
    let mut paths: Vec<_> =
        result["groups"].as_array().unwrap().iter().map(|group| group["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn a_path_map_says_where_paths_lead_and_no_other_file_is_guessed() {
    let project = Project::new();
    for path in ["backend/app.py", "web/src/app.ts", "app.py"] {
        project.write(path, SOURCE);
    }
    project.write("lcov.info", &half(&["/build/app.py", "/build/web/app.ts", "/build/gone.py", "app.py"]));
    let map = json!({"/build": "backend", "/build/web": "web/src", "/never": "web"});
    let result = project.call(ANALYZE, json!({"path_map": map})).await;
    assert_eq!(paths(&result), ["/build/gone.py", "app.py", "backend/app.py", "web/src/app.ts"]);
    let unmatched = &result["unmatched"];
    assert_eq!((&unmatched["total"], &unmatched["first"][0]["path"]), (&json!(1), &json!("/build/gone.py")));
    assert!(unmatched.to_string().contains("leads to backend/gone.py"), "{unmatched}");
    assert!(result["warnings"].to_string().contains("no path begins with `/never`"), "{result}");
    let gaps = project.call(GAPS, json!({"path_map": map})).await;
    assert_eq!((&gaps["total"], &gaps["unmatched"]), (&json!(4), &json!(1)));
    // A report whose paths nobody could guess, and one that is led out of the project.
    project.write("lcov.info", &half(&["ghc/Main.hs"]));
    project.write("source/Main.hs", SOURCE);
    assert!(project.refusal(ANALYZE, json!({"root": "source"})).await.contains("no coverage report"));
    let result = project.call(ANALYZE, json!({"path_map": {"ghc": "source"}})).await;
    assert_eq!(paths(&result), ["source/Main.hs"]);
    fs::write(project.path("../outside.py"), SOURCE).unwrap();
    project.write("lcov.info", &half(&["ghc/../../outside.py", "ghc/Main.hs"]));
    let result = project.call(ANALYZE, json!({"path_map": {"ghc": "source"}})).await;
    assert_eq!(result["unmatched"]["total"], 1, "{result}");
    for (to, why) in [("..", "outside"), ("/etc", "outside"), ("none", "none"), ("app.py", "no folder")] {
        let refusal = project.refusal(ANALYZE, json!({"path_map": {"ghc": to}})).await;
        assert!(refusal.contains("`path_map`") && refusal.contains(why), "{refusal}");
    }
}

#[tokio::test]
async fn tests_in_a_report_are_told_apart_and_counted_only_if_that_is_asked() {
    let project = Project::new();
    for path in ["src/a.py", "tests/test_a.py", "src/test_b.py"] {
        project.write(path, SOURCE);
    }
    let report = half(&["src/a.py", "/ci/test/x/src/c.py"])
        + "SF:tests/test_a.py\nDA:1,1\nDA:2,1\nend_of_record\nSF:src/test_b.py\nDA:1,1\nend_of_record\n";
    project.write("lcov.info", &report);
    let result = project.call(ANALYZE, json!({})).await;
    assert_eq!(result["totals"]["line"], json!({"covered": 2, "total": 4, "pct": 50.0}));
    // The folders around a path of another machine say nothing of the file.
    assert_eq!(paths(&result), ["/ci/test/x/src/c.py", "src/a.py"]);
    let excluded = &result["tests_excluded"];
    assert_eq!((&excluded["files"], &excluded["line"]["total"]), (&json!(2), &json!(3)));
    assert!(excluded["rule"].as_str().unwrap().contains("include_tests"));
    let all = project.call(ANALYZE, json!({"include_tests": true})).await;
    assert_eq!(all["totals"]["line"], json!({"covered": 5, "total": 7, "pct": 71.42}));
    assert_eq!((&all["files"], &all["tests_excluded"]), (&json!(4), &Value::Null));
    let filtered = project.call(ANALYZE, json!({"include": ["src/**"]})).await;
    assert_eq!(filtered["tests_excluded"]["files"], 1, "of the files that are asked about");
    project.write("lcov.info", &(report.clone() + "SF:tests/test_a.py\nDA:9,0\nend_of_record\n"));
    assert_eq!(project.call(GAPS, json!({})).await["total"], 2);
    assert_eq!(project.call(GAPS, json!({"include_tests": true})).await["total"], 3);
    // A change of tests alone has no lines that tests should run.
    project.git(&["init", "-q"]);
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "one"]);
    project.write("tests/test_a.py", &SOURCE.replace("2\n", "two\n"));
    let result = project.call(ANALYZE, json!({"base": "HEAD"})).await;
    assert_eq!(
        (&result["patch"]["line"]["total"], &result["patch"]["unmeasured"]["total"]),
        (&json!(0), &json!(0))
    );
    let only_tests = project.call(ANALYZE, json!({"include": ["tests/**"]})).await;
    assert_eq!(only_tests["totals"]["line"], Value::Null);
    assert!(only_tests["absent"]["line"].as_str().unwrap().contains("no file is left"));
}

#[tokio::test]
async fn a_report_that_was_cut_off_is_named_and_no_verdict_rests_on_it() {
    let project = Project::new();
    project.write("a.py", SOURCE);
    project.write("lcov.info", &half(&["a.py"]));
    let whole = project.call(ANALYZE, json!({})).await;
    assert_eq!(whole["provenance"][0]["whole"], true);
    // Without the line that has not run: what is left is better than all.
    project.write("lcov.info", "SF:a.py\nDA:2,1\n");
    for tool in [ANALYZE, GAPS] {
        let result = project.call(tool, json!({})).await;
        assert_eq!(result["provenance"][0]["whole"], false, "{result}");
        let warnings = result["warnings"].to_string();
        assert!(warnings.contains("lcov.info: not whole: it ends within the record of a.py"), "{warnings}");
    }
    let condition = json!([{"metric": "coverage", "op": ">=", "value": 10}]);
    let verdict = project.call("qe_quality_gate", json!({"conditions": condition})).await;
    let condition = &verdict["conditions"][0];
    assert_eq!((&condition["metric"], &condition["status"]), (&json!("coverage"), &json!("no_data")));
    assert!(condition["reason"].as_str().unwrap().contains("lcov.info is not whole"), "{condition}");
    project.write("coverage.xml", "<coverage line-rate=\"1\"><packages><class filename=\"a.py\"><lines>");
    let refusal = project.refusal(ANALYZE, json!({"reports": ["coverage.xml"]})).await;
    assert!(
        refusal.contains("broken cobertura report at byte 64: it ends before its elements do"),
        "{refusal}"
    );
    project.write("coverage.json", r#"{"meta":{"format":3},"files":{"a.py":{"executed_lines":[1],"#);
    let refusal = project.refusal(ANALYZE, json!({"reports": ["coverage.json"]})).await;
    assert!(refusal.contains("broken coverage-py report at line 1"), "{refusal}");
}

#[tokio::test]
async fn entities_and_outside_paths_in_a_report_reach_nothing() {
    let project = Project::new();
    project.write("a.py", SOURCE);
    fs::write(project.path("../secret.py"), SOURCE).unwrap();
    std::os::unix::fs::symlink("/etc", project.path("etc")).unwrap();
    let bomb = |declared: &str, name: &str| {
        format!(
            "<!DOCTYPE c [{declared}]><coverage line-rate=\"1\"><packages><class filename=\"{name}\"><lines><line number=\"2\" hits=\"1\"/></lines></class></packages></coverage>"
        )
    };
    let laughs = "<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">";
    for declared in [
        laughs,
        "<!ENTITY b SYSTEM \"file:///etc/passwd\">",
        "<!ENTITY % b SYSTEM \"http://127.0.0.1:1/\"> %b;",
    ] {
        project.write("coverage.xml", &bomb(declared, "&b;"));
        let refusal = project.refusal(ANALYZE, json!({"reports": ["coverage.xml"]})).await;
        assert!(
            refusal.contains("coverage.xml: broken cobertura report") && refusal.contains("entities"),
            "{refusal}"
        );
    }
    project.write("lcov.info", &half(&["a.py", "../secret.py", "/etc/passwd", "etc/passwd"]));
    let result = project.call(ANALYZE, json!({"reports": ["lcov.info"]})).await;
    assert_eq!((&result["unmatched"]["total"], &result["totals"]["line"]["total"]), (&json!(3), &json!(8)));
    let gaps = project.call(GAPS, json!({"reports": ["lcov.info"]})).await;
    for gap in gaps["gaps"].as_array().unwrap() {
        let is_ours = gap["file"] == "a.py";
        assert_eq!(
            gap["snippet"].as_str().unwrap().is_empty(),
            !is_ours,
            "nothing of outside is shown: {gap}"
        );
    }
    for outside in ["../secret.py", "/etc/passwd", "etc/passwd"] {
        let refusal = project.refusal(ANALYZE, json!({"reports": [outside]})).await;
        assert!(refusal.contains("outside"), "{refusal}");
    }
}

#[tokio::test]
async fn a_report_of_another_project_is_no_0_and_no_100_percent() {
    let project = Project::new();
    project.write("a.py", SOURCE);
    project.write("lcov.info", &half(&["/w/x.py", "y.py"]));
    for tool in [ANALYZE, GAPS] {
        let refusal = project.refusal(tool, json!({})).await;
        assert!(refusal.contains("none of its 2 files") && refusal.contains("another project"), "{refusal}");
        assert!(refusal.contains("path_map"), "and what to do if it is not: {refusal}");
    }
}

#[tokio::test]
async fn without_git_and_in_an_empty_repository_all_that_is_known_is_told() {
    let project = Project::new();
    project.write("a.py", SOURCE);
    project.write("lcov.info", &half(&["a.py"]));
    let result = project.call(GAPS, json!({})).await;
    assert_eq!((&result["total"], &result["gaps"][0]["commits_90d"]), (&json!(1), &Value::Null));
    assert!(result["history"].as_str().unwrap().contains("not in a Git repository"), "{result}");
    assert!(project.refusal(ANALYZE, json!({"base": "HEAD"})).await.contains("not below a Git working tree"));
    project.git(&["init", "-q"]);
    let result = project.call(GAPS, json!({})).await;
    assert!(result["history"].as_str().unwrap().contains("no commit"), "{result}");
    assert_eq!(project.call(ANALYZE, json!({})).await["totals"]["line"]["pct"], 50.0);
    assert!(project.refusal(ANALYZE, json!({"base": "HEAD"})).await.contains("no commit HEAD"));
    let empty = Project::new();
    empty.git(&["init", "-q"]);
    for tool in [ANALYZE, GAPS] {
        assert!(empty.refusal(tool, json!({})).await.contains("no coverage report"));
    }
}

#[tokio::test]
async fn what_changed_without_a_new_size_or_time_is_seen() {
    let project = Project::new();
    project.git(&["init", "-q"]);
    project.write("a.py", "def f(a):\n    return a\n");
    let report = |hits: u8| format!("SF:a.py\nDA:1,1\nDA:2,{hits}\nend_of_record\n");
    project.write("lcov.info", &report(0));
    let time = |path: &str| fs::metadata(project.path(path)).unwrap().modified().unwrap();
    let put_back = |path: &str, time| {
        fs::File::options().write(true).open(project.path(path)).unwrap().set_modified(time).unwrap();
    };
    let before = project.call(GAPS, json!({})).await;
    assert_eq!((&before["total"], &before["gaps"][0]["cyclomatic"]), (&json!(1), &json!(1)));
    // The source: as long as before, of the same time, in the same file.
    let (written, inode) = (time("a.py"), fs::metadata(project.path("a.py")).unwrap().ino());
    project.write("a.py", "def g(a):\n    return a\n");
    put_back("a.py", written);
    assert_eq!((time("a.py"), fs::metadata(project.path("a.py")).unwrap().ino()), (written, inode));
    let after = project.call(GAPS, json!({})).await;
    assert_eq!(after["gaps"][0]["function"]["name"], "g", "{after}");
    // The report.
    let written = time("lcov.info");
    project.write("lcov.info", &report(7));
    put_back("lcov.info", written);
    assert_eq!(project.call(GAPS, json!({})).await["total"], 0);
    assert_eq!(project.call(ANALYZE, json!({})).await["totals"]["line"]["pct"], 100.0);
}

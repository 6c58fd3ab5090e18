//! `qe_coverage_analyze` on projects in temporary folders.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::project::Project;
use crate::support::Tools;

const TOOL: &str = "qe_coverage_analyze";

/// Ten lines, of which 2 to 4 are covered and 6 and 7 are not.
const SOURCE: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n";
const LCOV: &str =
    "SF:src/a.py\nDA:2,1\nDA:3,1\nDA:4,2\nDA:6,0\nDA:7,0\nBRDA:3,0,0,1\nBRDA:3,0,1,0\nend_of_record\n";

fn project() -> Project {
    let project = Project::new();
    project.write("src/a.py", SOURCE);
    project.write("coverage/lcov.info", LCOV);
    project
}

/// A report in which the second line of each file has run.
fn one_line_each(paths: &[&str]) -> String {
    let files = paths.iter().map(|path| format!("SF:{path}\nDA:2,1\nend_of_record\n"));
    files.collect::<Vec<_>>().concat()
}

/// A file's time of change, so long ago.
fn age(path: &Path, seconds: u64) {
    let time = SystemTime::now() - Duration::from_secs(seconds);
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

#[tokio::test]
async fn figures_are_the_reports_and_name_it() {
    let project = project();
    let result = project.call(TOOL, json!({})).await;
    assert_eq!(result["totals"]["line"], json!({"covered": 3, "total": 5, "pct": 60.0}));
    assert_eq!(result["totals"]["branch"], json!({"covered": 1, "total": 2, "pct": 50.0}));
    assert_eq!(result["totals"]["function"], Value::Null);
    assert_eq!(result["absent"], json!({"function": "no report has functions"}));
    assert_eq!(result["groups"][0]["path"], "src/a.py");
    let source = &result["provenance"][0];
    assert_eq!((&source["path"], &source["format"]), (&json!("coverage/lcov.info"), &json!("lcov")));
    assert_eq!(source["bytes"], LCOV.len());
    assert_eq!(source["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(result["patch"], Value::Null);
}

#[tokio::test]
async fn a_report_that_was_changed_a_moment_ago_is_read_again() {
    let project = project();
    for round in 0..50_u32 {
        let hits = round % 10;
        project.write("coverage/lcov.info", &format!("SF:src/a.py\nDA:2,{hits}\nDA:3,0\nend_of_record\n"));
        let result = project.call(TOOL, json!({})).await;
        assert_eq!(result["totals"]["line"]["covered"], u32::from(hits > 0), "round {round}");
    }
}

#[tokio::test]
async fn no_report_and_broken_ones_are_refused_with_what_to_do() {
    let project = Project::new();
    project.write("src/a.py", SOURCE);
    assert!(project.refusal(TOOL, json!({})).await.contains("run the tests with coverage"));
    assert!(project.refusal(TOOL, json!({"reports": ["none.xml"]})).await.contains("none.xml"));
    project.write("coverage.xml", "<coverage line-rate=\"1\"><packages></coverage>");
    assert!(project.refusal(TOOL, json!({})).await.contains("coverage.xml: broken cobertura report"));
    project.write("lcov.info", "SF:other/project.py\nDA:1,1\nend_of_record\n");
    let refusal = project.refusal(TOOL, json!({"reports": ["lcov.info"]})).await;
    assert!(refusal.contains("another project"), "{refusal}");
    let refusal = project.refusal(TOOL, json!({"reports": ["/etc/passwd"]})).await;
    assert!(refusal.contains("outside"), "{refusal}");
    let refusal = project.refusal(TOOL, json!({"base": "HEAD"})).await;
    assert!(!refusal.is_empty());
}

#[tokio::test]
async fn losing_a_named_report_is_an_error_and_not_a_better_score() {
    let project = project();
    project.write("bad.info", "SF:src/a.py\nDA:2,0\nDA:9,0\nend_of_record\n");
    let reports = json!({"reports": ["coverage/lcov.info", "bad.info"]});
    let both = project.call(TOOL, reports.clone()).await;
    assert_eq!(both["totals"]["line"], json!({"covered": 3, "total": 6, "pct": 50.0}));
    fs::remove_file(project.path("bad.info")).unwrap();
    assert!(project.refusal(TOOL, reports).await.contains("bad.info"));
}

#[tokio::test]
async fn branches_that_two_formats_number_differently_are_not_added_up() {
    let project = project();
    let xml = r#"<coverage line-rate="1"><packages><class filename="src/a.py"><lines><line number="3" hits="0" branch="true" condition-coverage="0% (0/2)"/><line number="6" hits="1"/></lines></class></packages></coverage>"#;
    project.write("coverage.xml", xml);
    let result = project.call(TOOL, json!({"reports": ["coverage/lcov.info", "coverage.xml"]})).await;
    assert_eq!(result["totals"]["branch"], json!({"covered": 1, "total": 2, "pct": 50.0}));
    assert_eq!(result["totals"]["line"]["covered"], 4, "lines are");
    assert!(result["warnings"].to_string().contains("several formats"), "{result}");
    // One report that is named twice counts once.
    let result = project.call(TOOL, json!({"reports": ["coverage.xml", "./coverage.xml"]})).await;
    assert!(result["warnings"].to_string().contains("counts once"), "{result}");
}

#[tokio::test]
async fn paths_of_elsewhere_are_found_where_one_file_alone_can_be_meant() {
    let project = Project::new();
    for path in ["src/a.py", "lib/b.py", "one/c.py", "two/c.py", "java/src/main/java/com/x/D.java"] {
        project.write(path, SOURCE);
    }
    fs::write(project.path("../outside.py"), SOURCE).unwrap();
    std::os::unix::fs::symlink("../outside.py", project.path("link.py")).unwrap();
    let sections = ["/ci/w/src/a.py", "/ci/w/lib/b.py", "c.py", "com/x/D.java", "/ci/w/no.py", "link.py"];
    project.write("lcov.info", &one_line_each(&sections));
    let result = project.call(TOOL, json!({})).await;
    let mut found: Vec<_> =
        result["groups"].as_array().unwrap().iter().map(|group| group["path"].as_str().unwrap()).collect();
    found.sort_unstable();
    let wanted =
        ["/ci/w/no.py", "c.py", "java/src/main/java/com/x/D.java", "lib/b.py", "link.py", "src/a.py"];
    assert_eq!(found, wanted);
    assert_eq!(result["unmatched"]["total"], 3);
    let reasons = result["unmatched"]["first"].to_string();
    assert!(reasons.contains("may be one/c.py or two/c.py"), "{reasons}");
    assert_eq!(result["totals"]["line"]["total"], 6, "what is not found counts as well");
}

#[tokio::test]
async fn a_file_of_one_name_in_another_project_is_not_taken_for_ours() {
    let project = Project::new();
    project.write("setup.py", SOURCE);
    let other = ["/o/setup.py", "/o/x/a.py", "/o/x/b.py", "/o/x/c.py"];
    project.write("lcov.info", &one_line_each(&other));
    assert!(project.refusal(TOOL, json!({})).await.contains("another project"));
}

#[tokio::test]
async fn reports_of_parts_are_relative_to_their_parts() {
    let project = Project::new();
    for part in ["packages/one", "packages/two"] {
        project.write(&format!("{part}/src/a.js"), SOURCE);
        project.write(&format!("{part}/coverage/lcov.info"), "SF:src/a.js\nDA:2,1\nDA:3,0\nend_of_record\n");
    }
    project.write("go.mod", "module example.com/m // x\n\ngo 1.22\n");
    project.write("pkg/b.go", SOURCE);
    let result = project.call(TOOL, json!({"group_by": "dir"})).await;
    let folders: Vec<_> = result["groups"].as_array().unwrap().iter().map(|group| &group["path"]).collect();
    assert_eq!(folders, ["packages/one/src", "packages/two/src"]);
    project.write("cover.out", "mode: set\nexample.com/m/pkg/b.go:2.1,3.2 1 1\n");
    let result = project.call(TOOL, json!({"reports": ["cover.out"], "include": ["pkg/"]})).await;
    assert_eq!(result["groups"][0]["path"], "pkg/b.go");
    assert_eq!(result["totals"]["line"]["covered"], 2);
}

#[tokio::test]
async fn sources_that_are_not_what_was_measured_are_told() {
    let project = project();
    project.write("src/short.py", "1\n2\n3\n");
    project.write("coverage/lcov.info", &format!("{LCOV}SF:src/short.py\nDA:4,1\nend_of_record\n"));
    age(&project.path("src/a.py"), 50);
    age(&project.path("src/short.py"), 50);
    age(&project.path("coverage/lcov.info"), 20);
    let result = project.call(TOOL, json!({})).await;
    assert_eq!(
        result["stale"]["first"],
        json!([{"file": "src/short.py", "reason": "shorter than its report says"}])
    );
    age(&project.path("src/a.py"), 10);
    let result = project.call(TOOL, json!({})).await;
    assert_eq!(result["stale"]["first"][0], json!({"file": "src/a.py", "reason": "newer than its report"}));
}

#[tokio::test]
async fn a_change_is_judged_by_its_own_lines() {
    let project = project();
    project.git(&["init", "-q"]);
    project.write(".gitignore", "coverage\n");
    project.git(&["add", "."]);
    project.git(&["commit", "-qm", "one"]);
    // Line 7 changes, three lines come before line 2, and a file is new.
    project.write("src/a.py", &SOURCE.replace("7\n", "seven\n").replacen("2\n", "x\ny\nz\n2\n", 1));
    project.write("src/new.py", "1\n2\n");
    let sections = "SF:src/a.py\nDA:2,1\nDA:3,0\nDA:5,1\nDA:6,1\nDA:7,2\nDA:9,1\nDA:10,0\nBRDA:3,0,0,-\nBRDA:9,0,0,0\nend_of_record\n";
    project.write("coverage/lcov.info", sections);
    let result = project.call(TOOL, json!({"base": "HEAD"})).await;
    let patch = &result["patch"];
    assert_eq!(patch["line"], json!({"covered": 1, "total": 3, "pct": 33.33}));
    assert_eq!(patch["branch"], json!({"covered": 0, "total": 1, "pct": 0.0}));
    assert_eq!(patch["uncovered"]["first"], json!([{"file": "src/a.py", "ranges": [[3, 3], [10, 10]]}]));
    assert_eq!(patch["unmeasured"]["first"], json!(["src/new.py"]));
    assert_eq!(patch["head"], "worktree");
    // Line 6 was uncovered and is line 9 now; line 7 was changed.
    project.write("before.info", LCOV);
    let result = project.call(TOOL, json!({"base": "HEAD", "base_report": "before.info"})).await;
    let delta = &result["delta"];
    let flip = json!([{"file": "src/a.py", "line": 9, "from": "uncovered", "to": "covered"}]);
    assert_eq!((&delta["indirect"], &delta["indirect_total"]), (&flip, &json!(1)));
    assert_eq!(delta["line"], 11.42);
    project.git(&["commit", "-qam", "two"]);
    let result = project.call(TOOL, json!({"base": "HEAD~1", "head": "HEAD"})).await;
    assert_eq!(result["patch"]["line"]["total"], 3);
    assert!(project.refusal(TOOL, json!({"base": "nothing"})).await.contains("no commit nothing"));
}

#[tokio::test]
async fn long_lists_come_in_pages_that_do_not_mix() {
    let project = Project::new();
    let mut report = String::new();
    for number in 0..45 {
        project.write(&format!("src/f{number:02}.py"), SOURCE);
        writeln!(report, "SF:src/f{number:02}.py\nDA:2,{}\nDA:3,0\nend_of_record", number % 2).unwrap();
    }
    project.write("lcov.info", &report);
    let mut files = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let mut arguments = json!({"max_items": 20});
        if !cursor.is_null() {
            arguments["cursor"] = cursor;
        }
        let result = project.call(TOOL, arguments).await;
        assert_eq!(result["total"], 45);
        files.extend(result["groups"].as_array().unwrap().iter().map(|group| group["path"].to_string()));
        cursor = result["next_cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    files.sort();
    files.dedup();
    assert_eq!(files.len(), 45);
    let first = project.call(TOOL, json!({})).await;
    project.write("lcov.info", &report.replace("DA:3,0", "DA:3,1"));
    let refusal = project.refusal(TOOL, json!({"cursor": first["next_cursor"]})).await;
    assert!(refusal.contains("has changed"), "{refusal}");
    assert!(project.refusal(TOOL, json!({"cursor": "x"})).await.contains("none of ours"));
}

#[tokio::test]
async fn without_roots_nothing_is_read() {
    let tools = Tools::new();
    assert!(tools.refusal(TOOL, "{}").await.contains("[qe]"));
}
